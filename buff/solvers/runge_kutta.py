"""Runge-Kutta methods: a tableau, the variable it integrates in, and how many grid intervals a step spans."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from buff.grids import TimeGrid
from buff.paths import LINEAR, Path
from buff.protocols import Array
from buff.solvers.base import BoundField, Solver, combine
from buff.solvers.tableaus import EULER, HEUN, Tableau

__all__ = ["ReducedRungeKutta", "RungeKutta", "grouped", "noise_of", "runge_kutta_step", "slopes"]

#: ``f(x, z)``, the slope dx/dz in whatever variable z.
Slope: TypeAlias = Callable[[Array, float], Array]


def slopes(tableau: Tableau, f: Slope, x: Array, t: float, s: float, first: Array | None = None) -> list[Array]:
    """The stages k_1 ... of a step; ``first`` hands in k_1 where it is known already."""
    k = [f(x, t) if first is None else first]
    for c, a in zip(tableau.c[1:], tableau.a[1:], strict=True):
        # the end of the step is taken as given: t + (s - t) may differ from s in the last digit
        k.append(f(x + (s - t) * combine(a, k), s if c == 1 else t + c * (s - t)))
    return k


def runge_kutta_step(tableau: Tableau, f: Slope, x: Array, t: float, s: float, first: Array | None = None) -> Array:
    """``x + h sum_i b_i k_i``."""
    return x + (s - t) * combine(tableau.b, slopes(tableau, f, x, t, s, first))


def grouped(grid: TimeGrid, span: int) -> tuple[tuple[float, float], ...]:
    """Steps over ``span`` intervals each, so that inner stages can fall on the times between."""
    if grid.n_steps % span:
        raise ValueError(f"steps span {span} intervals: n_steps = {grid.n_steps} is not a multiple of {span}")
    return tuple(pairwise(grid.times[::span]))


@dataclass(frozen=True)
class RungeKutta(Solver):
    """Explicit Runge-Kutta in t: ``x_s = x_t + h sum_i b_i k_i``.

    Order of the tableau; a call a stage; no noise; Euler and Heun stay on any grid, others call the field between its
    times unless ``span`` puts their stages there.

    Parameters
    ----------
    tableau : Tableau
        Coefficients; see :mod:`buff.solvers.tableaus` for the sources.
    span : int
        Grid intervals a step. With 2 the stage of the midpoint method and of RK4 falls on the grid time in
        the middle (equal intervals), so that a field known only at the grid times will do; 3 for Ralston and
        the 3/8 rule, 4 for Bogacki-Shampine.

    Examples
    --------
    >>> from buff.grids import TimeGrid
    >>> from buff.solvers import RK4, RungeKutta
    >>> RungeKutta(RK4, span=2).nodes(TimeGrid.uniform(4))
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """

    tableau: Tableau = EULER
    span: int = 1

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.tableau.order

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        return grouped(grid, self.span)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        return runge_kutta_step(self.tableau, flow.velocity, x, t, s), None


def noise_of(flow: BoundField) -> Slope:
    """The slope in reduced coordinates y = x / alpha: ``dy / d(sigma / alpha) = e``, on every path."""

    def slope(y: Array, ratio: float) -> Array:
        here = flow.at_ratio(ratio)
        return flow.predict(here.alpha * y, here.t)[1]

    return slope


@dataclass(frozen=True)
class ReducedRungeKutta(Solver):
    """Explicit Runge-Kutta in the noise-to-signal ratio, whatever the field's path; with Heun, EDM's solver.

    Order of the tableau; a call a stage; no noise; Euler and Heun stay on any grid.

    ``y = x / alpha``, ``dy / d(sigma / alpha) = e``. Where the ratio is infinite (no signal yet) or becomes
    zero, the exact first-order step ``x = alpha D + sigma e`` is taken instead: Heun then costs one call
    less.

    Parameters
    ----------
    tableau : Tableau
        Coefficients.

    References
    ----------
    Karras, Aittala, Aila, Laine, 2022, arXiv:2206.00364, algorithm 1.
    """

    tableau: Tableau = HEUN

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.tableau.order

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        here, there = flow.at(t), flow.at(s)
        denoised, noise = flow.predict(x, t)
        if here.pure or there.pure:
            return there.combine(denoised, noise), None
        y = runge_kutta_step(self.tableau, noise_of(flow), x / here.alpha, here.ratio, there.ratio, noise)
        return there.alpha * y, None
