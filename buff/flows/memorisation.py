"""Settings under which trees do not learn rows by heart that conditions, or sources, tell apart."""

from dataclasses import replace

import numpy as np

from buff.flows.data import FlowMatchingData
from buff.flows.nodes import LinearVelocity
from buff.flows.regression import RegressionSource
from buff.trees import TreeSettings

__all__ = ["limit_memorisation", "spread", "with_fine_bins"]

#: Variances of a single row that a split by conditions must explain: chance explains one.
_ROWS_A_SPLIT = 6.0
#: Share of distinct conditions from which on they are taken to name rows, and values of a feature told apart then.
_NAMED, _FINE_BINS = 0.01, 256


def limit_memorisation(
    settings: TreeSettings, data: FlowMatchingData, base: LinearVelocity, n_draws: int
) -> TreeSettings:
    """Settings under which trees do not memorise which row came with which condition or source.

    All noise draws of a row share its condition. Where conditions tell rows apart, a split that isolates one row
    fits ``n_draws`` targets that agree, though it has seen a single event: splits must count in rows. Conditions shared
    by many rows, such as classes, change nothing. Rows that start at samples of their own, without noise, are single
    events likewise, in units of the variance of their targets.
    """
    if not data.random:
        return replace(settings, min_split_loss=_ROWS_A_SPLIT * spread(base))
    named = data.condition_uniqueness
    return settings if named < _NAMED else replace(settings, min_split_loss=_ROWS_A_SPLIT * n_draws * named)


def with_fine_bins(settings: TreeSettings, data: RegressionSource) -> TreeSettings:
    """Settings with bins that follow conditions which shift the mean steeply.

    Such conditions tell rows apart and have more values than bins; rows that start at samples of their own, without
    noise, do the same.
    """
    if not isinstance(data, FlowMatchingData):
        return settings
    steep = not data.random or (data.condition_uniqueness >= _NAMED and data.condition_values > settings.max_bin)
    return replace(settings, max_bin=max(_FINE_BINS, settings.max_bin)) if steep else settings


def spread(base: LinearVelocity) -> float:
    """Variance of x1 - x0, mean over the columns."""
    d, unit = base.n_dims, np.eye(len(base.mean))
    velocity = unit[d : 2 * d] - unit[:d]
    return float(np.trace(velocity @ base.covariance @ velocity.T) / max(d, 1))
