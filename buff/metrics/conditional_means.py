"""Mean truth in bins of reco: whether events are unfolded to the right place on average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buff.metrics.histograms import bin_numbers, checked_edges, one_column
from buff.metrics.samples import Rows, as_weights

__all__ = ["ConditionalMeans", "conditional_means"]


@dataclass(frozen=True, eq=False)
class ConditionalMeans:
    r"""Mean of one quantity in bins of another.

    Parameters
    ----------
    value : array of shape (bins,)
        Mean of y in each bin of x; nan where the bin holds no positive weight.
    error : array of shape (bins,)
        Standard errors; nan where fewer than two events are in the bin.
    weight : array of shape (bins,)
        Sum of weights in each bin.
    edges : array of shape (bins + 1,)
        Bin edges of x.
    """

    value: Rows
    error: Rows
    weight: Rows
    edges: Rows

    def chi2(self, other: ConditionalMeans) -> tuple[float, int]:
        """Squared difference in units of both errors, and the number of bins that entered: its floor."""
        if not np.array_equal(self.edges, other.edges):
            raise ValueError(f"means in the same bins expected, found {self.edges} and {other.edges}")
        variance = self.error**2 + other.error**2
        used = variance > 0
        difference = (self.value - other.value)[used]
        return float(np.sum(difference**2 / variance[used])), int(used.sum())


def conditional_means(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    bins: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
) -> ConditionalMeans:
    r"""Mean of y in bins of x, for instance of truth in bins of reco.

    .. math:: m_b = \frac{\sum_{i \in b} w_i y_i}{\sum_{i \in b} w_i}, \qquad
              \sigma_b^2 = \frac{n_b}{n_b - 1} \frac{\sum_{i \in b} w_i^2 (y_i - m_b)^2}{(\sum_{i \in b} w_i)^2}

    Unfolded events deserve their name if the means of one posterior draw an event, in bins of reco, are those of truth
    in simulation that was not trained on.

    Parameters
    ----------
    x, y : array-like of shape (n,)
        Values of each event: reco, and truth or a posterior draw.
    bins : array-like
        Bin edges of x, rising.
    weights : array-like of shape (n,), optional
        Event weights of either sign.

    Returns
    -------
    ConditionalMeans

    Examples
    --------
    >>> means = conditional_means([0.1, 0.2, 1.5, 1.6], [1.0, 3.0, 5.0, 5.0], [0, 1, 2])
    >>> means.value, means.error
    (array([2., 5.]), array([1., 0.]))
    """
    a, b = one_column(x, "x"), one_column(y, "y")
    if len(a) != len(b):
        raise ValueError(f"x has {len(a)} event(s), y {len(b)}: give one of each an event")
    w = as_weights(weights, len(a), "weights")
    edges = checked_edges(bins)
    n_bins = len(edges) - 1
    number = bin_numbers(a, edges)

    def total(values: Rows) -> Rows:
        return np.asarray(np.bincount(number, values, minlength=n_bins + 1)[:n_bins])

    # from the overall mean, so that values far from 0 keep their digits
    middle = float(b.mean())
    weight, events = total(w), total(np.ones(len(a)))
    known = np.where(weight > 0, weight, np.nan)
    value = total(w * (b - middle)) / known
    residual = b - middle - np.append(value, 0.0)[number]
    several = np.where(events > 1, events, np.nan)
    error = np.sqrt(total(w**2 * residual**2) * several / (several - 1)) / known
    return ConditionalMeans(middle + value, error, weight, edges)
