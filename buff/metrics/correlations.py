"""How far apart the correlation matrices of two samples are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from buff.metrics.estimate import Estimate, bootstrap
from buff.metrics.samples import Rows, Seed, as_pair, as_rows, as_weights, centre_and_scale, weighted_sum
from buff.protocols import Indices

__all__ = ["correlation_distance", "correlation_matrix"]

_NORMS: Mapping[str, Callable[[Rows], float]] = MappingProxyType(
    {
        "max": lambda pairs: float(np.max(np.abs(pairs))),
        # a symmetric matrix holds every pair twice
        "frobenius": lambda pairs: float(np.sqrt(2 * np.sum(pairs**2))),
        "mean": lambda pairs: float(np.mean(np.abs(pairs))),
    }
)


def correlation_distance(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    norm: Literal["max", "frobenius", "mean"] = "max",
    method: Literal["pearson", "spearman"] = "pearson",
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Estimate:
    r"""Distance between the correlation matrices of two samples.

    .. math:: \max_{a<b} |\Delta_{ab}|, \qquad \Big(\sum_{a \ne b} \Delta_{ab}^2\Big)^{1/2}, \qquad
              \mathrm{mean}_{a<b} |\Delta_{ab}|, \qquad \Delta = \rho^\mathrm{real} - \rho^\mathrm{generated}

    Parameters
    ----------
    real, generated : array-like of shape (n, d) and (m, d)
        The samples, of at least two columns.
    norm : {"max", "frobenius", "mean"}
        Which of the three.
    method : {"pearson", "spearman"}
        Correlation of values or of ranks.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum.
    n_bootstrap : int
        Bootstrap replicas behind the error; 0 for none.
    random_state : int, numpy.random.Generator or None
        Source of the replicas.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If there are fewer than two columns, or the norm or method is unknown.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    >>> round(correlation_distance(x, x * [1, -1], n_bootstrap=0).value, 6)
    2.0
    """
    x, y = as_pair(real, generated)
    if x.shape[1] < 2:
        raise ValueError("a correlation needs at least two columns, found 1")
    if norm not in _NORMS:
        raise ValueError(f"norm must be one of {', '.join(_NORMS)}; found {norm!r}")
    w = as_weights(real_weights, len(x), "real_weights")
    v = as_weights(generated_weights, len(y), "generated_weights")
    of_x, of_y = _correlator(x, method), _correlator(y, method)
    pairs = np.triu_indices(x.shape[1], 1)

    def statistic(w_b: Rows, v_b: Rows) -> Rows:
        return np.asarray(_NORMS[norm]((of_x(w_b) - of_y(v_b))[pairs]))

    return Estimate.from_replicas(bootstrap(statistic, w, v, n_bootstrap, random_state))


def correlation_matrix(
    x: npt.ArrayLike,
    *,
    method: Literal["pearson", "spearman"] = "pearson",
    weights: npt.ArrayLike | None = None,
) -> Rows:
    """Weighted correlation matrix; a constant column is correlated with nothing.

    Parameters
    ----------
    x : array-like of shape (n, d)
        The sample.
    method : {"pearson", "spearman"}
        Correlation of values or of ranks.
    weights : array-like of shape (n,), optional
        Event weights of either sign, with a positive sum.

    Returns
    -------
    array of shape (d, d)

    Examples
    --------
    >>> correlation_matrix([[0, 0], [1, 1], [2, 8]], method="spearman").round(6)
    array([[1., 1.],
           [1., 1.]])
    """
    rows = as_rows(x, "x")
    return _correlator(rows, method)(as_weights(weights, len(rows), "weights"))


def _correlator(x: Rows, method: str) -> Callable[[Rows], Rows]:
    """Correlation matrix as a function of the weights."""
    if method == "pearson":
        # values far from 0 would lose their digits in the products
        mean, scale = centre_and_scale(x, np.ones(len(x)))
        centred = (x - mean) / scale
        return lambda w: _pearson(centred, w)
    if method == "spearman":
        levels = [np.unique(column, return_inverse=True)[1] for column in x.T]
        return lambda w: _pearson(np.column_stack([_ranks(level, w) for level in levels]), w)
    raise ValueError(f"method must be one of pearson, spearman; found {method!r}")


def _ranks(level: Indices, w: Rows) -> Rows:
    """Share of the weight below each row, ties counting half."""
    mass = np.bincount(level, w) / w.sum()
    return np.asarray((np.cumsum(mass) - mass / 2)[level])


def _pearson(x: Rows, w: Rows) -> Rows:
    mean = weighted_sum(w, x) / w.sum()
    deviation = x - mean
    covariance = (deviation * w[:, None]).T @ deviation / w.sum()
    variance = np.diag(covariance)
    # rounding gives a constant column a variance of about 1e-32 times its square
    sigma = np.sqrt(np.where(variance > 1e-20 * np.abs(weighted_sum(w, x**2) / w.sum()), variance, 0.0))
    product = np.outer(sigma, sigma)
    rho = np.divide(covariance, product, out=np.zeros_like(product), where=product > 0)
    np.fill_diagonal(rho, 1.0)
    return np.asarray(rho)
