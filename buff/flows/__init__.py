"""From a table in unit space to a field: one regression problem a node."""

from buff.flows.cache import NodeCache
from buff.flows.calibration import MarginalCalibration
from buff.flows.cost import CostEstimate, make_plan
from buff.flows.data import FlowMatchingData, Rows
from buff.flows.executor import train_field
from buff.flows.linear_velocity import LinearVelocity
from buff.flows.nodes import NodeModel, NodeRecord, Nodes, fit_node, limit_memorisation
from buff.flows.reproducible_linear import ReproducibleLinear
from buff.flows.source import Source, stratify
from buff.flows.standardizer import Frame
from buff.flows.teacher import TeacherTrajectories

__all__ = [
    "CostEstimate",
    "FlowMatchingData",
    "Frame",
    "LinearVelocity",
    "MarginalCalibration",
    "NodeCache",
    "NodeModel",
    "NodeRecord",
    "Nodes",
    "ReproducibleLinear",
    "Rows",
    "Source",
    "TeacherTrajectories",
    "fit_node",
    "limit_memorisation",
    "make_plan",
    "stratify",
    "train_field",
]
