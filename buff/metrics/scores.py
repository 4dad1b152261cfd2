"""Every distance between two tables at once: column by column, and of the whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from typing import Literal, cast

import numpy as np

from buff.metrics.associations import PairScore, association_scores
from buff.metrics.classifier import ClassifierTest, c2st
from buff.metrics.columns import NumericTable
from buff.metrics.correlations import correlation_distance
from buff.metrics.distances import sliced_wasserstein, w1_replicas
from buff.metrics.estimate import Estimate, replicate
from buff.metrics.histograms import automatic_bins, separation_power, variation_replicas
from buff.metrics.indicators import indicator_features
from buff.metrics.samples import Rows, centre_and_scale
from buff.protocols import Indices

__all__ = [
    "DISTANCES",
    "JUDGES",
    "THINNED",
    "ColumnScore",
    "Scoring",
    "TableScores",
    "WeightedTable",
    "joint_features",
    "principal_axes",
    "score_tables",
]

#: Variance of standardised columns along an axis, below which they are taken not to spread.
_NARROWEST = 1e-8
#: Distances of whole tables, fields of :class:`TableScores`, and what reports call them.
DISTANCES = {
    "wasserstein": "mean W1 of numbers",
    "variation": "mean TV of categories",
    "sliced": "sliced W1",
    "correlation": "largest correlation error",
    "association": "largest error, category with a column",
}
#: Those that are computed on ``max_rows`` rows at most.
THINNED = ("sliced", "association")
#: Classifier tests of a table likewise: on its columns, and on their principal axes.
JUDGES = {
    "trees": "AUC, boosted trees",
    "mlp": "AUC, MLP",
    "trees_principal": "AUC, boosted trees, principal axes",
    "mlp_principal": "AUC, MLP, principal axes",
}
_UNDEFINED = Estimate(nan, nan)


@dataclass(frozen=True)
class ColumnScore:
    """One column of two tables compared.

    Parameters
    ----------
    name : str
        The column.
    kind : str
        Kind of the column, as in the schema of a model, or ``"missing"`` for the indicator of its missing values.
    distance : Estimate
        Wasserstein-1 in real standard deviations for numbers, total variation else.
    separation : Estimate
        Separation power in 30 equal bins over the central 99.8 percent of the real values; nan if no number.
    outside : float
        Share of generated values outside these bins; nan if no number.
    """

    name: str
    kind: str
    distance: Estimate
    separation: Estimate = _UNDEFINED
    outside: float = nan


@dataclass(frozen=True)
class TableScores:
    """All scores of one table against another; None where the columns or the call leave one out.

    Parameters
    ----------
    columns : tuple of ColumnScore
        The columns.
    wasserstein : Estimate or None
        Mean Wasserstein-1 distance of the numeric columns, in real standard deviations.
    variation : Estimate or None
        Mean total variation distance of categories and of missing values.
    sliced : Estimate
        Sliced Wasserstein distance of all columns, categories and missing values as indicators.
    correlation : Estimate or None
        Largest difference between Pearson correlations of numeric columns and of missing values.
    association : Estimate or None
        Largest difference between associations of a category with another column, the first of ``pairs``.
    pairs : tuple of PairScore
        Associations of categories with other columns, the largest difference first.
    trees, mlp : ClassifierTest or None
        Classifier two-sample tests.
    trees_principal, mlp_principal : ClassifierTest or None
        The same on the principal axes of the standardised columns, see :func:`principal_axes`: here narrow directions,
        such as relations between columns, count as much as wide ones.
    """

    columns: tuple[ColumnScore, ...]
    wasserstein: Estimate | None
    variation: Estimate | None
    sliced: Estimate
    correlation: Estimate | None
    trees: ClassifierTest | None
    mlp: ClassifierTest | None
    trees_principal: ClassifierTest | None = None
    mlp_principal: ClassifierTest | None = None
    association: Estimate | None = None
    pairs: tuple[PairScore, ...] = ()


@dataclass(frozen=True, eq=False)
class WeightedTable:
    """A table read into columns, with its weights."""

    columns: NumericTable
    weights: Rows

    def take(self, rows: Indices) -> "WeightedTable":
        return WeightedTable(self.columns.take(rows), self.weights[rows])

    def thinned(self, max_rows: int, rng: np.random.Generator) -> "WeightedTable":
        n = len(self.weights)
        return self if n <= max_rows else self.take(rng.choice(n, max_rows, replace=False))


@dataclass(frozen=True)
class Scoring:
    """How to score: which classifiers, on how many seeds and rows, replicas, and the seed of directions."""

    classifiers: tuple[str, ...]
    seeds: int
    max_rows: int
    n_bootstrap: int
    directions: int


@dataclass(frozen=True, eq=False)
class _Pair:
    """One column of both tables, without its missing values, and the rows it keeps."""

    name: str
    kind: str
    x: Rows
    y: Rows
    kept_x: Indices
    kept_y: Indices
    is_number: bool

    def replicas(self, w_b: Rows, v_b: Rows) -> Rows:
        """Distance for every replica of the weights; nan where one table has no value."""
        w_b, v_b = w_b[:, self.kept_x], v_b[:, self.kept_y]
        if not self.is_number:
            return variation_replicas(self.x, self.y, w_b, v_b)
        if not self.defined(w_b[0], v_b[0]):
            return np.full(len(w_b), nan)
        _, scale = centre_and_scale(self.x[:, None], w_b[0], [self.name])
        return w1_replicas(self.x / scale, self.y / scale, w_b, v_b)

    def score(self, distance: Rows, w: Rows, v: Rows, n_bootstrap: int, seed: int) -> ColumnScore:
        estimate = Estimate.from_replicas(distance)
        w, v = w[self.kept_x], v[self.kept_y]
        if not self.is_number or not self.defined(w, v):
            return ColumnScore(self.name, self.kind, estimate)
        edges = automatic_bins(self.x, weights=w)
        inside = (edges[0] <= self.y) & (self.y <= edges[-1])
        outside = float(1 - v[inside].sum() / v.sum())
        if v[inside].sum() <= 0:
            return ColumnScore(self.name, self.kind, estimate, Estimate(1.0, 0.0), outside)
        s = separation_power(
            self.x,
            self.y,
            edges,
            real_weights=w,
            generated_weights=v,
            n_bootstrap=n_bootstrap,
            random_state=seed,
        )
        return ColumnScore(self.name, self.kind, estimate, Estimate(s.value, s.error), outside)

    @staticmethod
    def defined(w: Rows, v: Rows) -> bool:
        return bool(w.sum() > 0 and v.sum() > 0)


def score_tables(
    real: WeightedTable, generated: WeightedTable, scoring: Scoring, rng: np.random.Generator
) -> TableScores:
    """Score a generated table against a real one."""
    w, v = real.weights, generated.weights
    w_b, v_b = replicate(w, scoring.n_bootstrap, rng), replicate(v, scoring.n_bootstrap, rng)
    seed = int(rng.integers(2**31))
    pairs = list(_pairs(real.columns, generated.columns))
    distances = [pair.replicas(w_b, v_b) for pair in pairs]
    of_number = np.array([pair.is_number for pair in pairs])
    tests = {name: _test(real, generated, name, scoring, rng) for name in scoring.classifiers}
    associations = _associations(real, generated, scoring, seed)
    return TableScores(
        tuple(p.score(d, w, v, scoring.n_bootstrap, seed) for p, d in zip(pairs, distances, strict=True)),
        _mean(np.array(distances)[of_number]),
        _mean(np.array(distances)[~of_number]),
        _sliced(real, generated, scoring, rng),
        _correlation(real, generated, scoring, seed),
        association=_largest(associations),
        pairs=associations,
        **{name: tests.get(name) for name in JUDGES},
    )


def joint_features(*tables: NumericTable) -> list[Rows]:
    """All columns as standardised numbers and indicators, in one space for all tables."""
    stacked = np.concatenate([table.values for table in tables])
    features = indicator_features(stacked, tables[0].categorical, spike_share=1)
    return np.split(features, np.cumsum([len(table.values) for table in tables])[:-1])


def principal_axes(real: Rows, generated: Rows, real_weights: Rows | None = None) -> tuple[Rows, Rows]:
    r"""Both samples along the principal axes of the real one, in units of its width there.

    .. math:: z = \Lambda^{-1/2} V^T (x - \bar x) / s, \quad \mathrm{corr}(x) = V \Lambda V^T,

    with the mean and standard deviation s of each real column. Axes along which the real rows do not spread at all
    (:math:`\lambda < 10^{-8}`), as of indicators that add up to one, are left out.

    Parameters
    ----------
    real, generated : array of shape (n, d) and (m, d)
        Without missing values.
    real_weights : array of shape (n,), optional

    Returns
    -------
    array of shape (n, k), array of shape (m, k)
        With k <= d, the narrowest axis first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = (rng.multivariate_normal([0, 0], [[1, 0.99], [0.99, 1]], 1000) for _ in range(2))
    >>> z, _ = principal_axes(x, y)
    >>> bool(np.allclose(np.cov(z.T), np.eye(2), atol=0.01))
    True
    """
    w = np.full(len(real), 1 / len(real)) if real_weights is None else real_weights / real_weights.sum()
    centre = w @ real
    scale = np.sqrt(np.clip(w @ (real - centre) ** 2, 0, None))
    scale[scale <= 1e-12 * np.abs(centre)] = np.inf  # constant, up to rounding
    x, y = ((sample - centre) / scale for sample in (real, generated))
    variances, axes = np.linalg.eigh((x * w[:, None]).T @ x)
    kept = variances > _NARROWEST
    axes = axes[:, kept] / np.sqrt(variances[kept])
    return x @ axes, y @ axes


def _pairs(real: NumericTable, generated: NumericTable) -> Iterator[_Pair]:
    for k, name in enumerate(real.names):
        x, y = real.values[:, k], generated.values[:, k]
        kept_x, kept_y = np.flatnonzero(~np.isnan(x)), np.flatnonzero(~np.isnan(y))
        yield _Pair(name, real.kinds[k], x[kept_x], y[kept_y], kept_x, kept_y, k not in real.categorical)
        if k in real.incomplete:
            missing = np.isnan(x).astype(float), np.isnan(y).astype(float)
            yield _Pair(name, "missing", *missing, np.arange(len(x)), np.arange(len(y)), False)


def _mean(distances: Rows) -> Estimate | None:
    defined = distances[~np.isnan(distances[:, 0])] if len(distances) else distances
    return Estimate.from_replicas(defined.mean(axis=0)) if len(defined) else None


def _sliced(real: WeightedTable, generated: WeightedTable, scoring: Scoring, rng: np.random.Generator) -> Estimate:
    real, generated = real.thinned(scoring.max_rows, rng), generated.thinned(scoring.max_rows, rng)
    x, y = joint_features(real.columns, generated.columns)
    few = min(scoring.n_bootstrap, 20)
    return sliced_wasserstein(
        x,
        y,
        real_weights=real.weights,
        generated_weights=generated.weights,
        n_bootstrap=few,
        random_state=scoring.directions,
    )


def _correlation(real: WeightedTable, generated: WeightedTable, scoring: Scoring, seed: int) -> Estimate | None:
    numeric = real.columns.numeric
    if not numeric:
        return None
    x, y = joint_features(real.columns.select(numeric), generated.columns.select(numeric))
    if x.shape[1] < 2:
        return None
    return correlation_distance(
        x,
        y,
        real_weights=real.weights,
        generated_weights=generated.weights,
        n_bootstrap=scoring.n_bootstrap,
        random_state=seed,
    )


def _associations(real: WeightedTable, generated: WeightedTable, scoring: Scoring, seed: int) -> tuple[PairScore, ...]:
    if not real.columns.categorical:
        return ()
    rng = np.random.default_rng(seed)
    thinned = (table.thinned(scoring.max_rows, rng) for table in (real, generated))
    samples = [(table.columns.values, table.weights) for table in thinned]
    return association_scores(real.columns.names, real.columns.categorical, *samples)


def _largest(pairs: tuple[PairScore, ...]) -> Estimate | None:
    return Estimate(abs(pairs[0].difference.value), pairs[0].error) if pairs else None


def _test(
    real: WeightedTable, generated: WeightedTable, name: str, scoring: Scoring, rng: np.random.Generator
) -> ClassifierTest:
    real, generated = real.thinned(scoring.max_rows, rng), generated.thinned(scoring.max_rows, rng)
    # equal weights change nothing and cost time
    weights = [None if np.ptp(table.weights) == 0 else table.weights for table in (real, generated)]
    classifier, _, principal = name.partition("_")
    x, y = real.columns.values, generated.columns.values
    if principal:
        x, y = joint_features(real.columns, generated.columns)
        x, y = principal_axes(x, y, weights[0])
    return c2st(
        x,
        y,
        cast(Literal["trees", "mlp"], classifier),
        seeds=scoring.seeds,
        categorical=() if principal else real.columns.categorical,
        real_weights=weights[0],
        generated_weights=weights[1],
        random_state=int(rng.integers(2**31)),
    )
