"""Values to normal scores and back, given one other variable: quantile functions in bins of it, joined between."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from buff.protocols import Array, Numbers, Scores, Weights

__all__ = ["QuantileBins"]

#: Normal scores of the knots: a tenth of a standard deviation apart.
_SCORES = np.linspace(-3.5, 3.5, 71)
#: Fewest rows of a bin.
_FEWEST = 100
#: Rows that are encoded at a time.
_BLOCK = 20_000


@dataclass(frozen=True)
class QuantileBins:
    """Monotone map x <-> score given p: quantile functions of x at the centres of bins of p, interpolated in p.

    Attributes
    ----------
    centres : float32 array of shape (bins,)
        Median of p in each bin; the map is constant beyond the outer ones.
    knots : float32 array of shape (bins, 71)
        x at normal scores from -3.5 to 3.5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(5000)
    >>> bins = QuantileBins.fit(p + rng.standard_normal(5000), p)
    >>> bool(abs(bins.decode(np.zeros(1), np.full(1, 0.5)) - 0.5) < 0.1)
    True
    """

    centres: Array
    knots: Array

    @classmethod
    def fit(cls, x: Array, p: Numbers, weights: Weights | None = None, *, n_bins: int = 8) -> "QuantileBins":
        """Map of values ``x`` (n,) given ``p`` (n,); fewer bins where rows are few or ``p`` repeats."""
        n_bins = int(np.clip(len(x) // _FEWEST, 1, n_bins))
        edges = np.unique(np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1]))
        which = np.searchsorted(edges, p, side="right")
        parts = [np.flatnonzero(which == k) for k in np.unique(which)]
        weights = np.ones(len(x)) if weights is None else weights
        centres = np.array([np.median(p[i]) for i in parts], np.float32)
        knots = np.array([_quantiles(x[i], weights[i]) for i in parts], np.float32)
        return cls(centres, knots)

    def _place(self, p: Numbers) -> tuple[Array, Array]:
        """Bin below ``p``, and the share of the way to the next."""
        last = len(self.centres) - 1
        if not last:
            return np.zeros(len(p), np.intp), np.zeros(len(p), np.float32)
        j = np.clip(np.searchsorted(self.centres, p, side="right") - 1, 0, last - 1)
        width = self.centres[j + 1] - self.centres[j]
        return j, np.clip((p - self.centres[j]) / width, 0, 1).astype(np.float32)

    def encode(self, x: Array, p: Array) -> Array:
        """Normal scores of ``x`` given ``p``."""
        scores = np.empty(len(x))
        for start in range(0, len(x), _BLOCK):
            rows = slice(start, start + _BLOCK)
            scores[rows] = self._encode(x[rows], p[rows])
        return scores

    def _encode(self, x: Numbers, p: Numbers) -> Array:
        j, share = self._place(p)
        after = np.minimum(j + 1, len(self.centres) - 1)
        lines = self.knots[j] + share[:, None] * (self.knots[after] - self.knots[j])
        k = np.clip((lines < x[:, None]).sum(axis=1) - 1, 0, len(_SCORES) - 2)
        rows = np.arange(len(x))
        low, high = lines[rows, k], lines[rows, k + 1]
        part = np.clip((x - low) / np.maximum(high - low, 1e-12), 0, 1)
        return _SCORES[k] + part * (_SCORES[1] - _SCORES[0])

    def decode(self, scores: Scores, p: Numbers) -> Array:
        """Inverse of :meth:`encode`."""
        j, share = self._place(p)
        after = np.minimum(j + 1, len(self.centres) - 1)
        place = np.clip((scores - _SCORES[0]) / (_SCORES[1] - _SCORES[0]), 0, len(_SCORES) - 1)
        k = np.minimum(place.astype(np.intp), len(_SCORES) - 2)
        part = place - k
        low = self.knots[j, k] + part * (self.knots[j, k + 1] - self.knots[j, k])
        high = self.knots[after, k] + part * (self.knots[after, k + 1] - self.knots[after, k])
        return low + share * (high - low)


def _quantiles(x: Numbers, weights: Weights) -> Array:
    order = np.argsort(x, kind="stable")
    w = weights[order]
    levels = (np.cumsum(w) - w / 2) / w.sum()
    return np.interp(ndtr(_SCORES), levels, x[order])
