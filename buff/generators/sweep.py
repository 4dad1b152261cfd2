"""Solvers and grids on the same fitted models: quality against the number of field evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr, stdtrit

from buff.datasets.table import Table
from buff.errors import check_whole, warn
from buff.generators.stepping import COMMON, Grid, calls, held_to, own_solver, places_of, plans, stepped, told, within
from buff.grids import TimeGrid
from buff.metrics import Estimate, Quality, sliced_wasserstein
from buff.metrics.record import data_frame
from buff.protocols import Array, TableLike
from buff.solvers import SOLVERS, Solver, get_solver

__all__ = ["Sampler", "SamplerComparison", "compare_samplers"]

#: Random halves whose distance is the floor.
_SPLITS = 10
#: Real rows below which their halves say little.
_FEW = 100
#: Each model with the solver of its own.
_OWN = "own"


class Sampler(NamedTuple):
    """A row of a comparison: names of model, solver and grid, steps, and the evaluations it may take at most."""

    model: str
    solver: str
    grid: str
    n_steps: int
    budget: int


@dataclass(frozen=True)
class SamplerComparison:
    """What each sampler reaches, and what a second sample of real rows would; prints as a table.

    Attributes
    ----------
    samplers : tuple of Sampler
        Of each record.
    records : tuple of Quality
        Mean and standard deviation over fits, or over the draws of a single one;
        for :func:`buff.plotting.quality_against_nfe`.
    differences : tuple of Estimate or None
        Of each record: the difference to its reference, on the same rows and noise: its mean over fits, or over the
        draws of a single one, and half the width of Student's interval of 68 percent, which for many is the standard
        error. None for the reference itself, and where there is none.
    values : tuple of arrays of shape (n_fits, seeds)
        Of each record: the metric of every draw.
    floor : Estimate
        The same metric of real against real: mean and standard deviation over random halves.
    grids : tuple of str
        Where the solvers stepped.
    reference : str or None
        Name of the reference; None for the best of no more evaluations.
    training : Estimate or None
        The metric of training rows, as if they were generated.
    """

    samplers: tuple[Sampler, ...]
    records: tuple[Quality, ...]
    differences: tuple[Estimate | None, ...]
    values: tuple[Array, ...]
    floor: Estimate
    grids: tuple[str, ...]
    reference: str | None = None
    training: Estimate | None = None

    def __str__(self) -> str:
        n_fits, n_draws = np.max([values.shape for values in self.values], axis=0)
        over = f"{n_fits} fits of {n_draws} draws" if n_fits > 1 else f"{n_draws} draws of one fit"
        pairs = f"paired difference to {self.reference or 'the best'} of no more NFE: mean ± standard error"
        rows = sorted(
            zip(self.samplers, self.records, self.differences, strict=True),
            key=lambda row: (row[0].budget, row[1].value),
        )
        shown = [("real against real", "NFE", f"{self.floor}", "")]
        if self.training is not None:
            shown.append(("training rows", "", f"{self.training}", ""))
        for sampler, record, difference in rows:
            nfe = f"{record.nfe}" if record.nfe == sampler.budget else f"{record.nfe} of {sampler.budget}"
            shown.append((record.name, nfe, f"{Estimate(record.value, record.error)}", _signed(difference)))
        a, b, c = (max(len(line[i]) for line in shown) for i in range(3))
        return "\n".join(
            [
                f"grid: {'; '.join(self.grids)}",
                f"mean ± standard deviation over {over}; {pairs} of {n_fits if n_fits > 1 else n_draws}",
                *(f"{name:{a}}  {nfe:>{max(b, 5)}}  {value:{c}}  {more}".rstrip() for name, nfe, value, more in shown),
            ]
        )

    def to_pandas(self) -> Any:
        """A data frame with a row for each record, and the floor and the training rows beside it.

        Columns are ``model``, ``solver``, ``grid``, ``n_steps``, ``budget``, ``nfe``, ``value``, ``value_sd``,
        ``difference``, ``difference_error``, ``floor``, ``floor_sd``, ``training`` and ``training_sd``: errors and
        standard deviations as in the attributes.

        Raises
        ------
        MissingExtraError
            Without pandas.
        """
        nothing = Estimate(nan, nan)
        beside = (*_pair(self.floor), *_pair(self.training or nothing))
        rows = [
            (*sampler, record.nfe, record.value, record.error, *_pair(difference or nothing), *beside)
            for sampler, record, difference in zip(self.samplers, self.records, self.differences, strict=True)
        ]
        names = ["model", "solver", "grid", "n_steps", "budget", "nfe", "value", "value_sd", "difference"]
        return data_frame(rows, [*names, "difference_error", "floor", "floor_sd", "training", "training_sd"])


def compare_samplers(
    models: Mapping[str, Any],
    real: TableLike,
    solvers: Sequence[str | Solver] | Mapping[str, Solver] | None = None,
    grids: Sequence[Grid] | Mapping[str, Grid] | None = None,
    n_steps: int | Sequence[int] | None = None,
    *,
    nfe: int | Sequence[int] | None = None,
    train: TableLike | None = None,
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
        :class:`buff.BUFF`, or neural ones of ``buff_baselines``; conditional ones draw their conditions. The fits of a
        list differ in their seeds (or training rows): means and spreads are then over them, and differences are of fits
        with the same place.
    real : array or table of shape (n, p)
        Rows that no model was fitted to.
    solvers : list of names or Solvers, or mapping from name to Solver, optional
        Solvers of one's own included. By default that of each model, on its own grid: models as they are used.
    grids : list of names, TimeGrids, increasing times or None, or mapping from name to such, optional
        ``"common"``, the default where solvers are given: for all models that of the first with trees, of fewer steps
        as evenly among its times as can be, or of the first network if there are no trees; networks take the grid of
        its name where trees have too few times. None in a list is the grid of each fit, which differs between models.
    n_steps : int or list of int, optional
        Steps, (5, 10) by default; grids that are given by their times have their own.
    nfe : int or list of int, optional
        Instead of steps: evaluations of the field. Each solver takes as many steps as there are evaluations for, and
        is compared with those of the same budget, or a smaller one.
    train : array or table of shape (n, p), optional
        Training rows, to be judged as if they were generated: what a model gives that knows no more.
    metric : callable
        ``metric(real, generated)``: a number, or an estimate of one.
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
    >>> equal = compare_samplers({"trees": trees}, rows[500:], ["ifab2", "heun"], nfe=[4, 8], train=rows[:500])
    >>> [(record.name, record.nfe, sampler.n_steps) for record, sampler in zip(equal.records, equal.samplers)]
    [('ifab2', 4, 4), ('heun', 4, 2), ('ifab2', 8, 8), ('heun', 8, 4)]
    """
    if nfe is not None and n_steps is not None:
        raise ValueError("give n_steps or nfe, not both: one follows from the other")
    if not isinstance(models, Mapping):
        raise TypeError(f'models must be named, as in {{"trees": model}}: found {type(models).__name__}')
    fits = {name: list(model) if isinstance(model, list | tuple) else [model] for name, model in models.items()}
    if len({len(own) for own in fits.values()} - {1}) > 1:
        counts = ", ".join(f"{name} {len(own)}" for name, own in fits.items())
        raise ValueError(f"give each name as many fits, or one: found {counts}")
    grids = grids or ((None,) if solvers is None else (COMMON,))
    solvers = [solvers] if isinstance(solvers, str | Solver) else solvers
    rules: Mapping[str, Solver | None] = {_OWN: None}
    if solvers:
        rules = solvers if isinstance(solvers, Mapping) else {_name(solver): get_solver(solver) for solver in solvers}
    halves = [_halves(real, random_state + i) for i in range(max(check_whole("seeds", seeds, 1), _SPLITS))]
    if (n_real := sum(map(len, halves[0]))) < _FEW:
        warn(f"{n_real} real rows tell samplers apart by chance only: give some hundred, of no training")
    if metric is sliced_wasserstein and seeds > 1:
        metric = partial(metric, n_bootstrap=0)  # the spread is that of the draws
    sizes = nfe if nfe is not None else n_steps or (5, 10)
    sizes = [sizes] if isinstance(sizes, int) else sizes
    places, found, left_out = places_of(grids, fits), [], []
    known: set[tuple[str, str, str, int]] = set()
    for (where, place), size, label, name in plans(places, sizes, nfe is not None, fits, rules):
        own = fits[label]
        solver = rules[name] or own_solver(own[0])
        name = _name(solver) if rules[name] is None else name
        called = ", ".join((*_shown(label, fits), name, *_shown(where, places)))
        try:
            steps = within(place, own, solver, size) if nfe is not None else stepped(place, own, size)
            if not steps or (row := (label, name, where, steps[0].n_steps)) in known:
                continue  # a larger budget may be too small for another step
            known.add(row)
            n_calls = calls(solver, steps, own)
            solver = held_to(solver, steps, own)
            judged = [
                [_judged(model, solver, grid, half, metric, random_state + i) for i, half in enumerate(halves[:seeds])]
                for model, grid in zip(own, steps, strict=True)
            ]
        except ValueError as error:  # off the nodes, adaptive, or a number of steps that the solver cannot take
            reason, _, _ = str(error).partition(";")
            left_out.append(f"{called}, {size} {'steps' if nfe is None else 'evaluations'}: {reason}")
            continue
        sampler = Sampler(*row, n_calls if nfe is None else size)
        found.append((sampler, Quality(called, n_calls, *_summary(np.array(judged))), np.array(judged)[..., 0]))
    if not found:
        raise ValueError(f"nothing to compare: {'; '.join(left_out) or 'no model has such a grid'}")
    if left_out:
        warn(f"{len(left_out)} combinations are left out, the first: {left_out[0]}")
    samplers, records, values = tuple(r[0] for r in found), tuple(r[1] for r in found), tuple(r[2] for r in found)
    floor = Estimate(*_summary(np.array([[_estimate(metric(*pair)) for pair in halves]])))
    differences = _differences(samplers, records, values, reference)
    training = None if train is None else _of_training(train, halves[:seeds], metric, random_state)
    return SamplerComparison(samplers, records, differences, values, floor, told(places, fits), reference, training)


def _judged(
    model: Any, solver: Solver, grid: TimeGrid, half: tuple[Any, Any], metric: Any, seed: int
) -> tuple[float, float]:
    return _estimate(metric(half[0], model.sample(len(half[0]), solver=solver, grid=grid, random_state=seed)))


def _summary(judged: Array) -> Estimate:
    """Mean and standard deviation over fits, or draws of a single one; of one value with its own error."""
    each = judged[..., 0].mean(axis=1) if len(judged) > 1 else judged[0, :, 0]
    return Estimate(float(each.mean()), float(each.std(ddof=1) if len(each) > 1 else judged[0, 0, 1]))


def _of_training(train: Any, halves: Sequence[tuple[Any, Any]], metric: Any, seed: int) -> Estimate:
    """The metric of random training rows against the halves of real ones."""
    judged = []
    for i, (half, _) in enumerate(halves):
        rows = np.random.default_rng(seed + i).permutation(len(train))[: len(half)]
        judged.append(_estimate(metric(half, _rows(train, rows))))
    return Estimate(*_summary(np.array([judged])))


def _differences(
    samplers: Sequence[Sampler], records: Sequence[Quality], values: Sequence[Array], reference: str | None
) -> tuple[Estimate | None, ...]:
    """Of each record to the best, of the reference's name if there is one, of no more evaluations."""
    if reference is not None and reference not in (names := dict.fromkeys(record.name for record in records)):
        raise ValueError(f"reference {reference!r} is no row: choose one of {'; '.join(names)}")
    differences: list[Estimate | None] = []
    for sampler, own, record in zip(samplers, values, records, strict=True):
        affordable = [i for i, other in enumerate(records) if other.nfe <= sampler.budget]
        known = [i for i in affordable if reference in (None, records[i].name)]
        best = min(known, key=lambda i: records[i].value, default=None)
        if best is None or records[best] is record:
            differences.append(None)
            continue
        pairs = own - values[best]
        each = pairs.mean(axis=1) if len(pairs) > 1 else pairs[0]
        n = len(each)
        error = float(stdtrit(n - 1, ndtr(1.0)) * each.std(ddof=1) / n**0.5) if n > 1 else nan
        differences.append(Estimate(float(each.mean()), error))
    return tuple(differences)


def _signed(difference: Estimate | None) -> str:
    return "" if difference is None else f"{'+' if difference.value >= 0 else ''}{difference}"


def _pair(estimate: Estimate) -> tuple[float, float]:
    return estimate.value, estimate.error


def _shown(name: str, among: Mapping[str, Any]) -> tuple[str, ...]:
    """A name where there are others."""
    return (name,) if len(among) > 1 else ()


def _name(solver: str | Solver) -> str:
    if isinstance(solver, str):
        return solver
    return next((name for name, known in SOLVERS.items() if known == solver), type(solver).__name__)


def _halves(table: Any, seed: int) -> tuple[Any, Any]:
    """Two random halves of the rows."""
    one, other = np.array_split(np.random.default_rng(seed).permutation(len(table)), 2)
    return _rows(table, np.sort(one)), _rows(table, np.sort(other))


def _rows(table: Any, rows: Any) -> Any:
    """Rows of a data frame, a table of pyarrow or of :mod:`buff.datasets`, or an array."""
    if isinstance(table, Table):
        return table.rows(rows)
    if hasattr(table, "iloc"):
        return table.iloc[rows]
    if hasattr(table, "take") and not isinstance(table, np.ndarray):
        return table.take(rows)
    return table[rows] if hasattr(table, "columns") else np.asarray(table)[rows]


def _estimate(found: Any) -> tuple[float, float]:
    if hasattr(found, "error"):
        return found.value, found.error
    if np.size(found) != 1:
        raise TypeError(f"metric must return a number or an estimate: found an array of shape {np.shape(found)}")
    return float(np.asarray(found).item()), 0.0
