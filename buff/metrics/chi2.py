"""Chi-squared with a covariance that was estimated from replicas."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ChiSquared", "chi_squared", "fewest_replicas"]

#: Replicas for each bin below which correlations are mostly noise.
REPLICAS_A_BIN = 10


@dataclass(frozen=True)
class ChiSquared:
    """Chi-squared and its number of degrees of freedom.

    Attributes
    ----------
    value : float
    n : int
        Bins that fluctuate.
    """

    value: float
    n: int

    @property
    def p_value(self) -> float:
        """Probability of a larger value."""
        from scipy.stats import chi2

        return float(chi2.sf(self.value, self.n))


def fewest_replicas(n_bins: int) -> int:
    """Replicas that a chi-squared of ``n_bins`` bins needs: the inverse of fewer has no mean."""
    return n_bins + 3


def chi_squared(
    difference: npt.ArrayLike,
    covariance: npt.ArrayLike,
    *,
    extra: npt.ArrayLike | None = None,
    n_replicas: int | None = None,
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
    extra : array-like of shape (p,), optional
        Further variances of the bins, known exactly, such as those of the expectation.
    n_replicas : int, optional
        Replicas behind the covariance; None for one that is known exactly.

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
    if d.ndim != 1 or matrix.shape != (len(d), len(d)):
        raise ValueError(f"covariance: shape {(d.size, d.size)} expected, found {matrix.shape}")
    if extra is not None:
        matrix[np.diag_indices(len(d))] += np.asarray(extra, np.float64)
    known = np.diag(matrix) > 0
    p = int(known.sum())
    if not p:
        raise ValueError("covariance: no bin has a variance above 0")
    if n_replicas is not None and n_replicas < fewest_replicas(p):
        raise ValueError(
            f"chi-squared of {p} bins needs {fewest_replicas(p)} replicas or more, found {n_replicas}: "
            f"take fewer bins, or unfold with more replicas"
        )
    h = 1.0 if n_replicas is None else (n_replicas - p - 2) / (n_replicas - 1)
    d, matrix = d[known], matrix[np.ix_(known, known)]
    # exactly dependent bins, such as those of a normalised histogram, count once
    variance, directions = np.linalg.eigh(matrix)
    used = variance > 1e-9 * variance.max()
    value = h * float(np.sum((directions.T @ d)[used] ** 2 / variance[used]))
    return ChiSquared(round(value, 12), int(used.sum()))
