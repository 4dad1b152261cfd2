"""Unfolding: from detector to truth, event by event."""

from buff.unfolding.binning import Binning, Covariance
from buff.unfolding.closure import ClosureBins, ClosureTest, closure_test
from buff.unfolding.diagnostics import Diagnostics
from buff.unfolding.iterations import History, Iteration
from buff.unfolding.normalised import Normalised
from buff.unfolding.refolding import Refolded
from buff.unfolding.replicas import Replica
from buff.unfolding.response import Response
from buff.unfolding.result import UnfoldingResult
from buff.unfolding.scan import IterationScan, ScannedColumn, scan_iterations
from buff.unfolding.unfolder import Unfolder

__all__ = [
    "Binning",
    "ClosureBins",
    "ClosureTest",
    "Covariance",
    "Diagnostics",
    "History",
    "Iteration",
    "IterationScan",
    "Normalised",
    "Refolded",
    "Replica",
    "Response",
    "ScannedColumn",
    "Unfolder",
    "UnfoldingResult",
    "closure_test",
    "scan_iterations",
]
