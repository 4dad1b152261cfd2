"""Solvers and grids on the same fitted models: quality against the number of field evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from buff.errors import check_whole, warn
from buff.flows import PatternedFlow
from buff.grids import TimeGrid, as_grid, get_grid
from buff.metrics import Estimate, Quality, sliced_wasserstein
from buff.protocols import Array, TableLike
from buff.solvers import SOLVERS, Solver, get_solver

__all__ = ["SamplerComparison", "compare_samplers"]

Grid: TypeAlias = str | TimeGrid | Sequence[float] | None

#: Name of the grid that all models share, and random halves whose distance is the floor.
_COMMON, _SPLITS = "common", 10


@dataclass(frozen=True)
class SamplerComparison:
    """What each sampler reaches, and what a second sample of real rows would; prints as a table.

    Attributes
    ----------
    records : tuple of Quality
        Mean and standard deviation over fits, or over the draws of a single one;
        for :func:`buff.plotting.quality_against_nfe`.
    differences : tuple of Estimate or None
        Of each record: mean and standard error of the difference to its reference, on the same rows and noise; None
        for the reference itself, and where there is none.
    values : tuple of arrays of shape (n_fits, seeds)
        Of each record: the metric of every draw.
    floor : Estimate
        The same metric of real against real: mean and standard deviation over random halves.
    grids : tuple of str
        Where the solvers stepped.
    reference : str or None
        Name of the reference; None for the best of no more evaluations.
    """

    records: tuple[Quality, ...]
    differences: tuple[Estimate | None, ...]
    values: tuple[Array, ...]
    floor: Estimate
    grids: tuple[str, ...]
    reference: str | None = None

    def __str__(self) -> str:
        n_fits, n_draws = np.max([values.shape for values in self.values], axis=0)
        over = f"{n_fits} fits of {n_draws} draws" if n_fits > 1 else f"{n_draws} draws of one fit"
        width = max(len("real against real"), *(len(record.name) for record in self.records))
        rows = sorted(zip(self.records, self.differences, strict=True), key=lambda row: (row[0].nfe, row[0].value))
        shown = [f"{Estimate(record.value, record.error)}" for record, _ in rows]
        room = max(map(len, [*shown, str(self.floor)]))
        return "\n".join(
            [
                f"grid: {'; '.join(self.grids)}",
                f"mean ± spread over {over}; paired difference to {self.reference or 'the best'} of no more NFE",
                f"{'real against real':{width}}  {'NFE':>5}  {self.floor}",
                *(
                    f"{record.name:{width}}  {record.nfe:5d}  {value:{room}}  {_signed(difference)}".rstrip()
                    for value, (record, difference) in zip(shown, rows, strict=True)
                ),
            ]
        )


def compare_samplers(
    models: Mapping[str, Any],
    real: TableLike,
    solvers: Sequence[str | Solver] | Mapping[str, Solver],
    grids: Sequence[Grid] | Mapping[str, Grid] = (_COMMON,),
    n_steps: Sequence[int] = (5, 10),
    *,
    metric: Callable[[Any, Any], Any] = sliced_wasserstein,
    seeds: int = 5,
    reference: str | None = None,
    random_state: int = 0,
) -> SamplerComparison:
    """Draw from every model with every solver on every grid, from the same noise, and judge.

    Every draw has noise of its own and a random half of the real rows to be compared with; as many events are drawn as
    it has rows. All samplers see the same noise and halves, so that differences are those of pairs: their errors are
    smaller than those of the values. The other halves give the floor.

    Parameters
    ----------
    models : mapping from name to fitted generator, or to a list of them
        :class:`buff.BUFF`, or neural ones of ``buff_baselines``, without condition. The fits of a list differ in their
        seeds (or training rows): means and spreads are then over them, and differences are of fits with the same place.
    real : array or table of shape (n, p)
        Rows that no model was fitted to.
    solvers : list of names or Solvers, or mapping from name to Solver
        Solvers of one's own included.
    grids : list of names, TimeGrids, increasing times or None, or mapping from name to such
        ``"common"``: for all models that of the first with trees, every k-th of its times where n_steps divides them,
        or of the first network if there are no trees. None is the grid of each fit, which differs between models.
    n_steps : list of int
        Steps; grids that are given by their times have their own.
    metric : callable
        ``metric(real, generated)``: an estimate or a number.
    seeds : int
        Draws from every fit.
    reference : str, optional
        Name of the row that others are compared with, such as ``"trees, ifab2"``; by default the best. Either is taken
        at its best number of evaluations that is not above those of the row.
    random_state : int
        Of the halves and of the noise of the first draw; further ones count on from it.

    Returns
    -------
    SamplerComparison

    Raises
    ------
    ValueError
        Nothing can be drawn; a reference that is no row; numbers of fits that neither agree nor are 1.

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
    >>> found.grids, found.values[0].shape
    (('dense1.5 (of trees)',), (1, 5))
    """
    fits = {name: list(model) if isinstance(model, list | tuple) else [model] for name, model in models.items()}
    if len({len(own) for own in fits.values()} - {1}) > 1:
        counts = ", ".join(f"{name} {len(own)}" for name, own in fits.items())
        raise ValueError(f"give each name as many fits, or one: found {counts}")
    rules = solvers if isinstance(solvers, Mapping) else {_name(solver): get_solver(solver) for solver in solvers}
    halves = [_halves(real, random_state + i) for i in range(max(check_whole("seeds", seeds, 1), _SPLITS))]
    if metric is sliced_wasserstein and seeds > 1:
        metric = partial(metric, n_bootstrap=0)  # the spread is that of the draws
    places, found, left_out = _places(grids, fits), [], []
    for (label, where), own, steps in _plans(fits, places, n_steps):
        for name, solver in rules.items():
            parts = (label if len(fits) > 1 else "", name, where if len(places) > 1 else "")
            called = ", ".join(part for part in parts if part)
            try:
                nfe = solver.nfe(steps[0], _path(own[0]))
                judged = [
                    [
                        _judged(model, solver, grid, half, metric, random_state + i)
                        for i, half in enumerate(halves[:seeds])
                    ]
                    for model, grid in zip(own, steps, strict=True)
                ]
            except ValueError as error:  # off the nodes, adaptive, or a number of steps that the solver cannot take
                left_out.append(f"{called}, {steps[0].n_steps} steps: {error}")
                continue
            found.append((called, nfe, np.array(judged)))
    if not found:
        raise ValueError(f"nothing to compare: {'; '.join(left_out) or 'no model has such a grid'}")
    if left_out:
        warn(f"{len(left_out)} combinations are left out, the first: {left_out[0]}")
    records = tuple(Quality(called, nfe, *_summary(judged)) for called, nfe, judged in found)
    values = tuple(judged[..., 0] for _, _, judged in found)
    floor = Estimate(*_summary(np.array([[_estimate(metric(*pair)) for pair in halves]])))
    return SamplerComparison(records, _differences(records, values, reference), values, floor, tuple(places), reference)


@dataclass(frozen=True)
class _Stepping:
    """Where solvers step: ``rule(model, n)`` gives the grid of n steps; None where there is none."""

    rule: Callable[[Any, int], TimeGrid | None]
    n_steps: int | None = None


def _places(grids: Sequence[Grid] | Mapping[str, Grid], fits: Mapping[str, list[Any]]) -> dict[str, _Stepping]:
    """Grids by the names they are shown with."""
    if isinstance(grids, Mapping):
        return {name: _place(grid, fits)[1] for name, grid in grids.items()}
    if grids is None or isinstance(grids, str | TimeGrid):
        grids = [grids]
    places: dict[str, _Stepping] = {}
    for grid in grids:
        name, place = _place(grid, fits)
        places[name or f"grid {sum(known.startswith('grid ') for known in places) + 1}"] = place
    return places


def _place(grid: Grid, fits: Mapping[str, list[Any]]) -> tuple[str, _Stepping]:
    if grid is None:
        return "own grid", _Stepping(_own_grid)
    if isinstance(grid, str) and grid != _COMMON:
        return grid, _Stepping(lambda model, n: get_grid(grid, n))
    if not isinstance(grid, str):
        times = as_grid(grid)
        return "", _Stepping(lambda model, n: times, times.n_steps)
    name = next((name for name, own in fits.items() if _has_nodes(own[0])), next(iter(fits)))
    model = fits[name][0]
    shown = f"{model.grid} (of {name})" if isinstance(model.grid, str) else f"that of {name}"
    return shown, _Stepping(lambda _, n: _own_grid(model, n))


def _plans(
    fits: Mapping[str, list[Any]], places: Mapping[str, _Stepping], n_steps: Sequence[int]
) -> Iterator[tuple[tuple[str, str], list[Any], list[TimeGrid]]]:
    """Names of model and grid, the fits, and the grid of each."""
    for where, place in places.items():
        for n in n_steps if place.n_steps is None else [place.n_steps]:
            for name, own in fits.items():
                grids = [place.rule(model, check_whole("n_steps", n, 1)) for model in own]
                if all(grid is not None for grid in grids):
                    yield (name, where), own, [grid for grid in grids if grid is not None]


def _judged(
    model: Any, solver: Solver, grid: TimeGrid, half: tuple[Any, Any], metric: Any, seed: int
) -> tuple[float, float]:
    return _estimate(metric(half[0], model.sample(len(half[0]), solver=solver, grid=grid, random_state=seed)))


def _summary(judged: Array) -> Estimate:
    """Mean and standard deviation over fits, or draws of a single one; of one value with its own error."""
    each = judged[..., 0].mean(axis=1) if len(judged) > 1 else judged[0, :, 0]
    return Estimate(float(each.mean()), float(each.std(ddof=1) if len(each) > 1 else judged[0, 0, 1]))


def _differences(
    records: Sequence[Quality], values: Sequence[Array], reference: str | None
) -> tuple[Estimate | None, ...]:
    """Of each record to the best, of the reference's name if there is one, of no more evaluations."""
    if reference is not None and reference not in (names := dict.fromkeys(record.name for record in records)):
        raise ValueError(f"reference {reference!r} is no row: choose one of {'; '.join(names)}")
    differences: list[Estimate | None] = []
    for own, record in zip(values, records, strict=True):
        known = [i for i, other in enumerate(records) if other.nfe <= record.nfe and reference in (None, other.name)]
        best = min(known, key=lambda i: records[i].value, default=None)
        if best is None or records[best] is record:
            differences.append(None)
            continue
        pairs = own - values[best]
        each = pairs.mean(axis=1) if len(pairs) > 1 else pairs[0]
        error = float(each.std(ddof=1) / len(each) ** 0.5) if len(each) > 1 else float("nan")
        differences.append(Estimate(float(each.mean()), error))
    return tuple(differences)


def _signed(difference: Estimate | None) -> str:
    return "" if difference is None else f"{'+' if difference.value >= 0 else ''}{difference}"


def _own_grid(model: Any, n: int) -> TimeGrid | None:
    """The grid of a fit in n steps."""
    if _has_nodes(model):
        times = _flow(model).grid.times
        return TimeGrid(times[:: (len(times) - 1) // n]) if (len(times) - 1) % n == 0 else None
    return get_grid(model.grid, model.n_steps if not isinstance(model.grid, str) else n)


def _has_nodes(model: Any) -> bool:
    return hasattr(model.model_, "nodes") or isinstance(model.model_, PatternedFlow)


def _flow(model: Any) -> Any:
    return model.model_.flow if isinstance(model.model_, PatternedFlow) else model.model_


def _path(model: Any) -> Any:
    return _flow(model).field.path


def _name(solver: str | Solver) -> str:
    if isinstance(solver, str):
        return solver
    return next((name for name, known in SOLVERS.items() if known == solver), type(solver).__name__)


def _halves(table: Any, seed: int) -> tuple[Any, Any]:
    """Two random halves of the rows."""
    one, other = np.array_split(np.random.default_rng(seed).permutation(len(table)), 2)
    return _rows(table, np.sort(one)), _rows(table, np.sort(other))


def _rows(table: Any, rows: Any) -> Any:
    """Rows of a data frame, a table of pyarrow, or an array."""
    if hasattr(table, "iloc"):
        return table.iloc[rows]
    if hasattr(table, "take") and not isinstance(table, np.ndarray):
        return table.take(rows)
    return table[rows] if hasattr(table, "columns") else np.asarray(table)[rows]


def _estimate(found: Any) -> tuple[float, float]:
    return (found.value, found.error) if hasattr(found, "error") else (float(found), 0.0)
