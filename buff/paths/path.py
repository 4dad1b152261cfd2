"""The path from noise to data, and what can be known along it.

``x_t = alpha x1 + sigma eps``, where a *schedule* says how much signal and how much noise there is at a time. Time runs
from 0 (noise) to 1 (data); formulas published the other way round are written in ``tau = 1 - t``. Times may be floats,
arrays of NumPy or CuPy, or PyTorch tensors; a float gives a float, so that coefficients keep the precision of states.

Five quantities say the same thing about a state x at a time t:

==========  ==============================  ============================================
velocity    u = dx/dt of the flow           ``u = alpha' D + sigma' e``
denoised    D = E[x1 | x_t = x]             ``x = alpha D + sigma e``
noise       e = E[eps | x_t = x]
score       s = grad log p_t(x)             ``s = -e / sigma``
v           alpha e - sigma D
==========  ==============================  ============================================

:class:`Marginal` converts between them at one time; :class:`Path` makes marginals.
"""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from buff.paths.checked import check_schedule
from buff.protocols import Array

if TYPE_CHECKING:
    from buff.grids import TimeGrid

__all__ = [
    "LINEAR",
    "Linear",
    "Marginal",
    "Path",
    "PathSample",
    "Prediction",
    "Schedule",
    "Time",
    "check_prediction",
    "renoise",
]

#: A float, or an array of times (a column, to broadcast against rows).
Time: TypeAlias = Any
Prediction: TypeAlias = Literal["velocity", "denoised", "noise", "score", "v"]


def check_prediction(kind: str) -> None:
    """Refuse a name that is none of the five predictions."""
    if kind not in get_args(Prediction):
        raise ValueError(f"unknown prediction {kind!r}: choose one of {', '.join(get_args(Prediction))}")


class Schedule(ABC):
    """alpha increasing, sigma decreasing in t; ``'`` is d/dt.

    One of your own defines the five methods. Solvers ask for a float, training for an array or tensor of times:
    :func:`buff.schedules.functions` gives the library of functions for each.

    Examples
    --------
    >>> from buff.schedules import functions
    >>> class Quarter(Schedule):
    ...     def alpha(self, t):
    ...         return functions(t).sin(math.pi / 2 * t)
    ...     def sigma(self, t):
    ...         return functions(t).cos(math.pi / 2 * t)
    ...     def alpha_dot(self, t):
    ...         return math.pi / 2 * self.sigma(t)
    ...     def sigma_dot(self, t):
    ...         return -math.pi / 2 * self.alpha(t)
    ...     def time(self, ratio):
    ...         return 1 - 2 / math.pi * math.atan(ratio)
    >>> import numpy as np
    >>> Quarter().alpha(1.0), Quarter().alpha(np.array([[0.0], [1.0]])).shape, Quarter().time(1.0)
    (1.0, (2, 1), 0.5)
    """

    @abstractmethod
    def alpha(self, t: Time) -> Any:
        """Signal."""

    @abstractmethod
    def sigma(self, t: Time) -> Any:
        """Noise."""

    @abstractmethod
    def alpha_dot(self, t: Time) -> Any:
        """d alpha / dt."""

    @abstractmethod
    def sigma_dot(self, t: Time) -> Any:
        """d sigma / dt."""

    def ratio(self, t: float) -> float:
        """Noise over signal, ``sigma / alpha``; infinite where there is no signal."""
        alpha = self.alpha(t)
        return float(self.sigma(t) / alpha) if alpha else math.inf

    @abstractmethod
    def time(self, ratio: float) -> float:
        """The time at which ``sigma / alpha`` is ``ratio``, infinite at pure noise; ValueError where it never is."""

    def _reached(self, ratio: float) -> float:
        """``ratio``, refused where the schedule does not go."""
        low, high = self.ratio(1.0), self.ratio(0.0)
        # round-off of a grid built from the schedule itself must not push its ends outside
        if not low * (1 - 1e-9) <= ratio <= high * (1 + 1e-9):
            raise ValueError(f"sigma / alpha = {ratio:g} is outside [{low:g}, {high:g}] of {self}")
        return min(max(ratio, low), high)


@dataclass(frozen=True)
class Linear(Schedule):
    """``alpha = t``, ``sigma = 1 - (1 - floor) t``: flow matching.

    Parameters
    ----------
    floor : float
        Noise left on the data, in [0, 1); the sigma_min of Lipman et al.

    References
    ----------
    Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", 2022, arXiv:2210.02747.
    """

    floor: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.floor < 1:
            raise ValueError(f"floor is the noise left on the data, 0 <= floor < 1: found {self.floor}")

    def alpha(self, t: Time) -> Any:
        return t

    def sigma(self, t: Time) -> Any:
        return 1.0 - (1.0 - self.floor) * t

    def alpha_dot(self, t: Time) -> Any:
        return 1.0

    def sigma_dot(self, t: Time) -> Any:
        return self.floor - 1.0

    def time(self, ratio: float) -> float:
        return 1.0 / (self._reached(ratio) + 1.0 - self.floor)


@dataclass(frozen=True)
class Marginal:
    """The law of x_t at one time (or, for training, at a column of times).

    Attributes
    ----------
    t, alpha, sigma : float or array
        Time, signal and noise.
    schedule : Schedule
        Where they come from.
    """

    t: Time
    alpha: Any
    sigma: Any
    schedule: Schedule

    @property
    def alpha_dot(self) -> Any:
        """d alpha / dt."""
        return self.schedule.alpha_dot(self.t)

    @property
    def sigma_dot(self) -> Any:
        """d sigma / dt."""
        return self.schedule.sigma_dot(self.t)

    @property
    def delta(self) -> Any:
        """``alpha' sigma - alpha sigma'``, the determinant of (D, e) -> (x, u)."""
        return self.alpha_dot * self.sigma - self.alpha * self.sigma_dot

    @property
    def ratio(self) -> float:
        """``sigma / alpha``; infinite where there is no signal."""
        return self.sigma / self.alpha if self.alpha else math.inf

    @property
    def log_snr(self) -> float:
        """``ln(alpha / sigma)``, lambda in the literature; infinite at a pure end."""
        return -math.log(self.ratio) if self.ratio else math.inf

    @property
    def pure(self) -> bool:
        """Whether there is no signal or no noise at all, so that lambda is infinite."""
        return not (self.alpha and self.sigma)

    def combine(self, denoised: Array, noise: Array) -> Array:
        """``alpha D + sigma e``: the state that D and e make, exact at both ends."""
        return self.alpha * denoised + self.sigma * noise

    def denoised(self, x: Array, u: Array) -> Array:
        """D from the velocity; ``x + (1 - t) u`` on the linear path, so good at both ends."""
        return (self.sigma / self.delta) * u - (self.sigma_dot / self.delta) * x

    def noise(self, x: Array, u: Array) -> Array:
        """e from the velocity; ``x - t u`` on the linear path."""
        return (self.alpha_dot / self.delta) * x - (self.alpha / self.delta) * u

    def score(self, x: Array, u: Array) -> Array:
        """s from the velocity; undefined where there is no noise."""
        if isinstance(self.sigma, float) and self.sigma == 0:
            raise ValueError(f"there is no noise at t = {self.t:g}, hence no score: use noise or denoised")
        return -self.noise(x, u) / self.sigma

    def v(self, x: Array, u: Array) -> Array:
        """``alpha e - sigma D`` from the velocity."""
        return self.alpha * self.noise(x, u) - self.sigma * self.denoised(x, u)

    def velocity(self, x: Array, prediction: Array, kind: Prediction = "denoised") -> Array:
        """The velocity from any of the five quantities.

        Parameters
        ----------
        x : array of shape (n, d)
            State.
        prediction : array of shape (n, d)
            The quantity named by ``kind`` at x.
        kind : {"velocity", "denoised", "noise", "score", "v"}
            What is given.

        Raises
        ------
        ValueError
            Unknown ``kind``; noise or score where alpha = 0, which say nothing about the data there.

        Examples
        --------
        >>> Path().at(0.25).velocity(x=1.0, prediction=4.0, kind="denoised")
        4.0
        """
        check_prediction(kind)
        if kind == "velocity":
            return prediction
        denoised, noise = self._split(x, prediction, kind)
        return self.alpha_dot * denoised + self.sigma_dot * noise

    def _split(self, x: Array, prediction: Array, kind: Prediction) -> tuple[Array, Array]:
        alpha, sigma = self.alpha, self.sigma
        if kind == "denoised":
            # without noise x is the datum, and the independent eps has mean zero
            clean = isinstance(sigma, float) and sigma == 0
            return prediction, 0.0 * x if clean else (x - alpha * prediction) / sigma
        if kind == "v":
            norm = alpha**2 + sigma**2
            return (alpha * x - sigma * prediction) / norm, (sigma * x + alpha * prediction) / norm
        if isinstance(alpha, float) and alpha == 0:
            raise ValueError(f"x is pure noise at t = {self.t:g}: a {kind} gives no velocity there; start later")
        noise = prediction if kind == "noise" else -sigma * prediction
        return (x - sigma * noise) / alpha, noise


@dataclass(frozen=True)
class PathSample:
    """A pair carried to time t: what a booster or a network is trained on.

    Attributes
    ----------
    x_t, v_t : array of shape (n, d)
        State and target velocity.
    x0, x1 : array of shape (n, d)
        Noise and data.
    t : float or array of shape (n, 1)
        Time.
    """

    x_t: Array
    v_t: Array
    x0: Array
    x1: Array
    t: Time


@dataclass(frozen=True)
class Path:
    """A path ``x_t = alpha(t) x1 + sigma(t) x0`` along a schedule.

    Examples
    --------
    >>> path = Path()
    >>> path.sample(x0=2.0, x1=6.0, t=0.25)
    PathSample(x_t=3.0, v_t=4.0, x0=2.0, x1=6.0, t=0.25)
    """

    schedule: Schedule = field(default_factory=Linear)

    def __post_init__(self) -> None:
        check_schedule(self.schedule)

    def at(self, t: Time) -> Marginal:
        """The marginal at time t; what rounding leaves of cos(pi / 2) is no noise, and would be a finite lambda."""
        parts = self.schedule.alpha(t), self.schedule.sigma(t)
        alpha, sigma = (0.0 if isinstance(part, float) and abs(part) < 1e-15 else part for part in parts)
        return Marginal(t, alpha, sigma, self.schedule)

    def time(self, ratio: float) -> float:
        """The time at which ``sigma / alpha`` equals ``ratio``."""
        return self.schedule.time(ratio)

    def grid(self, ratios: Iterable[float]) -> "TimeGrid":
        """Deprecated name of :meth:`buff.grids.TimeGrid.of_ratios`."""
        from buff.grids import TimeGrid

        warnings.warn("Path.grid(ratios) is TimeGrid.of_ratios(path, ratios)", DeprecationWarning, stacklevel=2)
        return TimeGrid.of_ratios(self, ratios)

    def sample(self, x0: Array, x1: Array, t: Time) -> PathSample:
        """State and velocity of each pair at time t."""
        now = self.at(t)
        x_t, v_t = now.alpha * x1 + now.sigma * x0, now.alpha_dot * x1 + now.sigma_dot * x0
        return PathSample(x_t, v_t, x0, x1, t)


#: Flow matching's path, the default everywhere.
LINEAR = Path(Linear())


def renoise(x: Array, here: Marginal, there: Marginal, z: Array) -> Array:
    """Carry states back to an earlier, noisier time of the same path.

    ``x_there = c x + sqrt(sigma_there^2 - c^2 sigma^2) z`` with ``c = alpha_there / alpha``: the law of
    x_there given x_here under the forward process, on any path.

    Parameters
    ----------
    x : array of shape (n, d)
        States at ``here``.
    here, there : Marginal
        Marginals at the two times; ``there`` is the noisier one.
    z : array of shape (n, d)
        Standard normal numbers.
    """
    c = there.alpha / here.alpha
    return c * x + math.sqrt(max(there.sigma**2 - (c * here.sigma) ** 2, 0.0)) * z
