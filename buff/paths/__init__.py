"""Paths from noise to data, and the schedules of signal and noise that they follow."""

from buff.paths.path import LINEAR, Linear, Marginal, Path, PathSample, Prediction, Schedule, check_prediction, renoise
from buff.paths.schedules import REDUCED, get_path

__all__ = [
    "LINEAR",
    "REDUCED",
    "Linear",
    "Marginal",
    "Path",
    "PathSample",
    "Prediction",
    "Schedule",
    "check_prediction",
    "get_path",
    "renoise",
]
