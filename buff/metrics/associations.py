"""How categories hang together with each other and with numbers, in two samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from buff.metrics.estimate import Estimate
from buff.metrics.samples import Rows

__all__ = ["PairScore", "association_matrix", "association_scores"]


@dataclass(frozen=True)
class PairScore:
    r"""Association of two columns, of which one holds categories at least.

    Parameters
    ----------
    first, second : str
        The columns.
    real, generated : float
        See :func:`association_matrix`.
    error : float
        Of the difference: :math:`(1 - r^2) \sqrt{1/n + 1/m}` for n real and m generated rows.
    """

    first: str
    second: str
    real: float
    generated: float
    error: float

    @property
    def difference(self) -> Estimate:
        """Generated less real."""
        return Estimate(self.generated - self.real, self.error)


def association_matrix(values: Sequence[Rows], grouped: Sequence[bool], weights: Rows) -> Rows:
    """Association of every pair of columns.

    Two numbers: Pearson's correlation in [-1, 1]. A category and a number: the correlation ratio
    sqrt(Var E[x | c] / Var x) in [0, 1] (K. Pearson, 1905). Two categories: V in [0, 1] (H. Cramér, 1946).
    Rows in which either is missing are left out; a column that is constant, or to which weights of both signs give no
    positive variance, has association 0.

    Parameters
    ----------
    values : sequence of d arrays of shape (n,)
        Numbers, or codes of categories from 0; NaN where missing.
    grouped : sequence of d bool
        Which are codes.
    weights : array of shape (n,)

    Returns
    -------
    array of shape (d, d)
        Symmetric, with ones on the diagonal.

    Examples
    --------
    >>> label, x = np.array([0.0, 0, 1, 1]), np.array([1.0, 2, 8, 9])
    >>> float(association_matrix([label, x], [True, False], np.ones(4))[0, 1].round(3))
    0.99
    """
    matrix = np.eye(len(values))
    for i, j in combinations(range(len(values)), 2):
        known = np.isfinite(values[i]) & np.isfinite(values[j])
        x, y = values[i][known], values[j][known]
        matrix[i, j] = matrix[j, i] = _association(x, y, grouped[i], grouped[j], weights[known])
    return matrix


def association_scores(
    names: Sequence[str], categorical: Sequence[int], real: tuple[Rows, Rows], generated: tuple[Rows, Rows]
) -> tuple[PairScore, ...]:
    """Pairs with a category, the largest difference first; samples are (values (n, d), weights (n,))."""
    grouped = [k in categorical for k in range(len(names))]
    before, after = (association_matrix(list(x.T), grouped, w) for x, w in (real, generated))
    scatter = np.sqrt(sum(np.sum(w**2) / w.sum() ** 2 for _, w in (real, generated)))
    pairs = [
        PairScore(names[i], names[j], float(r), float(after[i, j]), float((1 - r**2) * scatter))
        for i, j in combinations(range(len(names)), 2)
        if grouped[i] or grouped[j]
        for r in [before[i, j]]
    ]
    return tuple(sorted(pairs, key=lambda pair: -abs(pair.difference.value)))


def _association(x: Rows, y: Rows, x_grouped: bool, y_grouped: bool, w: Rows) -> float:
    if not w.sum() > 0 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    if x_grouped and y_grouped:
        return _cramer(x, y, w)
    if x_grouped:
        return _ratio(x, y, w)
    if y_grouped:
        return _ratio(y, x, w)
    dx, dy = _centred(x, w), _centred(y, w)
    variances = np.sum(w * dx**2), np.sum(w * dy**2)
    return float(np.sum(w * dx * dy) / np.sqrt(variances[0] * variances[1])) if min(variances) > 0 else 0.0


def _centred(x: Rows, w: Rows) -> Rows:
    """Deviations from the mean in units of the largest value, whose squares do not overflow."""
    x = x / np.abs(x).max()
    deviations: Rows = x - np.average(x, weights=w)
    return deviations


def _ratio(groups: Rows, x: Rows, w: Rows) -> float:
    codes, dx = groups.astype(int), _centred(x, w)
    size, total = np.bincount(codes, w), np.bincount(codes, w * dx)
    between = np.sum(np.divide(total**2, size, out=np.zeros_like(total), where=size != 0))
    variance = np.sum(w * dx**2)
    return float(np.sqrt(between / variance)) if between > 0 and variance > 0 else 0.0


def _cramer(x: Rows, y: Rows, w: Rows) -> float:
    codes = [np.unique(values, return_inverse=True)[1] for values in (x, y)]
    table = np.zeros((codes[0].max() + 1, codes[1].max() + 1))
    np.add.at(table, (codes[0], codes[1]), w / w.sum())
    expected = np.outer(table.sum(1), table.sum(0))
    parts = np.divide((table - expected) ** 2, expected, out=np.zeros_like(table), where=expected != 0)
    return float(np.sqrt(max(parts.sum(), 0.0) / (min(table.shape) - 1)))
