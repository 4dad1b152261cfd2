"""What a metric says of two real samples: the floor that no generator can go below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.metrics.classifier import ClassifierTest
from buff.metrics.estimate import Estimate
from buff.metrics.samples import Seed, as_weights
from buff.metrics.scores import JUDGES, MEASURES, ColumnScore, Scoring, TableScores, WeightedTable, score_tables

__all__ = ["floor_scores", "real_floor"]


def real_floor(
    metric: Callable[..., Estimate | float],
    real: npt.ArrayLike,
    size: int | tuple[int, int] | None = None,
    n_repeats: int = 10,
    random_state: Seed = 0,
    *,
    weights: npt.ArrayLike | None = None,
) -> Estimate:
    """Mean of a metric over random pairs of disjoint parts of one real sample.

    Rows are drawn without replacement: a row that is in both parts, or twice in one, moves every metric.

    Parameters
    ----------
    metric : callable
        ``metric(part, other_part)``, an estimate or a number; with weights also given ``real_weights`` and
        ``generated_weights``.
    real : array-like of shape (n, ...)
        The real sample.
    size : int or (int, int), optional
        Rows of the parts: those of the comparison the floor is for; by default half each.
    n_repeats : int
        Number of pairs.
    random_state : int, numpy.random.Generator or None
        Source of the parts.
    weights : array-like of shape (n,), optional
        Event weights of the real sample.

    Returns
    -------
    Estimate
        Mean over pairs; the error is the spread of a single comparison, not of the mean.

    Raises
    ------
    ValueError
        If both parts together are larger than the sample.

    Examples
    --------
    >>> from buff.metrics import wasserstein
    >>> x = np.random.default_rng(0).normal(size=4000)
    >>> print(real_floor(lambda a, b: wasserstein(a, b, n_bootstrap=0), x, size=1000))
    0.056 ± 0.012
    """
    rows = np.asarray(real)
    n, m = size if isinstance(size, tuple) else (size, size) if size else (len(rows) // 2, len(rows) // 2)
    if min(n, m) < 1 or n + m > len(rows):
        raise ValueError(
            f"size: two disjoint parts of {n} and {m} rows do not fit the {len(rows)} real rows; "
            f"ask for parts of at most {len(rows) // 2}, or give more real rows"
        )
    if n_repeats < 1:
        raise ValueError(f"n_repeats must be at least 1, found {n_repeats}")
    w = None if weights is None else as_weights(weights, len(rows), "weights")
    rng = np.random.default_rng(random_state)
    values = []
    for _ in range(n_repeats):
        shuffled = rng.permutation(len(rows))
        i, j = shuffled[:n], shuffled[n : n + m]
        given = {} if w is None else {"real_weights": w[i], "generated_weights": w[j]}
        values.append(float(metric(rows[i], rows[j], **given)))
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1)) if n_repeats > 1 else float("nan"))


def floor_scores(
    real: WeightedTable, n: int, m: int, scoring: Scoring, rng: np.random.Generator, n_repeats: int = 5
) -> TableScores:
    r"""Scores of disjoint parts of a real table, for a comparison of n with m rows.

    Where there are not n + m rows, halves are compared, and their distances scaled by the law that those of
    equal distributions follow, :math:`\sqrt{1/n + 1/m}` (separation power: its square).
    """
    rows = len(real.weights)
    a, b = (n, m) if n + m <= rows else (rows // 2, rows // 2)
    if not a:
        raise ValueError("floor: two real rows are needed at least; give more, or floor=False")
    repeats = []
    for k in range(max(n_repeats, scoring.seeds)):
        shuffled = rng.permutation(rows)
        tests = scoring.classifiers if k < scoring.seeds else ()
        once = replace(scoring, classifiers=tests, seeds=1, n_bootstrap=0)
        repeats.append(score_tables(real.take(shuffled[:a]), real.take(shuffled[a : a + b]), once, rng))
    most = scoring.max_rows
    thinned = _shrink(min(n, most), min(m, most), min(a, most), min(b, most))
    return _mean_scores(repeats, _shrink(n, m, a, b), thinned)


def _shrink(n: int, m: int, a: int, b: int) -> float:
    return sqrt((1 / n + 1 / m) / (1 / a + 1 / b))


def _mean_scores(repeats: Sequence[TableScores], shrink: float, shrink_thinned: float) -> TableScores:
    columns = zip(*(scores.columns for scores in repeats), strict=True)
    numbers: dict[str, Any] = {name: _mean_test([getattr(scores, name) for scores in repeats]) for name in JUDGES}
    for name, measure in MEASURES.items():
        taken = [getattr(scores, name) for scores in repeats]
        numbers[name] = _mean(taken, shrink_thinned if measure.thinned else shrink) or taken[0]
    return TableScores(tuple(_mean_column(column, shrink) for column in columns), **numbers)


def _mean_column(repeats: Sequence[ColumnScore], shrink: float) -> ColumnScore:
    return replace(
        repeats[0],
        distance=_mean([column.distance for column in repeats], shrink) or repeats[0].distance,
        separation=_mean([column.separation for column in repeats], shrink**2) or repeats[0].separation,
        outside=float(np.mean([column.outside for column in repeats])),
    )


def _mean(repeats: Sequence[Estimate | None], shrink: float) -> Estimate | None:
    """Mean with the spread of a single comparison."""
    values = np.array([estimate.value for estimate in repeats if estimate is not None])
    if len(values) < 2:
        return None
    return Estimate(float(values.mean()), float(values.std(ddof=1))).scaled(shrink)


def _mean_test(repeats: Sequence[ClassifierTest | None]) -> ClassifierTest | None:
    tests = [test for test in repeats if test is not None]
    if not tests:
        return None
    areas = tuple(test.value for test in tests)
    return ClassifierTest(
        float(np.mean(areas)),
        float(np.sqrt(np.mean([test.error**2 for test in tests]))),
        float(np.median([test.p_value for test in tests])),
        areas,
        tests[0].classifier,
    )
