"""Columns with missing values, categories and spikes, as standardised columns and 0/1 indicators."""

from collections.abc import Collection, Iterator

import numpy as np

from buff.metrics.columns import NumericTable
from buff.metrics.samples import Rows, centre_and_scale

__all__ = ["MAX_CATEGORIES", "fill_empty_columns", "indicator_features", "joint_features", "principal_axes"]

#: The most categories that boosted trees split as categories.
MAX_CATEGORIES = 255
_MAX_INDICATORS = 50
#: Variance of standardised columns along an axis, below which they are taken not to spread.
_NARROWEST = 1e-8


def indicator_features(x: Rows, categorical: Collection[int] = (), spike_share: float = 0.05) -> Rows:
    """Every column as numbers of mean 0 and variance 1, followed by its indicators.

    Missing values become 0 with an indicator. A value that fills more than ``spike_share`` of the rows (the
    zeros of a detector, the counts of an integer) has one too: a network is smooth, and cannot see a spike
    by its position. Categories become one indicator each, the 50 most frequent.

    Parameters
    ----------
    x : array of shape (n, d)
        Rows; nan where missing, codes where categorical.
    categorical : collection of int
        Columns of codes.
    spike_share : float
        Share of rows that makes a value a spike; 1 for no such indicators.

    Returns
    -------
    array of shape (n, at least d)

    Examples
    --------
    >>> x = np.array([[0.0, 1], [2.0, 0], [np.nan, 1]])
    >>> indicator_features(x, categorical=[1], spike_share=1)
    array([[-1.,  0.,  1.,  0.],
           [ 1.,  0.,  0.,  1.],
           [ 0.,  1.,  1.,  0.]])
    """
    columns: list[Rows] = []
    for k, column in enumerate(x.T):
        columns += _indicators(column, 0.0) if k in categorical else _numeric(column, spike_share)
    return np.column_stack(columns)


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


def fill_empty_columns(x: Rows) -> Rows:
    """The rows with 0 in columns that hold no value at all, which histogram trees cannot bin.

    Examples
    --------
    >>> fill_empty_columns(np.array([[np.nan, 1.0], [np.nan, np.nan]]))
    array([[ 0.,  1.],
           [ 0., nan]])
    """
    return np.where(np.isnan(x).all(axis=0), 0.0, x)


def _numeric(column: Rows, spike_share: float) -> Iterator[Rows]:
    missing = np.isnan(column)
    if missing.all():
        yield np.zeros(len(column))
        return
    present = column[~missing, None]
    mean, scale = centre_and_scale(present, np.ones(len(present)))
    yield np.where(missing, 0.0, (column - mean) / scale)
    if missing.any():
        yield missing.astype(float)
    if len(np.unique(present[:1000])) > 2:
        yield from _indicators(column, spike_share)


def _indicators(column: Rows, least_share: float) -> Iterator[Rows]:
    """One 0/1 column for each value of more than the least share, the most frequent first."""
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    for k in np.argsort(-counts, kind="stable")[:_MAX_INDICATORS]:
        if counts[k] > least_share * len(column):
            yield (column == values[k]).astype(float)
