"""How truth migrates between bins in the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buff.metrics.histograms import bin_numbers, checked_edges, one_column
from buff.metrics.samples import Rows, as_weights

__all__ = ["Migration", "migration_matrix"]


@dataclass(frozen=True, eq=False)
class Migration:
    r"""Response of a detector in bins: P(reco bin | truth bin).

    Parameters
    ----------
    probability : array of shape (truth bins, reco bins)
        Share of each truth bin's weight found in each reco bin; a row sums to 1 less what fell outside.
    error : array of shape (truth bins, reco bins)
        Standard errors.
    total : array of shape (truth bins,)
        Weight in each truth bin.
    truth_edges, reco_edges : array
        Bin edges.
    """

    probability: Rows
    error: Rows
    total: Rows
    truth_edges: Rows
    reco_edges: Rows

    @property
    def purity(self) -> Rows:
        """Share of each reco bin that comes from the truth bin of the same number, for equally many bins."""
        if self.probability.shape[0] != self.probability.shape[1]:
            raise ValueError(
                f"purity needs as many reco bins as truth bins, found {self.probability.shape[0]} truth and "
                f"{self.probability.shape[1]} reco bins"
            )
        weight = self.probability * self.total[:, None]
        found = weight.sum(axis=0)
        return np.asarray(np.diag(weight) / np.where(found == 0, 1.0, found))

    def chi2(self, other: Migration) -> tuple[float, int]:
        """Squared difference in units of both errors, and the number of cells that entered."""
        if self.probability.shape != other.probability.shape:
            shapes = f"{self.probability.shape} and {other.probability.shape}"
            raise ValueError(f"matrices of equal shape expected, found {shapes}")
        variance = self.error**2 + other.error**2
        used = variance > 0
        difference = (self.probability - other.probability)[used]
        return float(np.sum(difference**2 / variance[used])), int(used.sum())


def migration_matrix(
    truth: npt.ArrayLike,
    reco: npt.ArrayLike,
    truth_bins: npt.ArrayLike,
    reco_bins: npt.ArrayLike | None = None,
    *,
    weights: npt.ArrayLike | None = None,
) -> Migration:
    r"""Migration matrix of one observable.

    .. math:: R_{ij} = \frac{\sum_{e \in i, j} w_e}{\sum_{e \in i} w_e}

    with i the truth bin and j the reco bin; reco outside its bins counts in the denominator only.

    Parameters
    ----------
    truth, reco : array-like of shape (n,)
        The observable of each event, before and after the detector.
    truth_bins, reco_bins : array-like
        Bin edges, rising; without ``reco_bins`` both share the first.
    weights : array-like of shape (n,), optional
        Event weights of either sign.

    Returns
    -------
    Migration

    Examples
    --------
    >>> migration_matrix([0.5, 0.5, 1.5], [0.4, 1.2, 1.6], [0, 1, 2]).probability
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    x, y = one_column(truth, "truth"), one_column(reco, "reco")
    if len(x) != len(y):
        raise ValueError(f"truth has {len(x)} event(s), reco {len(y)}: give one of each an event")
    w = as_weights(weights, len(x), "weights")
    rows = checked_edges(truth_bins)
    columns = rows if reco_bins is None else checked_edges(reco_bins)
    shape = (len(rows), len(columns))
    cell = np.ravel_multi_index((bin_numbers(x, rows), bin_numbers(y, columns)), shape)
    weight, square = (
        np.bincount(cell, values, minlength=shape[0] * shape[1]).reshape(shape)[:-1] for values in (w, w**2)
    )
    total = weight.sum(axis=1)
    scale = np.where(total == 0, 1.0, total)[:, None]
    p = weight / scale
    # the events of a cell fluctuate against those of the rest of its row
    variance = (1 - p) ** 2 * square + p**2 * (square.sum(axis=1, keepdims=True) - square)
    error = np.sqrt(variance) / np.abs(scale)
    return Migration(p[:, :-1], error[:, :-1], total, rows, columns)
