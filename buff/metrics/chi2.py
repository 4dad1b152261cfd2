"""Chi-squared with a covariance that was estimated from replicas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = [
    "ChiSquared",
    "chi_squared",
    "effective_replicas",
    "fewest_replicas",
    "normalised_covariance",
    "spoken_replicas",
]

#: Variance, as a share of the largest, of a direction in which nothing fluctuates.
_NOTHING = 1e-9


@dataclass(frozen=True)
class ChiSquared:
    """Chi-squared and its number of degrees of freedom.

    Attributes
    ----------
    value : float
    n : int
        Bins that fluctuate.
    n_replicas : float or None
        Replicas behind the covariance; None for one that is known exactly.
    """

    value: float
    n: int
    n_replicas: float | None = field(default=None, repr=False)

    @property
    def p_value(self) -> float:
        r"""Probability of a larger value.

        Of Hotelling's :math:`T^2 = d^T \hat C^{-1} d` where N replicas told the covariance, which has the longer tail:
        :math:`T^2 (N - n) / (n (N - 1))` has the F distribution with n and N - n degrees of freedom (Hotelling, 1931,
        doi:10.1214/aoms/1177732979).
        """
        from scipy.stats import chi2, f

        n, replicas = self.n, self.n_replicas
        if replicas is None:
            return float(chi2.sf(self.value, n))
        t2 = self.value / _hartlap(n, replicas)
        return float(f.sf(t2 * (replicas - n) / (n * (replicas - 1)), n, replicas - n))


def _hartlap(n: int, replicas: float) -> float:
    return (replicas - n - 2) / (replicas - 1)


def effective_replicas(
    covariances: Sequence[npt.NDArray[np.float64]], replicas: Sequence[float], exact: npt.ArrayLike = 0.0
) -> float:
    r"""Replicas of one source that would tell a sum of covariances as well, each from replicas of its own.

    .. math:: \nu = \frac{p + p^2}{\sum_i (\operatorname{tr} M_i^2 + (\operatorname{tr} M_i)^2) / \nu_i}, \qquad
              M_i = C_i C^{-1}, \quad \nu_i = N_i - 1

    Satterthwaite's degrees of freedom for several dimensions: a source with few replicas limits the sum only as far as
    it contributes.

    Parameters
    ----------
    covariances : sequence of arrays of shape (p, p)
    replicas : sequence of float
        Of each.
    exact : array-like of shape (p, p)
        A further part of the sum that is known.

    References
    ----------
    Krishnamoorthy, Yu, 2004, doi:10.1016/j.spl.2003.10.012.

    Examples
    --------
    >>> effective_replicas([np.eye(2), 0.01 * np.eye(2)], [40, 4]) > 35
    True
    """
    total = np.sum(covariances, axis=0) + exact
    known = np.diag(total) > 0
    total = total[np.ix_(known, known)]
    variance, directions = np.linalg.eigh(total)
    used = variance > _NOTHING * max(variance.max(initial=0.0), np.finfo(float).tiny)
    p = int(used.sum())
    root = directions[:, used] / np.sqrt(variance[used])
    spread = 0.0
    for matrix, n in zip(covariances, replicas, strict=True):
        part = root.T @ matrix[np.ix_(known, known)] @ root
        spread += (float(np.sum(part**2)) + float(np.trace(part)) ** 2) / (n - 1)
    return 1 + (p + p**2) / spread if spread > 0 else np.inf


def spoken_replicas(effective: float, made: int | None = None) -> str:
    """How many replicas there are and how many would tell all errors as well: more where a part is known without any.

    Examples
    --------
    >>> spoken_replicas(201.6, 15), spoken_replicas(30.0, 30), spoken_replicas(math.inf)
    ('15 replicas, effectively 202', '30 replicas', 'no replicas')
    """
    if math.isinf(effective):
        return "no replicas"
    if made is None or round(effective) == made:
        return f"{effective:.0f} replicas"
    return f"{made} replicas, effectively {effective:.0f}"


def normalised_covariance(counts: npt.ArrayLike, covariance: npt.ArrayLike) -> npt.NDArray[np.float64]:
    r"""Covariance of the shares :math:`p_i = n_i / N` of bins with contents n and their sum N, to first order.

    .. math:: C_p = J C J^T, \qquad J_{ij} = \frac{\delta_{ij} - p_i}{N}

    Shares sum to 1 whatever fluctuates, so that the matrix lacks a rank.

    Parameters
    ----------
    counts : array-like of shape (p,)
    covariance : array-like of shape (p, p)
        Of the contents.

    Examples
    --------
    >>> normalised_covariance([1.0, 3.0], [[1.0, 0.0], [0.0, 3.0]])
    array([[ 0.046875, -0.046875],
           [-0.046875,  0.046875]])
    """
    n = np.asarray(counts, np.float64)
    J = (np.eye(len(n)) - (n / n.sum())[:, None]) / n.sum()
    return np.asarray(J @ np.asarray(covariance, np.float64) @ J.T)


def fewest_replicas(n_bins: int) -> int:
    """Replicas that a chi-squared of ``n_bins`` bins needs: the inverse of fewer has no mean."""
    return n_bins + 3


def chi_squared(
    difference: npt.ArrayLike,
    covariance: npt.ArrayLike,
    *,
    extra: npt.ArrayLike | None = None,
    n_replicas: float | None = None,
) -> ChiSquared:
    r"""Chi-squared of bins that hang together.

    .. math:: \chi^2 = d^T \, h \hat C^{-1} d, \qquad h = \frac{N - p - 2}{N - 1}

    The inverse of a covariance estimated from N replicas is too large on average; h removes the bias (Hartlap, Simon,
    Schneider, 2007, arXiv:astro-ph/0608064).

    Parameters
    ----------
    difference : array-like of shape (p,)
        Contents of the bins less what is expected.
    covariance : array-like of shape (p, p)
    extra : array-like of shape (p,) or (p, p), optional
        Further variances of the bins, or covariances, known exactly, such as those of the expectation.
    n_replicas : float, optional
        Replicas behind the covariance, which :attr:`Covariance.n_replicas <buff.unfolding.Covariance>` counts for
        several sources; None for one that is known exactly.

    Raises
    ------
    ValueError
        If shapes do not fit, no bin fluctuates, or there are fewer than p + 3 replicas.

    Examples
    --------
    >>> chi_squared([1.0, 2.0], [[1.0, 0.0], [0.0, 4.0]])
    ChiSquared(value=2.0, n=2)
    >>> chi_squared([1.0, 2.0], [[1.0, 0.0], [0.0, 4.0]], n_replicas=11).value
    1.4
    """
    d, matrix = np.asarray(difference, np.float64), np.array(covariance, np.float64)
    if n_replicas is not None and not np.isfinite(n_replicas):
        n_replicas = None
    if d.ndim != 1 or matrix.shape != (len(d), len(d)):
        raise ValueError(f"covariance: shape {(d.size, d.size)} expected, found {matrix.shape}")
    if extra is not None:
        known = np.asarray(extra, np.float64)
        known = known if known.ndim == 2 else np.diag(np.broadcast_to(known, d.shape))
        if n_replicas is not None:
            n_replicas = effective_replicas([matrix], [n_replicas], known)
        matrix += known
    fluctuates = np.diag(matrix) > 0
    p = int(fluctuates.sum())
    if not p:
        raise ValueError("covariance: no bin has a variance above 0")
    if n_replicas is not None and n_replicas < fewest_replicas(p):
        raise ValueError(
            f"chi-squared of {p} bins needs {fewest_replicas(p)} replicas or more, found {n_replicas:.4g}: "
            f"take fewer bins, or unfold with more replicas"
        )
    d, matrix = d[fluctuates], matrix[np.ix_(fluctuates, fluctuates)]
    # exactly dependent bins, such as those of a normalised histogram, count once
    variance, directions = np.linalg.eigh(matrix)
    used = variance > _NOTHING * variance.max()
    n = int(used.sum())
    h = 1.0 if n_replicas is None else _hartlap(n, n_replicas)
    value = h * float(np.sum((directions.T @ d)[used] ** 2 / variance[used]))
    return ChiSquared(round(value, 12), n, n_replicas)
