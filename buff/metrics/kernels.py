"""Distances between two samples by their pairs of rows: energy distance and maximum mean discrepancy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import nan

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from buff.metrics.estimate import Estimate, normalised, replicate
from buff.metrics.samples import Rows, Seed, open_pair, subsample

__all__ = ["energy_distance", "mmd", "unbiased_mmd"]

Kernel = Callable[[Rows, Rows], Rows]


def energy_distance(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    max_rows: int | None = 10_000,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Estimate:
    r"""Energy distance of all columns together, real columns standardised.

    .. math:: \mathcal{E} = 2\,E|X - Y| - E|X - X'| - E|Y - Y'| \ge 0

    In one dimension this is the square of ``scipy.stats.energy_distance``.

    Parameters
    ----------
    real, generated : array-like of shape (n, d) and (m, d)
        The samples.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum.
    max_rows : int or None
        Larger samples are thinned to so many rows: the cost is quadratic.
    n_bootstrap : int
        Bootstrap replicas behind the error; 0 for none.
    random_state : int, numpy.random.Generator or None
        Source of thinning and replicas.

    Returns
    -------
    Estimate

    References
    ----------
    Szekely & Rizzo (2013), doi:10.1016/j.jspi.2013.03.018.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> print(energy_distance(rng.normal(size=800), rng.normal(1.0, size=800)))
    0.59 ± 0.06
    """
    x, y, w, v = open_pair(real, generated, real_weights, generated_weights)
    rng = np.random.default_rng(random_state)
    (x, w), (y, v) = subsample(x, w, max_rows, rng), subsample(y, v, max_rows, rng)
    w_b, v_b = (normalised(replicate(weights, n_bootstrap, rng)) for weights in (w, v))
    across = _expectation(cdist, x, y, w_b, v_b)
    inside = _expectation(cdist, x, x, w_b, w_b) + _expectation(cdist, y, y, v_b, v_b)
    return Estimate.from_replicas(2 * across - inside)


def mmd(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    bandwidth: float | None = None,
    max_rows: int | None = 10_000,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Estimate:
    r"""Squared maximum mean discrepancy, unbiased, with a Gaussian kernel; real columns standardised.

    .. math:: \mathrm{MMD}^2 = E\,k(X, X') + E\,k(Y, Y') - 2\,E\,k(X, Y), \quad
              k(x, y) = \exp\left(-\frac{|x - y|^2}{2 h^2}\right)

    Pairs of a row with itself are left out, so the value is about 0, of either sign, for equal distributions.

    Parameters
    ----------
    real, generated : array-like of shape (n, d) and (m, d)
        The samples.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum.
    bandwidth : float, optional
        h in units of the real standard deviation; by default the median distance of 1000 pooled rows.
    max_rows : int or None
        Larger samples are thinned to so many rows: the cost is quadratic.
    n_bootstrap : int
        Bootstrap replicas behind the error; 0 for none.
    random_state : int, numpy.random.Generator or None
        Source of thinning and replicas.

    Returns
    -------
    Estimate

    References
    ----------
    Gretton et al. (2012), https://jmlr.org/papers/v13/gretton12a.html.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> print(mmd(rng.normal(size=800), rng.normal(1.0, size=800), bandwidth=1.0))
    0.194 ± 0.019
    """
    if bandwidth is not None and not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive, found {bandwidth}")
    x, y, w, v = open_pair(real, generated, real_weights, generated_weights)
    rng = np.random.default_rng(random_state)
    (x, w), (y, v) = subsample(x, w, max_rows, rng), subsample(y, v, max_rows, rng)
    h = bandwidth or _median_distance(np.concatenate([x, y]), rng)

    def kernel(a: Rows, b: Rows) -> Rows:
        return np.asarray(np.exp(cdist(a, b, "sqeuclidean") / (-2 * h**2)))

    return unbiased_mmd(kernel, x, y, replicate(w, n_bootstrap, rng), replicate(v, n_bootstrap, rng))


def unbiased_mmd(kernel: Kernel, x: Rows, y: Rows, w_b: Rows, v_b: Rows) -> Estimate:
    """Squared MMD for any kernel, without the pairs of a row with itself; weights (replicas, rows)."""
    across = _expectation(kernel, x, y, normalised(w_b), normalised(v_b))
    inside = _expectation_apart(kernel, x, w_b) + _expectation_apart(kernel, y, v_b)
    return Estimate.from_replicas(inside - 2 * across)


def _median_distance(pooled: Rows, rng: np.random.Generator) -> float:
    rows = pooled[rng.permutation(len(pooled))[:1000]]
    distances = cdist(rows, rows)[np.triu_indices(len(rows), 1)]
    return float(np.median(distances)) or 1.0


def _blocks(n: int, m: int) -> Iterator[slice]:
    """Slices of n rows such that a block of pairs with m others stays near 16 MB."""
    step = max(1, 2_000_000 // m)
    return (slice(start, start + step) for start in range(0, n, step))


def _expectation(kernel: Kernel, x: Rows, y: Rows, w_b: Rows, v_b: Rows, *, apart: bool = False) -> Rows:
    """Sum of w_i k(x_i, y_j) v_j over pairs (if apart, i != j) for every replica, a block at a time."""
    total = np.zeros(len(w_b))
    for block in _blocks(len(x), len(y)):
        k = kernel(x[block], y)
        if apart:
            np.fill_diagonal(k[:, block], 0.0)
        total += np.einsum("bi,ib->b", w_b[:, block], k @ v_b.T)
    return total


def _expectation_apart(kernel: Kernel, x: Rows, w_b: Rows) -> Rows:
    """Mean of k(x_i, x_j) over pairs i != j with weights w_i w_j, for every replica."""
    pairs = _expectation(kernel, x, x, w_b, w_b, apart=True)
    weight = w_b.sum(axis=1) ** 2 - (w_b**2).sum(axis=1)
    # signed weights worth less than one event say nothing of pairs
    return np.asarray(pairs / np.where(weight > 0, weight, nan))
