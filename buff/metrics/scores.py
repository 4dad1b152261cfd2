"""Every distance between two tables at once: column by column, and of the whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from math import nan
from typing import Any, Literal, cast

import numpy as np

from buff.metrics.associations import PairScore, association_scores
from buff.metrics.classifier import ClassifierTest, c2st
from buff.metrics.columns import NumericTable
from buff.metrics.correlations import correlation_distance
from buff.metrics.distances import sliced_wasserstein, w1_replicas
from buff.metrics.estimate import Estimate, replicate
from buff.metrics.histograms import automatic_bins, separation_power, variation_replicas
from buff.metrics.indicators import joint_features, principal_axes
from buff.metrics.samples import Rows, centre_and_scale
from buff.protocols import Indices

__all__ = [
    "JUDGES",
    "MEASURES",
    "ColumnScore",
    "Comparison",
    "Measure",
    "Scoring",
    "TableScores",
    "WeightedTable",
    "score_tables",
]

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
            self.x, self.y, edges, real_weights=w, generated_weights=v, n_bootstrap=n_bootstrap, random_state=seed
        )
        return ColumnScore(self.name, self.kind, estimate, Estimate(s.value, s.error), outside)

    @staticmethod
    def defined(w: Rows, v: Rows) -> bool:
        return bool(w.sum() > 0 and v.sum() > 0)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two tables beside each other, and what the numbers of a report are taken from.

    Parameters
    ----------
    real, generated : WeightedTable
        The tables.
    scoring : Scoring
        Rows, replicas and seeds that were asked for.
    rng : numpy.random.Generator
        Source of thinned rows.
    seed : int
        For bootstraps.
    numbers, labels : array of shape (d, 1 + n_bootstrap)
        Distances of the numeric and of the other columns for every replica of the weights; nan where not defined.
    """

    real: WeightedTable
    generated: WeightedTable
    scoring: Scoring
    rng: np.random.Generator
    seed: int
    numbers: Rows
    labels: Rows

    def numeric_features(self) -> tuple[Rows, Rows]:
        """Numbers and their missing values in both tables as standardised columns, of shape (n, d) and (m, d)."""
        numeric = self.real.columns.numeric
        if not numeric:
            return np.empty((len(self.real.weights), 0)), np.empty((len(self.generated.weights), 0))
        x, y = joint_features(*(table.columns.select(numeric) for table in (self.real, self.generated)))
        return x, y

    def options(self, real: WeightedTable, generated: WeightedTable, n_bootstrap: int) -> dict[str, Any]:
        """Weights of two tables and the number of replicas, as metrics take them."""
        weights = {"real_weights": real.weights, "generated_weights": generated.weights}
        return {**weights, "n_bootstrap": n_bootstrap}

    @cached_property
    def pairs(self) -> tuple[PairScore, ...]:
        """Associations of categories with other columns, the largest difference first."""
        if not self.real.columns.categorical:
            return ()
        rng, columns = np.random.default_rng(self.seed), self.real.columns
        thinned = (table.thinned(self.scoring.max_rows, rng) for table in (self.real, self.generated))
        samples = [(table.columns.values, table.weights) for table in thinned]
        return association_scores(columns.names, columns.categorical, *samples)


@dataclass(frozen=True)
class Measure:
    """A number of a whole table, or a classifier test, as a report has it.

    Parameters
    ----------
    words : str
        What its line in the report says.
    of : callable, optional
        The number, from a :class:`Comparison`; None where the columns leave it out. Without, it is a classifier test.
    thinned : bool
        Whether it sees ``max_rows`` rows alone, so that its floor shrinks with these.
    """

    words: str
    of: Callable[[Comparison], Estimate | None] | None = None
    thinned: bool = False

    @property
    def metadata(self) -> dict[str, "Measure"]:
        """For the field of :class:`TableScores` that it is."""
        return {"measure": self}


def _mean(distances: Rows) -> Estimate | None:
    defined = distances[~np.isnan(distances[:, 0])] if len(distances) else distances
    return Estimate.from_replicas(defined.mean(axis=0)) if len(defined) else None


def _sliced(tables: Comparison) -> Estimate:
    scoring = tables.scoring
    real, generated = (t.thinned(scoring.max_rows, tables.rng) for t in (tables.real, tables.generated))
    x, y = joint_features(real.columns, generated.columns)
    options = tables.options(real, generated, min(scoring.n_bootstrap, 20))
    return sliced_wasserstein(x, y, **options, random_state=scoring.directions)


def _correlation(tables: Comparison) -> Estimate | None:
    x, y = tables.numeric_features()
    if x.shape[1] < 2:
        return None
    options = tables.options(tables.real, tables.generated, tables.scoring.n_bootstrap)
    return correlation_distance(x, y, **options, random_state=tables.seed)


def _association(tables: Comparison) -> Estimate | None:
    return Estimate(abs(tables.pairs[0].difference.value), tables.pairs[0].error) if tables.pairs else None


_WASSERSTEIN = Measure("mean W1 of numbers", lambda tables: _mean(tables.numbers))
_VARIATION = Measure("mean TV of categories", lambda tables: _mean(tables.labels))
_ASSOCIATION = Measure("largest error, category with a column", _association, thinned=True)


@dataclass(frozen=True)
class TableScores:
    """All scores of one table against another; None where the columns or the call leave one out.

    A field with a :class:`Measure` is computed, averaged for the floor, printed, saved and read by that alone.

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
    trees, mlp : ClassifierTest or None
        Classifier two-sample tests.
    trees_principal, mlp_principal : ClassifierTest or None
        Classifier two-sample tests on the principal axes of the standardised columns, see :func:`principal_axes`: here
        narrow directions, such as relations between columns, count as much as wide ones.
    association : Estimate or None
        Largest difference between associations of a category with another column, the first of ``pairs``.
    pairs : tuple of PairScore
        Associations of categories with other columns, the largest difference first.
    """

    columns: tuple[ColumnScore, ...]
    wasserstein: Estimate | None = field(metadata=_WASSERSTEIN.metadata)
    variation: Estimate | None = field(metadata=_VARIATION.metadata)
    sliced: Estimate = field(metadata=Measure("sliced W1", _sliced, thinned=True).metadata)
    correlation: Estimate | None = field(metadata=Measure("largest correlation error", _correlation).metadata)
    trees: ClassifierTest | None = field(metadata=Measure("AUC, boosted trees").metadata)
    mlp: ClassifierTest | None = field(metadata=Measure("AUC, MLP").metadata)
    trees_principal: ClassifierTest | None = field(
        default=None, metadata=Measure("AUC, boosted trees, principal axes").metadata
    )
    mlp_principal: ClassifierTest | None = field(default=None, metadata=Measure("AUC, MLP, principal axes").metadata)
    association: Estimate | None = field(default=None, metadata=_ASSOCIATION.metadata)
    pairs: tuple[PairScore, ...] = ()


_MEASURED: dict[str, Measure] = {f.name: f.metadata["measure"] for f in fields(TableScores) if f.metadata}
#: Numbers of a whole table by their fields.
MEASURES = {name: measure for name, measure in _MEASURED.items() if measure.of is not None}
#: Classifier tests of a table, on its columns and on their principal axes, with the words of their lines.
JUDGES = {name: measure.words for name, measure in _MEASURED.items() if measure.of is None}


def score_tables(
    real: WeightedTable, generated: WeightedTable, scoring: Scoring, rng: np.random.Generator
) -> TableScores:
    """Score a generated table against a real one."""
    w, v = real.weights, generated.weights
    w_b, v_b = replicate(w, scoring.n_bootstrap, rng), replicate(v, scoring.n_bootstrap, rng)
    seed = int(rng.integers(2**31))
    pairs = list(_pairs(real.columns, generated.columns))
    distances = np.array([pair.replicas(w_b, v_b) for pair in pairs])
    of_number = np.array([pair.is_number for pair in pairs])
    tests = {name: _test(real, generated, name, scoring, rng) for name in scoring.classifiers}
    tables = Comparison(real, generated, scoring, rng, seed, distances[of_number], distances[~of_number])
    columns = tuple(p.score(d, w, v, scoring.n_bootstrap, seed) for p, d in zip(pairs, distances, strict=True))
    numbers: dict[str, Any] = {name: measure.of(tables) for name, measure in MEASURES.items() if measure.of}
    numbers |= {name: tests.get(name) for name in JUDGES}
    return TableScores(columns, **numbers, pairs=tables.pairs)


def _pairs(real: NumericTable, generated: NumericTable) -> Iterator[_Pair]:
    for k, name in enumerate(real.names):
        x, y = real.values[:, k], generated.values[:, k]
        kept_x, kept_y = np.flatnonzero(~np.isnan(x)), np.flatnonzero(~np.isnan(y))
        yield _Pair(name, real.kinds[k], x[kept_x], y[kept_y], kept_x, kept_y, k not in real.categorical)
        if k in real.incomplete:
            missing = np.isnan(x).astype(float), np.isnan(y).astype(float)
            yield _Pair(name, "missing", *missing, np.arange(len(x)), np.arange(len(y)), False)


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
