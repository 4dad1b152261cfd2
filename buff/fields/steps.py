"""Fields known at every time, from a model of any prediction, or a network of discrete diffusion steps."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from itertools import pairwise
from typing import Any

from buff.fields.sources import AbstractField
from buff.paths import LINEAR, Path, Prediction, check_prediction, get_path
from buff.protocols import Array

__all__ = ["IndexField", "TimeField", "as_field", "with_condition"]


@dataclass(frozen=True)
class TimeField(AbstractField):
    """A field defined at every time, from a model of any of the five predictions.

    Parameters
    ----------
    function : callable
        ``function(x, t, condition)``, or ``function(x, t)`` without conditions.
    path : Path
        The path the model was trained on; a name or a Schedule will do.
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
        object.__setattr__(self, "path", get_path(self.path))
        object.__setattr__(self, "function", with_condition(self.function))

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


def as_field(field: Any) -> AbstractField:
    """A field as it is, or the :class:`TimeField` of a function, on the linear path unless it has a ``path``."""
    if isinstance(field, AbstractField) or (hasattr(field, "path") and hasattr(field, "times")):
        return field  # type: ignore[no-any-return]
    return TimeField(field, getattr(field, "path", LINEAR))


def with_condition(function: Any) -> Callable[..., Array]:
    """What is called as ``function(x, t, condition)``, or a function of x and t made so.

    Raises
    ------
    TypeError
        It takes other arguments, or is a class.

    Examples
    --------
    >>> with_condition(lambda x, t: t - x)(1.0, 0.5, None)
    -0.5
    """
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(function, type):
        raise TypeError(f"a field is a function or an object that is called, found the class itself: {name}(...)")
    try:
        own = signature(function)
    except (TypeError, ValueError):  # compiled functions may not say
        return function  # type: ignore[no-any-return]
    for given in ((None, 0.0, None), (None, 0.0)):
        try:
            own.bind(*given)
        except TypeError:
            continue
        return function if len(given) == 3 else _Unconditional(function)
    raise TypeError(f"a field is called as field(x, t, condition), or as field(x, t): found {name}{own}")


@dataclass(frozen=True)
class _Unconditional:
    """A function of x and t, called as fields are."""

    function: Callable[[Array, float], Array]

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        if condition is not None:
            raise ValueError(f"the field {self.function} takes x and t alone: let it take the condition as a third")
        return self.function(x, t)
