"""Grids from t = 0 to t = 1 by name: warps of the unit interval, and grids in noise placed on a schedule."""

import math
from collections.abc import Callable
from typing import Any

from scipy.special import ndtri

from buff.grids.noise import NOISE_GRIDS, check_parameters, check_range, noise_grid
from buff.grids.time_grid import TimeGrid
from buff.schedules import Linear, Schedule

__all__ = ["GRIDS", "get_grid"]


def _uniform(r: float) -> float:
    return r


def _power(r: float, power: float = 2.0) -> float:
    """``r^p``: dense near the noise."""
    check_range("power", power, 1, 4)
    return float(r**power)


def _dense(r: float, power: float = 2.0) -> float:
    """``1 - (1 - r)^p``: dense near the data."""
    check_range("power", power, 1, 4)
    return float(1 - (1 - r) ** power)


def _dense15(r: float) -> float:
    """``1 - (1 - r)^1.5``: half as dense near the data as ``"dense"``."""
    return float(1 - (1 - r) ** 1.5)


def _cosine(r: float) -> float:
    """``sin^2(pi r / 2)``: dense at both ends."""
    return math.sin(math.pi * r / 2) ** 2


def _sigmoid(r: float, width: float = 3.0) -> float:
    """``1 / (1 + exp(-z))`` for z uniform in [-width, width], rescaled to [0, 1]: dense at both ends."""
    check_range("width", width, 1e-3, 20)
    return 0.5 * (1 + math.tanh(width * (2 * r - 1) / 2) / math.tanh(width / 2))


def _logit_normal(r: float, mean: float = 0.0, width: float = 1.0) -> float:
    """Quantiles of the logit-normal density of training times; coarse at the ends, kept for comparison."""
    check_range("mean", mean, -5, 5)
    check_range("width", width, 0.1, 5)
    return 1 / (1 + math.exp(-mean - width * float(ndtri(r))))


def _shifted(r: float, shift: float = 3.0) -> float:
    """Noise ``1 - t`` mapped to ``k (1 - t) / (1 + (k - 1) (1 - t))``, which moves lambda by -ln k."""
    check_range("shift", shift, 0.5, 6)
    return r / (r + shift * (1 - r))


WARPS: dict[str, Callable[..., float]] = {
    "uniform": _uniform,
    "power": _power,
    "dense": _dense,
    "dense1.5": _dense15,
    "cosine": _cosine,
    "sigmoid": _sigmoid,
    "logit_normal": _logit_normal,
    "shifted": _shifted,
}
#: Names that :func:`get_grid` takes.
GRIDS = (*WARPS, *NOISE_GRIDS)


def get_grid(
    name: str, n_steps: int, *, schedule: Schedule | None = None, kappa: float = 1.0, **parameters: Any
) -> TimeGrid:
    """A grid of ``n_steps`` steps from exactly 0 to exactly 1, by name.

    Parameters
    ----------
    name : str
        ``"uniform"``, ``"power"``, ``"dense"``, ``"dense1.5"``, ``"cosine"``, ``"sigmoid"``, ``"logit_normal"``,
        ``"shifted"``; or a grid in the noise-to-signal ratio (:func:`noise_grid`), whose first and last
        value are replaced by the pure ends 0 and 1.
    n_steps : int
        Number of steps.
    schedule : Schedule, optional
        Where to place a grid in noise; linear by default. A warp is one of t, on any schedule.
    kappa : float
        Evaluates a warp at ``r^(1 / kappa)``, in [1, 3]: above 1 the noise falls faster at first.
    **parameters
        Of the named rule.

    Raises
    ------
    ValueError
        Unknown name, or a parameter out of range.

    Examples
    --------
    >>> get_grid("dense", 4).times
    (0.0, 0.4375, 0.75, 0.9375, 1.0)
    >>> [round(t, 3) for t in get_grid("karras", 4).times]
    [0.0, 0.054, 0.284, 0.855, 1.0]
    """
    check_range("kappa", kappa, 1, 3)
    if schedule is not None and not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a Schedule, as get_schedule gives: found {schedule!r}")
    if name in NOISE_GRIDS:
        if kappa != 1:
            raise ValueError(f"kappa warps grids in t only, not {name!r}: found kappa = {kappa!r}")
        levels = noise_grid(name, n_steps, **parameters)[1:-1]
        inner = [(schedule or Linear()).time(level) for level in levels]
    elif name in WARPS:
        check_parameters(name, WARPS[name], parameters)
        inner = [WARPS[name](r ** (1 / kappa), **parameters) for r in TimeGrid.uniform(n_steps).times[1:-1]]
    else:
        raise ValueError(f"unknown grid {name!r}: choose one of {', '.join(GRIDS)}")
    # the ends are assigned: a rule may miss them by round-off
    return TimeGrid((0.0, *inner, 1.0))
