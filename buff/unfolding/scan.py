"""What each iteration of an unfolding changes and costs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from buff.errors import check_whole
from buff.protocols import Array, BinsLike, RandomState, TableLike, WeightsLike
from buff.randomness import seed_from
from buff.tables import Columns
from buff.unfolding.binning import Binning
from buff.unfolding.event_weights import checked_weights
from buff.unfolding.events import read_named
from buff.unfolding.iterations import Draws, History, Prior, reweighting, updating
from buff.unfolding.members import Measured, Member, Unfolded, with_weights
from buff.unfolding.refolding import refold
from buff.unfolding.replicas import pace

if TYPE_CHECKING:
    from buff.unfolding.unfolder import Unfolder

__all__ = ["IterationScan", "ScannedColumn", "scan_iterations"]

_HEAD = ("iteration", "moved", "refolded", "error", "correlation")


@dataclass(frozen=True, eq=False, repr=False)
class ScannedColumn:
    r"""Bins of one column after each iteration; prints as a table.

    Attributes
    ----------
    name : str
    edges : array of shape (b + 1,)
    counts, errors : array of shape (iterations, b)
        Unfolded events, and their statistical errors, of replicas of the data.
    moved : array of shape (iterations,)
        Mean square, over the bins, of the change since the iteration before (at first: since simulated truth) in units
        of the error: :math:`\chi^2 / n` without correlations, as those below.
    refolded : array of shape (iterations,)
        The same of the measured signal less the refolded events, at detector level, with the bins of
        :class:`~buff.unfolding.Refolded`; NaN for a column that reco has not.
    correlation : array of shape (iterations,)
        Mean of the correlations of neighbouring bins, which falls below 0 where iterations amplify noise.
    truth : array of shape (iterations,) or None
        Mean square of unfolded less known truth in units of the errors of both, which is small where they share
        events, as pseudo-data and their truth do.
    """

    name: str
    edges: Array
    counts: Array
    errors: Array
    moved: Array
    refolded: Array
    correlation: Array
    truth: Array | None = None

    @property
    def error(self) -> Array:
        """Mean relative error of the bins that hold events, of shape (iterations,)."""
        relative = np.divide(self.errors, self.counts, out=np.full(self.errors.shape, np.nan), where=self.counts > 0)
        return np.asarray(np.nanmean(relative, axis=1))

    def rows(self) -> list[tuple[str, ...]]:
        """Names and numbers, an iteration a row."""
        truth = () if self.truth is None else (self.truth,)
        head = (*_HEAD, *("truth" for _ in truth))
        numbers = zip(self.moved, self.refolded, self.error, self.correlation, *truth, strict=True)
        forms = ("{:.2f}", "{:.2f}", "{:.1%}", "{:+.2f}", "{:.2f}")
        cells = ([form.format(x) for form, x in zip(forms, own, strict=False)] for own in numbers)
        return [head, *((str(k), *own) for k, own in enumerate(cells, 1))]

    def __repr__(self) -> str:
        return "\n".join([self.name, *("".join(cell.rjust(12) for cell in row) for row in self.rows())])


@dataclass(frozen=True, eq=False, repr=False)
class IterationScan:
    """Every column after each iteration; prints as a table for each.

    Attributes
    ----------
    columns : mapping from name to ScannedColumn
    n_replicas : int
        Replicas of the data.
    """

    columns: Mapping[str, ScannedColumn]
    n_replicas: int

    def __getitem__(self, name: str) -> ScannedColumn:
        return self.columns[name]

    def __repr__(self) -> str:
        told = (
            "moved: chi2/n of the change since the iteration before, in statistical errors of the data "
            f"({self.n_replicas} replicas)",
            "refolded: chi2/n of the measured signal against the refolded events at detector level",
            "error: mean relative statistical error; correlation: mean of neighbouring bins",
        )
        known = any(own.truth is not None for own in self.columns.values())
        legend = (*told, *(["truth: chi2/n against known truth"] if known else []))
        return "\n\n".join([*map(repr, self.columns.values()), "\n".join(legend)])

    def plot(self, **style: Any) -> Any:
        """Chi-squareds, errors and correlations after each iteration, for each column.

        Parameters
        ----------
        **style
            Such as ``style`` or ``experiment`` of :func:`buff.plotting.iteration_scan`.
        """
        from buff.plotting import iteration_scan

        return iteration_scan(self.columns, **style)


def scan_iterations(
    unfolder: Unfolder,
    reco: TableLike,
    bins: Mapping[str, BinsLike],
    *,
    most: int = 10,
    n_replicas: int = 20,
    sample_weight: WeightsLike = None,
    background: Any = None,
    truth: Any = None,
    random_state: RandomState = None,
    verbose: int = 0,
) -> IterationScan:
    """Unfold with every number of iterations: what the next one moves, how it describes the data, what it costs.

    Few iterations keep the prior of the simulation (truth still moves, refolded events do not describe the measured
    ones), many amplify fluctuations (errors grow, neighbouring bins become anti-correlated). Each iteration is that of
    :meth:`Unfolder.unfold` with ``n_iterations``; a replica takes all of them in one go.

    Parameters
    ----------
    unfolder : Unfolder
        Fitted.
    reco, sample_weight, background
        As for :meth:`Unfolder.unfold`.
    bins : mapping from column name to bins
        See :meth:`UnfoldingResult.histogram`.
    most : int
        Iterations.
    n_replicas : int
        Of the data, behind errors and correlations.
    truth : table, or pair of a table and weights, optional
        Known truth of the measured events, for pseudo-data.
    random_state : None, int or NumPy generator
        Of the replicas.
    verbose : int
        1 shows progress.

    Raises
    ------
    ValueError, TypeError
        What :meth:`Unfolder.unfold` refuses, fewer than 1 iteration or 2 replicas, unknown columns.

    Examples
    --------
    >>> from buff import Unfolder
    >>> from buff.datasets import gaussian_1d
    >>> simulated, nature = gaussian_1d().sample(2000, 0), gaussian_1d(mean=0.5).sample(1000, 1)
    >>> unfolder = Unfolder("reweight", random_state=0).fit(simulated.truth, simulated.reco)
    >>> scan = scan_iterations(unfolder, nature.reco, {"x0": [-1, 0, 1, 2]}, most=3, n_replicas=5, random_state=0)
    >>> scan["x0"].counts.shape, bool(scan["x0"].moved[2] < scan["x0"].moved[0])
    ((3, 3), True)
    """
    check_is_fitted(unfolder)
    check_whole("most", most, 1)
    check_whole("n_replicas", n_replicas, 2)
    member, simulation = unfolder.members_["nominal"][0], unfolder.simulation_
    measured = Measured.of(simulation, reco, sample_weight, background, unfolder.negative_weights)
    drawn, seed = member.drawn(measured, unfolder.n_samples), seed_from(random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nominal = _after_each(member, measured, most, drawn)
    last = nominal[-1]
    binnings = {name: Binning.of(last.events, last.weights, name, own) for name, own in bins.items()}
    shaken = []
    off, turns = not verbose, range(n_replicas)
    for i in tqdm(turns, "replicas", unit="replica", disable=off, mininterval=pace()):
        again = measured.resampled(np.random.default_rng([seed, i]))
        shaken.append([_counts(own, binnings) for own in _after_each(member, again, most, drawn)])
    n, space = simulation.n_matched, simulation.reco_space
    refolded: list[dict[str, float]] = []
    for own in nominal:
        weights = member.refolding(own)
        found = (
            () if weights is None else refold(space, simulation.reco_scores[:n], weights, measured.scores, own.signal)
        )
        refolded.append({column.name: column.chi2.value / column.chi2.n for column in found})
    known = {} if truth is None else _known(truth, binnings)
    columns = {}
    for name, binning in binnings.items():
        counts = np.array([binning.counts(own.events, own.weights) for own in nominal])
        spread = np.array([[one[name] for one in replica] for replica in shaken])
        errors = spread.std(axis=0, ddof=1)
        scale = nominal[0].weights.sum() / simulation.weights.sum()
        before = np.vstack([binning.counts(simulation.truth, simulation.weights * scale), counts[:-1]])
        columns[name] = ScannedColumn(
            name,
            binning.edges[0],
            counts,
            errors,
            _mean_square(counts - before, errors),
            np.array([own.get(name, np.nan) for own in refolded]),
            np.array([_neighbours(spread[:, k]) for k in range(most)]),
            _mean_square(counts - known[name][0], np.hypot(errors, known[name][1])) if known else None,
        )
    return IterationScan(columns, n_replicas)


def _after_each(member: Member, measured: Measured, most: int, drawn: tuple[Columns, Draws] | None) -> list[Unfolded]:
    """Truth of the measured events after each iteration, with the weights of :meth:`Member.unfold`."""
    signal, s = member.signal(measured), member.simulation
    prior = Prior(s, measured.scores, signal, member.settings, member.seed, np.ones(len(s.truth)))
    if drawn is None:
        events, rows, efficiency = s.truth, np.full(len(s.truth), -1), member.efficiency.of_rows
        steps, seen = reweighting(prior, most), np.ones(1)
    else:
        (events, draws), rows, efficiency = drawn, drawn[1].rows, member.efficiency(drawn[1].scores)
        steps, seen = updating(prior, draws, most), np.maximum(efficiency, member.least_efficiency)
    return [
        Unfolded(events, step.weights / seen, rows, History((step.iteration,)), signal, efficiency) for step in steps
    ]


def _counts(unfolded: Unfolded, binnings: Mapping[str, Binning]) -> dict[str, Array]:
    return {name: binning.counts(unfolded.events, unfolded.weights) for name, binning in binnings.items()}


def _known(truth: Any, binnings: Mapping[str, Binning]) -> dict[str, tuple[Array, Array]]:
    """Contents of the bins and their errors."""
    table, w = with_weights(truth, "truth")
    events = read_named(table, "truth")
    weights = checked_weights(w, len(events), "weights of truth")
    return {
        name: (binning.counts(events, weights), np.sqrt(binning.counts(events, weights**2)))
        for name, binning in binnings.items()
    }


def _mean_square(difference: Array, error: Array) -> Array:
    pulls = np.divide(difference, error, out=np.full(difference.shape, np.nan), where=error > 0)
    return np.asarray(np.nanmean(pulls**2, axis=1))


def _neighbours(replicas: Array) -> float:
    """Mean correlation of neighbouring bins that fluctuate."""
    z = replicas - replicas.mean(axis=0)
    sigma = np.sqrt((z**2).sum(axis=0))
    both = sigma[1:] * sigma[:-1]
    return float(np.mean((z[:, 1:] * z[:, :-1]).sum(axis=0)[both > 0] / both[both > 0])) if (both > 0).any() else np.nan
