"""Samplers that go back to more noise on their way: EDM's churn and Restart.

Both are a plan of steps for another solver: a step back in time adds the noise of the forward process, on any
path, and a step forward is the inner solver's.
"""

import math
from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from buff.grids import TimeGrid, nearest
from buff.grids.noise import karras
from buff.paths import LINEAR, Path, renoise
from buff.protocols import Array
from buff.solvers.base import BoundField, Solver
from buff.solvers.runge_kutta import ReducedRungeKutta

__all__ = ["RESTARTS", "Churned", "Excursion", "Interval", "Restart"]

Steps = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Excursion(Solver):
    """Steps of an inner solver, and steps back in time that add noise."""

    inner: Solver = field(default_factory=ReducedRungeKutta)
    s_noise: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.s_noise <= 2:
            raise ValueError(f"s_noise must lie in [0, 2] (useful: 1 to 1.007): found {self.s_noise!r}")
        if self.inner.adaptive:
            raise ValueError(f"the inner solver must not be adaptive: found {self.inner}")

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.inner.order

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        return True

    @abstractmethod
    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> Steps:
        """Steps (t, s), those with s < t going back."""

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        if s >= t:
            return self.inner.advance(flow, x, t, s, memory)
        return renoise(x, flow.at(t), flow.at(s), self.s_noise * flow.normal(x)), None


@dataclass(frozen=True)
class Churned(Excursion):
    """EDM's stochastic sampler: go back to more noise before each step.

    Order of the inner solver, weak; its calls; noise where it churns; calls the field between the times of the grid
    unless ``snap``.

    The noise-to-signal ratio is raised by a factor ``1 + gamma``, ``gamma = min(s_churn / N, sqrt(2) - 1)``
    while the ratio is inside [s_min, s_max], else 0. Order 2 for gamma ~ 1 / N, 1 for a constant gamma.

    Parameters
    ----------
    inner : Solver
        Solver of the steps; Heun in sigma / alpha by default.
    s_noise : float
        Factor of the added noise. Anything but 1 leaves a bias in the variance that no number of steps
        removes; published 1.003 to 1.007.
    s_churn : float
        Amount of churn, 0 to about 100; published 40 (ImageNet-64, N = 256) and 30.
    s_min, s_max : float
        Where to churn; published [0.05, 50] and [0.05, 1].
    gamma : float, optional
        A constant instead of s_churn / N, in [0, sqrt(2) - 1].
    snap : bool
        Go back to the nearest time of the grid instead, for fields that exist there only.

    References
    ----------
    Karras, Aittala, Aila, Laine, 2022, arXiv:2206.00364, algorithm 2 and table 5.
    """

    s_churn: float = 40.0
    s_min: float = 0.05
    s_max: float = 50.0
    gamma: float | None = None
    snap: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.s_churn < math.inf:
            raise ValueError(f"s_churn must not be negative, nor infinite: found {self.s_churn!r}")
        if not 0 <= self.s_min <= self.s_max:
            raise ValueError(f"churning needs 0 <= s_min <= s_max: found {self.s_min!r}, {self.s_max!r}")
        if self.gamma is not None and not 0 <= self.gamma <= math.sqrt(2) - 1:
            raise ValueError(f"gamma must lie in [0, sqrt(2) - 1]: found {self.gamma!r}")

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> Steps:
        gamma = min(self.s_churn / grid.n_steps, math.sqrt(2) - 1) if self.gamma is None else self.gamma
        plan: list[tuple[float, float]] = []
        for t, s in self.inner.steps(grid, path):
            ratio = path.at(t).ratio
            back = t
            if gamma and self.s_min <= ratio <= self.s_max:
                back = path.time(ratio * (1 + gamma))
                back = grid.times[nearest(grid.times, back)] if self.snap else back
            plan += [(t, back), (back, s)] if back < t else [(t, s)]
        return tuple(plan)


@dataclass(frozen=True)
class Interval:
    """From ratio ``low`` back up to ``high`` and down again over ``nodes`` ratios, ``repeats`` times."""

    nodes: int
    repeats: int
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.nodes < 2 or self.repeats < 0 or not 0 < self.low < self.high:
            raise ValueError(f"an interval needs nodes >= 2, repeats >= 0 and 0 < low < high: found {self}")


def _imagenet(*plan: tuple[int, int]) -> tuple[Interval, ...]:
    levels = ((19.35, 40.79), (1.09, 1.92), (0.59, 1.09), (0.30, 0.59), (0.06, 0.30))
    return tuple(Interval(*counts, *level) for counts, level in zip(plan, levels, strict=True))


#: Published configurations, by data set, network and number of main steps.
RESTARTS: dict[str, tuple[Interval, ...]] = {
    "cifar_edm_18": (Interval(3, 2, 0.14, 0.30),),
    "cifar_vp_18": (Interval(3, 2, 0.06, 0.30),),
    "cifar_vp_18_5": (Interval(3, 5, 0.06, 0.30),),
    "cifar_vp_18_10": (Interval(3, 10, 0.06, 0.30),),
    "cifar_vp_18_20": (Interval(3, 20, 0.06, 0.30),),
    "cifar_vp_20": (Interval(9, 30, 0.06, 0.20),),
    "imagenet_14": (Interval(3, 1, 19.35, 40.79), Interval(3, 1, 1.09, 1.92), Interval(3, 1, 0.06, 0.30)),
    "imagenet_18_1": (
        Interval(5, 1, 19.35, 40.79),
        Interval(5, 1, 1.09, 1.92),
        Interval(5, 1, 0.59, 1.09),
        Interval(5, 1, 0.06, 0.30),
    ),
    "imagenet_18_4": _imagenet((3, 1), (4, 1), (4, 4), (4, 1), (4, 4)),
    "imagenet_18_10": _imagenet((3, 1), (4, 1), (4, 5), (4, 5), (4, 10)),
    "calorimeter_36": _imagenet((4, 1), (4, 1), (4, 4), (4, 1), (4, 4)),
    "imagenet_36": _imagenet((4, 1), (4, 1), (4, 5), (4, 5), (6, 6)),
}


@dataclass(frozen=True)
class Restart(Excursion):
    """Go back to more noise a few times at chosen levels, and come down again.

    Order of the inner solver, weak; its calls over ``sum K (R - 1)`` steps more than the grid has; noise at each
    return; calls the field between the times of the grid unless ``snap``.

    On reaching the grid time nearest to an interval's ``low``, repeat: add noise up to ``high``, then step
    down over a Karras grid of ``nodes`` ratios (rho = 7).

    Parameters
    ----------
    inner : Solver
        Solver of all steps; Heun in sigma / alpha by default.
    s_noise : float
        Factor of the added noise; published 1.003.
    intervals : tuple of Interval, or str
        In noise-to-signal ratios, or a name in ``RESTARTS``.
    snap : bool
        Move ``high`` to the nearest time of the grid and come down over the grid itself, for fields that
        exist there only; ``nodes`` is then not used.

    References
    ----------
    Xu, Deng, Cheng, Tian, Liu, Jaakkola, 2023, arXiv:2306.14878.
    """

    intervals: tuple[Interval, ...] | str = "cifar_edm_18"
    snap: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.intervals, str) and self.intervals not in RESTARTS:
            raise ValueError(f"unknown intervals {self.intervals!r}: choose one of {', '.join(RESTARTS)}")
        if bad := [i for i in self.intervals if not isinstance(i, str | Interval)]:
            raise TypeError(f"intervals are Interval(nodes, repeats, low, high): found {bad[0]!r}")

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> Steps:
        excursions = self._by_node(grid, path)
        plan: list[tuple[float, float]] = []
        for t, s in self.inner.steps(grid, path):
            plan.append((t, s))
            if s in excursions:
                plan += excursions[s]
        return tuple(plan)

    def _by_node(self, grid: TimeGrid, path: Path) -> dict[float, list[tuple[float, float]]]:
        intervals = RESTARTS[self.intervals] if isinstance(self.intervals, str) else self.intervals
        nodes = [_nearest_level(grid, path, interval.low) for interval in intervals]
        if shared := [t for t, count in Counter(nodes).items() if count > 1]:
            raise ValueError(f"several restart intervals end at the grid time {shared[0]:.6g}: take a finer grid")
        return {
            node: self._excursion(grid, path, node, interval) for node, interval in zip(nodes, intervals, strict=True)
        }

    def _excursion(self, grid: TimeGrid, path: Path, node: float, interval: Interval) -> list[tuple[float, float]]:
        low = path.at(node).ratio
        if self.snap:
            noisier = tuple(t for t in grid.times if t < node)
            high = noisier[nearest(noisier, path.time(interval.high))]
            down = [t for t in grid.times if high <= t <= node]
        elif low < interval.high:
            down = [*map(path.time, karras(interval.nodes - 1, low, interval.high)[:-1]), node]
        else:
            down = []
        if len(down) < 2:
            raise ValueError(
                f"no room for a restart from {interval.high:g} to {interval.low:g}: the nearest time of the "
                f"grid has sigma / alpha = {low:g}; take a finer grid"
            )
        return [(node, down[0]), *pairwise(down)] * interval.repeats


def _nearest_level(grid: TimeGrid, path: Path, ratio: float) -> float:
    """The time of the grid, its start and pure data aside, whose noise-to-signal ratio is closest."""
    noisy = [t for t in grid.times[1:] if path.at(t).ratio] or grid.times[-1:]
    return min(noisy, key=lambda t: abs(path.at(t).ratio - ratio))
