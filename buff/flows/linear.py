"""What is linear, in closed form: maps whose sums are exact, moments, the Gaussian part of a flow from noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from buff import kernels
from buff.exact import products, residual, solve
from buff.fields import GaussianFlow
from buff.protocols import Array
from buff.records import checked_array, checked_record
from buff.trees import device_arrays, to_numpy

__all__ = ["ConditionalStandardizer", "GaussianPart", "LinearVelocity", "ReproducibleLinear"]

#: Features are rounded to multiples of 2^-22, as fine as single precision; states stay below 2^6.
_UNIT, _LARGEST = 2.0**-22, 2.0**6
#: Rows multiplied at a time.
_BLOCK = 8192
#: Keeps the inverse of a covariance finite where columns determine each other.
_RIDGE = 1e-6
#: Rows at a time in double precision.
_BATCH = 2**17
#: Residuals are never stretched by more than the inverse of this.
_NARROWEST = 1e-3


@dataclass(frozen=True)
class ReproducibleLinear:
    """``x @ weights + bias``, float32.

    BLAS adds in an order that depends on the number of rows and of threads. Features and weights are therefore
    rounded to grids on which all products and sums fit into the 53 bits of a double: they are exact in any order.

    Attributes
    ----------
    weights : float64 array of shape (f, d)
        On its grid, in units of that of the features.
    bias : float32 array of shape (d,)

    Examples
    --------
    >>> double = ReproducibleLinear.of(2 * np.eye(1), np.ones(1))
    >>> double(np.array([[0.25], [3.0]], np.float32)).ravel().tolist()
    [1.5, 7.0]
    """

    weights: Array
    bias: Array

    @classmethod
    def of(cls, weights: Array, bias: Array, device: str = "cpu") -> "ReproducibleLinear":
        """The map with these weights (f, d) and bias (d,), rounded to their grid."""
        xp, _ = device_arrays(device)
        largest_sum = np.abs(weights).sum(axis=0).max(initial=1.0) * _LARGEST
        unit = 2.0 ** np.ceil(np.log2(largest_sum / _UNIT / 2.0**53))
        rounded = np.rint(weights / unit) * (unit * _UNIT)
        return cls(xp.asarray(rounded), xp.asarray(bias, xp.float32))

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays in the memory of the processor: weights and bias."""
        return {"weights": to_numpy(self.weights), "bias": to_numpy(self.bias)}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], name: str, shape: tuple[int | None, int | None] = (None, None)
    ) -> "ReproducibleLinear":
        """Inverse of :meth:`to_arrays`, of the arrays under a name; ``shape`` is that of the weights.

        Raises
        ------
        ArchiveError
            Arrays that are lost, have other shapes, or hold what is not finite.
        """
        checked_record(arrays, f"the linear part {name}", (f"{name}/weights", f"{name}/bias"))
        weights = checked_array(arrays[f"{name}/weights"], f"{name}/weights", shape)
        return cls(weights, checked_array(arrays[f"{name}/bias"], f"{name}/bias", weights.shape[1:]))

    def packed(self) -> bytes:
        """The map as the kernels read it."""
        weights, bias = np.asarray(self.weights, np.float64), np.asarray(self.bias, np.float32)
        return kernels.integers(*weights.shape) + kernels.sized(weights) + kernels.sized(bias)

    def to_device(self, device: str) -> "ReproducibleLinear":
        """The same map where the arithmetic is done."""
        xp, _ = device_arrays(device)
        return ReproducibleLinear(xp.asarray(self.weights), xp.asarray(self.bias))

    def __call__(self, features: Array) -> Array:
        xp, _ = device_arrays("cpu" if isinstance(features, np.ndarray) else "cuda")
        values = xp.empty((len(features), len(self.bias)), xp.float32)
        for start in range(0, len(features), _BLOCK):
            rows = slice(start, start + _BLOCK)
            values[rows] = xp.rint(features[rows].astype(xp.float64) / _UNIT) @ self.weights
        values += self.bias
        return values


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
        parts = (x0, x1) if condition is None else (x0, x1, condition)
        return cls(*_moments(parts, weights), x1.shape[1])

    @classmethod
    def from_noise(
        cls, x1: Array, condition: Array | None = None, weights: Array | None = None, noise: float = 1.0
    ) -> "LinearVelocity":
        """Moments of rows ``x1`` and ``condition``, and those of independent normal x0 with deviation ``noise``."""
        d = x1.shape[1]
        mean, own = _moments((x1,) if condition is None else (x1, condition), weights)
        covariance = np.zeros((d + len(mean), d + len(mean)))
        covariance[:d, :d] = noise**2 * np.eye(d)
        covariance[d:, d:] = own
        return cls(np.concatenate([np.zeros(d), mean]), covariance, d)

    @property
    def spread(self) -> float:
        """Variance of x1 - x0, mean over the columns."""
        d, unit = self.n_dims, np.eye(len(self.mean))
        velocity = unit[d : 2 * d] - unit[:d]
        return float(np.trace(velocity @ self.covariance @ velocity.T) / max(d, 1))

    def at(self, t: float) -> tuple[Array, Array]:
        """``weights`` (d + c, d) and ``bias`` (d,) of the velocity ``[x, c] @ weights + bias`` at time t."""
        d = self.n_dims

        def features(of: Array) -> Array:
            return np.concatenate([(1 - t) * of[:d] + t * of[d : 2 * d], of[2 * d :]])

        # the end that is further away in time: its prediction is divided by a number that is not small
        end, sign, time = (slice(d), -1.0, t) if t > 0.5 else (slice(d, 2 * d), 1.0, 1 - t)
        joint = features(self.covariance)
        inputs = features(joint.T).T + _RIDGE * np.eye(len(joint))
        gain = solve(inputs, joint[:, end])
        bias = self.mean[end] - features(self.mean) @ gain
        return sign * (gain - np.eye(len(joint), d)) / time, sign * bias / time


def _moments(parts: Sequence[Array], weights: Array | None) -> tuple[Array, Array]:
    """Mean and covariance of columns that stand side by side."""
    n = len(parts[0])
    w = np.full(n, 1 / n) if weights is None else weights / weights.sum(dtype=np.float64)
    batches = [slice(start, start + _BATCH) for start in range(0, n, _BATCH)]

    def joint(rows: slice) -> Array:
        return np.hstack([part[rows] for part in parts]).astype(np.float64)

    mean = sum(products(w[rows, None], joint(rows))[0] for rows in batches)
    covariance = np.zeros((len(mean), len(mean)))
    for rows in batches:
        centred = joint(rows) - mean
        covariance += products(centred * w[rows, None], centred)
    return mean, covariance


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


@dataclass(frozen=True, eq=False)
class GaussianPart(GaussianFlow):
    """A :class:`~buff.fields.GaussianFlow` of scores, whose arithmetic gives a row the same result in any batch.

    Attributes
    ----------
    mean, basis, variances, noise, path
        As in :class:`~buff.fields.GaussianFlow`.
    n_conditions : int
        Features of a condition, on which scores that are standardised do not depend linearly.

    Examples
    --------
    >>> x1 = np.random.default_rng(0).standard_normal((1000, 2))
    >>> part = GaussianPart.of_moments(LinearVelocity.from_noise(x1))
    >>> weights, bias = part.at(1.0)
    >>> bool(np.allclose(weights, np.eye(2)))
    True
    """

    n_conditions: int = 0
    _turn: tuple[ReproducibleLinear, ReproducibleLinear] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        nothing = np.zeros(len(self.mean))
        turn = (ReproducibleLinear.of(self.basis, nothing), ReproducibleLinear.of(self.basis.T, nothing))
        object.__setattr__(self, "_turn", turn)

    @classmethod
    def of_moments(cls, base: LinearVelocity, noise: float = 1.0) -> Self:
        """From the moments of pairs whose x0 is independent noise."""
        d = base.n_dims
        rows = slice(d, 2 * d)
        part = cls.of(base.mean[rows], base.covariance[rows, rows], noise)
        return replace(part, n_conditions=len(base.mean) - 2 * d)

    def to_device(self, device: str) -> Self:
        """The same where the arithmetic is done."""
        moved = replace(self)
        forth, back = self._turn
        object.__setattr__(moved, "_turn", (forth.to_device(device), back.to_device(device)))
        return moved

    def at(self, t: float) -> tuple[Array, Array]:
        """``weights`` (d + c, d) and ``bias`` (d,) of the velocity ``[x, c] @ weights + bias`` at time t."""
        weights, bias = self.velocity_map(t)
        return np.vstack([weights, np.zeros((self.n_conditions, len(bias)))]), bias

    def residual_scales(self, t: float) -> Array:
        """Standard deviations of ``U^T (x1 - x0)`` about its mean given x_t, ``sqrt(e) n / a(t)``, shape (d,)."""
        return np.sqrt(self.variances) * self.noise / self.scales(t)

    def packed(self, times: Sequence[float]) -> bytes:
        """The frame at these times as the kernels read it."""
        parts = [kernels.integers(len(times)), *(turn.packed() for turn in self._turn)]
        for t in times:
            here = self.path.at(t)
            turned, centre = here.alpha * (self.mean @ self.basis), here.alpha * self.mean
            own = (self.scales(t), turned, centre, self.rates(t), here.alpha_dot * self.mean)
            parts += [kernels.sized(np.asarray(part, np.float32)) for part in own]
        return b"".join(parts)

    def rotate(self, x: Array) -> Array:
        return self._turn[0](x)

    def rotate_back(self, y: Array) -> Array:
        return self._turn[1](y)
