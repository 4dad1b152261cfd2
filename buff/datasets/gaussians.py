"""Normal distributions and their mixtures, with exact densities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

__all__ = ["Floats", "GaussianMixture", "checked_points", "log_normal"]

Floats: TypeAlias = NDArray[np.float64]


def log_normal(x: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Log-density of a normal distribution; ``x`` and ``mean`` broadcast, shape (..., d) to (...).

    Examples
    --------
    >>> float(log_normal(np.zeros(2), np.zeros(2), np.eye(2)))  # -ln(2 pi)
    -1.8378770664093453
    """
    factor = np.linalg.cholesky(covariance)
    residual = np.asarray(x - mean, dtype=np.float64)
    z = solve_triangular(factor, residual.reshape(-1, residual.shape[-1]).T, lower=True)
    log_volume = np.log(np.diag(factor)).sum() + len(factor) * np.log(2 * np.pi) / 2
    log_density: Floats = -(z**2).sum(axis=0).reshape(residual.shape[:-1]) / 2 - log_volume
    return log_density


def checked_points(x: ArrayLike, dimension: int) -> Floats:
    """Points as an array of shape (n, dimension); ValueError for another shape."""
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != dimension:
        raise ValueError(f"points have the shape (n, {dimension}), got {points.shape}")
    return points


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """Mixture of k normal distributions in d dimensions.

    Parameters
    ----------
    weights : array of shape (k,)
        Positive, with sum 1.
    means : array of shape (k, d)
    covariances : array of shape (k, d, d)

    Raises
    ------
    ValueError
        When shapes disagree, weights are not a distribution, or a covariance is not positive definite.

    Examples
    --------
    >>> mixture = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.04]], [[0.04]]])
    >>> mixture.sample(3, random_state=0).shape, mixture.covariance.round(2)
    ((3, 1), array([[1.04]]))
    """

    weights: Floats
    means: Floats
    covariances: Floats

    def __post_init__(self) -> None:
        weights, means, covariances = (
            np.array(values, dtype=np.float64) for values in (self.weights, self.means, self.covariances)
        )
        if means.ndim != 2 or weights.shape != means.shape[:1] or covariances.shape != (*means.shape, means.shape[1]):
            raise ValueError(
                "weights, means and covariances have the shapes (k,), (k, d) and (k, d, d), got "
                f"{weights.shape}, {means.shape} and {covariances.shape}"
            )
        if (weights <= 0).any() or not np.isclose(weights.sum(), 1.0):
            raise ValueError(f"weights are positive and sum to 1, got {weights.tolist()}")
        if not np.allclose(covariances, covariances.swapaxes(1, 2)) or np.linalg.eigvalsh(covariances).min() <= 0:
            raise ValueError(f"covariances are symmetric and positive definite, got {covariances.tolist()}")
        for name, values in (("weights", weights), ("means", means), ("covariances", covariances)):
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.means.shape[1])

    @property
    def mean(self) -> Floats:
        """Mean, shape (d,)."""
        return self.weights @ self.means

    @property
    def covariance(self) -> Floats:
        """Covariance, shape (d, d)."""
        spread = self.means - self.mean
        components = self.covariances + spread[:, :, None] * spread[:, None, :]
        return np.asarray(np.einsum("k,kij->ij", self.weights, components))

    def sample(self, n: int, random_state: int | np.random.Generator) -> Floats:
        """``n`` draws, shape (n, d)."""
        rng = np.random.default_rng(random_state)
        k = rng.choice(len(self.weights), size=n, p=self.weights)
        z = rng.standard_normal((n, self.dimension))
        return np.asarray(self.means[k] + np.einsum("nij,nj->ni", np.linalg.cholesky(self.covariances)[k], z))

    def log_components(self, x: ArrayLike) -> Floats:
        """Log of weight times density of each component, shape (n, k)."""
        points = checked_points(x, self.dimension)
        parts = [log_normal(points, m, c) for m, c in zip(self.means, self.covariances, strict=True)]
        return np.log(self.weights) + np.stack(parts, axis=1)

    def log_density(self, x: ArrayLike) -> Floats:
        """Log-density at points (n, d), shape (n,)."""
        return np.asarray(logsumexp(self.log_components(x), axis=1))
