"""Solvers and grids on the same fitted models: quality against the number of field evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr, stdtrit
from sklearn.utils.validation import check_is_fitted

from buff.errors import check_whole, warn
from buff.generators.judging import halves_of, judged_draws, of_real, of_training, summary
from buff.generators.stepping import (
    COMMON,
    Grid,
    Metered,
    calls,
    held_to,
    own_solver,
    places_of,
    plans,
    stepped,
    told,
    within,
)
from buff.metrics import Estimate, Quality, sliced_wasserstein
from buff.metrics.record import data_frame
from buff.protocols import Array, TableLike
from buff.solvers import Solver, get_solver
from buff.solvers.accuracy import solver_name

__all__ = ["Sampler", "SamplerComparison", "compare_samplers"]

#: Random halves whose distance is the floor.
_SPLITS = 10
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
        The same metric of real rows beside as many others: mean and standard deviation over ten random halves. A
        perfect model gives that on average; as all samplers see the same real rows, they may lie on one side of it
        together, by up to this standard deviation.
    grids : tuple of str
        Where the solvers stepped.
    reference : str or None
        Name of the reference; None for the best of no more evaluations.
    training : Estimate or None
        The metric of training rows, as if they were generated: one sample, which differs from the floor by its chance.
    n_rows : tuple of int
        Of a draw, which are those of each side of the floor; and of the training rows, fewer where there are fewer.
    """

    samplers: tuple[Sampler, ...]
    records: tuple[Quality, ...]
    differences: tuple[Estimate | None, ...]
    values: tuple[Array, ...]
    floor: Estimate
    grids: tuple[str, ...]
    reference: str | None = None
    training: Estimate | None = None
    n_rows: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        n_fits, n_draws = np.max([values.shape for values in self.values], axis=0)
        over = f"{n_fits} fits of {n_draws} draws" if n_fits > 1 else f"{n_draws} draws of one fit"
        pairs = f"paired difference to {self.reference or 'the best'} of no more NFE: mean ± standard error"
        rows = sorted(
            zip(self.samplers, self.records, self.differences, strict=True),
            key=lambda row: (row[0].budget, row[1].value),
        )
        drawn, trained = self.n_rows
        shown = [("real against real", "NFE", f"{self.floor}", f"{drawn} rows beside {drawn}")]
        if self.training is not None:
            shown.append(("training rows", "", f"{self.training}", f"{trained} rows beside {drawn}"))
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
    solvers: Sequence[str | Solver] | Mapping[str, str | Solver] | None = None,
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
    smaller than those of the values. The other halves, of the same size, give the floor.

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
        is compared with those of the same budget, or a smaller one. Adaptive ones, on networks, start from one step and
        take what their tolerances ask for: the mean over events is counted, and is their budget.
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
        Combinations are left out: the solver leaves the nodes of the trees, as adaptive ones do.

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
    fits = _fits(models)
    grids = grids or ((None,) if solvers is None else (COMMON,))
    solvers = [solvers] if isinstance(solvers, str | Solver) else solvers
    rules: Mapping[str, Solver | None] = {_OWN: None}
    if solvers:
        named = solvers if isinstance(solvers, Mapping) else {solver_name(solver): solver for solver in solvers}
        rules = {name: get_solver(solver) for name, solver in named.items()}
    halves = halves_of(real, max(check_whole("seeds", seeds, 1), _SPLITS), random_state)
    if metric is sliced_wasserstein and seeds > 1:
        metric = partial(metric, n_bootstrap=0)  # the spread is that of the draws
    sizes = nfe if nfe is not None else n_steps or (5, 10)
    sizes = [sizes] if isinstance(sizes, int) else sizes
    places, found, left_out = places_of(grids, fits), [], []
    known: set[tuple[str, str, str, int]] = set()
    for (where, place), size, label, name in plans(places, sizes, nfe is not None, fits, rules):
        own = fits[label]
        solver = rules[name] or own_solver(own[0])
        name = solver_name(solver) if rules[name] is None else name
        called = ", ".join((*_shown(label, fits), name, *_shown(where, places)))
        try:
            steps = within(place, own, solver, size) if nfe is not None else stepped(place, own, size)
            if not steps:
                raise ValueError("the trees of a fit have fewer")
            if (row := (label, name, where, steps[0].n_steps)) in known:
                continue  # a larger budget may be too small for another step
            known.add(row)
            n_calls = 0 if solver.adaptive else calls(solver, steps, own)
            solver = Metered(solver, own) if solver.adaptive else held_to(solver, steps, own)
            judged = judged_draws(own, solver, steps, halves[:seeds], metric, random_state)
        except ValueError as error:  # off the nodes, or a number of steps that the solver cannot take
            reason, _, _ = str(error).partition(";")
            left_out.append(f"{called}, {size} {'steps' if nfe is None else 'evaluations'}: {reason}")
            continue
        if isinstance(solver, Metered):
            n_calls = solver.nfe_an_event
        sampler = Sampler(*row, n_calls if nfe is None or solver.adaptive else size)
        found.append((sampler, Quality(called, n_calls, *summary(judged)), judged[..., 0]))
    if not found:
        raise ValueError(f"nothing to compare: {'; '.join(left_out)}")
    if left_out:
        warn(f"{len(left_out)} combinations are left out, the first: {left_out[0]}")
    samplers, records, values = tuple(r[0] for r in found), tuple(r[1] for r in found), tuple(r[2] for r in found)
    differences = _differences(samplers, records, values, reference)
    training, n = None, len(halves[0][0])
    floor, n_rows = of_real(halves, metric), (n, n)
    if train is not None:
        training, n_trained = of_training(train, halves[:seeds], metric, random_state)
        n_rows = n, n_trained
    stood = told(places, fits)
    return SamplerComparison(samplers, records, differences, values, floor, stood, reference, training, n_rows)


def _fits(models: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The fitted models of each name."""
    if not isinstance(models, Mapping):
        raise TypeError(f'models must be named, as in {{"trees": model}}: found {type(models).__name__}')
    fits = {name: list(model) if isinstance(model, list | tuple) else [model] for name, model in models.items()}
    for name, model in ((name, model) for name, own in fits.items() for model in own):
        if not hasattr(model, "sample"):
            raise TypeError(f"{name!r} is a {type(model).__name__}, no model: buff.solvers.solver_errors takes fields")
        check_is_fitted(model)
    if len({len(own) for own in fits.values()} - {1}) > 1:
        counts = ", ".join(f"{name} {len(own)}" for name, own in fits.items())
        raise ValueError(f"give each name as many fits, or one: found {counts}")
    return fits


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
