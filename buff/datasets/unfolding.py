r"""Unfolding problems with exact posteriors, and events with signed weights.

Truth follows a mixture of normal distributions and the detector adds normal noise to a linear response,
:math:`y = A x + \epsilon`, :math:`\epsilon \sim N(0, S)`. For one component of mean mu and covariance Sigma,

.. math:: x \mid y \sim N(\mu + K (y - A\mu),\; \Sigma - K A \Sigma), \qquad
          K = \Sigma A^T (A \Sigma A^T + S)^{-1},

and a mixture stays one, with weights in proportion to w_k N(y; A mu_k, A Sigma_k A^T + S).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from buff.datasets.gaussians import Floats, GaussianMixture, checked_points, log_normal
from buff.datasets.shapes import ShortRepr

__all__ = [
    "GaussianPosterior",
    "SignedEvents",
    "SignedWeights",
    "SmearedMixture",
    "SmearedSample",
    "gaussian_1d",
    "gaussian_2d",
    "mixture_1d",
]


@dataclass(frozen=True, eq=False, repr=False)
class SmearedSample(ShortRepr):
    """Truth and reco of the same events, both of shape (n, d)."""

    truth: Floats
    reco: Floats


@dataclass(frozen=True, eq=False, repr=False)
class GaussianPosterior(ShortRepr):
    """p(truth | reco) of n measured events: a mixture of k normal distributions each.

    Attributes
    ----------
    weights : array of shape (n, k)
    means : array of shape (n, k, d)
    covariances : array of shape (k, d, d)
        The same for every event.
    """

    weights: Floats
    means: Floats
    covariances: Floats

    @property
    def mean(self) -> Floats:
        """Posterior mean, shape (n, d)."""
        return np.asarray(np.einsum("nk,nkd->nd", self.weights, self.means))

    @property
    def covariance(self) -> Floats:
        """Posterior covariance, shape (n, d, d)."""
        spread = self.means - self.mean[:, None, :]
        components = self.covariances + spread[..., :, None] * spread[..., None, :]
        return np.asarray(np.einsum("nk,nkij->nij", self.weights, components))

    def log_density(self, truth: ArrayLike) -> Floats:
        """Log-density of one truth point an event (n, d), shape (n,)."""
        x = checked_points(truth, self.means.shape[2])
        parts = [log_normal(x, self.means[:, k], c) for k, c in enumerate(self.covariances)]
        return np.asarray(logsumexp(np.stack(parts, axis=1), axis=1, b=self.weights))

    def sample(self, n_samples: int, random_state: int | np.random.Generator) -> Floats:
        """Draws for each event, shape (n, n_samples, d)."""
        rng = np.random.default_rng(random_state)
        n, _, d = self.means.shape
        below = rng.random((n, n_samples, 1)) > np.cumsum(self.weights, axis=1)[:, None, :-1]
        k = below.sum(axis=2)
        z = rng.standard_normal((n, n_samples, d))
        root = np.linalg.cholesky(self.covariances)
        return np.asarray(self.means[np.arange(n)[:, None], k] + np.einsum("nsij,nsj->nsi", root[k], z))


@dataclass(frozen=True, eq=False, repr=False)
class SmearedMixture(ShortRepr):
    """Truth from a mixture of normal distributions, seen through a linear response with normal noise.

    ``dataclasses.replace(problem, prior=...)`` is the same detector with another truth.

    Parameters
    ----------
    prior : GaussianMixture
        Distribution of truth, in d dimensions.
    noise : array of shape (d, d)
        Covariance S of the noise.
    response : array of shape (d, d), optional
        The matrix A; the identity by default.

    Examples
    --------
    >>> posterior = gaussian_1d().posterior([[1.0]])  # prior N(0, 1), noise N(0, 0.5^2)
    >>> round(float(posterior.mean[0, 0]), 6), round(float(posterior.covariance[0, 0, 0]), 6)
    (0.8, 0.2)
    """

    prior: GaussianMixture
    noise: Floats
    response: Floats | None = None

    def __post_init__(self) -> None:
        d = self.prior.dimension
        noise = np.array(self.noise, dtype=np.float64)
        response = np.eye(d) if self.response is None else np.array(self.response, dtype=np.float64)
        if noise.shape != (d, d) or response.shape != (d, d):
            raise ValueError(f"noise and response have the shape ({d}, {d}), got {noise.shape} and {response.shape}")
        if not np.allclose(noise, noise.T) or np.linalg.eigvalsh(noise).min() <= 0:
            raise ValueError(f"noise is symmetric and positive definite, got {noise.tolist()}")
        object.__setattr__(self, "noise", noise)
        object.__setattr__(self, "response", response)

    @property
    def measured(self) -> GaussianMixture:
        """Distribution of reco."""
        a, prior = self._a, self.prior
        return GaussianMixture(prior.weights, prior.means @ a.T, a @ prior.covariances @ a.T + self.noise)

    def sample(self, n: int, random_state: int | np.random.Generator) -> SmearedSample:
        """``n`` events."""
        rng = np.random.default_rng(random_state)
        truth = self.prior.sample(n, rng)
        return SmearedSample(truth, self.smear(truth, rng))

    def smear(self, truth: ArrayLike, random_state: int | np.random.Generator) -> Floats:
        """Reco of given truth, shape (n, d)."""
        x = checked_points(truth, self.prior.dimension)
        z = np.random.default_rng(random_state).standard_normal(x.shape)
        return x @ self._a.T + z @ np.linalg.cholesky(self.noise).T

    def posterior(self, reco: ArrayLike) -> GaussianPosterior:
        """p(truth | reco) of measured events (n, d)."""
        a, prior, measured = self._a, self.prior, self.measured
        y = checked_points(reco, prior.dimension)
        gain = prior.covariances @ a.T @ np.linalg.inv(measured.covariances)
        log_weight = measured.log_components(y)
        weights = np.exp(log_weight - logsumexp(log_weight, axis=1, keepdims=True))
        means = prior.means + np.einsum("kij,nkj->nki", gain, y[:, None, :] - measured.means)
        covariances = prior.covariances - gain @ a @ prior.covariances
        return GaussianPosterior(weights, means, (covariances + covariances.swapaxes(1, 2)) / 2)

    @property
    def _a(self) -> Floats:
        return np.asarray(self.response)


def gaussian_1d(mean: float = 0.0, width: float = 1.0, resolution: float = 0.5) -> SmearedMixture:
    """One dimension: truth N(mean, width^2), noise N(0, resolution^2)."""
    return SmearedMixture(_mixture([1.0], [[mean]], [[[width**2]]]), np.array([[resolution**2]]))


def mixture_1d(resolution: float = 0.5) -> SmearedMixture:
    """One dimension: truth 0.3 N(-1, 0.3^2) + 0.7 N(1, 0.6^2), noise N(0, resolution^2)."""
    prior = _mixture([0.3, 0.7], [[-1.0], [1.0]], [[[0.09]], [[0.36]]])
    return SmearedMixture(prior, np.array([[resolution**2]]))


def gaussian_2d(correlation: float = 0.8) -> SmearedMixture:
    """Two correlated dimensions; the detector mixes them and its noise is correlated the other way."""
    prior = _mixture([1.0], [[0.5, -0.5]], [[[1.0, correlation], [correlation, 1.0]]])
    return SmearedMixture(prior, np.array([[0.25, -0.1], [-0.1, 0.16]]), np.array([[1.0, 0.2], [0.1, 0.9]]))


def _mixture(weights: list[float], means: list[list[float]], covariances: list[list[list[float]]]) -> GaussianMixture:
    return GaussianMixture(np.array(weights), np.array(means), np.array(covariances))


@dataclass(frozen=True, eq=False, repr=False)
class SignedEvents(ShortRepr):
    """Events x of shape (n, 2) and their weights, +1 or -1, of shape (n,)."""

    x: Floats
    weight: Floats


@dataclass(frozen=True)
class SignedWeights:
    r"""Events with weights of both signs, as of a next-to-leading-order generator, with a known density.

    With f the fraction of negative weights, events come from

    .. math:: \frac{q(x)}{n} = (1 - 2f)\, p(x) + 2 f\, c(x)

    where each event of the counterterm c has either sign with probability 1/2. The weighted density is p, the
    mean weight at x is :math:`(1 - 2f)\, p(x) / (q(x) / n)`: not negative anywhere, small where c dominates.

    Parameters
    ----------
    negative_fraction : float in [0, 0.5)

    Examples
    --------
    >>> events = SignedWeights().sample(3000, random_state=0)
    >>> round(float(events.weight.mean()), 1)  # 1 - 2/3
    0.3
    """

    negative_fraction: float = 1 / 3

    def __post_init__(self) -> None:
        if not 0 <= self.negative_fraction < 0.5:
            raise ValueError(f"negative_fraction lies in [0, 0.5), got {self.negative_fraction!r}")

    @property
    def target(self) -> GaussianMixture:
        """p, the density of the weighted events."""
        return _mixture([0.6, 0.4], [[-1.0, 0.0], [1.0, 0.5]], [[[0.5, 0.3], [0.3, 0.5]], [[0.3, -0.1], [-0.1, 0.4]]])

    @property
    def counterterm(self) -> GaussianMixture:
        """c, the density of the events that cancel."""
        return _mixture([1.0], [[0.3, 0.2]], [[[1.2, 0.0], [0.0, 0.8]]])

    def sample(self, n: int, random_state: int | np.random.Generator) -> SignedEvents:
        """``n`` events."""
        rng = np.random.default_rng(random_state)
        f = self.negative_fraction
        cancels = rng.random(n) < 2 * f
        x = np.where(cancels[:, None], self.counterterm.sample(n, rng), self.target.sample(n, rng))
        return SignedEvents(x, np.where(cancels & (rng.random(n) < 0.5), -1.0, 1.0))

    def log_density(self, x: ArrayLike) -> Floats:
        """Log of p at points (n, 2), shape (n,)."""
        return self.target.log_density(x)

    def mean_weight(self, x: ArrayLike) -> Floats:
        """Mean weight of the events at points (n, 2), shape (n,)."""
        f = self.negative_fraction
        p, c = np.exp(self.target.log_density(x)), np.exp(self.counterterm.log_density(x))
        return (1 - 2 * f) * p / ((1 - 2 * f) * p + 2 * f * c)
