"""Coordinates of scores that depend on a condition, in which all that is linear is gone."""

from dataclasses import dataclass

import numpy as np

from buff.flows.nodes import LinearVelocity
from buff.kernels import ReproducibleLinear, device_arrays, residual
from buff.protocols import Array

__all__ = ["ConditionalStandardizer"]

#: Residuals are never stretched by more than the inverse of this.
_NARROWEST = 1e-3


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
        """The same where the arithmetic is done."""
        xp, _ = device_arrays(device)
        return ConditionalStandardizer(self.shift.to_device(device), xp.asarray(self.scale))

    def transform(self, x1: Array, condition: Array) -> Array:
        """z of scores x1 (n, d) with conditions (n, c)."""
        return (x1 - self.shift(condition)) / self.scale

    def inverse(self, z: Array, condition: Array) -> Array:
        """Inverse of :meth:`transform`."""
        return z * self.scale + self.shift(condition)
