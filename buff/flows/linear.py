"""What is linear, in closed form: the velocity given state and condition, scores given the condition."""

from dataclasses import dataclass

import numpy as np

from buff.flows.arrays import ReproducibleLinear, device_arrays
from buff.protocols import Array

__all__ = ["ConditionalStandardizer", "LinearVelocity"]

#: Keeps the inverse of a covariance finite where columns determine each other.
_RIDGE = 1e-6
#: Rows at a time in double precision.
_BATCH = 2**17
#: Residuals are never stretched by more than the inverse of this.
_NARROWEST = 1e-3


@dataclass(frozen=True)
class LinearVelocity:
    r"""Best linear velocity given ``[x_t, c]``, from the joint moments of both ends of a path and the condition.

    With m and S the mean and covariance of (x0, x1, c), the features are f = A (x0, x1, c) for the matrix A of
    ``x_t = (1 - t) x0 + t x1``, and the far end e of the path is predicted best by

    .. math:: E_{lin}[e \mid f] = m_e + S_{e, \cdot} A^T (A S A^T)^{-1} (f - A m),

    which is the velocity ``(x1 - x_t) / (1 - t)`` or ``(x_t - x0) / t``. For jointly Gaussian ends and conditions it
    is exact. With independent standard normal noise and no condition it is
    ``u(x, t) = mu + (t C - (1 - t) I) (t^2 C + (1 - t)^2 I)^-1 (x - t mu)``, C the covariance of x1.

    Attributes
    ----------
    mean : array of shape (2 d + c,)
        Means of x0, x1 and c.
    covariance : array of shape (2 d + c, 2 d + c)
    n_dims : int
        d.

    Examples
    --------
    >>> base = LinearVelocity.from_noise(np.array([[-1.0], [1.0]]))
    >>> weights, bias = base.at(0.5)
    >>> abs(round(float(weights[0, 0]), 5)), float(bias[0])
    (0.0, 0.0)
    """

    mean: Array
    covariance: Array
    n_dims: int

    @classmethod
    def of_pairs(
        cls, x0: Array, x1: Array, condition: Array | None = None, weights: Array | None = None
    ) -> "LinearVelocity":
        """Moments of pairs ``x0`` (n, d), ``x1`` (n, d) with ``condition`` (n, c)."""
        n, parts = len(x1), (x0, x1) if condition is None else (x0, x1, condition)
        w = np.full(n, 1 / n) if weights is None else weights / weights.sum(dtype=np.float64)
        batches = [slice(start, start + _BATCH) for start in range(0, n, _BATCH)]

        def joint(rows: slice) -> Array:
            return np.hstack([part[rows] for part in parts]).astype(np.float64)

        mean = sum((w[rows] @ joint(rows) for rows in batches[1:]), w[batches[0]] @ joint(batches[0]))
        covariance = np.zeros((len(mean), len(mean)))
        for rows in batches:
            centred = joint(rows) - mean
            covariance += (centred * w[rows, None]).T @ centred
        return cls(mean, covariance, x1.shape[1])

    @classmethod
    def from_noise(
        cls, x1: Array, condition: Array | None = None, weights: Array | None = None, noise: float = 1.0
    ) -> "LinearVelocity":
        """Moments of rows ``x1`` and ``condition``, and those of independent normal x0 with deviation ``noise``."""
        base = cls.of_pairs(np.zeros_like(x1), x1, condition, weights)
        d = base.n_dims
        base.covariance[:d, :d] = noise**2 * np.eye(d)
        return base

    @property
    def spread(self) -> float:
        """Variance of x1 - x0, mean over the columns."""
        d, unit = self.n_dims, np.eye(len(self.mean))
        velocity = unit[d : 2 * d] - unit[:d]
        return float(np.trace(velocity @ self.covariance @ velocity.T) / max(d, 1))

    def at(self, t: float) -> tuple[Array, Array]:
        """``weights`` (d + c, d) and ``bias`` (d,) of the velocity ``[x, c] @ weights + bias`` at time t."""
        d, unit = self.n_dims, np.eye(len(self.mean))
        x0, x1, c = unit[:d], unit[d : 2 * d], unit[2 * d :]
        features = np.vstack([(1 - t) * x0 + t * x1, c])
        # the end that is further away in time: its prediction is divided by a number that is not small
        end, sign, time = (x0, -1.0, t) if t > 0.5 else (x1, 1.0, 1 - t)
        inputs = features @ self.covariance @ features.T + _RIDGE * np.eye(len(features))
        gain = np.linalg.solve(inputs, features @ self.covariance @ end.T)
        bias = end @ self.mean - (features @ self.mean) @ gain
        return sign * (gain - np.eye(len(features), d)) / time, sign * bias / time


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
        residual = np.sqrt(np.clip(np.diag(C - B @ weights), 0, None))
        shift = ReproducibleLinear.of(weights, mean[:d] - mean[d:] @ weights)
        return cls(shift, np.maximum(residual, _NARROWEST).astype(np.float32))

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
