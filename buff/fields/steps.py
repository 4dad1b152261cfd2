"""Fields known at every time, from a model of any prediction, or a network of discrete diffusion steps."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from buff.fields.sources import AbstractField
from buff.paths import LINEAR, Path, Prediction, check_prediction
from buff.protocols import Array

__all__ = ["IndexField", "TimeField"]


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
