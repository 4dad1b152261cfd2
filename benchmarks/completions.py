"""Other ways to complete rows, for comparison: along a flow that learned complete rows, or by one that learned gaps."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import ndtri

__all__ = ["AnyGiven", "Chain", "Chained", "Forests", "InpaintedFlow", "MaskedFlow"]


@dataclass
class Chained:
    """scikit-learn's IterativeImputer: Bayesian ridge regressions with draws from their posterior."""

    name: str = "IterativeImputer"

    def fit(self, table: np.ndarray, seed: int) -> None:
        self.table, self.seed = table, seed

    def draws(self, table: np.ndarray, m: int) -> np.ndarray:
        return np.stack([_iterative(self.table, table, self.seed + 1000 * i, sample_posterior=True) for i in range(m)])


@dataclass
class Forests:
    """MissForest: random forests in the place of the regressions (Stekhoven, Buehlmann, 2012), without draws."""

    name: str = "random forests (MissForest)"

    def fit(self, table: np.ndarray, seed: int) -> None:
        self.table, self.seed = table, seed

    def draws(self, table: np.ndarray, m: int) -> np.ndarray:
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(40, min_samples_leaf=2, max_features=0.5, random_state=self.seed)
        return _iterative(self.table, table, self.seed, estimator=forest, max_iter=4)[None]


@dataclass
class Chain:
    """BUFFImputer."""

    name: str = "BUFFImputer"
    changes: dict[str, Any] = field(default_factory=dict)

    def fit(self, table: np.ndarray, seed: int) -> None:
        from buff import BUFFImputer

        self.model = BUFFImputer(random_state=seed, **self.changes).fit(table)

    def draws(self, table: np.ndarray, m: int) -> np.ndarray:
        return np.stack(self.model.impute(table, m))


@dataclass
class AnyGiven:
    """BUFF with ``given="any"``: a chain beside the flow."""

    name: str = "buff, given='any'"

    def fit(self, table: np.ndarray, seed: int) -> None:
        from buff import BUFF

        self.model = BUFF(given="any", relations=None, random_state=seed).fit(table)

    def draws(self, table: np.ndarray, m: int) -> np.ndarray:
        return np.stack([self.model.sample(given=table, random_state=i) for i in range(m)])


@dataclass
class InpaintedFlow:
    """A plain BUFF; given scores are put on their path at each step, and each step is taken ``n_repeats`` times from
    fresh noise (Lugmayr et al., 2022, arXiv:2201.09865).
    """

    n_repeats: int = 1
    name: str = "flow, inpainting"

    def fit(self, table: np.ndarray, seed: int) -> None:
        from buff import BUFF

        self.seed = seed
        self.model = BUFF(atoms="apart", relations=None, random_state=seed).fit(table)

    def draws(self, table: np.ndarray, m: int) -> np.ndarray:
        z1, known = _scores(self.model.space_, table, np.random.default_rng(self.seed))
        return np.stack([self._draw(table, z1, known, np.random.default_rng([self.seed, i])) for i in range(m)])

    def _draw(self, table, z1, known, rng) -> np.ndarray:
        field, times = self.model.field_, np.asarray(self.model.grid_.times)
        x0 = rng.standard_normal(z1.shape).astype(np.float32)
        x = x0.copy()
        for t, after in pairwise(times):
            for repeat in range(self.n_repeats):
                x = np.where(known, t * z1 + (1 - t) * x0, x).astype(np.float32)
                velocity = field(x, float(t))
                if repeat + 1 < self.n_repeats:
                    end = x + (1 - t) * velocity
                    x0 = rng.standard_normal(z1.shape).astype(np.float32)
                    x = (t * end + (1 - t) * x0).astype(np.float32)
            x = (x + (after - t) * velocity).astype(np.float32)
        return _completed(self.model.space_, x, table)


@dataclass
class MaskedFlow:
    """A flow whose regressors see, beside the state, the given scores: NaN where a cell is not given."""

    n_steps: int = 10
    n_copies: int = 10
    n_estimators: int = 60
    name: str = "flow, masked columns"

    def fit(self, table: np.ndarray, seed: int) -> None:
        from buff.chains.completion import GaussianCompletion
        from buff.transforms import TableTransformer
        from buff.trees import TreeSettings
        from buff.trees.regressor import Booster

        rng = np.random.default_rng(seed)
        self.seed, self.space = seed, TableTransformer().fit(table)
        z1 = np.tile(self.space.encode(table, rng), (self.n_copies, 1))
        self.completion = GaussianCompletion.fit(z1)
        given = rng.random(z1.shape) < rng.random((len(z1), 1))
        told = np.where(given, z1, np.nan).astype(np.float32)
        context = np.hstack([told, self.completion(told)])
        settings = TreeSettings(n_estimators=self.n_estimators, max_depth=7, learning_rate=0.2, layout="vector")
        self.times, self.nodes = np.linspace(0, 1, self.n_steps + 1), []
        for i, t in enumerate(self.times[:-1]):
            x0 = rng.standard_normal(z1.shape).astype(np.float32)
            features = np.hstack([t * z1 + (1 - t) * x0, context]).astype(np.float32)
            self.nodes.append(Booster.fit(features, z1 - x0, settings, seed=seed + i))

    def draws(self, table: np.ndarray, m: int) -> np.ndarray:
        z1, known = _scores(self.space, table, np.random.default_rng(self.seed))
        told = np.where(known, z1, np.nan).astype(np.float32)
        context = np.hstack([told, self.completion(told)])
        found = []
        for i in range(m):
            x0 = np.random.default_rng([self.seed, i]).standard_normal(z1.shape).astype(np.float32)
            x = x0.copy()
            for t, after, node in zip(self.times[:-1], self.times[1:], self.nodes, strict=True):
                x = np.where(known, t * z1 + (1 - t) * x0, x).astype(np.float32)
                x = x + np.float32(after - t) * node(np.hstack([x, context]))
            found.append(_completed(self.space, x, table))
        return np.stack(found)


def _iterative(table: np.ndarray, new: np.ndarray, seed: int, **how: Any) -> np.ndarray:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    return IterativeImputer(random_state=seed, **how).fit(table).transform(new)


def _scores(space, table, rng) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores, 0 where a cell is not known, and which are."""
    known = ~np.isnan(table)
    middle = np.nanmedian(table, axis=0)
    low = [encoder.ranks.line.x[[0, -1]] for encoder in space.encoders_]
    filled = np.where(known, table, middle)
    for j, (a, b) in enumerate(low):
        filled[:, j] = np.clip(filled[:, j], a, b)
    z = space.encode(filled, rng)
    return np.where(known, z, ndtri(0.5)).astype(np.float32), known


def _completed(space, z: np.ndarray, table: np.ndarray) -> np.ndarray:
    drawn = np.column_stack(space.decode(np.clip(z, -6, 6)))
    return np.where(np.isnan(table), drawn, table)
