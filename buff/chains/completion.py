"""Rows of normal scores of which some are given: the others by their Gaussian expectation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from buff.kernels import ReproducibleLinear
from buff.protocols import Array, Indices, Mask, Scores
from buff.records import checked_array

__all__ = ["GaussianCompletion"]

#: Least eigenvalue of a correlation matrix, so that the given scores never fix the others.
_LEAST = 1e-3
#: Scores stay within.
_REACH = 6.0


@dataclass(frozen=True, eq=False)
class GaussianCompletion:
    r"""Scores that are not given are replaced by their expectation given the others, if all were jointly Gaussian.

    .. math:: \hat z_m = \Sigma_{mg} \Sigma_{gg}^{-1} z_g

    Attributes
    ----------
    correlation : array of shape (d, d)

    Examples
    --------
    >>> z = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 4000)
    >>> completion = GaussianCompletion.fit(z)
    >>> completion(np.array([[1.0, np.nan]])).round(1).tolist()
    [[1.0, 0.800000011920929]]
    """

    correlation: Array

    @classmethod
    def fit(cls, z: Array, weights: Array | None = None) -> "GaussianCompletion":
        """From scores (n, d), NaN where they are not known."""
        known = ~np.isnan(z)
        x = np.where(known, z, 0.0).astype(np.float64)
        w = np.ones(len(z)) if weights is None else weights
        m = known.astype(np.float64) * w[:, None]
        counts = np.maximum(m.T @ known, 1e-9)
        covariance = (x * w[:, None]).T @ x / counts
        scale = np.sqrt(np.maximum(np.diag(covariance), 1e-6))
        values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        values = np.maximum(values, _LEAST)
        return cls((vectors * values) @ vectors.T * np.outer(scale, scale))

    def of(self, columns: Indices) -> "GaussianCompletion":
        """Of some of the columns alone."""
        return GaussianCompletion(self.correlation[np.ix_(columns, columns)])

    def __call__(self, z: Scores) -> Array:
        """Scores (n, d), float32, without NaN."""
        out = np.clip(np.nan_to_num(z, nan=0.0), -_REACH, _REACH).astype(np.float32)
        given = ~np.isnan(z)
        if given.all():
            return out
        for pattern, rows in _groups(given):
            g, m = np.flatnonzero(pattern), np.flatnonzero(~pattern)
            if len(g) and len(m):
                weights = np.linalg.solve(self.correlation[np.ix_(g, g)], self.correlation[np.ix_(g, m)])
                linear = ReproducibleLinear.of(weights, np.zeros(len(m)))
                out[np.ix_(rows, m)] = np.clip(linear(out[np.ix_(rows, g)]), -_REACH, _REACH)
        return out

    def log_sd(self, given: Mask, column: int) -> Array:
        """Logarithm (n,) of the standard deviation of a column given others, bool (n, d) without the column itself."""
        out = np.empty(len(given), np.float32)
        for pattern, rows in _groups(given):
            g = np.flatnonzero(pattern)
            with_it = self.correlation[g, column]
            explained = with_it @ np.linalg.solve(self.correlation[np.ix_(g, g)], with_it) if len(g) else 0.0
            out[rows] = 0.5 * np.log(max(self.correlation[column, column] - explained, _LEAST))
        return out

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays."""
        return {"correlation": self.correlation}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "GaussianCompletion":
        """Inverse of :meth:`to_arrays`."""
        d = len(arrays["correlation"])
        return cls(checked_array(arrays["correlation"], "correlation", (d, d)))


def _groups(given: Mask) -> Iterator[tuple[Array, Indices]]:
    """Each pattern (d,) of given columns, and the rows that have it."""
    patterns, which = np.unique(given, axis=0, return_inverse=True)
    which = which.ravel()
    order = np.argsort(which, kind="stable")
    yield from zip(patterns, np.split(order, np.cumsum(np.bincount(which, minlength=len(patterns)))[:-1]), strict=True)
