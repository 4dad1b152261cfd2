"""Unfolding: from detector to truth, event by event."""

from buff.unfolding.binning import Binning, Covariance
from buff.unfolding.iterations import History, Iteration
from buff.unfolding.result import Diagnostics, Replica, UnfoldingResult
from buff.unfolding.unfolder import Unfolder

__all__ = [
    "Binning",
    "Covariance",
    "Diagnostics",
    "History",
    "Iteration",
    "Replica",
    "Unfolder",
    "UnfoldingResult",
]
