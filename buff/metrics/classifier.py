"""Classifier two-sample test: can boosted trees or a network tell generated rows from real ones?

Every row is scored by a classifier that has not seen it (cross-fitting) and the area under the ROC curve is
that of held-out rows only: 0.5 where the two samples cannot be told apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier

from buff.metrics.estimate import Estimate
from buff.metrics.indicators import MAX_CATEGORIES, fill_empty_columns, indicator_features
from buff.metrics.samples import Rows, Seed, as_pair, as_weights
from buff.metrics.threads import modest_threads
from buff.protocols import Indices

__all__ = ["CLASSIFIERS", "ClassifierTest", "c2st", "roc_area"]

Groups: TypeAlias = tuple[npt.ArrayLike, npt.ArrayLike]
Labels: TypeAlias = npt.NDArray[np.bool_]
#: (rows to train on, rows to score, seed) -> scores, larger where a row looks generated
Scorer: TypeAlias = Callable[[Indices, Indices, int], Rows]


@dataclass(frozen=True)
class ClassifierTest(Estimate):
    """Area under the ROC curve with its error; unpacks as ``value, error``.

    Parameters
    ----------
    value, error : float
        Mean area over the seeds, and its standard error.
    p_value : float
        Probability of an area this large if both samples had one distribution.
    per_seed : tuple of float
        The area for each seed.
    classifier : str
        ``"trees"`` or ``"mlp"``.
    """

    p_value: float
    per_seed: tuple[float, ...]
    classifier: str


@dataclass(frozen=True)
class _Problem:
    """Both samples stacked: features, which rows are generated, weights (None: all equal), group numbers."""

    x: Rows
    generated: Labels
    given_weights: Rows | None
    groups: Indices | None

    @property
    def weights(self) -> Rows:
        return np.ones(len(self.x)) if self.given_weights is None else self.given_weights

    def train_weights(self, rows: Indices) -> Rows | None:
        return None if self.given_weights is None else np.abs(self.given_weights[rows])

    def train_labels(self, rows: Indices) -> Labels:
        """Which rows count for the generated sample: a negative weight counts for the other one.

        Where p and q are differences of positive parts, the score (q - p) / (|q| + |p|) is learned.
        """
        return self.generated[rows] ^ (self.weights[rows] < 0)

    def take(self, rows: Indices) -> _Problem:
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1]
        weights = None if self.given_weights is None else self.given_weights[rows]
        return _Problem(self.x[rows], self.generated[rows], weights, groups)

    def folds(self, n_splits: int, seed: int) -> list[Indices]:
        """Rows of each fold, both samples in proportion, no group split."""
        splitter = StratifiedKFold if self.groups is None else StratifiedGroupKFold
        split = splitter(n_splits, shuffle=True, random_state=seed).split(self.x, self.generated, self.groups)
        return [test for _, test in split]

    def shuffled_labels(self, rng: np.random.Generator) -> Labels:
        """Labels permuted among rows, among groups of one label, or else inside the groups."""
        if self.groups is None:
            return rng.permutation(self.generated)
        share = np.bincount(self.groups, self.generated) / np.bincount(self.groups)
        if np.isin(share, (0, 1)).all():
            return rng.permutation(share == 1)[self.groups]
        labels = np.empty_like(self.generated)
        in_order = np.argsort(self.groups, kind="stable")
        labels[in_order] = self.generated[np.lexsort((rng.random(len(self.groups)), self.groups))]
        return labels


@dataclass(frozen=True)
class _Run:
    """What one seed found: the place of every row, the p-value of every fold."""

    places: Rows
    p_values: list[float]


def c2st(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    classifier: Literal["trees", "mlp"] = "trees",
    *,
    n_splits: int = 3,
    seeds: int = 3,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    groups: Groups | None = None,
    categorical: Sequence[int] = (),
    n_permutations: int = 500,
    random_state: Seed = 0,
) -> ClassifierTest:
    r"""Classifier two-sample test with cross-fitting over folds and repetition over seeds.

    .. math:: \mathrm{AUC} = P(s(y) > s(x)) + \tfrac12 P(s(y) = s(x)), \quad x \sim p, \; y \sim q

    with s the score of a classifier trained on the other folds. The error joins DeLong's variance of the area
    and the variance between seeds (see Notes). The p-value is twice the median, over folds and seeds, of that
    from permuting the labels of held-out scores: valid under any dependence between folds.

    Parameters
    ----------
    real, generated : array-like of shape (n, d) and (m, d)
        The samples; nan marks a missing value.
    classifier : {"trees", "mlp"}
        Gradient-boosted trees (100 of 31 leaves), or a perceptron with layers of 128 and 64 on standardised
        columns, where missing values, categories and values that repeat in 5 percent of the rows become
        indicators.
    n_splits : int
        Number of folds.
    seeds : int
        Number of repetitions, each with its own folds and classifiers.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum; each sample is normalised to the same total. A row of
        negative weight trains for the other sample, and counts with its sign in the area.
    groups : (array-like of shape (n,), array-like of shape (m,)), optional
        Labels of rows that are not independent (jets of an event, draws for one measurement): a group is
        never split between folds, is permuted as one, and counts once in the error.
    categorical : sequence of int
        Columns that hold category codes.
    n_permutations : int
        Permutations a fold; 0 leaves the p-value at 1.
    random_state : int, numpy.random.Generator or None
        Source of folds, classifiers and permutations.

    Returns
    -------
    ClassifierTest

    Raises
    ------
    ValueError
        If the classifier is unknown, or a sample, or what its weights leave of it in a fold, is too small.

    Notes
    -----
    DeLong's variance takes the classifier as given. Here every row is judged in one fold and trains in the
    others, and near 0.5 the two roles fluctuate together: the variance is up to twice DeLong's. The variance
    between seeds, not divided by their number because more seeds bring no more rows, stands in for the second
    half, joined by DeLong's as one more degree of freedom (with one seed DeLong's variance is doubled).

    References
    ----------
    Lopez-Paz & Oquab (2017), arXiv:1610.06545; DeLong, DeLong & Clarke-Pearson (1988), doi:10.2307/2531595;
    Meinshausen, Meier & Buehlmann (2009), arXiv:0811.2177 (twice the median p-value).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> test = c2st(rng.normal(size=(500, 2)), rng.normal(3.0, size=(500, 2)), seeds=1)
    >>> test.value > 0.99, test.p_value < 0.01
    (True, True)
    """
    if classifier not in CLASSIFIERS:
        raise ValueError(f"classifier must be one of {', '.join(CLASSIFIERS)}; found {classifier!r}")
    if seeds < 1 or n_splits < 2:
        raise ValueError(f"seeds must be at least 1 and n_splits at least 2, found {seeds} and {n_splits}")
    problem = _stack(real, generated, real_weights, generated_weights, groups, n_splits)
    fit_and_score = CLASSIFIERS[classifier](problem, tuple(categorical))
    rng = np.random.default_rng(random_state)
    with modest_threads(len(problem.x)):
        runs = [_run(problem, fit_and_score, n_splits, n_permutations, rng) for _ in range(seeds)]
    areas = [float(np.average(run.places, weights=problem.weights)) for run in runs]
    delong = _delong_variance(problem, np.mean([run.places for run in runs], axis=0))
    training = (delong + (seeds - 1) * (float(np.var(areas, ddof=1)) if seeds > 1 else 0.0)) / seeds
    p_value = min(1.0, 2.0 * float(np.median([p for run in runs for p in run.p_values])))
    return ClassifierTest(float(np.mean(areas)), sqrt(delong + training), p_value, tuple(areas), classifier)


def _stack(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    real_weights: npt.ArrayLike | None,
    generated_weights: npt.ArrayLike | None,
    groups: Groups | None,
    n_splits: int,
) -> _Problem:
    x, y = as_pair(real, generated, missing=True)
    for name, rows in (("real", x), ("generated", y)):
        if len(rows) < 2 * n_splits:
            raise ValueError(f"{name}: {n_splits} folds need {2 * n_splits} rows, found {len(rows)}")
    w = as_weights(real_weights, len(x), "real_weights")
    v = as_weights(generated_weights, len(y), "generated_weights")
    is_generated = np.repeat([False, True], [len(x), len(y)])
    weighted = real_weights is not None or generated_weights is not None
    weights = np.concatenate([w / w.mean(), v / v.mean()]) if weighted else None
    return _Problem(np.concatenate([x, y]), is_generated, weights, _group_numbers(groups, len(x), len(y)))


def _group_numbers(groups: Groups | None, n: int, m: int) -> Indices | None:
    if groups is None:
        return None
    first, second = (np.asarray(labels) for labels in groups)
    if first.shape != (n,) or second.shape != (m,):
        raise ValueError(f"groups: shapes ({n},) and ({m},) expected, found {first.shape} and {second.shape}")
    return np.unique(np.concatenate([first, second]), return_inverse=True)[1]


def _run(
    problem: _Problem, fit_and_score: Scorer, n_splits: int, n_permutations: int, rng: np.random.Generator
) -> _Run:
    """One seed: every row's place among held-out rows of the other kind, and a p-value for each fold."""
    places, p_values = np.empty(len(problem.x)), []
    for test in problem.folds(n_splits, seed=int(rng.integers(2**31))):
        train = np.setdiff1d(np.arange(len(problem.x)), test, assume_unique=True)
        score = fit_and_score(train, test, int(rng.integers(2**31)))
        fold = problem.take(test)
        if not all(fold.weights[fold.generated == kind].sum() > 0 for kind in (False, True)):
            raise ValueError(
                "a fold has no positive weight of one of the samples; give smaller groups, fewer folds, or more rows"
            )
        level = np.unique(score, return_inverse=True)[1]
        places[test] = _places(level, fold.generated, fold.weights)
        p_values.append(_permutation_p_value(fold, level, n_permutations, rng))
    return _Run(places, p_values)


def _places(level: Indices, generated: Labels, weights: Rows) -> Rows:
    """Share of real rows below a generated one, of generated rows above a real one; ties count half."""
    real_mass, generated_mass = _masses(level, generated, weights)
    below_generated = np.cumsum(real_mass) - real_mass / 2
    above_real = 1 - np.cumsum(generated_mass) + generated_mass / 2
    return np.where(generated, below_generated[level], above_real[level])


def _masses(level: Indices, generated: Labels, weights: Rows) -> tuple[Rows, Rows]:
    """Share of the real and of the generated weight at each level of the score."""
    masses = (np.bincount(level, weights * kind) for kind in (~generated, generated))
    real_mass, generated_mass = (mass / (mass.sum() if mass.sum() > 0 else nan) for mass in masses)
    return real_mass, generated_mass


def roc_area(level: Indices, positive: Labels, weights: Rows) -> float:
    """Weighted area under the ROC curve of a score given by its level, ties counting half.

    Examples
    --------
    >>> roc_area(np.array([0, 1, 1]), np.array([False, False, True]), np.ones(3))
    0.75
    """
    real_mass, generated_mass = _masses(level, positive, weights)
    return float(generated_mass @ (np.cumsum(real_mass) - real_mass / 2))


def _permutation_p_value(fold: _Problem, level: Indices, n_permutations: int, rng: np.random.Generator) -> float:
    observed = roc_area(level, fold.generated, fold.weights)
    shuffled = (roc_area(level, fold.shuffled_labels(rng), fold.weights) for _ in range(n_permutations))
    # areas that differ by rounding alone are ties; one that signed weights leave undefined is no evidence
    return (1 + sum(not area < observed - 1e-12 for area in shuffled)) / (1 + n_permutations)


def _delong_variance(problem: _Problem, places: Rows) -> float:
    """Variance of the area as the sum of those of both samples' mean places, group by group."""
    w = problem.weights
    share = w / np.where(problem.generated, w[problem.generated].sum(), w[~problem.generated].sum())
    deviation = share * (places - np.average(places, weights=w))
    if problem.groups is not None:
        deviation = np.bincount(problem.groups, deviation)
    return float(deviation @ deviation)


def _trees(problem: _Problem, categorical: tuple[int, ...]) -> Scorer:
    """Boosted trees; a column of more codes than a tree has bins is read as a number."""
    few = [column for column in categorical if problem.x[:, column].max() < MAX_CATEGORIES]

    def fit_and_score(train: Indices, test: Indices, seed: int) -> Rows:
        trees = HistGradientBoostingClassifier(
            max_iter=100, early_stopping=False, categorical_features=few or None, random_state=seed
        )
        x = fill_empty_columns(problem.x[train])
        trees.fit(x, problem.train_labels(train), problem.train_weights(train))
        return np.asarray(trees.decision_function(problem.x[test]))

    return fit_and_score


def _mlp(problem: _Problem, categorical: tuple[int, ...]) -> Scorer:
    """Perceptron 128-64 for a fixed number of steps.

    Stopping early on held-out accuracy ends on the plateau from which a network learns correlations last.
    """
    features = indicator_features(problem.x, categorical).astype(np.float32)

    def fit_and_score(train: Indices, test: Indices, seed: int) -> Rows:
        n = len(train)
        network = MLPClassifier(
            (128, 64),
            batch_size=int(np.clip(n // 20, 32, 512)),
            learning_rate_init=4e-3,
            max_iter=int(np.clip(400_000 // n, 10, 40)),
            random_state=seed,
        )
        weights = problem.train_weights(train)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(features[train], problem.train_labels(train), *(() if weights is None else (weights,)))
        return np.asarray(network.predict_proba(features[test])[:, 1])

    return fit_and_score


#: Classifiers by name: each takes the problem and returns what trains on some rows and scores others.
CLASSIFIERS: Mapping[str, Callable[[_Problem, tuple[int, ...]], Scorer]] = MappingProxyType(
    {"trees": _trees, "mlp": _mlp}
)
