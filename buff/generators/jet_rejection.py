"""A classifier that tells drawn jets from those of the training, and which of them to take."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.metrics.jets import OBSERVABLE_NAMES, jet_columns
from buff.protocols import Array
from buff.records import nested
from buff.trees import Classifier, ClassifierSettings, FlatForest, ubjson
from buff.trees.classifier import QuadraticBase

__all__ = ["JetRejection", "observables", "rejection_bytes"]

#: Shares of the training jets between which observables are trusted.
_TRUSTED = (0.002, 0.998)
#: Of the classifier.
_SETTINGS = ClassifierSettings(
    max_depth=4,
    learning_rate=0.08,
    reg_lambda=10.0,
    tree_params={"subsample": 0.7, "colsample_bytree": 0.7, "min_child_weight": 20},
)


@dataclass(frozen=True, eq=False)
class JetRejection:
    r"""Acceptance of jets by the odds of a classifier.

    With the ratio :math:`w(x)` of the densities of training jets and of drawn ones, a jet is accepted with probability
    :math:`\min(1, w(x) / w_\mathrm{max})`. What is left follows :math:`\min(w, w_\mathrm{max})` times the density that
    jets are drawn from.

    Attributes
    ----------
    max_odds : float
        :math:`w_\mathrm{max}`.
    low, high : arrays
        Range of each observable of which the classifier is asked.
    bases : tuple of QuadraticBase
    forests : tuple of FlatForest
        Log odds are means over these, one a fold.

    References
    ----------
    S. Azadi et al. (2019), arXiv:1810.06758 (discriminator rejection sampling).
    """

    max_odds: float
    low: Array
    high: Array
    bases: tuple[QuadraticBase, ...]
    forests: tuple[FlatForest, ...]

    @classmethod
    def fit(
        cls,
        real: tuple[Array, Array, Array],
        drawn: tuple[Array, Array, Array],
        weights: Array | None,
        max_odds: float,
        seed: int,
    ) -> "JetRejection":
        """From particles, features and scale of training jets and of drawn ones."""
        x, y = observables(*real), observables(*drawn)
        low, high = np.quantile(x, _TRUSTED, axis=0)
        both = np.clip(np.vstack([x, y]), low, high)
        own = np.ones(len(x)) if weights is None else weights / weights.mean()
        fit = Classifier.fit(
            both,
            np.repeat([1.0, 0.0], [len(x), len(y)]),
            np.concatenate([own, np.full(len(y), len(x) / len(y))]),
            _SETTINGS,
            seed=seed,
        )
        forests = tuple(_sums_of_leaves(model) for model in fit.classifier.models)
        return cls(max_odds, low, high, fit.classifier.bases, forests)

    def log_odds(self, particles: Array, features: Array, scale: Array) -> Array:
        """Logarithm of the ratio of densities, shape (n,)."""
        x = np.clip(observables(particles, features, scale), self.low, self.high)
        parts = zip(self.bases, self.forests, strict=True)
        return np.mean([base(x) + forest(x.astype(np.float32))[:, 0] for base, forest in parts], axis=0)

    def accepts(self, particles: Array, features: Array, scale: Array, uniform: Array) -> Array:
        """Whether jets are taken, given uniform numbers (n,)."""
        return uniform * self.max_odds <= np.exp(self.log_odds(particles, features, scale))

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and named arrays."""
        arrays = {"low": self.low, "high": self.high}
        for k, (base, forest) in enumerate(zip(self.bases, self.forests, strict=True)):
            arrays |= {f"{k}/base/{name}": values for name, values in vars(base).items()}
            arrays |= {f"{k}/trees/{name}": values for name, values in forest.to_arrays().items()}
        return {"max_odds": self.max_odds, "folds": len(self.bases)}, arrays

    @classmethod
    def from_arrays(cls, record: Mapping[str, Any], arrays: Mapping[str, Array]) -> "JetRejection":
        """Inverse of :meth:`to_arrays`."""
        folds = [nested(arrays, str(k)) for k in range(int(record["folds"]))]
        return cls(
            float(record["max_odds"]),
            arrays["low"],
            arrays["high"],
            tuple(QuadraticBase(**nested(own, "base")) for own in folds),
            tuple(FlatForest.from_arrays(nested(own, "trees")) for own in folds),
        )


def _sums_of_leaves(model: Any) -> FlatForest:
    """The trees of a classifier, which add to log odds; its intercept is the base's."""
    document = ubjson.decode(bytes(model.save_raw("ubj")))
    document["learner"]["objective"] = {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
    forest = FlatForest.from_bytes(ubjson.encode(document))
    return replace(forest, base=np.zeros(1, np.float32))


def rejection_bytes(n_rows: int, n_features: int) -> int:
    """Bytes that a fit to so many jets, training and drawn, holds at most: terms of second degree and their copies."""
    f = len(OBSERVABLE_NAMES) + 5 + n_features
    return int(n_rows * (1 - 1 / _SETTINGS.n_folds) * (1 + f + f * (f + 1) // 2) * 8 * 3)


def observables(particles: Array, features: Array, scale: Array) -> Array:
    """What the classifier sees: substructure, where particles lie, the unit of pT and the features, (n, f)."""
    columns = jet_columns(particles)
    columns |= {name: np.abs(columns[name]) for name in ("eta", "phi")}
    real = particles[..., 2] > 0
    n = real.sum(axis=1)
    eta, phi = (np.where(real, np.abs(particles[..., j]), 0.0) for j in (0, 1))
    squares = eta**2 + phi**2
    means = [values.sum(axis=1) / n for values in (eta, phi, np.sqrt(squares), squares)]
    return np.column_stack([*(columns[name] for name in OBSERVABLE_NAMES), *means, np.log(scale), features])
