"""Whether a schedule of one's own is what its methods say."""

import math
from itertools import pairwise
from typing import Any

__all__ = ["check_schedule"]

#: Chebyshev's, close to each other near the ends, where slopes are steep; none is a half, where parts may meet.
_TIMES = tuple(0.5 - 0.5 * math.cos(math.pi * (i + 0.5) / 32) for i in range(32))
#: Of differences that tell a slope.
_H = 2e-6


def check_schedule(schedule: Any) -> None:
    """Refuse noise over signal that rises, derivatives that are not those of alpha and sigma, and a wrong inverse.

    Looked at from t = 0.0006 to 0.9994. Schedules of buff itself are taken as they are.

    Raises
    ------
    ValueError
        With the method, the time, and the values that disagree.
    """
    name = type(schedule).__name__
    if type(schedule).__module__.startswith("buff."):
        return
    # signal may be too little for a number near pure noise
    ratios = {t: ratio for t in _TIMES if (ratio := schedule.ratio(t)) < math.inf or t > 0.1}
    for (_, last), (t, ratio) in pairwise(ratios.items()):
        if not 0 <= ratio < last < math.inf:
            raise ValueError(
                f"{name}: sigma / alpha must fall with t, and is {last:.6g}, then {ratio:.6g} at t = {t:.4g}"
            )
    for t, ratio in ratios.items():
        for what in ("alpha", "sigma"):
            value, told = getattr(schedule, what), float(getattr(schedule, f"{what}_dot")(t))
            slope = float(value(t + _H) - value(t - _H)) / (2 * _H)
            if not abs(told - slope) <= 1e-3 * (1 + abs(slope)):
                raise ValueError(
                    f"{name}.{what}_dot({t:.4g}) is {told:.6g}, and {what} has the slope {slope:.6g} there"
                )
        if not abs(schedule.time(ratio) - t) <= 1e-3:
            raise ValueError(
                f"{name}.time({ratio:.6g}) is {schedule.time(ratio):.6g}, and sigma / alpha is that at {t:.4g}"
            )
