"""One-dimensional conditional distributions by boosting: levels of a distribution function, and shares of classes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr

from buff.protocols import Array, Numbers
from buff.trees.forest import FlatForest, flattened
from buff.trees.regressor import Booster, TreeSettings

__all__ = ["ConditionalDistribution", "ConditionalSettings", "ConditionalShares"]

#: Least step of the distribution function between two levels when it is inverted.
_FLAT = 1e-9
#: Least Hessian of a class, so that leaves of one class stay finite.
_LEAST_HESSIAN = 1e-4


@dataclass(frozen=True)
class ConditionalSettings:
    """How a conditional distribution is grown.

    Attributes
    ----------
    n_levels : int
        Levels at which the distribution function is learned.
    span : float
        Levels are the ranks of equally spaced normal scores within this many standard deviations.
    n_estimators, max_depth, learning_rate, reg_lambda, max_bin
        As in XGBoost.
    min_child_weight : float
        Fewest rows of a leaf.
    n_sketch : int
        Random projections of the gradient that splits are searched on.
    """

    n_levels: int = 24
    span: float = 2.3
    n_estimators: int = 30
    max_depth: int = 5
    learning_rate: float = 0.2
    reg_lambda: float = 20.0
    min_child_weight: float = 20.0
    max_bin: int = 64
    n_sketch: int = 3

    @property
    def levels(self) -> Array:
        """Ranks (K,) at which the distribution function is learned."""
        return ndtr(np.linspace(-self.span, self.span, self.n_levels))

    @property
    def trees(self) -> TreeSettings:
        """Trees whose leaves hold all levels."""
        return TreeSettings(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            reg_lambda=self.reg_lambda,
            layout="sketch",
            n_sketch=self.n_sketch,
            max_bin=self.max_bin,
            tree_params={"min_child_weight": self.min_child_weight},
        )


@dataclass(frozen=True)
class ConditionalDistribution:
    r"""Distribution of a rank u in (0, 1) given features, :math:`F_k(x) = P(u \le q_k | x)` at levels :math:`q_k`.

    Boosted trees with leaves of all levels minimise :math:`\sum_k (1[u \le q_k] - F_k(x))^2`, a discrete form of the
    continuous ranked probability score (Matheson, Winkler, 1976, doi:10.1287/mnsc.22.10.1087). Predictions are clipped
    to [0, 1], made monotone by their running maximum, and joined by straight lines from (0, 0) to (1, 1). Give ranks
    of a base model, so that trees learn only what it lacks.

    Attributes
    ----------
    levels : array of shape (K,)
    shares : array of shape (K,)
        Distribution function over all rows.
    booster : Booster or FlatForest
        What features add to ``shares``.
    floor : float
        Share of a uniform distribution that is mixed in, so that no density vanishes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((4000, 1), dtype=np.float32)
    >>> model = ConditionalDistribution.fit(x, rng.random(4000) ** (1 + x[:, 0]))
    >>> low, high = model.ppf(np.float32([[0.05], [0.95]]), np.array([0.5, 0.5]))
    >>> bool(low > high)
    True
    """

    levels: Array
    shares: Array
    booster: Booster | FlatForest
    floor: float = 0.0

    @classmethod
    def fit(
        cls,
        features: Array,
        u: Array,
        settings: ConditionalSettings | None = None,
        *,
        weights: Array | None = None,
        seed: int = 0,
    ) -> "ConditionalDistribution":
        """Learn from float32 ``features`` (n, f) and ranks ``u`` (n,) with nonnegative ``weights``."""
        settings = settings or ConditionalSettings()
        below = (u[:, None] <= settings.levels).astype(np.float32)
        shares = np.average(below, axis=0, weights=weights).astype(np.float32)
        booster = Booster.fit(features, below - shares, settings.trees, weights=weights, seed=seed)
        return cls(settings.levels, shares, booster)

    def flattened(self) -> "ConditionalDistribution":
        """A copy whose trees are plain arrays, for features that are never NaN."""
        return replace(self, booster=flattened(self.booster))

    @property
    def grid(self) -> Array:
        """Ranks at which the distribution function is known: 0, the levels, 1."""
        return np.concatenate([[0.0], self.levels, [1.0]])

    def cdf(self, features: Numbers) -> Array:
        """Distribution function at the levels, with 0 and 1 at the ends: float32 (n, K + 2)."""
        return self._cdf(self.booster(features))

    def _cdf(self, margins: Array) -> Array:
        values = np.zeros((len(margins), len(self.levels) + 2), np.float32)
        np.add(margins, self.shares, out=values[:, 1:-1])
        values[:, -1] = 1
        np.clip(values, 0, 1, out=values)
        np.maximum.accumulate(values, axis=1, out=values)
        if self.floor:
            values *= np.float32(1 - self.floor)
            values += (self.floor * self.grid).astype(np.float32)
        return values

    def ppf(self, features: Numbers, p: Numbers) -> Array:
        """Ranks at which the distribution function reaches ``p`` (n,)."""
        cdf = self.cdf(features)
        p = p.astype(np.float32)
        grid = self.grid
        k = np.minimum((cdf[:, 1:-1] < p[:, None]).sum(axis=1), len(grid) - 2)
        rows = np.arange(len(p))
        low, high = cdf[rows, k].astype(float), cdf[rows, k + 1]
        share = np.clip((p - low) / np.maximum(high - low, _FLAT), 0, 1)
        return grid[k] + share * (grid[k + 1] - grid[k])

    def pit(self, features: Numbers, u: Numbers) -> Array:
        """Distribution function at ``u`` (n,): uniform where the model is right (probability integral transform)."""
        cdf = self.cdf(features)
        grid = self.grid
        k = np.clip(np.searchsorted(grid, u, side="right") - 1, 0, len(grid) - 2)
        rows = np.arange(len(u))
        low, high = cdf[rows, k], cdf[rows, k + 1]
        return low + (high - low) * (u - grid[k]) / (grid[k + 1] - grid[k])

    def pdf(self, features: Numbers, u: Numbers) -> Array:
        """Density of ranks ``u`` (n,): the slope of the distribution function, constant between two levels."""
        return self.pdf_of(self.booster(features), u)

    def pdf_of(self, margins: Array, u: Numbers) -> Array:
        """:meth:`pdf` by what the trees say, (n, K), such as after some of their rounds."""
        margins = np.broadcast_to(np.float32(margins), (len(u), len(self.levels)))
        cdf, grid = self._cdf(margins).astype(np.float64), self.grid
        k = np.clip(np.searchsorted(grid, u, side="right") - 1, 0, len(grid) - 2)
        rows = np.arange(len(u))
        return (cdf[rows, k + 1] - cdf[rows, k]) / (grid[k + 1] - grid[k])

    def crps(self, features: Numbers, u: Numbers) -> float:
        """Mean squared error of the levels' indicators: the lower, the better."""
        return float(np.mean((self.cdf(features)[:, 1:-1] - (u[:, None] <= self.levels)) ** 2))


@dataclass(frozen=True)
class ConditionalShares:
    """Probabilities of classes given features: softmax of boosted trees with leaves of all classes.

    Attributes
    ----------
    prior : array of shape (classes,)
        Logits over all rows.
    booster : Booster or FlatForest

    Examples
    --------
    >>> x = np.linspace(0, 1, 1000, dtype=np.float32)[:, None]
    >>> model = ConditionalShares.fit(x, (3 * x[:, 0]).astype(int).clip(0, 2), 3)
    >>> model(np.float32([[0.1], [0.5], [0.9]])).argmax(axis=1).tolist()
    [0, 1, 2]
    """

    prior: Array
    booster: Booster | FlatForest

    @classmethod
    def fit(
        cls,
        features: Array,
        labels: Array,
        n_classes: int,
        settings: ConditionalSettings | None = None,
        *,
        weights: Array | None = None,
        seed: int = 0,
    ) -> "ConditionalShares":
        """Learn from float32 ``features`` (n, f) and ``labels`` (n,) of 0 ... ``n_classes - 1``."""
        import xgboost as xgb

        settings = settings or ConditionalSettings(max_depth=4, reg_lambda=5.0, min_child_weight=5.0)
        one_hot = (labels[:, None] == np.arange(n_classes)).astype(np.float32)
        prior = np.log(np.average(one_hot, axis=0, weights=weights) + 1e-6).astype(np.float32)
        parameters = settings.trees.parameters(n_classes, seed) | {"multi_strategy": "multi_output_tree"}
        del parameters["objective"]
        data = xgb.QuantileDMatrix(features, one_hot, weight=weights, max_bin=settings.max_bin, nthread=1)
        model = xgb.train(parameters, data, settings.n_estimators, obj=_cross_entropy(prior))
        return cls(prior, Booster(model, n_classes))

    def flattened(self) -> "ConditionalShares":
        """A copy whose trees are plain arrays, for features that are never NaN."""
        return replace(self, booster=flattened(self.booster))

    def __call__(self, features: Numbers) -> Array:
        """Probabilities, float32 (n, classes)."""
        return _softmax(self.booster(features) + self.prior)


def _softmax(logits: Numbers) -> Array:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def _cross_entropy(prior: Numbers) -> Any:
    """Gradient p - y and Hessian p (1 - p) of the cross-entropy."""

    def objective(margins: Numbers, data: Any) -> tuple[Array, Array]:
        p = _softmax(margins.reshape(-1, len(prior)) + prior)
        weights = data.get_weight()
        w = weights[:, None] if len(weights) else np.float32(1)
        gradient = w * (p - data.get_label().reshape(p.shape))
        return gradient, w * np.maximum(p * (1 - p), _LEAST_HESSIAN)

    return objective
