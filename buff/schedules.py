"""Signal and noise at a time, ``x_t = alpha(t) x1 + sigma(t) eps``: names of :mod:`buff.paths` for schedules."""

from buff.paths.path import Linear, Schedule, Time
from buff.paths.schedules import (
    SCHEDULES,
    Backward,
    SubVariancePreserving,
    Trigonometric,
    VarianceExploding,
    VariancePreserving,
    functions,
    get_schedule,
)

__all__ = [
    "SCHEDULES",
    "Backward",
    "Linear",
    "Schedule",
    "SubVariancePreserving",
    "Time",
    "Trigonometric",
    "VarianceExploding",
    "VariancePreserving",
    "functions",
    "get_schedule",
]
