"""Fields made from models: one model a node, one for every time, one for the steps of a diffusion."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, TypeAlias

from buff.errors import OffGridError
from buff.fields.gaussian import GaussianFlow
from buff.grids import nearest
from buff.paths import LINEAR, Path, Prediction, check_prediction
from buff.protocols import Array

__all__ = ["AbstractField", "IndexField", "NodeField", "TimeField"]

Velocity: TypeAlias = Callable[[Array, Array | None], Array]


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
    """

    path: Path
    times: tuple[float, ...] | None
    gaussian: GaussianFlow | None = None

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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class TimeField(AbstractField):
    """A field defined at every time, from a model of any of the five predictions.

    Parameters
    ----------
    function : callable
        ``function(x, t, condition)``.
    path : Path
        The path the model was trained on.
    predicts : {"velocity", "denoised", "noise", "score", "v"}
        What the function returns.
    piecewise_constant : bool
        True for trees with t as a column: adaptive solvers then refuse tolerances that steps in the field
        make meaningless.

    Examples
    --------
    >>> point = TimeField(lambda x, t, condition: 0 * x + 3.0, predicts="denoised")
    >>> point(1.0, 0.5)
    4.0
    """

    function: Callable[[Array, float, Array | None], Array]
    path: Path = LINEAR
    predicts: Prediction = "velocity"
    piecewise_constant: bool = False
    times: tuple[float, ...] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_prediction(self.predicts)

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        return self.path.at(t).velocity(x, self.function(x, t, condition), self.predicts)


@dataclass(frozen=True)
class IndexField(AbstractField):
    """A network trained on the integer steps of a variance-preserving diffusion, at every time.

    At a time t the network is asked for the step that has the same ``sigma / alpha``, interpolated in lambda
    or the nearest.

    Parameters
    ----------
    function : callable
        ``function(x, i, condition)`` with i from 0 (next to the data) to T - 1, a float if interpolated.
    ratios : sequence of float
        ``sigma / alpha`` of each step, increasing (``buff.grids.discrete.ratios``).
    path : Path
        A path with ``alpha^2 + sigma^2 = 1``, so that states are those of the network.
    predicts : {"noise", "v", "denoised", "score"}
        What the function returns.
    interpolate : bool
        False for networks that take whole steps only.

    References
    ----------
    Lu et al., 2022, arXiv:2206.00927, appendix D.1.

    Examples
    --------
    >>> from buff.paths import get_path
    >>> steps = IndexField(lambda x, i, condition: 0 * x, (0.1, 1.0, 10.0), get_path("vp"))
    >>> steps.index(steps.path.time(10**0.5))
    1.5
    """

    function: Callable[[Array, float, Array | None], Array]
    ratios: Sequence[float]
    path: Path
    predicts: Prediction = "noise"
    interpolate: bool = True
    times: tuple[float, ...] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_prediction(self.predicts)
        if len(self.ratios) < 2 or any(b <= a for a, b in pairwise(self.ratios)):
            raise ValueError("ratios must increase strictly, from the step next to the data to the noisiest")
        now = self.path.at(0.5)
        if abs(now.alpha**2 + now.sigma**2 - 1) > 1e-9:
            raise ValueError(f"the path must preserve variance (vp or trigonometric): found {self.path}")

    def index(self, t: float) -> float:
        """The step at time t, cut to the first and the last."""
        ratio = min(max(self.path.at(t).ratio, self.ratios[0]), self.ratios[-1])
        right = bisect_left(self.ratios, ratio, 1, len(self.ratios) - 1)
        low, high = self.ratios[right - 1], self.ratios[right]
        if math.isinf(high):  # a table without signal at its end
            return right if math.isinf(ratio) else right - 1
        i = right - 1 + math.log(ratio / low) / math.log(high / low)
        return round(i, 12) if self.interpolate else round(i)

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        prediction = self.function(x, self.index(t), condition)
        return self.path.at(t).velocity(x, prediction, self.predicts)
