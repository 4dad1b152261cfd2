"""Flows of boosted trees between arrays: fit on scores, draw scores."""

from buff.flows.cache import NodeCache
from buff.flows.calibration import MarginalCalibration
from buff.flows.cost import CostEstimate, make_plan
from buff.flows.data import FixedScores, FlowMatchingData, RankIntervals, RegressionSource
from buff.flows.executor import train_field
from buff.flows.fit import FlowSettings, calibrate, estimate_cost, fit_flow, train_flow, train_nodes
from buff.flows.linear_velocity import LinearVelocity
from buff.flows.model import FlowModel
from buff.flows.nodes import NodeModel, NodeRecord, Nodes, fit_node, limit_memorisation
from buff.flows.reproducible_linear import ReproducibleLinear
from buff.flows.request import SampleRequest
from buff.flows.source import Source, stratify
from buff.flows.standardizer import ConditionalStandardizer
from buff.flows.teacher import TeacherTrajectories

__all__ = [
    "ConditionalStandardizer",
    "CostEstimate",
    "FixedScores",
    "FlowMatchingData",
    "FlowModel",
    "FlowSettings",
    "LinearVelocity",
    "MarginalCalibration",
    "NodeCache",
    "NodeModel",
    "NodeRecord",
    "Nodes",
    "RankIntervals",
    "RegressionSource",
    "ReproducibleLinear",
    "SampleRequest",
    "Source",
    "TeacherTrajectories",
    "calibrate",
    "estimate_cost",
    "fit_flow",
    "fit_node",
    "limit_memorisation",
    "make_plan",
    "stratify",
    "train_field",
    "train_flow",
    "train_nodes",
]
