"""The one type that says where in time a solver stops."""

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from typing import Any

from buff.errors import OffGridError

__all__ = ["TimeGrid", "check_steps", "nearest"]


def check_steps(n_steps: Any) -> int:
    """A number of steps as a plain integer; whole floats will do."""
    if not isinstance(n_steps, Real) or not float(n_steps) >= 1 or float(n_steps) % 1:
        raise ValueError(f"n_steps must be a positive integer: found {n_steps!r}")
    return int(float(n_steps))


@dataclass(frozen=True)
class TimeGrid:
    """Strictly increasing times from 0 to 1, as plain floats.

    Plain, because a NumPy scalar would turn a float32 state into float64.

    Parameters
    ----------
    times : sequence of float
        At least two times.
    partial : bool
        Allow a grid that starts after 0 or ends before 1.

    Raises
    ------
    ValueError
        Fewer than two times, times that do not increase, or ends that are not 0 and 1.

    Examples
    --------
    >>> grid = TimeGrid((0, 0.5, 1))
    >>> grid.steps
    ((0.0, 0.5), (0.5, 1.0))
    >>> grid.index_of(0.1 + 0.4)
    1
    """

    times: tuple[float, ...]
    partial: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        times = tuple(float(t) for t in self.times)
        object.__setattr__(self, "times", times)
        if len(times) < 2:
            raise ValueError(f"a grid needs at least two times: found {times}")
        for t, s in pairwise(times):
            if not t < s:
                raise ValueError(f"times must increase strictly: found {s!r} after {t!r}")
        if times[0] < 0 or times[-1] > 1:
            raise ValueError(f"times lie in [0, 1]: found {times[0]!r} ... {times[-1]!r}")
        if not self.partial and (times[0], times[-1]) != (0.0, 1.0):
            raise ValueError(
                f"a grid runs from 0 to 1 (unless partial=True): found {times[0]!r} ... {times[-1]!r}"
            )

    @classmethod
    def uniform(cls, n_steps: int) -> "TimeGrid":
        """``n_steps`` equal steps from 0 to 1.

        Examples
        --------
        >>> TimeGrid.uniform(4).times
        (0.0, 0.25, 0.5, 0.75, 1.0)
        """
        n = check_steps(n_steps)
        return cls(tuple(i / n for i in range(n + 1)))

    @property
    def n_steps(self) -> int:
        """Number of intervals."""
        return len(self.times) - 1

    @property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """The intervals, ``(t, s)`` from t to s > t."""
        return tuple(pairwise(self.times))

    def has(self, t: float, tol: float = 1e-9) -> bool:
        """Whether ``t`` is one of the times."""
        return abs(self.times[nearest(self.times, t)] - t) <= tol

    def index_of(self, t: float, tol: float = 1e-9) -> int:
        """Which of the times ``t`` is.

        Stage times are computed (t + c h), so they match within ``tol`` and never by equality.

        Raises
        ------
        OffGridError
            If no time is that close.
        """
        i = nearest(self.times, t)
        if not self.has(t, tol):
            raise OffGridError(f"t = {t:.6g} is not on the grid; the nearest time is {self.times[i]:.6g}")
        return i


def nearest(times: tuple[float, ...], t: float) -> int:
    """Index of the one of increasing times that is closest to t."""
    right = bisect_left(times, t, 1, len(times) - 1) if len(times) > 1 else 0
    return right - 1 if right and t - times[right - 1] <= times[right] - t else right
