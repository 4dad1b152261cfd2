"""Whether a schedule of one's own is what its methods say."""

import math
from itertools import pairwise
from typing import Any

__all__ = ["check_schedule"]

_TIMES, _H = (0.1, 0.3, 0.5, 0.7, 0.9), 1e-5


def check_schedule(schedule: Any) -> None:
    """Refuse noise over signal that rises, derivatives that are not those of alpha and sigma, and a wrong inverse.

    Schedules of buff itself are taken as they are.

    Raises
    ------
    ValueError
        With the method, the time, and the values that disagree.
    """
    name = type(schedule).__name__
    if type(schedule).__module__.startswith("buff."):
        return
    ratios = [schedule.ratio(t) for t in _TIMES]
    for t, (last, ratio) in zip(_TIMES[1:], pairwise(ratios), strict=True):
        if not 0 <= ratio < last < math.inf:
            raise ValueError(f"{name}: sigma / alpha must fall with t, and is {last:.6g}, then {ratio:.6g} at t = {t}")
    for t, ratio in zip(_TIMES, ratios, strict=True):
        for what in ("alpha", "sigma"):
            value, told = getattr(schedule, what), float(getattr(schedule, f"{what}_dot")(t))
            slope = float(value(t + _H) - value(t - _H)) / (2 * _H)
            if not abs(told - slope) <= 1e-3 * (1 + abs(slope)):
                raise ValueError(f"{name}.{what}_dot({t}) is {told:.6g}, and {what} has the slope {slope:.6g} there")
        if not abs(schedule.time(ratio) - t) <= 1e-3:
            raise ValueError(
                f"{name}.time({ratio:.6g}) is {schedule.time(ratio):.6g}, and sigma / alpha is that at {t}"
            )
