"""How far the states of a solver are from those of a fine one, from the same noise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, nan
from typing import NamedTuple, cast

from buff.errors import check_whole
from buff.fields import AbstractField, Counted
from buff.grids import TimeGrid, as_grid, get_grid
from buff.protocols import Array, Field
from buff.solvers.base import SOLVERS, Solver, get_solver
from buff.solvers.loop import integrate

__all__ = ["SolverError", "SolverErrors", "solver_errors", "solver_name"]

#: Names of grids, their times, or what makes one of n steps.
Grid = str | TimeGrid | Sequence[float] | Callable[[int], TimeGrid]


class SolverError(NamedTuple):
    """A solver in so many steps: evaluations an event, rms error, and the order since its record before."""

    solver: str
    n_steps: int
    nfe: int
    error: float
    order: float


@dataclass(frozen=True)
class SolverErrors:
    """Errors of solvers; prints as a table, and ``pandas.DataFrame(found.records)`` is one.

    Attributes
    ----------
    records : tuple of SolverError
        Of every solver, in the order of the steps.
    resolution : float
        Of the reference: its rms distance to that of half as many steps. Errors that are no larger tell nothing.
    """

    records: tuple[SolverError, ...]
    resolution: float

    def __str__(self) -> str:
        rows = [("solver", "steps", "NFE", "rms error", "order")]
        for name, n_steps, nfe, error, order in self.records:
            rows.append((name, f"{n_steps}", f"{nfe}", f"{error:.2e}", "" if order != order else f"{order:.2f}"))
        a, b, c, d, e = (max(len(row[i]) for row in rows) for i in range(5))
        lines = (f"{s:{a}}  {n:>{b}}  {m:>{c}}  {x:>{d}}  {o:>{e}}".rstrip() for s, n, m, x, o in rows)
        return "\n".join([*lines, f"reference: {self.resolution:.1e}"])


def solver_errors(
    field: Field,
    x: Array,
    solvers: str | Solver | Sequence[str | Solver] | Mapping[str, str | Solver],
    n_steps: int | Sequence[int] = (4, 8, 16, 32),
    *,
    grid: Grid = "uniform",
    condition: Array | None = None,
    fine: int = 1000,
) -> SolverErrors:
    """Root mean square, over rows and columns, of the distance to the states that many steps of ``"rk4"`` give.

    Parameters
    ----------
    field : Field
        Known at every time, as networks are.
    x : array of shape (n, d)
        States at the first time of the grid. A reference in double precision needs states in it.
    solvers : names or Solvers, or mapping from name to such
        Without noise; of adaptive ones the evaluations are counted.
    n_steps : int or list of int
        Of grids that have a name, or are made.
    grid : str, TimeGrid, increasing times, or callable
        ``grid(n)`` makes that of n steps.
    condition : array of shape (n, c), optional
        Passed to the field.
    fine : int
        Steps of the reference, even in t, from the first time of the grid to the last.

    Raises
    ------
    ValueError
        A solver draws noise, or the field is known at some times only, as that of trees.

    Examples
    --------
    >>> import numpy as np
    >>> found = solver_errors(lambda x, t: -x * t, np.ones((3, 1)), ["euler", "heun"], [32, 64])
    >>> print(str(found).partition("reference")[0])
    solver  steps  NFE  rms error  order
    euler      32   32   6.45e-03
    euler      64   64   3.19e-03   1.02
    heun       32   64   2.28e-05
    heun       64  128   5.94e-06   1.94
    <BLANKLINE>
    """
    if not getattr(field, "at_every_time", True):
        raise ValueError(
            "the field is known at its nodes only, so that there is no finer reference: compare_samplers judges the "
            "events of trees"
        )
    if isinstance(solvers, str | Solver):
        solvers = [solvers]
    rules = solvers if isinstance(solvers, Mapping) else {solver_name(solver): solver for solver in solvers}
    grids = _grids(grid, [n_steps] if isinstance(n_steps, int) else n_steps)
    references: dict[tuple[float, float], Array] = {}
    resolution = 0.0
    for times in grids:
        ends = times.times[0], times.times[-1]
        if ends not in references:
            half, references[ends] = (_fine(field, x, ends, n, condition) for n in (max(fine // 2, 1), fine))
            resolution = max(resolution, _rms(half, references[ends]))
    records = []
    for name, rule in rules.items():
        solver, before = get_solver(rule), (nan, nan)
        if solver.stochastic:
            raise ValueError(f"{name} draws noise: its states follow no ODE; compare_samplers judges its events")
        for times in grids:
            counted = Counted(cast(AbstractField, field))
            found = integrate(solver, counted, x, times, condition)
            error = _rms(found, references[times.times[0], times.times[-1]])
            comparable = error and before[1] and times.n_steps != before[0]
            order = log(before[1] / error) / log(times.n_steps / before[0]) if comparable else nan
            records.append(SolverError(name, times.n_steps, -(-counted.evaluations // len(x)), error, order))
            before = times.n_steps, error
    return SolverErrors(tuple(records), resolution)


def _grids(grid: Grid, sizes: Sequence[int]) -> list[TimeGrid]:
    if callable(grid) or isinstance(grid, str):
        ns = [check_whole("n_steps", n, 1) for n in sizes]
        return [get_grid(grid, n) if isinstance(grid, str) else as_grid(grid(n)) for n in ns]
    return [as_grid(grid)]


def _fine(field: Field, x: Array, ends: tuple[float, float], n: int, condition: Array | None) -> Array:
    start, end = ends
    inside = (start + (end - start) * t for t in TimeGrid.uniform(n).times[1:-1])
    return integrate("rk4", field, x, TimeGrid((start, *inside, end), partial=True), condition)


def _rms(a: Array, b: Array) -> float:
    return float(((a - b) ** 2).mean() ** 0.5)


def solver_name(solver: str | Solver) -> str:
    """Its name in ``SOLVERS``, or that of its class."""
    if isinstance(solver, str):
        return solver
    return next((name for name, known in SOLVERS.items() if known == solver), type(solver).__name__)
