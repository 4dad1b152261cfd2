"""Normal scores of values given a bin: monotone maps that a stage's flow draws through."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from buff.protocols import Array, Integers, Scores

__all__ = ["BinnedCounts", "BinnedRanks"]

#: Scores at which quantiles are kept, and their step.
_MOST, _KNOTS = 4.2, 421
_Z = np.linspace(-_MOST, _MOST, _KNOTS)
#: Ranks that scores are kept between.
_EDGE = 1e-7
#: Draws of a bin from which its map is corrected, and the farthest score that is.
_LEAST_DRAWS, _FARTHEST = 400, 2.8


@dataclass(frozen=True, eq=False)
class BinnedRanks:
    """Rank maps between values and standard normal scores, one a bin.

    Attributes
    ----------
    quantiles : array of shape (n_bins, 421)
        Values of the scores from -4.2 to 4.2; bins without rows have those of a neighbour.

    Examples
    --------
    >>> values = np.random.default_rng(0).exponential(size=2000)
    >>> ranks, (low, high) = BinnedRanks.fit(values, np.zeros(2000, int), 1)
    >>> back = ranks.values(low, np.zeros(2000, int))
    >>> bool(np.abs(np.log(back / values)).mean() < 0.01), bool((low == high).all())
    (True, True)
    """

    quantiles: Array

    @classmethod
    def fit(
        cls, values: Array, bins: Array, n_bins: int, weights: Array | None = None
    ) -> tuple["BinnedRanks", tuple[Array, Array]]:
        """The maps, and between which scores (low, high) each value lies: equal for values that do not repeat."""
        w = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
        low, high = np.zeros(len(values)), np.zeros(len(values))
        rows: list[Array | None] = [None] * n_bins
        for k in range(n_bins):
            i = np.flatnonzero((bins == k) & (w > 0))
            if not len(i):
                continue
            distinct, place, count = np.unique(values[i], return_inverse=True, return_counts=True)
            mass = np.bincount(place, w[i])
            upper = np.cumsum(mass) / mass.sum()
            lower = np.r_[0.0, upper[:-1]]
            middle = (lower + upper) / 2
            once = count == 1
            low[i] = np.where(once, middle, lower)[place]
            high[i] = np.where(once, middle, upper)[place]
            at = np.stack([np.where(once, middle, lower), np.where(once, middle, upper)], axis=1).ravel()
            rows[k] = np.interp(ndtr(_Z), at, np.repeat(distinct, 2))
        return cls(_filled(rows)), (_scores(low), _scores(high))

    def values(self, scores: Scores, bins: Integers) -> Array:
        """Values of scores, interpolated between the quantiles of their bins."""
        place = np.clip((np.asarray(scores, np.float64) + _MOST) * ((_KNOTS - 1) / (2 * _MOST)), 0, _KNOTS - 1)
        left = np.minimum(place.astype(np.intp), _KNOTS - 2)
        part = place - left
        flat = self.quantiles.ravel()
        start = bins * _KNOTS + left
        return flat[start] * (1 - part) + flat[start + 1] * part

    def calibrated(self, drawn: Array, bins: Integers) -> "BinnedRanks":
        """The maps after a monotone correction that makes drawn scores standard normal in every bin with enough."""
        quantiles = self.quantiles.copy()
        for k in np.unique(bins):
            own = np.sort(drawn[bins == k])
            if len(own) < _LEAST_DRAWS:
                continue
            p = ndtr(np.linspace(-_FARTHEST, _FARTHEST, min(200, len(own) // 20)))
            p = p[(p > 5 / len(own)) & (p < 1 - 5 / len(own))]
            at, normal = own[(p * len(own)).astype(np.intp)], ndtri(p)
            z = np.interp(_Z, at, normal)
            z = np.where(at[0] > _Z, _Z - at[0] + normal[0], np.where(at[-1] < _Z, _Z - at[-1] + normal[-1], z))
            quantiles[k] = np.interp(z, _Z, self.quantiles[k])
        return BinnedRanks(quantiles)

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays."""
        return {"quantiles": self.quantiles}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "BinnedRanks":
        """Inverse of :meth:`to_arrays`."""
        return cls(arrays["quantiles"])


@dataclass(frozen=True, eq=False)
class BinnedCounts:
    """Maps between whole numbers and standard normal scores, one a bin; a number owns the scores between two ranks.

    Attributes
    ----------
    cdf : array of shape (n_bins, most + 1)
        Share of each bin's rows with at most 0, 1, ..., most.

    Examples
    --------
    >>> counts, (low, high) = BinnedCounts.fit(np.array([1, 2, 2, 3]), np.zeros(4, int), 1)
    >>> counts.values((low + high) / 2, np.zeros(4, int)).tolist()
    [1, 2, 2, 3]
    """

    cdf: Array

    @classmethod
    def fit(
        cls, values: Array, bins: Array, n_bins: int, weights: Array | None = None
    ) -> tuple["BinnedCounts", tuple[Array, Array]]:
        """The maps, and between which scores (low, high) each value lies."""
        most = int(values.max(initial=0))
        mass = np.bincount(bins * (most + 1) + values, weights, n_bins * (most + 1)).reshape(n_bins, -1)
        total = mass.sum(axis=1, keepdims=True)
        cdf = np.cumsum(mass / np.where(total > 0, total, 1.0), axis=1)
        cdf = _filled([row if known else None for row, known in zip(cdf, total[:, 0] > 0, strict=True)])
        upper = cdf[bins, values]
        lower = np.where(values > 0, cdf[bins, values - 1], 0.0)
        return cls(cdf), (_scores(lower), _scores(upper))

    def values(self, scores: Scores, bins: Integers) -> Array:
        """Whole numbers of scores."""
        width = self.cdf.shape[1]
        found = np.searchsorted(self._keys, ndtr(np.asarray(scores, np.float64)) * (1 - 2e-12) + 2 * bins, side="left")
        return np.clip(found - bins * width, 0, width - 1)

    @cached_property
    def _keys(self) -> Array:
        """Shares of all bins in one rising array."""
        return (self.cdf * (1 - 1e-12) + 2 * np.arange(len(self.cdf))[:, None]).ravel()

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays."""
        return {"cdf": self.cdf}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "BinnedCounts":
        """Inverse of :meth:`to_arrays`."""
        return cls(arrays["cdf"])


def _filled(rows: list[Array | None]) -> Array:
    """Rows, with those of the nearest bin below, or else above, where there are none."""
    known = [k for k, row in enumerate(rows) if row is not None]
    if not known:
        raise ValueError("no rows to rank")
    nearest = [max((j for j in known if j <= k), default=known[0]) for k in range(len(rows))]
    return np.stack([rows[j] for j in nearest])  # type: ignore[misc]


def _scores(ranks: Array) -> Array:
    return ndtri(np.clip(ranks, _EDGE, 1 - _EDGE)).astype(np.float32)
