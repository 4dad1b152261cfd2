"""Utility of a synthetic table: train on synthetic rows, test on real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from buff.metrics.classifier import roc_area
from buff.metrics.columns import NumericTable, TableLike, read_tables
from buff.metrics.estimate import Estimate, replicate
from buff.metrics.indicators import MAX_CATEGORIES, fill_empty_columns
from buff.metrics.samples import Rows, Seed, as_weights
from buff.metrics.threads import modest_threads
from buff.protocols import Indices
from buff.tables import Schema

__all__ = ["Scores", "Utility", "utility"]

#: Whole numbers of so many values are classes.
_MOST_CLASSES = 10
#: (truth, prediction, weights) -> score
_Score = Callable[[Any, Rows, Rows], float]


@dataclass(frozen=True)
class Scores:
    """Scores of one model on the test rows, larger better; None for those of the other task.

    Parameters
    ----------
    auc : Estimate or None
        Area under the ROC curve, each class against the rest, mean over classes.
    f1 : Estimate or None
        F1 score, mean over classes.
    r2 : Estimate or None
        Coefficient of determination.
    """

    auc: Estimate | None = None
    f1: Estimate | None = None
    r2: Estimate | None = None

    def __str__(self) -> str:
        named = (("AUC", self.auc), ("F1", self.f1), ("R2", self.r2))
        return ", ".join(f"{name} {score}" for name, score in named if score is not None)


@dataclass(frozen=True)
class Utility:
    """Scores on real test rows after training on synthetic and on real rows.

    Parameters
    ----------
    synthetic : Scores
        Trained on synthetic rows (TSTR).
    real : Scores
        Trained on real rows (TRTR): what a perfect generator reaches.
    """

    synthetic: Scores
    real: Scores

    def __str__(self) -> str:
        return f"trained on synthetic rows: {self.synthetic}; on real rows: {self.real}"


def utility(
    train_real: TableLike,
    synthetic: TableLike,
    test_real: TableLike,
    target: str | int,
    task: Literal["classification", "regression"] | None = None,
    *,
    columns: Sequence[str] | None = None,
    schema: Schema | Mapping[str, Any] | None = None,
    train_weights: npt.ArrayLike | None = None,
    synthetic_weights: npt.ArrayLike | None = None,
    test_weights: npt.ArrayLike | None = None,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Utility:
    """Score boosted trees on real test rows, trained on synthetic and on real rows.

    Parameters
    ----------
    train_real, synthetic, test_real : table
        2-D arrays, structured arrays or mappings from names to columns; text is a category, nan and None are
        missing.
    target : str or int
        Name or number of the column to predict.
    task : {"classification", "regression"}, optional
        Whether the target is a class or a number; unless told, labels and whole numbers of ten values or fewer are
        classes.
    columns : sequence of str, optional
        Names of an array's columns.
    schema : Schema or mapping from column name to a kind, optional
        Kinds that are known, such as ``schema_`` of a model. Ids and dropped columns predict nothing.
    train_weights, synthetic_weights, test_weights : array-like of shape (rows,), optional
        Event weights, none negative.
    n_bootstrap : int
        Bootstrap replicas of the test rows behind the errors; 0 for none.
    random_state : int, numpy.random.Generator or None
        Source of the replicas.

    Returns
    -------
    Utility

    Raises
    ------
    ValueError
        If the target is not a column, has missing values, is text in a regression, or has one class only.

    References
    ----------
    Esteban, Hyland & Raetsch (2017), arXiv:1706.02633.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def table(n):
    ...     x = rng.normal(size=n)
    ...     return np.column_stack([x, 2 * x])
    >>> scores = utility(table(300), table(300), table(300), target=1, task="regression")
    >>> scores.synthetic.r2.value > 0.95
    True
    """
    if task not in ("classification", "regression", None):
        raise ValueError(f"task must be one of classification, regression; found {task!r}")
    tables = {"train_real": train_real, "synthetic": synthetic, "test_real": test_real}
    train, fake, test = read_tables(tables, columns, schema)
    column = _target_column(train, target)
    task = task or _task_of(train, column)
    for name, table in zip(tables, (train, fake, test), strict=True):
        _check_target(table, column, task, name)
    w = as_weights(test_weights, len(test.values), "test_weights", signed=False)
    w_b = replicate(w, n_bootstrap, np.random.default_rng(random_state))
    w_fake = as_weights(synthetic_weights, len(fake.values), "synthetic_weights", signed=False)
    w_train = as_weights(train_weights, len(train.values), "train_weights", signed=False)
    return Utility(
        synthetic=_fit_and_score(fake, w_fake, test, w_b, column, task),
        real=_fit_and_score(train, w_train, test, w_b, column, task),
    )


def _target_column(table: NumericTable, target: str | int) -> int:
    if isinstance(target, str) and target in table.names:
        return table.names.index(target)
    if isinstance(target, int) and -len(table.names) <= target < len(table.names):
        return target % len(table.names)
    raise ValueError(f"target must name or number a column ({', '.join(table.names)}); found {target!r}")


def _task_of(table: NumericTable, column: int) -> Literal["classification", "regression"]:
    y = table.values[:, column]
    few = table.kinds[column] == "integer" and len(np.unique(y)) <= _MOST_CLASSES
    return "classification" if column in table.categorical or few else "regression"


def _check_target(table: NumericTable, column: int, task: str, name: str) -> None:
    y, target = table.values[:, column], f"{name}: target {table.names[column]!r}"
    if np.isnan(y).any():
        raise ValueError(f"{target} misses {np.isnan(y).sum()} of {len(y)} values; drop those rows")
    if task == "regression" and column in table.categorical:
        raise ValueError(f"{target} holds categories; ask for classification")
    if task == "classification" and len(np.unique(y)) < 2:
        raise ValueError(f"{target} has one class only; two are needed")


def _fit_and_score(train: NumericTable, weights: Rows, test: NumericTable, w_b: Rows, column: int, task: str) -> Scores:
    x, y = _split(train, column)
    x_test, y_test = _split(test, column)
    kept = [k for k in range(len(train.names)) if k != column]
    few = [
        position
        for position, k in enumerate(kept)
        if k in train.categorical and max(x[:, position].max(), x_test[:, position].max()) < MAX_CATEGORIES
    ]
    boosted = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    trees = boosted(early_stopping=False, categorical_features=few or None, random_state=0)
    with modest_threads(len(x)):
        trees.fit(fill_empty_columns(x), y, weights)
    if task == "regression":
        return Scores(r2=_scored(_r2, y_test, trees.predict(x_test), w_b))
    classes = np.union1d(trees.classes_, y_test)
    probability = np.zeros((len(y_test), len(classes)))
    probability[:, np.searchsorted(classes, trees.classes_)] = trees.predict_proba(x_test)
    truth = np.searchsorted(classes, y_test)
    return Scores(_scored(_auc, truth, probability, w_b), _scored(_f1, truth, probability, w_b))


def _split(table: NumericTable, column: int) -> tuple[Rows, Rows]:
    return np.delete(table.values, column, axis=1), table.values[:, column]


def _scored(score: _Score, truth: Rows | Indices, prediction: Rows, w_b: Rows) -> Estimate:
    return Estimate.from_replicas(np.array([score(truth, prediction, w) for w in w_b]))


def _auc(truth: Indices, probability: Rows, w: Rows) -> float:
    """Area of each class against the rest, mean over the classes that the test rows hold."""
    areas = []
    for k, score in enumerate(probability.T):
        level = np.unique(score, return_inverse=True)[1]
        if 0 < w @ (truth == k) < w.sum():
            areas.append(roc_area(level, truth == k, w))
    return float(np.mean(areas)) if areas else float("nan")


def _f1(truth: Indices, probability: Rows, w: Rows) -> float:
    """Harmonic mean of precision and recall of each class, mean over classes present or predicted."""
    guess = probability.argmax(axis=1)
    scores = []
    for k in range(probability.shape[1]):
        both, either = w @ ((truth == k) & (guess == k)), w @ (truth == k) + w @ (guess == k)
        if either > 0:
            scores.append(2 * both / either)
    return float(np.mean(scores))


def _r2(truth: Rows, prediction: Rows, w: Rows) -> float:
    residual = w @ (truth - prediction) ** 2
    total = w @ (truth - w @ truth / w.sum()) ** 2
    return float(1 - residual / total) if total > 0 else float("nan")
