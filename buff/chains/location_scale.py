"""A smooth base of a conditional distribution: location and scale by ridge regression on polynomials and cosines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from buff.kernels import ReproducibleLinear
from buff.protocols import Array, Numbers, Scores, Weights
from buff.records import checked_array

__all__ = ["LocationScale", "Normals"]

#: Contexts reach so many standard deviations, in products and in cosines.
_REACH, _REACH_SQUARED, _REACH_COSINE = 8.0, 3.5, 4.0
#: Rows for each coefficient of a product, and of a cosine.
_ROWS_A_PRODUCT, _ROWS_A_COSINE = 10, 30
#: Scales between, in units of that of all rows.
_SCALES = (0.05, 4.0)
_TINY = 1e-6
_LOG_ROOT = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True, eq=False)
class Normals:
    """Normal distributions of n rows.

    Attributes
    ----------
    mean, sd : arrays of shape (n,)
    """

    mean: Array
    sd: Array

    @property
    def moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation (n,) each."""
        return self.mean, self.sd

    def log_density(self, s: Numbers) -> Array:
        """Logarithm of the density of scores (n,)."""
        return np.asarray(-0.5 * self.score(s) ** 2 - _LOG_ROOT - np.log(self.sd))

    def score(self, s: Numbers) -> Array:
        """Normal scores (n,) of the ranks of scores."""
        return np.asarray((s - self.mean) / self.sd)

    def value(self, r: Numbers) -> Array:
        """Inverse of :meth:`score`."""
        return np.asarray(self.mean + self.sd * r)


@dataclass(frozen=True, eq=False)
class LocationScale:
    r"""Mean and standard deviation of a score given a context c.

    .. math:: m = w \cdot \phi(c), \quad \log s = \mathrm{clip}(v \cdot \phi(c)) + \log \sigma, \quad
              \phi = [1,\, W,\, W_i W_j,\, \cos(\Omega W + b),\, e]

    with the whitened context W and random frequencies :math:`\Omega` (Rahimi, Recht, 2007, random features), by
    penalised least squares: w first, v on the logarithm of squared residuals, then both once more, w with weights
    :math:`1 / s^2` and v by a Newton step of the Gaussian likelihood.

    Attributes
    ----------
    whitening : ReproducibleLinear
    cosines : ReproducibleLinear
        Frequencies and phases.
    products : bool
        Whether products of two are in.
    coefficients : ReproducibleLinear
        Of location and logarithm of scale.
    spread : float
        :math:`\sigma`

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> c = rng.normal(size=(5000, 1)).astype(np.float32)
    >>> model = LocationScale.fit(c, c[:, 0] ** 2 + rng.normal(size=5000), np.empty((5000, 0)))
    >>> m, s = model(np.float32([[0], [1.5]]), np.empty((2, 0))).moments
    >>> bool(abs(m - [0, 2.25]).max() < 0.2), bool(abs(s - 1).max() < 0.2)
    (True, True)
    """

    whitening: ReproducibleLinear
    cosines: ReproducibleLinear
    products: bool
    coefficients: ReproducibleLinear
    spread: float

    @classmethod
    def fit(
        cls,
        context: Array,
        z: Array,
        extra: Numbers,
        weights: Weights | None = None,
        *,
        ridge: float = 30.0,
        n_cosines: int = 300,
        seed: int = 0,
    ) -> "LocationScale":
        """Learn from contexts (n, c), scores (n,) and features (n, e) that go in as they are."""
        n, c = context.shape
        w = np.ones(n) if weights is None else weights
        n_effective = w.sum()
        n_cosines = min(n_cosines, int(n_effective / _ROWS_A_COSINE)) if c else 0
        products = bool(c * (c + 1) // 2 <= n_effective / _ROWS_A_PRODUCT)
        rng = np.random.default_rng([seed, c])
        frequencies = rng.standard_normal((c, n_cosines)) / np.sqrt(max(c, 1))
        frequencies *= np.exp(rng.uniform(-0.7, 0.7, n_cosines))
        cosines = ReproducibleLinear.of(frequencies, rng.uniform(0, 2 * np.pi, n_cosines))
        nothing = ReproducibleLinear.of(np.zeros((1, 2)), np.zeros(2))
        model = cls(_whitening(context, w), cosines, products, nothing, 1.0)
        basis = model._basis(context, extra).astype(np.float64)
        penalty = ridge * np.ones(basis.shape[1])
        penalty[0] = _TINY
        w_mean, v, spread = _fit_twice(basis, z, w, np.diag(penalty))
        coefficients = ReproducibleLinear.of(np.column_stack([w_mean, v]), np.zeros(2))
        return cls(model.whitening, cosines, products, coefficients, spread)

    def __call__(self, context: Numbers, extra: Numbers) -> Normals:
        """Location and scale, float64 of shape (n,), of contexts (n, c)."""
        both = self.coefficients(self._basis(context, extra)).astype(np.float64)
        return Normals(both[:, 0], _scale(both[:, 1]) * self.spread)

    def _basis(self, context: Numbers, extra: Numbers) -> Array:
        n = len(context)
        white = np.clip(self.whitening(context), -_REACH, _REACH)
        parts = [np.ones((n, 1), np.float32), white]
        if self.products:
            near = np.clip(white, -_REACH_SQUARED, _REACH_SQUARED)
            i, j = np.triu_indices(near.shape[1])
            parts.append(near[:, i] * near[:, j])
        parts.append(np.cos(self.cosines(np.clip(white, -_REACH_COSINE, _REACH_COSINE))))
        return np.hstack([*parts, extra]).astype(np.float32)

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays."""
        arrays = {"base": np.array([float(self.products), self.spread])}
        for name in ("whitening", "cosines", "coefficients"):
            arrays |= {f"{name}/{key}": values for key, values in getattr(self, name).to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "LocationScale":
        """Inverse of :meth:`to_arrays`."""
        products, spread = checked_array(arrays["base"], "base", (2,), low=0)
        parts = [ReproducibleLinear.from_arrays(arrays, name) for name in ("whitening", "cosines", "coefficients")]
        return cls(parts[0], parts[1], bool(products), parts[2], float(spread))


def _whitening(context: Numbers, w: Weights) -> ReproducibleLinear:
    """Principal components of unit variance."""
    c = context.shape[1]
    if not c:
        return ReproducibleLinear.of(np.zeros((0, 0)), np.zeros(0))
    x = context.astype(np.float64)
    mean = np.average(x, axis=0, weights=w)
    values, vectors = np.linalg.eigh(np.cov(x.T, aweights=w).reshape(c, c))
    rotation = vectors / np.sqrt(np.maximum(values, 1e-3))
    return ReproducibleLinear.of(rotation, -mean @ rotation)


def _scale(log_scale: Numbers) -> Array:
    return np.clip(np.exp(np.clip(log_scale, -3, 3)), *_SCALES)


def _fit_twice(basis: Numbers, z: Scores, w: Weights, penalty: Numbers) -> tuple[Array, Array, float]:
    """Coefficients of location and log scale, and the spread."""
    weighted = basis * w[:, None]
    gram = weighted.T @ basis
    mean = np.linalg.solve(gram + penalty, weighted.T @ z)
    r = z - basis @ mean
    spread = np.sqrt(np.average(r**2, weights=w)) + _TINY
    log_scale = np.linalg.solve(gram + 4 * penalty, weighted.T @ (0.5 * np.log((r / spread) ** 2 + 0.02)))
    spread = float(np.sqrt(np.average((r / _scale(basis @ log_scale)) ** 2, weights=w)) + _TINY)
    s = _scale(basis @ log_scale) * spread
    by_scale = basis * (w * np.minimum((spread / s) ** 2, 25.0))[:, None]
    mean = np.linalg.solve(by_scale.T @ basis + penalty, by_scale.T @ z)
    excess = np.clip(((z - basis @ mean) / s) ** 2, 0, 16) - 1
    step = weighted.T @ excess - 3 * penalty @ log_scale
    return mean, log_scale + np.linalg.solve(2 * gram + 3 * penalty, step), spread
