"""Flows of boosted trees between arrays: fit on scores, draw scores."""

from buff.fields import GaussianPart
from buff.flows.arrays import fit_flow
from buff.flows.cache import NodeCache
from buff.flows.conditional import ConditionalStandardizer, limit_memorisation
from buff.flows.cost import CostEstimate, NodeRecord, NodeRecords
from buff.flows.data import FixedScores, FlowMatchingData, RankIntervals, Source
from buff.flows.distill import TeacherTrajectories, distill, teaching_seed
from buff.flows.fit import FlowSettings, MarginalCalibration, calibrate, estimate_cost, train_flow, train_nodes
from buff.flows.mixture import Classes, MixtureModel
from buff.flows.model import FlowModel
from buff.flows.nodes import LinearVelocity, NodeModel, fit_node
from buff.flows.patterned import PatternedData, PatternedFlow, train_patterned
from buff.flows.patterns import AtomPatterns
from buff.flows.regression import RegressionSource
from buff.kernels import ReproducibleLinear
from buff.randomness import SampleRequest, ScoreModel

__all__ = [
    "AtomPatterns",
    "Classes",
    "ConditionalStandardizer",
    "CostEstimate",
    "FixedScores",
    "FlowMatchingData",
    "FlowModel",
    "FlowSettings",
    "GaussianPart",
    "LinearVelocity",
    "MarginalCalibration",
    "MixtureModel",
    "NodeCache",
    "NodeModel",
    "NodeRecord",
    "NodeRecords",
    "PatternedData",
    "PatternedFlow",
    "RankIntervals",
    "RegressionSource",
    "ReproducibleLinear",
    "SampleRequest",
    "ScoreModel",
    "Source",
    "TeacherTrajectories",
    "calibrate",
    "distill",
    "estimate_cost",
    "fit_flow",
    "fit_node",
    "limit_memorisation",
    "teaching_seed",
    "train_flow",
    "train_nodes",
    "train_patterned",
]
