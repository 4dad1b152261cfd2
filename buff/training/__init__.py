"""From a table in unit space to a field: one regression problem a node."""

from buff.training.base import LinearBase
from buff.training.cache import NodeCache
from buff.training.frame import Frame
from buff.training.linear import ExactLinear
from buff.training.nodes import NodeModel, NodeRecord, Nodes, fit_node, is_exact, suited_to_conditions
from buff.training.plan import Plan, make_plan
from buff.training.run import train_field
from buff.training.targets import TrainingSet

__all__ = [
    "ExactLinear",
    "Frame",
    "LinearBase",
    "NodeCache",
    "NodeModel",
    "NodeRecord",
    "Nodes",
    "Plan",
    "TrainingSet",
    "fit_node",
    "is_exact",
    "make_plan",
    "suited_to_conditions",
    "train_field",
]
