"""Shares of frequent values of truth, solved for in each iteration: they would take many."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from buff.protocols import Array, Integers, Mask, Numbers, Weights
from buff.unfolding.features import frequent_values
from buff.unfolding.refolding import ColumnBins, column_bins

if TYPE_CHECKING:
    from buff.unfolding.events import Simulation

__all__ = ["Spikes"]

#: Bins of the other values of a column with frequent ones, and of a column at detector level: no finer in truth than
#: what they share with frequent values needs, or the noise of what the detector blurs is solved for as well.
_BINS_BESIDE, _BINS_OF_RECO = 3, 20
#: Steps of expectation maximisation: what the detector does not tell apart hardly moves in so many.
_STEPS = 16
#: Simulated events that a frequent value has at least: of fewer, nobody knows what they look like.
_FEWEST = 50


@dataclass(frozen=True, eq=False)
class Spikes:
    r"""Factors of the prior in columns of truth that have frequent values among others.

    What is seen at a spike and belongs beside it, or the other way round, is sorted out by a share of the rest in each
    iteration, small where few of the events seen there belong there: iterations that suffice for all else leave the
    prior. With the truth in bins b, its frequent values and three of the rest, and the column at detector level that
    says most of them in bins i, expectation maximisation on the factors alone takes no classifier,

    .. math:: g_b \to g_b\, \frac{1}{M_b} \sum_i M_{bi}\, \frac{d_i}{\sum_c g_c M_{ci}},

    for the measured events d and the simulated ones M under the prior so far (D'Agostini, 1995,
    doi:10.1016/0168-9002(95)00274-X). Within bins, and in all other columns, the prior is what it was.

    Attributes
    ----------
    columns : tuple of ColumnBins
        Bins of truth.
    factors : tuple of arrays
        Of each bin.
    """

    columns: tuple[ColumnBins, ...] = ()
    factors: tuple[Array, ...] = ()

    @classmethod
    def of(cls, simulation: "Simulation", prior: Numbers, measured: Numbers, signal: Weights) -> "Spikes":
        """For simulated events with factors ``prior``, and features and weights of measured events."""
        s, n = simulation, simulation.n_matched
        spiked = {j for j, _ in frequent_values(s.truth_space)}
        columns = [c for c in column_bins(s.truth_space, s.truth_scores, _BINS_BESIDE) if c.dimension in spiked]
        columns = [c for c in columns if c.size == len(c.values) + _BINS_BESIDE]  # others have nothing but such values
        seen = list(column_bins(s.reco_space, s.reco_scores[:n], _BINS_OF_RECO)) if columns else []
        reco, weights = [c(s.reco_scores[:n]) for c in seen], s.matched_weights * prior[:n]
        factors = []
        for column in columns:
            truth = column(s.truth_scores[:n])
            tables = [
                _counts(truth, own, s.matched_weights, (column.size, c.size)) for own, c in zip(reco, seen, strict=True)
            ]
            best = int(np.argmax([_association(table) for table in tables]))
            table = _counts(truth, reco[best], weights, tables[best].shape)
            data = np.bincount(seen[best](measured), signal, seen[best].size)
            known = np.bincount(truth, minlength=column.size) >= _FEWEST
            factors.append(_solved(table * (data.sum() / table.sum()), data, known))
            weights = weights * factors[-1][truth]
        return cls(tuple(columns), tuple(factors))

    def __call__(self, z: Numbers) -> Array:
        """Factors of features of truth."""
        product = np.ones(len(z))
        for column, factors in zip(self.columns, self.factors, strict=True):
            product *= factors[column(z)]
        return product


def _counts(one: Integers, other: Integers, weights: Weights, shape: tuple[int, ...]) -> Array:
    return np.bincount(one * shape[1] + other, weights, shape[0] * shape[1]).reshape(shape)


def _association(table: Array) -> float:
    """Chi-squared of a table against independence."""
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(np.sum(np.divide((table - expected) ** 2, expected, out=np.zeros_like(table), where=expected > 0)))


def _solved(table: Array, data: Array, known: Mask) -> Array:
    """Factors of the rows of a table that make its columns the data, nearly; 1 where a row is not known."""
    factors, rows = np.ones(len(table)), table.sum(axis=1)
    for _ in range(_STEPS):
        expected = (factors[:, None] * table).sum(axis=0)
        ratio = np.divide(data, expected, out=np.zeros_like(data), where=expected > 0)
        factors *= np.divide((table * ratio).sum(axis=1), rows, out=np.ones_like(rows), where=known & (rows > 0))
    return factors
