"""The Gaussian part of a flow from noise: linear velocities, and coordinates for trees and solvers."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from buff.fields import GaussianFlow
from buff.flows.arrays import ReproducibleLinear, device_arrays
from buff.flows.linear import LinearVelocity
from buff.protocols import Array

__all__ = ["GaussianPart", "NodeFrame"]


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

    def frame(self, t: float, device: str = "cpu") -> "NodeFrame":
        """What a node at time t needs."""
        xp, _ = device_arrays(device)
        residual = self.residual_scales(t)
        single = (xp.asarray(part, xp.float32) for part in (residual, residual / self.scales(t)))
        return NodeFrame(self.to_device(device), t, *single)

    def _rotate(self, x: Array) -> Array:
        return self._turn[0](x)

    def _rotate_back(self, y: Array) -> Array:
        return self._turn[1](y)


@dataclass(frozen=True, eq=False)
class NodeFrame:
    """The frame at a node: trees see ``[x, y, c]`` and predict ``U^T (v - u_Gauss)`` in units of its width.

    Attributes
    ----------
    gaussian : GaussianPart
    t : float
    target_scale : float32 array of shape (d,)
        Units of the targets: standard deviations that the Gaussian part leaves.
    frame_scale : float32 array of shape (d,)
        The same over a(t): from predictions to dy/dt.
    """

    gaussian: GaussianPart
    t: float
    target_scale: Array
    frame_scale: Array

    def features(self, x: Array, condition: Array | None = None, y: Array | None = None) -> Array:
        """``[x, y, c]`` of shape (n, 2 d + c); y is worked out unless it is known."""
        xp, _ = device_arrays("cpu" if isinstance(x, np.ndarray) else "cuda")
        y = self.gaussian.to_frame(x, self.t) if y is None else y
        return xp.concatenate([x, y] if condition is None else [x, y, condition], axis=1)

    def targets(self, residual: Array) -> Array:
        """What trees learn of ``v - u_Gauss`` (n, d)."""
        return self.gaussian._rotate(residual) / self.target_scale

    def velocity(self, prediction: Array) -> Array:
        """Inverse of :meth:`targets`."""
        return self.gaussian._rotate_back(prediction * self.target_scale)
