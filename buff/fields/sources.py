"""Fields made from what is known: a Gaussian in closed form, and one model a node."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import pairwise
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from buff.errors import OffGridError
from buff.grids import nearest
from buff.kernels import ReproducibleLinear, integers, sized
from buff.paths import LINEAR, Path
from buff.paths.schedules import Backward
from buff.protocols import Array

__all__ = ["AbstractField", "GaussianFlow", "GaussianPart", "NodeField"]

Velocity: TypeAlias = Callable[[Array, Array | None], Array]

#: Variances below are those of columns that determine each other, up to rounding.
_SMALLEST = 1e-6


@dataclass(frozen=True, eq=False)
class GaussianFlow:
    r"""The flow from noise :math:`N(0, n^2)` to a Gaussian with mean mu and covariance :math:`U \mathrm{diag}(e) U^T`.

    At time t the states have mean :math:`\alpha \mu` and, along the eigenvectors U, the standard deviations
    :math:`a(t) = \sqrt{\alpha^2 e + \sigma^2 n^2}`. In the *frame*

    .. math:: y = U^T (x - \alpha \mu) / a(t)

    no state of this flow moves, so that of any flow :math:`dx/dt = u(x, t)` only what the Gaussian does not have is
    left to integrate: :math:`dy/dt = U^T (u - u_{Gauss}) / a(t)`.

    Parameters
    ----------
    mean : array of shape (d,)
    basis : array of shape (d, d)
        Orthonormal eigenvectors U, one a column.
    variances : array of shape (d,)
        Eigenvalues e; those below 1e-6 are taken for 1e-6.
    noise : float
        Standard deviation n of the noise.
    path : Path

    Raises
    ------
    ValueError
        Shapes that do not agree.

    References
    ----------
    Lawson, "Generalized Runge-Kutta processes for stable systems with large Lipschitz constants", 1967,
    doi:10.1137/0704033.

    Examples
    --------
    >>> gauss = GaussianFlow.of(np.zeros(2), np.array([[1.0, 0.9], [0.9, 1.0]]))
    >>> x = np.array([[0.3, -0.2]])
    >>> y = gauss.to_frame(x, 0.4)
    >>> bool(np.allclose(gauss.from_frame(y, 0.4), x))
    True
    >>> bool(np.allclose(gauss.velocity(gauss.from_frame(y, 1.0), 1.0), gauss.from_frame(y, 1.0)))
    True
    """

    mean: Array
    basis: Array
    variances: Array
    noise: float = 1.0
    path: Path = LINEAR

    def __post_init__(self) -> None:
        d = len(self.mean)
        if np.shape(self.mean) != (d,) or np.shape(self.basis) != (d, d) or np.shape(self.variances) != (d,):
            shapes = ", ".join(str(np.shape(part)) for part in (self.mean, self.basis, self.variances))
            raise ValueError(f"mean, basis and variances must have shapes (d,), (d, d) and (d,): found {shapes}")
        object.__setattr__(self, "variances", np.maximum(self.variances, _SMALLEST))

    @classmethod
    def of(cls, mean: Array, covariance: Array, noise: float = 1.0, path: Path = LINEAR) -> Self:
        """For a mean (d,) and a covariance (d, d)."""
        variances, basis = np.linalg.eigh(covariance)
        largest = np.argmax(abs(basis), axis=0) if len(mean) else np.empty(0, np.intp)
        basis = basis * np.sign(basis[largest, np.arange(len(mean))])  # one of the two directions, always the same
        return cls(np.asarray(mean, np.float64), basis, variances, noise, path)

    def backwards(self) -> Self:
        """The flow from the Gaussian to noise, on the path read backwards."""
        twin = copy(self)
        object.__setattr__(twin, "path", Path(Backward(self.path.schedule)))
        return twin

    def scales(self, t: float) -> Array:
        """Standard deviations a(t) of the states along the eigenvectors, (d,)."""
        here = self.path.at(t)
        return np.sqrt(here.alpha**2 * self.variances + here.sigma**2 * self.noise**2)

    def rates(self, t: float) -> Array:
        """Logarithmic derivatives ``a'(t) / a(t)``, (d,)."""
        here = self.path.at(t)
        change = here.alpha * here.alpha_dot * self.variances + here.sigma * here.sigma_dot * self.noise**2
        return change / self.scales(t) ** 2

    def to_frame(self, x: Array, t: float) -> Array:
        """y of states x (n, d) at time t."""
        return self._centred(x, t) / _like(self.scales(t), x)

    def from_frame(self, y: Array, t: float) -> Array:
        """Inverse of :meth:`to_frame`."""
        return self.rotate_back(y * _like(self.scales(t), y)) + _like(self.path.at(t).alpha * self.mean, y)

    def velocity(self, x: Array, t: float) -> Array:
        """u of the Gaussian flow at states x (n, d) and time t."""
        u = self.rotate_back(self._centred(x, t) * _like(self.rates(t), x))
        return u + _like(self.path.at(t).alpha_dot * self.mean, x)

    def frame_velocity(self, x: Array, u: Array, t: float) -> Array:
        """dy/dt of states x that move with velocity u, (n, d)."""
        return self.rotate(u - self.velocity(x, t)) / _like(self.scales(t), x)

    def velocity_map(self, t: float) -> tuple[Array, Array]:
        """Weights (d, d) and bias (d,) of the velocity ``x @ weights + bias``."""
        here, weights = self.path.at(t), (self.basis * self.rates(t)) @ self.basis.T
        return weights, here.alpha_dot * self.mean - here.alpha * self.mean @ weights

    def _centred(self, x: Array, t: float) -> Array:
        """``U^T (x - alpha mu)``."""
        return self.rotate(x) - _like(self.path.at(t).alpha * (self.mean @ self.basis), x)

    def rotate(self, x: Array) -> Array:
        """``U^T x``, without the mean."""
        return x @ _like(self.basis, x)

    def rotate_back(self, y: Array) -> Array:
        """``U y``."""
        return y @ _like(self.basis.T, y)


def _like(values: Array, x: Array) -> Any:
    """NumPy values in the library, precision and place of x."""
    if isinstance(x, np.ndarray):
        return values.astype(x.dtype if x.dtype.kind == "f" else np.float64)
    if hasattr(x, "new_tensor"):
        return x.new_tensor(values)
    return import_module(type(x).__module__.split(".")[0]).asarray(values, dtype=x.dtype)


@dataclass(frozen=True, eq=False)
class GaussianPart(GaussianFlow):
    """A :class:`GaussianFlow` of scores, whose arithmetic gives a row the same result in any batch.

    Attributes
    ----------
    mean, basis, variances, noise, path
        As in :class:`GaussianFlow`.
    n_conditions : int
        Features of a condition, on which scores that are standardised do not depend linearly.

    Examples
    --------
    >>> weights, bias = GaussianPart.of(np.zeros(2), np.diag([1.0, 2.0])).at(1.0)
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

    def to_device(self, device: str) -> Self:
        """A copy whose arrays are on the device."""
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
        parts = [integers(len(times)), *(turn.packed() for turn in self._turn)]
        for t in times:
            here = self.path.at(t)
            turned, centre = here.alpha * (self.mean @ self.basis), here.alpha * self.mean
            own = (self.scales(t), turned, centre, self.rates(t), here.alpha_dot * self.mean)
            parts += [sized(np.asarray(part, np.float32)) for part in own]
        return b"".join(parts)

    def rotate(self, x: Array) -> Array:
        return self._turn[0](x)

    def rotate_back(self, y: Array) -> Array:
        return self._turn[1](y)


class AbstractField(ABC):
    """The velocity of a flow.

    Attributes
    ----------
    path : Path
        The path the field belongs to.
    times : tuple of float or None
        Nodes where the field exists; None for every time.
    gaussian : GaussianFlow or None
        Coordinates in which solvers such as ``"ifab2"`` integrate; None for those of the states.
    n_dims : int or None
        Width d of the states, where that is known.
    """

    path: Path
    times: tuple[float, ...] | None
    gaussian: GaussianFlow | None = None

    @property
    def n_dims(self) -> int | None:
        return None if self.gaussian is None else len(self.gaussian.mean)

    @abstractmethod
    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        """Velocity at x of shape (n, d), time t and condition of shape (n, c)."""

    def frame_velocity(self, x: Array, y: Array, t: float, condition: Array | None = None) -> Array:
        """dy/dt in the frame of ``gaussian``, for states x and their coordinates y there."""
        assert self.gaussian is not None
        return self.gaussian.frame_velocity(x, self(x, t, condition), t)

    @property
    def at_every_time(self) -> bool:
        """Whether any time may be asked for."""
        return self.times is None


@dataclass(frozen=True, repr=False)
class NodeField(AbstractField):
    """A field known only at its nodes: one model a node, as boosted trees give.

    Parameters
    ----------
    times : sequence of float
        Nodes, strictly increasing in [0, 1].
    velocities : sequence of callables
        ``velocity(x, condition)`` at each node.
    path : Path
        The path the models were trained on.
    off_node : {"raise", "nearest", "interpolate"}
        What to do between nodes. The last two cost solvers their order (interpolation limits it to 2, the
        nearest node to 1) and are there for comparisons.
    gaussian : GaussianFlow, optional
        The Gaussian part of the flow. Velocities that have a method ``frame_velocity(x, y, condition)`` are asked for
        the rest alone.

    Raises
    ------
    OffGridError
        Called between nodes.

    Examples
    --------
    >>> stretch = NodeField((0.0, 0.5, 1.0), [lambda x, condition: x] * 3)
    >>> stretch(2.0, 0.25 + 0.25)
    2.0
    """

    times: tuple[float, ...]
    velocities: Sequence[Velocity]
    path: Path = LINEAR
    off_node: Literal["raise", "nearest", "interpolate"] = "raise"
    gaussian: GaussianFlow | None = None

    def __post_init__(self) -> None:
        times = tuple(float(t) for t in self.times)
        object.__setattr__(self, "times", times)
        if len(times) != len(self.velocities) or not times:
            raise ValueError(f"one velocity a node: found {len(self.velocities)} for {len(times)} nodes")
        if any(s <= t for t, s in pairwise(times)) or not (times[0] >= 0 and times[-1] <= 1):
            raise ValueError(f"nodes must increase strictly inside [0, 1]: found {times}")
        if self.off_node not in ("raise", "nearest", "interpolate"):
            raise ValueError(f"unknown off_node {self.off_node!r}: choose raise, nearest or interpolate")

    def __repr__(self) -> str:
        d = "" if self.n_dims is None else f"{self.n_dims} dimensions, "
        return f"{type(self).__name__}({len(self.times)} nodes, {d}{type(self.path.schedule).__name__.lower()} path)"

    @property
    def at_every_time(self) -> bool:
        return self.off_node != "raise"

    @property
    def piecewise_constant(self) -> bool:
        """Whether the field jumps in time."""
        return self.off_node == "nearest"

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        i = nearest(self.times, t)
        if abs(self.times[i] - t) < 1e-9 or self.off_node == "nearest":
            return self.velocities[i](x, condition)
        if self.off_node == "interpolate" and self.times[0] < t < self.times[-1]:
            return self._between(x, t, condition)
        raise OffGridError(
            f"no model at t = {t:.6g}: the field exists at {len(self.times)} nodes, the nearest at "
            f"{self.times[i]:.6g}; Solver.nodes(grid) tells where a solver calls the field"
        )

    def frame_velocity(self, x: Array, y: Array, t: float, condition: Array | None = None) -> Array:
        i = nearest(self.times, t)
        direct = getattr(self.velocities[i], "frame_velocity", None)
        if direct is None or abs(self.times[i] - t) > 1e-9:
            return super().frame_velocity(x, y, t, condition)
        return direct(x, y, condition)

    def _between(self, x: Array, t: float, condition: Array | None) -> Array:
        right = next(i for i, node in enumerate(self.times) if node > t)
        a, b = self.times[right - 1], self.times[right]
        left_velocity, right_velocity = self.velocities[right - 1], self.velocities[right]
        w = (t - a) / (b - a)
        return (1 - w) * left_velocity(x, condition) + w * right_velocity(x, condition)
