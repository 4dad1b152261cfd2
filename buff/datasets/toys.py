r"""Two-dimensional distributions with exact densities.

Each is a frozen class with ``sample(n, random_state)``, points of shape (n, 2), and ``log_density(x)``, shape
(n,); ``box`` gives a square that holds all but a negligible part of the probability. :data:`TOYS` lists them
by name.

Two constructions keep densities exact. In polar coordinates, a radius of density f(r) and a uniform angle
give :math:`p(x) = f(|x|) / (2\pi |x|)`. A twist turns each point by an angle that depends on its radius only,
so its Jacobian is 1 and the density is that of the point turned back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from buff.datasets.gaussians import Floats, GaussianMixture, checked_points

__all__ = [
    "TOYS",
    "Checkerboard",
    "CorrelatedGaussian",
    "EightGaussians",
    "Moons",
    "Pinwheel",
    "Ridge",
    "Rings",
    "Spirals",
    "Toy",
]

HALF_LOG_2PI = np.log(2 * np.pi) / 2


class Toy(ABC):
    """A distribution in the plane that can be drawn from and whose density is known."""

    @property
    @abstractmethod
    def box(self) -> float:
        """Half the side of a square about 0 outside which less than 1e-6 of the probability lies."""

    @abstractmethod
    def _sample(self, n: int, rng: np.random.Generator) -> Floats: ...

    @abstractmethod
    def _log_density(self, x: Floats) -> Floats: ...

    def sample(self, n: int, random_state: int | np.random.Generator) -> Floats:
        """``n`` draws, shape (n, 2)."""
        if n < 0:
            raise ValueError(f"n is not negative, got {n!r}")
        return self._sample(n, np.random.default_rng(random_state))

    def log_density(self, x: ArrayLike) -> Floats:
        """Log-density at points (n, 2), shape (n,); -inf where the density is 0."""
        return self._log_density(checked_points(x, 2))


@dataclass(frozen=True)
class CorrelatedGaussian(Toy):
    """Normal distribution with unit variances and a correlation.

    Examples
    --------
    >>> float(CorrelatedGaussian(correlation=0.0).log_density([[0.0, 0.0]])[0])  # -ln(2 pi)
    -1.8378770664093453
    """

    correlation: float = 0.9
    box = 6.0

    @property
    def _mixture(self) -> GaussianMixture:
        covariance = [[1.0, self.correlation], [self.correlation, 1.0]]
        return GaussianMixture(np.ones(1), np.zeros((1, 2)), np.array([covariance]))

    def _sample(self, n: int, rng: np.random.Generator) -> Floats:
        return self._mixture.sample(n, rng)

    def _log_density(self, x: Floats) -> Floats:
        return self._mixture.log_density(x)


@dataclass(frozen=True)
class EightGaussians(Toy):
    """Equal round normal distributions of width ``width`` on a circle."""

    modes: int = 8
    radius: float = 2.0
    width: float = 0.2

    @property
    def box(self) -> float:
        return self.radius + 6 * self.width

    @property
    def _mixture(self) -> GaussianMixture:
        means = self.radius * _directions(2 * np.pi * np.arange(self.modes) / self.modes)
        covariances = np.tile(self.width**2 * np.eye(2), (self.modes, 1, 1))
        return GaussianMixture(np.full(self.modes, 1 / self.modes), means, covariances)

    def _sample(self, n: int, rng: np.random.Generator) -> Floats:
        return self._mixture.sample(n, rng)

    def _log_density(self, x: Floats) -> Floats:
        return self._mixture.log_density(x)


@dataclass(frozen=True)
class Ridge(Toy):
    r"""A narrow curved ridge: :math:`x \sim N(0, 1)`, :math:`y \mid x \sim N(\kappa (x^2 - 1), w^2)`."""

    curvature: float = 0.5
    width: float = 0.05

    @property
    def box(self) -> float:
        return max(5.0, 24 * abs(self.curvature)) + 6 * self.width

    def _sample(self, n: int, rng: np.random.Generator) -> Floats:
        x, z = rng.standard_normal((2, n))
        return np.stack([x, self.curvature * (x**2 - 1) + self.width * z], axis=1)

    def _log_density(self, x: Floats) -> Floats:
        z = (x[:, 1] - self.curvature * (x[:, 0] ** 2 - 1)) / self.width
        return np.asarray(-(x[:, 0] ** 2 + z**2) / 2 - 2 * HALF_LOG_2PI - np.log(self.width))


@dataclass(frozen=True)
class Rings(Toy):
    """Concentric circles, equally probable, smeared radially by a normal distribution (folded at 0)."""

    radii: tuple[float, ...] = (1.0, 2.0, 3.0)
    width: float = 0.1

    @property
    def box(self) -> float:
        return max(self.radii) + 6 * self.width

    def _sample(self, n: int, rng: np.random.Generator) -> Floats:
        r = np.abs(rng.choice(self.radii, size=n) + self.width * rng.standard_normal(n))
        return r[:, None] * _directions(rng.uniform(-np.pi, np.pi, n))

    def _log_density(self, x: Floats) -> Floats:
        r = np.hypot(*x.T)
        signed = np.concatenate([self.radii, np.negative(self.radii)])
        z = (r[:, None] - signed) / self.width
        log_f = np.asarray(logsumexp(-(z**2) / 2, axis=1)) - HALF_LOG_2PI - np.log(self.width * len(self.radii))
        with np.errstate(divide="ignore"):  # the density is infinite at r = 0
            return np.asarray(log_f - np.log(2 * np.pi * r))


@dataclass(frozen=True)
class Checkerboard(Toy):
    """Uniform on the dark fields, of unit side, of a board of ``fields`` x ``fields`` about 0."""

    fields: int = 4

    def __post_init__(self) -> None:
        if self.fields < 2 or self.fields % 2:
            raise ValueError(f"fields is even and at least 2, got {self.fields!r}")

    @property
    def box(self) -> float:
        return self.fields / 2

    def _sample(self, n: int, rng: np.random.Generator) -> Floats:
        column = rng.integers(self.fields, size=n)
        row = 2 * rng.integers(self.fields // 2, size=n) + column % 2
        return np.stack([column, row], axis=1) + rng.random((n, 2)) - self.fields / 2

    def _log_density(self, x: Floats) -> Floats:
        field = np.floor(x + self.fields / 2)
        dark = ((field >= 0) & (field < self.fields)).all(axis=1) & (field.sum(axis=1) % 2 == 0)
        return np.where(dark, np.log(2 / self.fields**2), -np.inf)


@dataclass(frozen=True)
class Moons(Toy):
    r"""Two interleaving half circles of radius 1 with round normal noise.

    The density is an integral along the arcs,

    .. math:: p(x) = \frac{1}{2\pi} \sum_\pm \int_0^\pi N(x;\, \pm(e(\theta) - c),\, w^2)\, d\theta, \qquad
              c = (1/2, 1/4)

    by Gauss-Legendre quadrature with nodes closer than half the noise, which leaves rounding errors only.
    """

    width: float = 0.1

    @property
    def box(self) -> float:
        return 1.5 + 6 * self.width

    def _sample(self, n: int, rng: np.random.Generator) -> Floats:
        arc = self._arcs(rng.uniform(0, np.pi, n))[rng.integers(2, size=n), np.arange(n)]
        return arc + self.width * rng.standard_normal((n, 2))

    def _log_density(self, x: Floats) -> Floats:
        nodes, weights = np.polynomial.legendre.leggauss(max(64, int(np.ceil(10 / self.width))))
        log_weight = np.tile(np.log(weights / 4), 2)
        points = self._arcs(np.pi * (nodes + 1) / 2).reshape(-1, 2)
        return np.concatenate([self._log_sum(part, points, log_weight) for part in _chunks(x)])

    def _log_sum(self, x: Floats, points: Floats, log_weight: Floats) -> Floats:
        z2 = ((x[:, :1] - points[:, 0]) ** 2 + (x[:, 1:] - points[:, 1]) ** 2) / self.width**2
        return np.asarray(logsumexp(log_weight - z2 / 2, axis=1) - 2 * (HALF_LOG_2PI + np.log(self.width)))

    @staticmethod
    def _arcs(theta: Floats) -> Floats:
        """Points at angle theta of the upper and the lower arc, shape (2, n, 2)."""
        e = _directions(theta)
        return np.stack([e - (0.5, 0.25), (0.5, 0.25) - e])


@dataclass(frozen=True)
class Pinwheel(Toy):
    """Normal distributions about points of a circle, twisted by ``twist`` radian per unit of radius."""

    arms: int = 5
    radius: float = 1.5
    length: float = 0.4
    width: float = 0.1
    twist: float = 0.8

    @property
    def box(self) -> float:
        return self.radius + 6 * self.length

    @property
    def _straight(self) -> GaussianMixture:
        angle = 2 * np.pi * np.arange(self.arms) / self.arms
        along, across = _directions(angle), _directions(angle + np.pi / 2)
        covariances = self.length**2 * _outer(along) + self.width**2 * _outer(across)
        return GaussianMixture(np.full(self.arms, 1 / self.arms), self.radius * along, covariances)

    def _sample(self, n: int, rng: np.random.Generator) -> Floats:
        return _twisted(self._straight.sample(n, rng), self.twist)

    def _log_density(self, x: Floats) -> Floats:
        return self._straight.log_density(_twisted(x, -self.twist))


@dataclass(frozen=True)
class Spirals(Toy):
    """Two spiral arms: a normal distribution of ``length`` by ``width``, twisted like a pinwheel."""

    length: float = 1.5
    width: float = 0.08
    twist: float = 2.0

    @property
    def box(self) -> float:
        return 6 * self.length

    @property
    def _straight(self) -> GaussianMixture:
        covariance = np.diag([self.length**2, self.width**2])
        return GaussianMixture(np.ones(1), np.zeros((1, 2)), covariance[None])

    def _sample(self, n: int, rng: np.random.Generator) -> Floats:
        return _twisted(self._straight.sample(n, rng), self.twist)

    def _log_density(self, x: Floats) -> Floats:
        return self._straight.log_density(_twisted(x, -self.twist))


#: The toys by name.
TOYS: dict[str, type[Toy]] = {
    "correlated_gaussian": CorrelatedGaussian,
    "eight_gaussians": EightGaussians,
    "ridge": Ridge,
    "rings": Rings,
    "checkerboard": Checkerboard,
    "moons": Moons,
    "pinwheel": Pinwheel,
    "spirals": Spirals,
}


def _directions(angle: Floats) -> Floats:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _outer(v: Floats) -> Floats:
    return v[:, :, None] * v[:, None, :]


def _twisted(x: Floats, twist: float) -> Floats:
    """Points turned by ``twist`` times their radius."""
    angle = np.arctan2(x[:, 1], x[:, 0]) + twist * np.hypot(*x.T)
    return np.asarray(np.hypot(*x.T)[:, None] * _directions(angle))


def _chunks(x: Floats, rows: int = 4096) -> list[Floats]:
    return [x[i : i + rows] for i in range(0, max(len(x), 1), rows)]
