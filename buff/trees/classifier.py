"""A cross-fitted classifier: its odds are ratios of densities, and conditional means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit

from buff.errors import check_growth, check_whole
from buff.protocols import Array, Numbers, Scores
from buff.records import checked_array, checked_record, require
from buff.trees.checked import check_trees

__all__ = ["Classifier", "ClassifierSettings", "CrossFit", "QuadraticBase"]

#: Newton's method converges in five or six where it converges; a longest step keeps separable classes finite.
_NEWTON_STEPS, _LONGEST_STEP = 10, 2.0
#: Log odds beyond which a base is not trusted.
_STEEPEST = 10.0
#: Values of a feature that splits tell apart.
_MAX_BIN = 64
#: Arrays of a base.
_BASE = ("mean", "scale", "coefficients")


@dataclass(frozen=True)
class ClassifierSettings:
    """How the trees of a classifier are grown.

    Attributes
    ----------
    n_estimators, max_depth, learning_rate, reg_lambda
        As in XGBoost.
    early_stopping : int
        Stop when the loss on the rows left out has not fallen for so many rounds.
    n_folds : int
        Parts of the rows; each gets its odds from trees that were grown on the others.
    max_rows : int
        Rows that trees are grown on and judged by; all rows get their odds.
    tree_params : mapping
        Anything else that XGBoost knows; wins over the above.
    """

    n_estimators: int = 300
    max_depth: int = 4
    learning_rate: float = 0.1
    reg_lambda: float = 5.0
    early_stopping: int = 10
    n_folds: int = 3
    max_rows: int = 300_000
    tree_params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_growth(self, "classifier: ", least_estimators=1)
        for name, least in (("early_stopping", 1), ("n_folds", 2), ("max_rows", 100)):
            check_whole(f"classifier: {name}", getattr(self, name), least)
        if not isinstance(self.tree_params, Mapping):
            raise TypeError(f"classifier: tree_params must be a mapping, found {self.tree_params!r}")

    def parameters(self, seed: int) -> dict[str, Any]:
        """XGBoost's parameters."""
        return {
            "tree_method": "hist",
            "objective": "binary:logistic",
            "base_score": 0.5,
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "reg_lambda": self.reg_lambda,
            "max_bin": _MAX_BIN,
            "nthread": 1,
            "seed": seed,
            "verbosity": 0,
        } | dict(self.tree_params)


@dataclass(frozen=True)
class QuadraticBase:
    """Log odds of second degree in the features, exact between two normal distributions: trees learn what is left.

    Attributes
    ----------
    mean, scale : array of shape (f,)
        Of the features.
    coefficients : array of shape (1 + f + f (f + 1) / 2,)
    """

    mean: Array
    scale: Array
    coefficients: Array

    @classmethod
    def fit(cls, features: Array, labels: Array, weights: Array, ridge: float) -> "QuadraticBase":
        """Newton's method on the penalised logistic loss."""
        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        terms = _second_degree((features - mean) / scale)
        penalty = ridge * np.eye(terms.shape[1])
        penalty[0, 0] = 0
        share = np.average(labels, weights=weights)
        beta = np.zeros(terms.shape[1])
        beta[0] = np.log(share / (1 - share))
        for _ in range(_NEWTON_STEPS):
            p = expit(terms @ beta)
            gradient = terms.T @ (weights * (p - labels)) + penalty @ beta
            hessian = (terms * (weights * p * (1 - p))[:, None]).T @ terms + penalty
            step = np.linalg.solve(hessian + 1e-9 * np.trace(hessian) * np.eye(len(beta)), gradient)
            beta = beta - step * min(1.0, _LONGEST_STEP / max(np.abs(step).max(), 1e-12))
        return cls(mean, scale, beta)

    def __call__(self, features: Numbers) -> Array:
        """Log odds, float32 of shape (n,)."""
        log_odds = _second_degree((features - self.mean) / self.scale) @ self.coefficients
        return np.clip(log_odds, -_STEEPEST, _STEEPEST).astype(np.float32)


@dataclass(frozen=True)
class Classifier:
    """Log odds of one class against the other, the mean over the models of all folds.

    The minimum of ``sum w (softplus(f) - y f)`` over f is ``log(E[y | x] / (1 - E[y | x]))`` with the weights w: labels
    y may be any numbers between 0 and 1.

    Attributes
    ----------
    bases : tuple of QuadraticBase
    models : tuple of xgboost.Booster

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(4000, 1)), np.repeat([1.0, 0.0], 2000)
    >>> x[:2000] += 1  # log of the ratio of both densities: x - 1/2
    >>> fit = Classifier.fit(x, y, np.ones(4000), ClassifierSettings())
    >>> bool(abs(fit.classifier(np.array([[1.0]])) - 0.5) < 0.1)
    True
    """

    bases: tuple[QuadraticBase, ...]
    models: tuple[Any, ...]

    @classmethod
    def fit(
        cls,
        features: Array,
        labels: Array,
        weights: Array,
        settings: ClassifierSettings,
        *,
        seed: int = 0,
    ) -> "CrossFit":
        """Grow trees on ``features`` (n, f), ``labels`` (n,) in [0, 1] and ``weights`` (n,), none negative.

        Regularisation counts rows, so weights are best near 1.
        """
        rng = np.random.default_rng(seed)
        fold = rng.permutation(np.arange(len(features)) % settings.n_folds)
        used = rng.random(len(features)) < settings.max_rows / len(features)
        fitted, log_odds = [], np.empty(len(features), np.float32)
        for k in range(settings.n_folds):
            train, held = (
                (features[rows], labels[rows], weights[rows]) for rows in (used & (fold != k), used & (fold == k))
            )
            base = QuadraticBase.fit(*train, settings.reg_lambda)
            fitted.append((base, _grow(base, train, held, settings, seed + k)))
            log_odds[fold == k] = _predict(*fitted[-1], features[fold == k])
        bases, models = zip(*fitted, strict=True)
        return CrossFit(cls(bases, models), log_odds)

    def __call__(self, features: Numbers) -> Array:
        """Log odds of rows that took no part in the fit, float32 of shape (n,)."""
        members = zip(self.bases, self.models, strict=True)
        return np.asarray(np.mean([_predict(base, model, features) for base, model in members], axis=0))

    @property
    def rounds(self) -> tuple[int, ...]:
        """Boosting rounds of each fold."""
        return tuple(int(model.num_boosted_rounds()) for model in self.models)

    def to_arrays(self) -> tuple[dict[str, Array], dict[str, bytes]]:
        """Named arrays of the bases, and trees in UBJSON."""
        arrays = {f"{i}/{name}": getattr(b, name) for i, b in enumerate(self.bases) for name in _BASE}
        return arrays, {f"{i}.ubj": bytes(model.save_raw("ubj")) for i, model in enumerate(self.models)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], blobs: Mapping[str, bytes], n_features: int) -> "Classifier":
        """Inverse of :meth:`to_arrays`, for rows of so many features.

        Raises
        ------
        ArchiveError
            Parts that are lost or of other shapes, numbers that are not finite, bytes that are no trees.
        """
        require(blobs, "a classifier has lost its trees")
        checked_record(blobs, "a classifier", (f"{i}.ubj" for i in range(len(blobs))))
        checked_record(arrays, "a classifier", (f"{i}/{name}" for i in range(len(blobs)) for name in _BASE))
        n_terms = 1 + n_features + n_features * (n_features + 1) // 2
        shapes = {"mean": (n_features,), "scale": (n_features,), "coefficients": (n_terms,)}
        bases = []
        for i in range(len(blobs)):
            check_trees(blobs[f"{i}.ubj"], 1, n_features)
            parts = (checked_array(arrays[f"{i}/{name}"], name, shapes[name]) for name in _BASE)
            bases.append(QuadraticBase(*parts))
            require((bases[-1].scale > 0).all(), "a classifier has scales that are not positive")
        return _from_bytes(tuple(bases), [blobs[f"{i}.ubj"] for i in range(len(blobs))])

    def __reduce__(self) -> Any:
        return _from_bytes, (self.bases, [bytes(model.save_raw("ubj")) for model in self.models])


@dataclass(frozen=True)
class CrossFit:
    """A classifier, and the log odds of its own rows.

    Attributes
    ----------
    classifier : Classifier
    log_odds : float32 array of shape (n,)
        Of every row, from trees that did not see it.
    """

    classifier: Classifier
    log_odds: Array


def _second_degree(z: Scores) -> Array:
    """1, z and all products of two, float64."""
    n, f = z.shape
    terms = np.empty((n, 1 + f + f * (f + 1) // 2))
    terms[:, 0], terms[:, 1 : f + 1], end = 1.0, z, f + 1
    for i in range(f):
        start, end = end, end + f - i
        np.multiply(z[:, i : i + 1], z[:, i:], out=terms[:, start:end])
    return terms


def _grow(
    base: QuadraticBase,
    train: tuple[Array, Array, Array],
    held: tuple[Array, Array, Array],
    settings: ClassifierSettings,
    seed: int,
) -> Any:
    import xgboost as xgb

    data: list[Any] = []
    for x, y, w in (train, held):
        reference = {"ref": data[0]} if data else {}
        data.append(xgb.QuantileDMatrix(x, y, weight=w, base_margin=base(x), nthread=1, max_bin=_MAX_BIN, **reference))
    model = xgb.train(
        settings.parameters(seed),
        data[0],
        settings.n_estimators,
        evals=[(data[1], "held")],
        early_stopping_rounds=settings.early_stopping,
        verbose_eval=False,
    )
    return model[: model.best_iteration + 1]


def _predict(base: QuadraticBase, model: Any, features: Numbers) -> Array:
    margin = model.inplace_predict(features, base_margin=base(features), predict_type="margin")
    return np.asarray(margin).reshape(len(features))  # XGBoost 3.4 gives no rows a second axis


def _from_bytes(bases: tuple[QuadraticBase, ...], blobs: list[bytes]) -> Classifier:
    import xgboost as xgb

    models = []
    for blob in blobs:
        models.append(xgb.Booster())
        models[-1].load_model(bytearray(blob))
        models[-1].set_param({"nthread": 1})
    return Classifier(bases, tuple(models))
