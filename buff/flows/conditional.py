"""Conditional flows: coordinates with the linear dependence on the condition removed, limits on memorisation."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from buff.flows.nodes import LinearVelocity
from buff.kernels import ReproducibleLinear, device_arrays, residual
from buff.protocols import Array
from buff.trees import TreeSettings

if TYPE_CHECKING:
    from buff.flows.data import FlowMatchingData

__all__ = ["ConditionalStandardizer", "limit_memorisation", "spread", "with_fine_bins"]

#: Residuals are never stretched by more than the inverse of this.
_NARROWEST = 1e-3
#: Variances of a single row that a split by conditions must explain: chance explains one.
_ROWS_A_SPLIT = 6.0
#: Share of distinct conditions from which on they are taken to name rows, and values of a feature told apart then.
_NAMED, _FINE_BINS = 0.01, 256


@dataclass(frozen=True)
class ConditionalStandardizer:
    """``z = (x1 - E_lin[x1 | c]) / s``: scores about their linear prediction from c, in units of its error.

    A sharp detector leaves truth in a narrow band about what is measured. Trees split along the axes and see that band
    as one leaf; in these coordinates it has unit width, and its shape is all that is left to learn.

    Attributes
    ----------
    shift : ReproducibleLinear
        The prediction, from the features of the condition.
    scale : float32 array of shape (d,)
        Standard deviations s of the residuals.
    """

    shift: ReproducibleLinear
    scale: Array

    @classmethod
    def of(cls, moments: LinearVelocity) -> "ConditionalStandardizer":
        """From the moments of scores and conditions."""
        d = moments.n_dims
        mean, S = moments.mean[d:], moments.covariance[d:, d:]  # of x1 and c
        C, B = S[:d, :d], S[:d, d:]
        weights = np.linalg.lstsq(S[d:, d:], B.T, rcond=1e-6)[0]
        weights += np.linalg.lstsq(S[d:, d:], residual(S[d:, d:], B.T, weights), rcond=1e-6)[0]
        left = np.sqrt(np.clip(np.diag(C - B @ weights), 0, None))
        shift = ReproducibleLinear.of(weights, mean[:d] - mean[d:] @ weights)
        return cls(shift, np.maximum(left, _NARROWEST).astype(np.float32))

    def to_device(self, device: str) -> "ConditionalStandardizer":
        """A copy whose arrays are on the device."""
        xp, _ = device_arrays(device)
        return ConditionalStandardizer(self.shift.to_device(device), xp.asarray(self.scale))

    def transform(self, x1: Array, condition: Array) -> Array:
        """z of scores x1 (n, d) with conditions (n, c)."""
        return (x1 - self.shift(condition)) / self.scale

    def inverse(self, z: Array, condition: Array) -> Array:
        """Inverse of :meth:`transform`."""
        return z * self.scale + self.shift(condition)


def limit_memorisation(
    settings: TreeSettings, data: "FlowMatchingData", base: LinearVelocity, n_draws: int
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


def with_fine_bins(settings: TreeSettings, data: "FlowMatchingData") -> TreeSettings:
    """Settings with bins that follow conditions which shift the mean steeply.

    Such conditions tell rows apart and have more values than bins; rows that start at samples of their own, without
    noise, do the same.
    """
    steep = not data.random or (data.condition_uniqueness >= _NAMED and data.condition_values > settings.max_bin)
    return replace(settings, max_bin=max(_FINE_BINS, settings.max_bin)) if steep else settings


def spread(base: LinearVelocity) -> float:
    """Variance of x1 - x0, mean over the columns."""
    d, unit = base.n_dims, np.eye(len(base.mean))
    velocity = unit[d : 2 * d] - unit[:d]
    return float(np.trace(velocity @ base.covariance @ velocity.T) / max(d, 1))
