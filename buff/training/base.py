"""The part of the velocity that is linear, in closed form: trees learn what is left."""

from dataclasses import dataclass

import numpy as np

from buff.protocols import Array

__all__ = ["LinearBase"]

#: Keeps the inverse of a covariance finite where columns determine each other.
_RIDGE = 1e-6


@dataclass(frozen=True)
class LinearBase:
    """Best linear velocity given ``[x_t, c]``, from the moments of data and condition.

    With x0 standard normal and independent of (x1, c), for every t

    ``Cov(x_t) = t^2 C + (1 - t)^2 I``, ``Cov(v, x_t) = t C - (1 - t) I``, ``Cov(v, c) = B``, ``Cov(x_t, c) = t B``,

    where C is the covariance of x1, B that of x1 with c. Without condition this is the exact velocity of Gaussian
    data, ``u(x, t) = mu + (t C - (1 - t) I) (t^2 C + (1 - t)^2 I)^-1 (x - t mu)``.

    Attributes
    ----------
    mean : array of shape (d + c,)
        Means of x1 and c.
    covariance : array of shape (d + c, d + c)
    n_dims : int
        d.

    Examples
    --------
    >>> base = LinearBase(np.zeros(1), np.ones((1, 1)), 1)
    >>> weights, bias = base.at(0.5)
    >>> float(weights[0, 0]), float(bias[0])
    (0.0, 0.0)
    """

    mean: Array
    covariance: Array
    n_dims: int

    @classmethod
    def fit(cls, x1: Array, condition: Array | None = None, weights: Array | None = None) -> "LinearBase":
        """Moments of rows ``x1`` (n, d) and ``condition`` (n, c)."""
        joint = x1 if condition is None else np.hstack([x1, condition])
        joint = joint.astype(np.float64)
        w = np.full(len(joint), 1 / len(joint)) if weights is None else weights / weights.sum(dtype=np.float64)
        mean = w @ joint
        centred = joint - mean
        return cls(mean, (centred * w[:, None]).T @ centred, x1.shape[1])

    def at(self, t: float) -> tuple[Array, Array]:
        """``weights`` (d + c, d) and ``bias`` (d,) of the velocity ``[x, c] @ weights + bias`` at time t."""
        d, full = self.n_dims, len(self.mean)
        if t == 1:  # u(x, 1) = x - E[x0 | x1 = x] = x, whatever the data
            return np.eye(full, d), np.zeros(d)
        C, B = self.covariance[:d, :d], self.covariance[:d, d:]
        inputs = self.covariance.copy()
        inputs[:d, :d] = t**2 * C + (1 - t) ** 2 * np.eye(d)
        inputs[:d, d:], inputs[d:, :d] = t * B, t * B.T
        outputs = np.vstack([t * C - (1 - t) * np.eye(d), B.T])
        weights = np.linalg.solve(inputs + _RIDGE * np.eye(full), outputs)
        centre = np.concatenate([t * self.mean[:d], self.mean[d:]])
        return weights, self.mean[:d] - centre @ weights
