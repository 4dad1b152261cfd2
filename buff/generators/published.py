"""The recipe of the BUFF paper as its public code runs it, kept as the yardstick of comparisons."""

from itertools import pairwise
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from buff.errors import check_growth, check_range, check_resources, check_whole
from buff.estimator import BaseEstimator
from buff.protocols import Array, Numbers, Scores
from buff.randomness import seed_from
from buff.trees import Booster, TreeSettings

__all__ = ["PublishedBUFF"]

#: The first node, in place of the t = 0 at which x_t says nothing about x1.
FIRST_NODE = 1e-3


class PublishedBUFF(BaseEstimator):
    """Flow matching with one boosted regressor a column and node, as published.

    Columns are scaled to [-1, 1]; at each node t of linspace(0.001, 1, n_nodes) and for each column j a
    regressor learns v_j = x1_j - x0_j from x_t = t x1 + (1 - t) x0, x0 ~ N(0, I). The midpoint rule carries
    noise from t = 0 to 1 and takes the velocity of the nearest node, round(t (n_nodes - 1)). The result is
    clipped to the range seen in training. For new work use :class:`buff.BUFF`.

    Parameters
    ----------
    n_nodes : int
        Times at which regressors are trained.
    n_steps : int
        Points of the solver's uniform grid on [0, 1], both ends included: ``2 (n_steps - 1)`` field calls.
    noise_draws : int
        Noise vectors paired with each training row (the K of the paper).
    n_estimators, max_depth, learning_rate, reg_lambda, reg_alpha
        Trees of each regressor, as in XGBoost.
    n_jobs : int, optional
        Processes that share the nodes, one thread each; None is one.
    random_state : int, optional
        Seed of the training noise, and of samples that are given none.

    Attributes
    ----------
    low_, high_ : array of shape (d,)
        Range of each column in the training table, in its own unit.
    boosters_ : list of list of Booster
        A list a node, in it a booster a column.

    References
    ----------
    C. Jiang, S. Qian and H. Qu, "BUFF: Boosted Decision Tree based Ultra-Fast Flow matching" (2024),
    arXiv:2404.18219.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).exponential(size=(200, 2))
    >>> recipe = PublishedBUFF(n_nodes=4, n_steps=4, noise_draws=2, n_estimators=5, random_state=0).fit(X)
    >>> recipe.sample(3, random_state=1).shape
    (3, 2)
    """

    def __init__(
        self,
        n_nodes: int = 30,
        n_steps: int = 30,
        noise_draws: int = 20,
        n_estimators: int = 100,
        max_depth: int = 4,
        learning_rate: float = 0.1,
        reg_lambda: float = 0.1,
        reg_alpha: float = 0.2,
        n_jobs: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.n_nodes = n_nodes
        self.n_steps = n_steps
        self.noise_draws = noise_draws
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.reg_lambda = reg_lambda
        self.reg_alpha = reg_alpha
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the regressors of every node.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Numbers, single precision, none missing.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For fewer than two rows, a value that is no finite number, or a parameter below its least value.
        """
        self._check_parameters()
        with np.errstate(over="ignore"):  # what single precision cannot hold is refused as infinite
            X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        x1 = (2 * (X - self.low_) / self._span() - 1).astype(np.float32)
        rng = np.random.default_rng(seed_from(self.random_state))
        seeds, self._seed = rng.integers(2**63, size=self.n_nodes), int(rng.integers(2**63))
        self.boosters_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_node)(x1, t, self.noise_draws, self._settings(), seed)
            for t, seed in zip(np.linspace(FIRST_NODE, 1, self.n_nodes), seeds, strict=True)
        )
        return self

    def sample(self, n_samples: int = 1, random_state: int | np.random.Generator | None = None) -> Array:
        """Draw new rows.

        Parameters
        ----------
        n_samples : int
            Rows wanted, at least one.
        random_state : int or Generator, optional
            Seed of the noise. None takes the estimator's, so that the same call gives the same rows; if that is None
            too, rows are new with each call.

        Returns
        -------
        array of shape (n_samples, d), float32
            Rows within the range of the training table.

        Raises
        ------
        ValueError
            If ``n_samples`` is below one.
        """
        check_is_fitted(self)
        check_whole("n_samples", n_samples, 1)
        if random_state is None and self.random_state is not None:
            random_state = self._seed
        rng = np.random.default_rng(random_state)
        x = rng.standard_normal((n_samples, self.n_features_in_), dtype=np.float32)
        for t, s in pairwise(np.linspace(0, 1, self.n_steps).tolist()):
            h = s - t
            middle = x + h / 2 * self._velocity(x, t)
            x = x + h * self._velocity(middle, t + h / 2)
        return np.clip((x + 1) / 2 * self._span() + self.low_, self.low_, self.high_).astype(np.float32)

    def _velocity(self, x: Numbers, t: float) -> Array:
        nearest = self.boosters_[round(t * (len(self.boosters_) - 1))]
        return np.hstack([booster(x) for booster in nearest])

    def _span(self) -> Array:
        span = self.high_.astype(float) - self.low_
        return np.where(span > 0, span, 1)

    def _settings(self) -> TreeSettings:
        return TreeSettings(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            tree_params={"reg_lambda": self.reg_lambda, "reg_alpha": self.reg_alpha},
        )

    def _check_parameters(self) -> None:
        for name, least in (("n_nodes", 2), ("n_steps", 2), ("noise_draws", 1)):
            check_whole(name, getattr(self, name), least)
        check_growth(self, least_estimators=1)
        check_range("reg_alpha", self.reg_alpha, 0, np.inf, "[)")
        check_resources(self)


def _fit_node(x1: Scores, t: float, noise_draws: int, settings: TreeSettings, seed: int) -> list[Booster]:
    """The boosters of all columns at time t."""
    x1 = np.tile(x1, (noise_draws, 1))
    x0 = np.random.default_rng(seed).standard_normal(x1.shape, dtype=np.float32)
    x_t = np.float32(t) * x1 + np.float32(1 - t) * x0
    v = x1 - x0
    return [Booster.fit(x_t, v[:, [j]], settings) for j in range(v.shape[1])]
