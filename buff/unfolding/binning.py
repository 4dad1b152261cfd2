"""Unfolded events in bins, and how the bins fluctuate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from buff.errors import warn
from buff.metrics import automatic_bins
from buff.metrics.chi2 import effective_replicas, fewest_replicas, spoken_replicas
from buff.metrics.histograms import narrow_bins
from buff.protocols import Array, BinsLike, Indices, Numbers, Weights
from buff.tables import Columns
from buff.unfolding.settings import ORIGINS, SOURCES

__all__ = ["Binning", "Covariance", "from_differences"]


@dataclass(frozen=True, eq=False)
class Binning:
    """Bins in one or more columns, numbered as in a C array.

    Attributes
    ----------
    names : tuple of str
    edges : tuple of arrays
    """

    names: tuple[str, ...]
    edges: tuple[Array, ...]

    @classmethod
    def of(cls, events: Columns, weights: Weights, columns: Any, bins: Any) -> "Binning":
        """Bins of the columns asked for, by name or number.

        Raises
        ------
        ValueError
            No such column, a column that holds no numbers, edges that do not rise, bins for another number of columns.
        """
        several = isinstance(columns, list | tuple)
        names = tuple(_name(events, column) for column in (columns if several else [columns]))
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"columns must be different ones, at least one; found {list(names)}")
        wanted = bins if several and not isinstance(bins, int | np.integer) else [bins] * len(names)
        if len(wanted) != len(names):
            raise ValueError(f"bins are given for {len(wanted)} columns, but there are {len(names)}: {list(names)}")
        return cls(names, tuple(_edges(events, weights, n, b) for n, b in zip(names, wanted, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Bins a column."""
        return tuple(len(edges) - 1 for edges in self.edges)

    @property
    def widths(self) -> Array:
        """Of each bin; the product of those of its columns."""
        found = np.ones(1)
        for edges in self.edges:
            found = np.outer(found, np.diff(edges)).ravel()
        return found

    @property
    def narrow(self) -> Array:
        """Whether each bin is one of a spike: see :func:`buff.metrics.histograms.narrow_bins`."""
        found = np.zeros(1, bool)
        for edges in self.edges:
            own = np.isin(np.arange(len(edges) - 1), narrow_bins(edges))
            found = np.logical_or.outer(found, own).ravel()
        return found

    def counts(self, events: Columns, weights: Weights) -> Array:
        """Weight in each bin; the last of a column is closed, what is outside is left out."""
        number = self._numbers(events)
        inside = number >= 0
        return np.bincount(number[inside], weights[inside], minlength=int(np.prod(self.shape)))

    def beyond(self, events: Columns, weights: Weights) -> float:
        """Weight outside all bins."""
        return float(weights[self._numbers(events) < 0].sum())

    def variances(self, events: Columns, weights: Weights, groups: Indices) -> Array:
        """Sum of the squares of what independent events put into each bin; rows of one group are one event."""
        number, n_bins = self._numbers(events), int(np.prod(self.shape))
        own = np.where(groups >= 0, groups, np.arange(len(groups)))
        inside = number >= 0
        cell, position = np.unique(own[inside] * n_bins + number[inside], return_inverse=True)
        sums = np.bincount(position, weights[inside])
        return np.bincount(cell % n_bins, sums**2, minlength=n_bins)

    def _numbers(self, events: Columns) -> Indices:
        parts = []
        for name, edges in zip(self.names, self.edges, strict=True):
            values = events.arrays[events.names.index(name)]
            number = np.asarray(np.searchsorted(edges, values, side="right") - 1)
            number[values == edges[-1]] = len(edges) - 2
            parts.append(np.where(number < len(edges) - 1, number, -1))
        inside = np.min(parts, axis=0) >= 0
        flat = np.ravel_multi_index([np.where(inside, part, 0) for part in parts], self.shape)
        return np.where(inside, flat, -1)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Histograms side by side.

    Attributes
    ----------
    parts : tuple of Binning
    """

    parts: tuple[Binning, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of each, joined."""
        return tuple(" x ".join(part.names) for part in self.parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Bins of all."""
        return (sum(int(np.prod(part.shape)) for part in self.parts),)

    def counts(self, events: Columns, weights: Weights) -> Array:
        """See :meth:`Binning.counts`."""
        return np.concatenate([part.counts(events, weights) for part in self.parts])


@dataclass(frozen=True, eq=False, repr=False)
class Covariance:
    """Covariance of unfolded bins.

    Attributes
    ----------
    binning : Binning or Blocks
    counts : array of shape (b,)
        The histogram.
    of_source : mapping from source to array of shape (b, b)
        ``"data"``, ``"simulation"``, ``"model"``, ``"alternative"``, ``"background"``, ``"regularisation"``: statistics
        of the measured and of the simulated events, spread of other seeds, difference of other simulations, of more and
        less background and of further iterations; then alternatives by the names they were given.
    n_replicas_of : mapping from source to int
        Replicas of each.
    n_replicas : float
        Replicas of one source that would tell the total as well: near those of the sources that contribute most.
    data, simulation, model, alternative, background, regularisation, total, correlation : array of shape (b, b)
        Of one source (ValueError where there is none), of all together, and its correlations.
    """

    binning: Any
    counts: Array
    of_source: Mapping[str, Array]
    n_replicas_of: Mapping[str, int]

    @classmethod
    def of(cls, binning: Any, counts: Array, replicas: Mapping[str, Sequence[Array]]) -> "Covariance":
        """Of the histograms of the replicas of each source; warns where no source has enough for a chi-squared."""
        n_bins = int(np.prod(binning.shape))
        shaken = {source: own for source, own in replicas.items() if source in SOURCES}
        most = max(map(len, shaken.values()), default=fewest_replicas(n_bins))
        if most < fewest_replicas(n_bins):
            warn(
                f"{most} replicas are few for {n_bins} bins of {', '.join(binning.names)}: variances are rough, "
                f"correlations mostly noise, and a chi-squared needs {fewest_replicas(n_bins)}; take fewer bins, or "
                f"unfold with more n_replicas"
            )
        of_source = {source: np.atleast_2d(np.cov(np.array(own).T)) for source, own in shaken.items()}
        for source in replicas.keys() - shaken.keys():
            of_source[source] = from_differences(source, counts, replicas[source])
        named = [source for source in replicas if source not in ORIGINS]
        of_source = {source: of_source[source] for source in (*ORIGINS, *named) if source in of_source}
        return cls(binning, counts, of_source, {source: len(own) for source, own in shaken.items()})

    def __repr__(self) -> str:
        bins, made = " x ".join(map(str, self.binning.shape)), self.replicas["n_made"]
        counts = f"; {spoken_replicas(self.n_replicas, made)}" if made else ""
        return f"Covariance({', '.join(self.binning.names)}: {bins} bins; sources {', '.join(self.of_source)}{counts})"

    @property
    def replicas(self) -> dict[str, Any]:
        """``n_replicas`` and ``n_made``, the number of all, for figures."""
        return {"n_replicas": self.n_replicas, "n_made": sum(self.n_replicas_of.values())}

    @cached_property
    def n_replicas(self) -> float:
        """See :func:`buff.metrics.chi2.effective_replicas`."""
        covariances = [self.of_source[source] for source in self.n_replicas_of]
        exact = self.total - sum(covariances)
        return effective_replicas(covariances, list(self.n_replicas_of.values()), exact) if covariances else np.inf

    @property
    def data(self) -> Array:
        """Statistics of the measured events."""
        return self._source("data")

    @property
    def simulation(self) -> Array:
        """Statistics of the simulated events."""
        return self._source("simulation")

    @property
    def model(self) -> Array:
        """Spread of models with other seeds: not how far the result depends on the simulation."""
        return self._source("model")

    @property
    def alternative(self) -> Array:
        """Difference of what other simulations give, times itself; of all of them, named or not."""
        found = [
            matrix for source, matrix in self.of_source.items() if source == "alternative" or source not in ORIGINS
        ]
        return np.asarray(sum(found)) if found else self._source("alternative")

    @property
    def background(self) -> Array:
        """Mean square of the differences that more and less background make."""
        return self._source("background")

    @property
    def regularisation(self) -> Array:
        """Difference of what further iterations give, times itself."""
        return self._source("regularisation")

    @property
    def total(self) -> Array:
        """Sum of the sources there are."""
        return np.asarray(sum(self.of_source.values()))

    @property
    def correlation(self) -> Array:
        """Correlation matrix of the total; a bin that does not fluctuate is correlated with nothing."""
        sigma = np.sqrt(np.diag(self.total))
        product = np.outer(sigma, sigma)
        rho = np.divide(self.total, product, out=np.zeros_like(product), where=product > 0)
        np.fill_diagonal(rho, 1.0)
        return rho

    def _source(self, name: str) -> Array:
        if name not in self.of_source:
            raise ValueError(f"no replicas of {name}, only of {', '.join(self.of_source)}: see n_replicas of Unfolder")
        return self.of_source[name]


def from_differences(source: str, counts: Array, others: Sequence[Array]) -> Array:
    """Covariance of histograms that are no sample: their differences times themselves.

    Several of one source are variations of it, such as up and down, and their squares are averaged; alternatives
    without a name are sources of their own, and add up.
    """
    differences = np.array(others) - counts
    return np.asarray(differences.T @ differences / (1 if source == "alternative" else len(differences)))


def _name(events: Columns, column: Any) -> str:
    if isinstance(column, int | np.integer) and not isinstance(column, bool) and 0 <= column < len(events.names):
        return events.names[column]
    if column not in events.names:
        raise ValueError(f"no column {column!r}; the columns are {', '.join(events.names)}")
    return str(column)


def _edges(events: Columns, weights: Weights, name: str, bins: BinsLike) -> Array:
    values = events.arrays[events.names.index(name)]
    if values.dtype.kind not in "biuf":
        raise ValueError(f"column {name!r} holds {values.dtype} and no numbers: it cannot be put in bins")
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool):
        if bins < 1:
            raise ValueError(f"bins of {name!r} must be at least 1, found {bins}")
        numbers = values.astype(np.float64)
        edges = automatic_bins(numbers, int(bins), weights=weights)
        return _around_integers(edges) if (numbers == np.rint(numbers)).all() else edges
    try:
        edges = np.asarray(bins, np.float64)
    except (TypeError, ValueError):
        edges = np.empty(0)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins of {name!r} must be at least two rising edges or a number of bins, found {bins!r}")
    return edges


def _around_integers(edges: Numbers) -> Array:
    """Edges at half-integers, the same number of integers in each bin: no more bins than there were.

    Bins of another width would hold now more integers, now fewer, and show a comb.
    """
    low, high = np.rint(edges[0]), np.rint(edges[-1])
    width = np.ceil((high - low + 1) / (len(edges) - 1))
    return np.asarray(np.arange(low, high + width + 0.5, width) - 0.5)
