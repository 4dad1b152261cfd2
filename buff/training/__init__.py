"""From a table in unit space to a field: one regression problem a node."""

from buff.training.base import LinearBase
from buff.training.cache import NodeCache
from buff.training.frame import Frame
from buff.training.linear import ExactLinear
from buff.training.margins import Margins
from buff.training.nodes import NodeModel, NodeRecord, Nodes, fit_node, suited_to_rows
from buff.training.plan import Plan, make_plan
from buff.training.run import train_field
from buff.training.starts import Starts, strata
from buff.training.steps import Steps
from buff.training.targets import Rows, TrainingSet

__all__ = [
    "ExactLinear",
    "Frame",
    "LinearBase",
    "Margins",
    "NodeCache",
    "NodeModel",
    "NodeRecord",
    "Nodes",
    "Plan",
    "Rows",
    "Starts",
    "Steps",
    "TrainingSet",
    "fit_node",
    "make_plan",
    "strata",
    "suited_to_rows",
    "train_field",
]
