"""Distances between features of two samples: Frechet, and those extrapolated to infinite samples."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from buff.metrics.estimate import Estimate, bootstrap
from buff.metrics.kernels import unbiased_mmd
from buff.metrics.samples import Rows, Seed, as_pair, as_weights

__all__ = ["fpd", "frechet_distance", "gaussian_frechet", "kpd"]


def gaussian_frechet(mean: Rows, covariance: Rows, other_mean: Rows, other_covariance: Rows) -> float:
    r"""Squared Frechet (Wasserstein-2) distance between two Gaussians.

    .. math:: |\mu_1 - \mu_2|^2 + \mathrm{tr}(\Sigma_1) + \mathrm{tr}(\Sigma_2)
              - 2\,\mathrm{tr}\big(\Sigma_1^{1/2} \Sigma_2 \Sigma_1^{1/2}\big)^{1/2}

    The square roots are those of symmetric matrices, by eigenvalues, of which rounding's negative ones are 0.

    Parameters
    ----------
    mean, other_mean : array of shape (d,)
        Means.
    covariance, other_covariance : array of shape (d, d)
        Covariance matrices.

    Returns
    -------
    float

    References
    ----------
    Dowson & Landau (1982), doi:10.1016/0047-259X(82)90077-X.

    Examples
    --------
    >>> gaussian_frechet(np.zeros(2), np.eye(2), np.array([3.0, 4.0]), 4 * np.eye(2))
    27.0
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ other_covariance @ root)
    trace = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(np.maximum(cross, 0.0)).sum()
    return float(np.sum((mean - other_mean) ** 2) + trace)


def frechet_distance(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Estimate:
    """Frechet distance of the Gaussians with the samples' means and covariances.

    A finite sample raises it by about (terms of order) d / n: see :func:`fpd` for the limit.

    Parameters
    ----------
    real, generated : array-like of shape (n, d) and (m, d)
        Features, in the units in which they shall count.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum.
    n_bootstrap : int
        Bootstrap replicas behind the error; 0 for none.
    random_state : int, numpy.random.Generator or None
        Source of the replicas.

    Returns
    -------
    Estimate

    References
    ----------
    Heusel et al. (2017), arXiv:1706.08500.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> round(frechet_distance(x, x + [3.0, 0.0, 4.0], n_bootstrap=0).value, 6)
    25.0
    """
    x, y = as_pair(real, generated)
    w = as_weights(real_weights, len(x), "real_weights")
    v = as_weights(generated_weights, len(y), "generated_weights")

    def statistic(w_b: Rows, v_b: Rows) -> Rows:
        return np.asarray(gaussian_frechet(*_moments(x, w_b), *_moments(y, v_b)))

    return Estimate.from_replicas(bootstrap(statistic, w, v, n_bootstrap, random_state))


def fpd(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    min_rows: int | None = None,
    max_rows: int = 50_000,
    n_sizes: int = 10,
    n_repeats: int = 20,
    random_state: Seed = 0,
) -> Estimate:
    r"""Frechet physics distance: the Frechet distance extrapolated to samples without end.

    .. math:: d(N) = d_\infty + b / N

    is fitted to the distances of random parts of N rows, N equally spaced in 1/N; the intercept, at least 0,
    is the value. Its error is the fit's, joined with the bootstrap error of the plain distance.

    Parameters
    ----------
    real, generated : array-like of shape (n, d) and (m, d)
        Features (published: 36 energy-flow polynomials over their largest real size).
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum.
    min_rows, max_rows : int
        Sizes between which N runs: by default from 0.4 of the largest, which no sample's size exceeds.
    n_sizes, n_repeats : int
        Number of sizes, and of parts of each.
    random_state : int, numpy.random.Generator or None
        Source of the parts.

    Returns
    -------
    Estimate

    References
    ----------
    Kansal et al. (2023), arXiv:2211.10295; Chong & Forsyth (2020), arXiv:1911.07023.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> print(fpd(rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3)) + [1.0, 0.0, 0.0]))
    1.05 ± 0.05
    """
    x, y = as_pair(real, generated)
    w = as_weights(real_weights, len(x), "real_weights")
    v = as_weights(generated_weights, len(y), "generated_weights")
    largest = min(len(x), len(y), max_rows)
    smallest = max(2, int(0.4 * largest)) if min_rows is None else min_rows
    if not 2 <= smallest < largest:
        raise ValueError(f"min_rows: between 2 and the largest size {largest} expected, found {smallest}")
    if n_sizes < 2 or n_sizes * n_repeats < 3:
        raise ValueError(f"a line needs 2 sizes and 3 points, found {n_sizes} sizes, {n_repeats} repeats")
    rng = np.random.default_rng(random_state)
    sizes = np.repeat(np.rint(1 / np.linspace(1 / smallest, 1 / largest, n_sizes)).astype(int), n_repeats)
    distances = []
    for n in sizes:
        i, j = (rng.choice(len(rows), n, replace=False) for rows in (x, y))
        distances.append(gaussian_frechet(*_moments(x[i], w[i]), *_moments(y[j], v[j])))
    (_, intercept), covariance = np.polyfit(1 / sizes, distances, 1, cov=True)
    plain = frechet_distance(x, y, real_weights=w, generated_weights=v, random_state=rng)
    return Estimate(max(float(intercept), 0.0), sqrt(covariance[1, 1] + plain.error**2))


def kpd(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    n_batches: int = 10,
    batch_size: int = 5_000,
    random_state: Seed = 0,
) -> Estimate:
    r"""Kernel physics distance: squared MMD with a polynomial kernel, unbiased.

    .. math:: k(x, y) = (x \cdot y / d + 1)^4

    The value is the median over batches; the batches share no row, so that their spread gives its error.

    Parameters
    ----------
    real, generated : array-like of shape (n, d) and (m, d)
        Features, of order 1.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum.
    n_batches : int
        Number of batches.
    batch_size : int
        Most rows a batch; fewer where the samples are short.
    random_state : int, numpy.random.Generator or None
        Source of the batches.

    Returns
    -------
    Estimate

    References
    ----------
    Kansal et al. (2023), arXiv:2211.10295; Binkowski et al. (2018), arXiv:1801.01401.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> distance = kpd(rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)))
    >>> abs(distance.value) < 3 * distance.error
    True
    """
    x, y = as_pair(real, generated)
    w = as_weights(real_weights, len(x), "real_weights")
    v = as_weights(generated_weights, len(y), "generated_weights")
    size = min(batch_size, min(len(x), len(y)) // n_batches) if n_batches >= 2 else 0
    if size < 2:
        raise ValueError(
            f"n_batches: at least 2, and two rows a batch, expected; found {n_batches} "
            f"for {len(x)} real and {len(y)} generated rows"
        )
    rng = np.random.default_rng(random_state)
    i, j = (rng.permutation(len(rows))[: size * n_batches].reshape(n_batches, size) for rows in (x, y))
    distances = [unbiased_mmd(_quartic, x[a], y[b], w[None, a], v[None, b]).value for a, b in zip(i, j, strict=True)]
    low, median, high = np.quantile(distances, [0.16, 0.5, 0.84])
    # the median of normal numbers spreads sqrt(pi / 2) times as much as their mean
    return Estimate(float(median), float(sqrt(np.pi / 2 / n_batches) * (high - low) / 2))


def _quartic(x: Rows, y: Rows) -> Rows:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 4)


def _moments(x: Rows, w: Rows) -> tuple[Rows, Rows]:
    mean = w @ x / w.sum()
    deviation = x - mean
    return mean, (deviation * w[:, None]).T @ deviation / w.sum()
