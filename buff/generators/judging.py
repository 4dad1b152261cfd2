"""Draws of a comparison beside halves of the real rows, and real rows beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from buff.datasets.table import Table
from buff.errors import warn
from buff.grids import TimeGrid
from buff.metrics import Estimate
from buff.protocols import Array
from buff.solvers import Solver

__all__ = ["halves_of", "judged_draws", "of_real", "of_training", "summary"]

#: Real rows below which their halves say little.
_FEW = 100

Metric: TypeAlias = Callable[[Any, Any], Any]
Halves: TypeAlias = Sequence[tuple[Any, Any]]


def halves_of(table: Any, n: int, seed: int) -> list[tuple[Any, Any]]:
    """``n`` times two random halves of the rows, of one size: an odd row is left out.

    Warns
    -----
    UserWarning
        There are few.
    """
    if len(table) < _FEW:
        warn(f"{len(table)} real rows tell samplers apart by chance only: give some hundred, of no training")
    return [_halves(table, seed + i) for i in range(n)]


def judged_draws(
    models: Sequence[Any], solver: Solver, grids: Sequence[TimeGrid], halves: Halves, metric: Metric, seed: int
) -> Array:
    """The metric, and its own error, of each fit's draws beside the first of each pair, (n_fits, n_draws, 2)."""

    def judged(model: Any, grid: TimeGrid, i: int) -> tuple[float, float]:
        real = halves[i][0]
        return _estimate(metric(real, model.sample(len(real), solver=solver, grid=grid, random_state=seed + i)))

    return np.array(
        [[judged(model, grid, i) for i in range(len(halves))] for model, grid in zip(models, grids, strict=True)]
    )


def of_real(halves: Halves, metric: Metric) -> Estimate:
    """The metric of real rows beside as many others: what a perfect model would give."""
    return summary(np.array([[_estimate(metric(*pair)) for pair in halves]]))


def of_training(train: Any, halves: Halves, metric: Metric, seed: int) -> tuple[Estimate, int]:
    """The metric of random training rows, and how many: those of a draw, or all where there are fewer."""
    judged = []
    for i, (half, _) in enumerate(halves):
        rows = np.random.default_rng(seed + i).permutation(len(train))[: len(half)]
        judged.append(_estimate(metric(half, _rows(train, rows))))
    return summary(np.array([judged])), len(rows)


def summary(judged: Array) -> Estimate:
    """Mean and standard deviation over fits, or draws of a single one; of one value with its own error."""
    each = judged[..., 0].mean(axis=1) if len(judged) > 1 else judged[0, :, 0]
    return Estimate(float(each.mean()), float(each.std(ddof=1) if len(each) > 1 else judged[0, 0, 1]))


def _halves(table: Any, seed: int) -> tuple[Any, Any]:
    n = len(table) // 2
    shuffled = np.random.default_rng(seed).permutation(len(table))
    return _rows(table, np.sort(shuffled[:n])), _rows(table, np.sort(shuffled[n : 2 * n]))


def _rows(table: Any, rows: Any) -> Any:
    """Rows of a data frame, a table of pyarrow or of :mod:`buff.datasets`, or an array."""
    if isinstance(table, Table):
        return table.rows(rows)
    if hasattr(table, "iloc"):
        return table.iloc[rows]
    if hasattr(table, "take") and not isinstance(table, np.ndarray):
        return table.take(rows)
    return table[rows] if hasattr(table, "columns") else np.asarray(table)[rows]


def _estimate(found: Any) -> tuple[float, float]:
    if hasattr(found, "error"):
        return found.value, found.error
    if np.size(found) != 1:
        raise TypeError(f"metric must return a number or an estimate: found an array of shape {np.shape(found)}")
    return float(np.asarray(found).item()), 0.0
