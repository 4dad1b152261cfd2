"""One call that compares a generated table with real rows by every metric that applies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.metrics.columns import NumericTable, TableLike, read_tables
from buff.metrics.floor import floor_scores
from buff.metrics.histograms import effective_sample_size
from buff.metrics.indicators import joint_features
from buff.metrics.neighbours import Memorisation, memorisation
from buff.metrics.record import Report
from buff.metrics.samples import Seed, as_weights
from buff.metrics.scores import JUDGES, Scoring, TableScores, WeightedTable, score_tables
from buff.metrics.threads import modest_threads
from buff.tables import Schema

__all__ = ["report"]


def report(
    real: TableLike,
    generated: TableLike,
    *,
    train: TableLike | None = None,
    columns: Sequence[str] | None = None,
    schema: Schema | Mapping[str, Any] | None = None,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    classifiers: Sequence[str] | None = None,
    seeds: int = 3,
    floor: bool | Report = True,
    max_rows: int = 20_000,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Report:
    """Compare a generated table with held-out real rows by every metric that applies.

    Numbers get the Wasserstein distance and separation power, categories and missing values the total
    variation distance; the whole table the sliced Wasserstein distance, correlations and classifiers. Ids are left out,
    by the rule of a fit, as those of generated rows are new; the report names them.

    Parameters
    ----------
    real, generated : table
        Whatever a model is fitted to, with the same columns: arrays, mappings from names to columns, data frames.
        Kinds of columns are those of the model; nan and None are missing. Real rows must be no part of the training.
    train : table, optional
        Rows trained on: adds the memorisation check, and rows to the floor.
    columns : sequence of str, optional
        Names of an array's columns, or the columns of a table to compare.
    schema : Schema or mapping from column name to a kind, optional
        Kinds that are known, such as ``schema_`` of a model or the mapping that it was given; others are inferred from
        all tables together. Angles are cut where fewest real rows are; columns of kind "id" or "drop" are left out.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum.
    classifiers : sequence of {"trees", "mlp", "trees_principal", "mlp_principal"}, optional
        Classifier two-sample tests to run, on the columns and on the principal axes of the standardised columns
        (:func:`~buff.metrics.principal_axes`): by default all, or none where negative weights leave an effective sample
        size below 200.
    seeds : int
        Repetitions of the classifier tests.
    floor : bool or Report
        Whether to measure the floor too; the report of another model on the same real rows lends its own.
    max_rows : int
        Rows of each table that classifiers, the sliced distance and the memorisation check see; all else
        sees ten times as many.
    n_bootstrap : int
        Bootstrap replicas behind the errors of distances.
    random_state : int, numpy.random.Generator or None
        Source of all randomness.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If the columns differ, a table is empty, holds infinities, or the weights do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> jets = {"pt": rng.exponential(size=600), "tag": rng.choice(["b", "light"], size=600)}
    >>> model = {"pt": rng.exponential(1.5, size=600), "tag": rng.choice(["b", "light"], size=600)}
    >>> result = report(jets, model, classifiers=(), floor=False)
    >>> [(column.name, column.kind) for column in result.scores.columns]
    [('pt', 'continuous'), ('tag', 'categorical')]
    """
    given = {"real": real, "generated": generated} | ({} if train is None else {"train": train})
    tables = read_tables(given, columns, schema)
    x, y = tables[:2]
    w = as_weights(real_weights, len(x.values), "real_weights")
    v = as_weights(generated_weights, len(y.values), "generated_weights")
    tests = _classifiers(classifiers, small=any((u < 0).any() and effective_sample_size(u) < 200 for u in (w, v)))
    rng = np.random.default_rng(random_state)
    scoring = Scoring(tests, seeds, max_rows, n_bootstrap, directions=int(rng.integers(2**31)))
    a, b = (WeightedTable(*table).thinned(10 * max_rows, rng) for table in ((x, w), (y, v)))
    # training rows carry no weights to go with weighted real ones
    pool = x if train is None or real_weights is not None else x.join(tables[2])
    every = WeightedTable(pool, w if pool is x else np.ones(len(pool.values)))
    with modest_threads(len(a.weights)):
        scores = score_tables(a, b, scoring, rng)
        lowest = _lent(floor, scores) if isinstance(floor, Report) else None
        if floor is True:
            lowest = floor_scores(every, len(a.weights), len(b.weights), scoring, rng)
        copies = None if train is None else _memorised(tables, scoring, rng)
    return Report(len(w), len(v), scores, lowest, copies, dict(x.left_out))


def _lent(other: Report, scores: TableScores) -> TableScores | None:
    theirs, ours = ({column.name for column in s.columns} for s in (other.scores, scores))
    if theirs != ours:
        difference = ", ".join(sorted(theirs ^ ours))
        raise ValueError(f"floor: a report of the same columns expected; {difference} differ")
    return other.floor


def _classifiers(asked: Sequence[str] | None, small: bool) -> tuple[str, ...]:
    if asked is None:
        return () if small else tuple(JUDGES)
    unknown = [name for name in asked if name not in JUDGES]
    if unknown:
        raise ValueError(f"classifiers must be among {', '.join(JUDGES)}; found {unknown[0]!r}")
    return tuple(asked)


def _memorised(tables: list[NumericTable], scoring: Scoring, rng: np.random.Generator) -> Memorisation:
    held_out, made, trained = joint_features(*tables)
    return memorisation(
        trained,
        held_out,
        made,
        standardise=False,
        max_rows=scoring.max_rows,
        n_bootstrap=scoring.n_bootstrap,
        random_state=rng,
    )
