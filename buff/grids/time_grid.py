"""Where in time a solver stops: grids from t = 0 to t = 1, by their times or by name.

Names stand for warps of the unit interval, and for grids in noise placed on a schedule.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from scipy.special import ndtri

from buff.errors import OffGridError, check_parameters, check_range, check_steps, check_whole
from buff.grids.noise import NOISE_GRIDS, noise_grid
from buff.paths import Linear, Path, Schedule

__all__ = ["GRIDS", "TimeGrid", "as_grid", "get_grid", "nearest"]


@dataclass(frozen=True)
class TimeGrid:
    """Strictly increasing times from 0 to 1, as plain floats.

    Plain, because a NumPy scalar would turn a float32 state into float64.

    Parameters
    ----------
    times : sequence of float
        At least two times.
    partial : bool
        Allow a grid that starts after 0 or ends before 1.

    Raises
    ------
    ValueError
        Fewer than two times, times that do not increase, or ends that are not 0 and 1.

    Examples
    --------
    >>> grid = TimeGrid((0, 0.5, 1))
    >>> grid.steps
    ((0.0, 0.5), (0.5, 1.0))
    >>> grid.index_of(0.1 + 0.4)
    1
    """

    times: tuple[float, ...]
    partial: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        times = tuple(float(t) for t in self.times)
        object.__setattr__(self, "times", times)
        if len(times) < 2:
            raise ValueError(f"a grid needs at least two times: found {times}")
        for t, s in pairwise(times):
            if not t < s:
                raise ValueError(f"times must increase strictly: found {s!r} after {t!r}")
        if times[0] < 0 or times[-1] > 1:
            raise ValueError(f"times lie in [0, 1]: found {times[0]!r} ... {times[-1]!r}")
        if not self.partial and (times[0], times[-1]) != (0.0, 1.0):
            raise ValueError(f"a grid runs from 0 to 1 (unless partial=True): found {times[0]!r} ... {times[-1]!r}")

    @classmethod
    def uniform(cls, n_steps: int) -> "TimeGrid":
        """``n_steps`` equal steps from 0 to 1.

        Examples
        --------
        >>> TimeGrid.uniform(4).times
        (0.0, 0.25, 0.5, 0.75, 1.0)
        """
        n = check_steps(n_steps)
        return cls(tuple(i / n for i in range(n + 1)))

    @classmethod
    def of_ratios(cls, path: Path, ratios: Iterable[float]) -> "TimeGrid":
        """The times of decreasing noise-to-signal ratios on a path (a grid in sigma).

        Examples
        --------
        >>> from buff.paths import LINEAR
        >>> TimeGrid.of_ratios(LINEAR, [float("inf"), 3.0, 1.0, 0.0]).times
        (0.0, 0.25, 0.5, 1.0)
        """
        return cls(tuple(path.time(ratio) for ratio in ratios), partial=True)

    @property
    def n_steps(self) -> int:
        """Number of intervals."""
        return len(self.times) - 1

    @property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """The intervals, ``(t, s)`` from t to s > t."""
        return tuple(pairwise(self.times))

    def backwards(self) -> "TimeGrid":
        """The times 1 - t: the grid of a field that is run from data to noise (:class:`buff.fields.Reversed`).

        Examples
        --------
        >>> TimeGrid((0, 0.75, 1)).backwards().times
        (0.0, 0.25, 1.0)
        """
        return TimeGrid(tuple(1 - t for t in reversed(self.times)), partial=self.partial)

    def coarser(self, n_steps: int) -> "TimeGrid":
        """A grid of fewer steps, as evenly among the times as can be.

        Raises
        ------
        ValueError
            More steps than there are.

        Examples
        --------
        >>> TimeGrid.uniform(8).coarser(2).times
        (0.0, 0.5, 1.0)
        """
        most = self.n_steps
        if not 1 <= check_whole("n_steps", n_steps, 1) <= most:
            raise ValueError(f"the grid has {most} steps, found n_steps = {n_steps}: trees need a fit with more")
        chosen = ((2 * i * most + n_steps) // (2 * n_steps) for i in range(n_steps + 1))
        return TimeGrid(tuple(self.times[i] for i in chosen), partial=self.partial)

    def has(self, t: float, tol: float = 1e-9) -> bool:
        """Whether ``t`` is one of the times."""
        return abs(self.times[nearest(self.times, t)] - t) <= tol

    def index_of(self, t: float, tol: float = 1e-9) -> int:
        """Which of the times ``t`` is.

        Stage times are computed (t + c h), so they match within ``tol`` and never by equality.

        Raises
        ------
        OffGridError
            If no time is that close.
        """
        i = nearest(self.times, t)
        if not self.has(t, tol):
            raise OffGridError(f"t = {t:.6g} is not on the grid; the nearest time is {self.times[i]:.6g}")
        return i


def nearest(times: tuple[float, ...], t: float) -> int:
    """Index of the one of increasing times that is closest to t."""
    right = bisect_left(times, t, 1, len(times) - 1) if len(times) > 1 else 0
    return right - 1 if right and t - times[right - 1] <= times[right] - t else right


def as_grid(grid: Any) -> TimeGrid:
    """A grid as it is, or from increasing times.

    Raises
    ------
    TypeError
        None of these.

    Examples
    --------
    >>> as_grid([0, 0.5, 1]).n_steps
    2
    """
    if isinstance(grid, TimeGrid):
        return grid
    if isinstance(grid, str) or not hasattr(grid, "__len__"):
        raise TypeError(f"grid must be increasing times or a TimeGrid, as get_grid makes of a name: found {grid!r}")
    return TimeGrid(tuple(grid), partial=True)


def _whole(grid: Any, n_steps: int | None) -> TimeGrid:
    """:func:`as_grid`, from noise to data, in as many steps."""
    times = as_grid(grid)
    start, end = times.times[0], times.times[-1]
    if (start, end) != (0.0, 1.0):
        raise ValueError(
            f"models go from noise, t = 0, to data, t = 1: the grid runs from {start!r} to {end!r}; "
            "integrate(solver, model.field_, x, grid) goes a part of the way, from states x at its first time"
        )
    if n_steps is not None and times.n_steps != check_steps(n_steps):
        raise ValueError(f"grid has {times.n_steps} steps and n_steps is {n_steps}: set n_steps={times.n_steps}")
    return times


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
    name: str | TimeGrid | Sequence[float],
    n_steps: int | None = None,
    *,
    schedule: Schedule | None = None,
    kappa: float = 1.0,
    **parameters: Any,
) -> TimeGrid:
    """A grid of ``n_steps`` steps from exactly 0 to exactly 1, by name.

    Parameters
    ----------
    name : str, TimeGrid or sequence of float
        A grid of your own, or its times, in as many steps; or ``"uniform"``, ``"power"``, ``"dense"``, ``"dense1.5"``,
        ``"cosine"``, ``"sigmoid"``, ``"logit_normal"``, ``"shifted"``; or a grid in the noise-to-signal ratio
        (:func:`noise_grid`), whose first and last value are replaced by the pure ends 0 and 1.
    n_steps : int
        Number of steps; grids of your own have one without it.
    schedule : Schedule, optional
        Where to place a grid in noise; linear by default. A warp is one of t, on any schedule.
    kappa : float
        Evaluates a warp at ``r^(1 / kappa)``, in [1, 3]: above 1 the noise falls faster at first.
    **parameters
        Of the named rule.

    Raises
    ------
    ValueError
        Unknown name, a parameter out of range; a grid of another number of steps, or with other ends than 0 and 1.

    Examples
    --------
    >>> get_grid("dense", 4).times
    (0.0, 0.4375, 0.75, 0.9375, 1.0)
    >>> [round(t, 3) for t in get_grid("karras", 4).times]
    [0.0, 0.054, 0.284, 0.855, 1.0]
    """
    if not isinstance(name, str):
        return _whole(name, n_steps)
    n_steps = check_steps(n_steps)
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
