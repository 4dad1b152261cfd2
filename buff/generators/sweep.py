"""Solvers and grids on the same fitted models: quality against the number of field evaluations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from buff.errors import check_whole, warn
from buff.flows import PatternedFlow
from buff.grids import TimeGrid, get_grid
from buff.metrics import Estimate, Quality, sliced_wasserstein
from buff.protocols import TableLike
from buff.solvers import SOLVERS, Solver, get_solver

__all__ = ["SamplerComparison", "compare_samplers"]


@dataclass(frozen=True)
class SamplerComparison:
    """What each sampler reaches, and what a second sample of real rows would; prints as a table.

    Attributes
    ----------
    records : tuple of Quality
        For :func:`buff.plotting.quality_against_nfe`.
    floor : Estimate
        The same metric of real against real.
    """

    records: tuple[Quality, ...]
    floor: Estimate

    def __str__(self) -> str:
        width = max(len(record.name) for record in self.records)
        lines = [f"{'real against real':{width}}  {'NFE':>5}  {self.floor}"]
        ranked = sorted(self.records, key=lambda record: (record.nfe, record.value))
        lines += [f"{r.name:{width}}  {r.nfe:5d}  {Estimate(r.value, r.error)}" for r in ranked]
        return "\n".join(lines)


def compare_samplers(
    models: Mapping[str, Any],
    real: TableLike,
    solvers: Sequence[str | Solver] | Mapping[str, Solver],
    grids: Sequence[str | TimeGrid | None] = (None,),
    n_steps: Sequence[int] = (5, 10),
    *,
    metric: Callable[[Any, Any], Any] = sliced_wasserstein,
    random_state: int = 0,
) -> SamplerComparison:
    """Draw from every model with every solver on every grid, from the same noise, and judge.

    Half of the real rows, drawn at random, is what events are compared with; the other half is the floor. As many
    events are drawn as it has rows.

    Parameters
    ----------
    models : mapping from name to fitted generator
        :class:`buff.BUFF`, or neural ones of ``buff_baselines``, without condition.
    real : array or table of shape (n, p)
        Rows that no model was fitted to.
    solvers : list of names or Solvers, or mapping from name to Solver
        Solvers of one's own included.
    grids : list of names, TimeGrids or None
        None is the grid of the fit: of trees every k-th of its times, where n_steps divides them.
    n_steps : list of int
        Steps; grids that are given by their times have their own.
    metric : callable
        ``metric(real, generated)``: an estimate or a number.
    random_state : int
        Of the halves and of the noise.

    Returns
    -------
    SamplerComparison

    Raises
    ------
    ValueError
        Nothing can be drawn.

    Warns
    -----
    UserWarning
        Combinations are left out: the solver leaves the nodes of the trees, or has no fixed number of evaluations.

    Examples
    --------
    >>> from buff import BUFF
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=1000)
    >>> trees = BUFF(n_steps=8, noise_budget=4_000, random_state=0).fit(rows[:500])
    >>> found = compare_samplers({"trees": trees}, rows[500:], ["ifab2", "heun"], n_steps=[4, 8])
    >>> [(record.name, record.nfe) for record in found.records]
    [('ifab2', 4), ('heun', 8), ('ifab2', 8), ('heun', 16)]
    """
    rules = solvers if isinstance(solvers, Mapping) else {_name(solver): get_solver(solver) for solver in solvers}
    table: Any = real
    halves = np.array_split(np.random.default_rng(random_state).permutation(len(table)), 2)
    judged, other = (_rows(table, np.sort(half)) for half in halves)
    records, left_out = [], []
    for label, model, grid in _plans(models, grids, n_steps):
        for name, solver in rules.items():
            parts = (label[0] if len(models) > 1 else "", name, label[1] if len(grids) > 1 else "")
            called = ", ".join(part for part in parts if part)
            try:
                nfe = solver.nfe(grid, _path(model))
                events = model.sample(len(judged), solver=solver, grid=grid, random_state=random_state)
            except ValueError as error:  # off the nodes, adaptive, or a number of steps that the solver cannot take
                left_out.append(f"{called}, {grid.n_steps} steps: {error}")
                continue
            value, spread = _estimate(metric(judged, events))
            records.append(Quality(called, nfe, value, spread))
    if not records:
        raise ValueError(f"nothing to compare: {'; '.join(left_out) or 'no model has such a grid'}")
    if left_out:
        warn(f"{len(left_out)} combinations are left out, the first: {left_out[0]}")
    return SamplerComparison(tuple(records), Estimate(*_estimate(metric(judged, other))))


def _plans(
    models: Mapping[str, Any], grids: Sequence[str | TimeGrid | None], n_steps: Sequence[int]
) -> Iterator[tuple[tuple[str, str], Any, TimeGrid]]:
    """Names of model and grid, the model, and the grid."""
    for grid in grids:
        for n in [grid.n_steps] if isinstance(grid, TimeGrid) else n_steps:
            for name, model in models.items():
                times = _own_grid(model, check_whole("n_steps", n, 1)) if grid is None else get_grid(grid, n)
                if times is not None:
                    yield (name, grid if isinstance(grid, str) else "own grid"), model, times


def _own_grid(model: Any, n: int) -> TimeGrid | None:
    """The grid of a fit in n steps."""
    if hasattr(model.model_, "nodes") or isinstance(model.model_, PatternedFlow):
        times = _flow(model).grid.times
        return TimeGrid(times[:: (len(times) - 1) // n]) if (len(times) - 1) % n == 0 else None
    return get_grid(model.grid, n)


def _flow(model: Any) -> Any:
    return model.model_.flow if isinstance(model.model_, PatternedFlow) else model.model_


def _path(model: Any) -> Any:
    return _flow(model).field.path


def _name(solver: str | Solver) -> str:
    if isinstance(solver, str):
        return solver
    return next((name for name, known in SOLVERS.items() if known == solver), type(solver).__name__)


def _rows(table: Any, rows: Any) -> Any:
    """Rows of a data frame, a table of pyarrow, or an array."""
    if hasattr(table, "iloc"):
        return table.iloc[rows]
    if hasattr(table, "take") and not isinstance(table, np.ndarray):
        return table.take(rows)
    return table[rows] if hasattr(table, "columns") else np.asarray(table)[rows]


def _estimate(found: Any) -> tuple[float, float]:
    return (found.value, found.error) if hasattr(found, "value") else (float(found), 0.0)
