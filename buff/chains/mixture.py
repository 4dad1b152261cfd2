"""A base of conditional distributions with several narrow modes: a Gaussian mixture of all columns, given the first."""

from collections.abc import Mapping
from dataclasses import dataclass
from warnings import catch_warnings, simplefilter

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

from buff.errors import ArchiveError
from buff.kernels import ReproducibleLinear
from buff.protocols import Array, Numbers, Scores, Weights
from buff.records import checked_array

__all__ = ["UNIT_SCORES", "ConditionalMixture", "GaussianMixtures", "MixtureBase", "in_units"]

_LOG_ROOT = 0.5 * np.log(2 * np.pi)
#: Rows and components of the mixture at most, rows for each of its means, and least variance.
_MOST_ROWS, _MOST_COMPONENTS, _ROWS_A_MEAN, _LEAST = 20_000, 16, 25, 1e-3
#: Steps of expectation maximisation at most, the gain at which they end, and the share of a wide component.
_STEPS, _TOLERANCE, _WIDE = 60, 1e-2, 0.02
#: Scores stay within, as do contexts; halvings of the interval in which a quantile is sought.
_REACH, _HALVINGS, _MARGIN = 8.0, 44, 1e-15
#: Scores at which values in units of their column are known.
UNIT_SCORES = np.linspace(-5, 5, 301)
_UNIT_STEP = UNIT_SCORES[1] - UNIT_SCORES[0]


@dataclass(frozen=True, eq=False)
class GaussianMixtures:
    """Mixture of K Gaussians over scores (n, d).

    Attributes
    ----------
    weights : array of shape (K,)
    means : array of shape (K, d)
    covariances : array of shape (K, d, d)
    """

    weights: Array
    means: Array
    covariances: Array

    @classmethod
    def fit(cls, z: Scores, weights: Weights, seed: int) -> "GaussianMixtures | None":
        """By expectation maximisation, from scores without NaN; None where rows are too few for two components."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        n, d = z.shape
        k = min(_MOST_COMPONENTS, int(n / (_ROWS_A_MEAN * max(d, 2))))
        if k < 2:
            return None
        rng = np.random.default_rng(seed)
        if n > _MOST_ROWS or np.ptp(weights):
            z = z[np.sort(rng.choice(n, min(n, _MOST_ROWS), p=weights / weights.sum()))]
        model = GaussianMixture(k, reg_covar=_LEAST, tol=_TOLERANCE, max_iter=_STEPS, random_state=seed)
        with catch_warnings():
            simplefilter("ignore", ConvergenceWarning)
            model.fit(z.astype(np.float64))
        # a wide one beside them, so that outliers are not impossible
        shares = np.append((1 - _WIDE) * model.weights_, _WIDE)
        covariance = np.cov(z.T).reshape(1, d, d) + _LEAST * np.eye(d)
        means = np.vstack([model.means_, z.mean(axis=0, keepdims=True)])
        return cls(shares, means, np.concatenate([model.covariances_, covariance]))

    def given(self, j: int, units: Array | None = None) -> "MixtureBase":
        """Distribution of column j given those before it, learned in ``units`` of these (d, m) or from scores."""
        k = len(self.weights)
        whitening, offsets = np.zeros((j, k, j + 1)), np.zeros((k, j + 1))
        log_weights, scales = np.log(self.weights), np.zeros(k)
        for i, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            own = covariance[:j, :j]
            slope = np.linalg.solve(own, covariance[:j, j])
            scales[i] = np.sqrt(max(covariance[j, j] - slope @ covariance[:j, j], 0.25 * _LEAST))
            factor = np.linalg.inv(np.linalg.cholesky(own)).T if j else np.zeros((0, 0))
            whitening[:, i] = np.column_stack([factor, slope])
            offsets[i] = np.append(-mean[:j] @ factor, mean[j] - mean[:j] @ slope)
            log_weights[i] += np.log(np.abs(np.diag(factor))).sum()
        maps = ReproducibleLinear.of(whitening.reshape(j, -1), offsets.ravel())
        return MixtureBase(maps, log_weights, scales, None if units is None else units[: j + 1])


@dataclass(frozen=True, eq=False)
class MixtureBase:
    r"""Mixture of a score s given a context c.

    .. math:: p(s | c) = \sum_k \pi_k(c)\, \mathcal{N}(s; \mu_k(c), \sigma_k),
              \quad \pi_k(c) \propto \pi_k\, \mathcal{N}(c; m_k, C_k)

    Attributes
    ----------
    maps : ReproducibleLinear
        From contexts (n, c) to the c whitened coordinates and the location of each of K components.
    log_weights : array of shape (K,)
        Of the components, with the logarithm of the determinant of their whitening.
    scales : array of shape (K,)
    units : array of shape (c + 1, m) or None
        Values of the contexts and of s at :data:`UNIT_SCORES`: then the mixture is one of these, where a Gaussian of
        the table's own units stays one, and a share of a standard normal of s is mixed in for its tails.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=4000)
    >>> z = np.column_stack([x, np.where(rng.random(4000) < 0.5, x, -x) + 0.1 * rng.normal(size=4000)])
    >>> mixture = GaussianMixtures.fit(z, np.ones(4000), seed=0).given(1)(np.float32([[2.0]]), np.empty((1, 0)))
    >>> bool(mixture.log_density(np.array([2.0])) > mixture.log_density(np.array([0.0])) + 3)
    True
    """

    maps: ReproducibleLinear
    log_weights: Array
    scales: Array
    units: Array | None = None

    def __call__(self, context: Numbers, extra: Numbers) -> "ConditionalMixture":
        """The mixture of each of n rows; ``extra`` tells nothing."""
        k = len(self.scales)
        c = context.shape[1]
        if self.units is not None:
            context = in_units(context, self.units).astype(np.float32)
        mapped = self.maps(np.clip(context, -_REACH, _REACH)).reshape(len(context), k, c + 1).astype(np.float64)
        logits = self.log_weights - 0.5 * (mapped[:, :, :-1] ** 2).sum(axis=2)
        log_shares = logits - logsumexp(logits, axis=1, keepdims=True)
        units = None if self.units is None else self.units[-1]
        return ConditionalMixture(log_shares, np.clip(mapped[:, :, -1], -_REACH, _REACH), self.scales, units)

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays."""
        arrays = {f"mixture/{key}": values for key, values in self.maps.to_arrays().items()}
        arrays |= {"mixture/log_weights": self.log_weights, "mixture/scales": self.scales}
        return arrays if self.units is None else arrays | {"mixture/units": self.units}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "MixtureBase":
        """Inverse of :meth:`to_arrays`."""
        maps = ReproducibleLinear.from_arrays(arrays, "mixture")
        scales = checked_array(arrays["mixture/scales"], "mixture/scales", (None,))
        log_weights = checked_array(arrays["mixture/log_weights"], "mixture/log_weights", scales.shape)
        c, outputs = maps.weights.shape
        if not len(scales) or outputs != len(scales) * (c + 1) or not (scales > 0).all():
            raise ArchiveError(f"the mixture has {outputs} outputs for {c} columns and scales {scales[:3]}")
        units = arrays.get("mixture/units")
        if units is not None:
            units = checked_array(units, "mixture/units", (c + 1, len(UNIT_SCORES)))
            if not (np.diff(units, axis=1) > 0).all():
                raise ArchiveError("mixture/units do not rise")
        return cls(maps, log_weights, scales, units)


@dataclass(frozen=True, eq=False)
class ConditionalMixture:
    """Mixtures of n rows.

    Attributes
    ----------
    log_shares, means : arrays of shape (n, K)
    scales : array of shape (K,)
    units : array of shape (m,) or None
        Values at :data:`UNIT_SCORES`, of which it is a mixture then.
    """

    log_shares: Array
    means: Array
    scales: Array
    units: Array | None = None

    @property
    def moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation (n,) each, in the units of the mixture."""
        p = np.exp(self.log_shares)
        mean = (p * self.means).sum(axis=1)
        return mean, np.sqrt((p * ((self.means - mean[:, None]) ** 2 + self.scales**2)).sum(axis=1))

    def log_density(self, s: Numbers) -> Array:
        """Logarithm of the density of scores (n,)."""
        y = s if self.units is None else in_units(s[:, None], self.units[None])[:, 0]
        r = (y[:, None] - self.means) / self.scales
        out: Array = logsumexp(self.log_shares - 0.5 * r**2 - _LOG_ROOT - np.log(self.scales), axis=1)
        if self.units is None:
            return out
        k = np.clip(((s - UNIT_SCORES[0]) / _UNIT_STEP).astype(np.intp), 0, len(self.units) - 2)
        slope = np.where(np.abs(s) <= UNIT_SCORES[-1], np.diff(self.units)[k] / _UNIT_STEP, 1.0)
        return np.logaddexp(np.log1p(-_WIDE) + out + np.log(slope), np.log(_WIDE) - 0.5 * s**2 - _LOG_ROOT)

    def score(self, s: Numbers) -> Array:
        """Normal scores (n,) of the ranks of scores."""
        return np.asarray(np.clip(ndtri(np.clip(self._cdf(s), _MARGIN, 1 - _MARGIN)), -_REACH, _REACH))

    def value(self, r: Numbers) -> Array:
        """Inverse of :meth:`score`."""
        u = ndtr(r)
        if self.units is None:
            low = (self.means - _REACH * self.scales).min(axis=1)
            high = (self.means + _REACH * self.scales).max(axis=1)
        else:
            low, high = np.full(len(u), -_REACH), np.full(len(u), _REACH)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            below = self._cdf(middle) < u
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high))

    def _cdf(self, s: Numbers) -> Array:
        y = s if self.units is None else in_units(s[:, None], self.units[None])[:, 0]
        ranks = (np.exp(self.log_shares) * ndtr((y[:, None] - self.means) / self.scales)).sum(axis=1)
        return np.asarray(ranks if self.units is None else (1 - _WIDE) * ranks + _WIDE * ndtr(s))


def in_units(z: Numbers, units: Numbers) -> Array:
    """Values (n, d) at scores (n, d), of which those at :data:`UNIT_SCORES` are ``units`` (d, m); slope 1 beyond."""
    columns = [np.interp(column, UNIT_SCORES, own) for column, own in zip(z.T, units, strict=False)]
    return np.column_stack([*columns, np.empty((len(z), 0))]) + (z - np.clip(z, *UNIT_SCORES[[0, -1]]))
