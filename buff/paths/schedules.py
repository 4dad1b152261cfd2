"""Schedules beside the linear one, from diffusion models and their samplers, and paths along them by name."""

import math
import sys
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, cast

from buff.paths.path import Linear, Path, Schedule, Time

__all__ = [
    "REDUCED",
    "SCHEDULES",
    "Backward",
    "SubVariancePreserving",
    "Trigonometric",
    "VarianceExploding",
    "VariancePreserving",
    "functions",
    "get_path",
    "get_schedule",
]


def functions(t: Time) -> Any:
    """The module whose ``exp``, ``sin``, ... take ``t``: math for a float, else the library of the array.

    Examples
    --------
    >>> functions(0.5).__name__
    'math'
    """
    return math if isinstance(t, int | float) else sys.modules[type(t).__module__.partition(".")[0]]


@dataclass(frozen=True)
class Trigonometric(Schedule):
    """``alpha = cos(theta)``, ``sigma = sin(theta)`` with theta linear in t from noise to data.

    Parameters
    ----------
    noise_angle, data_angle : float
        theta at t = 0 and t = 1, radians, 0 <= data_angle < noise_angle <= pi/2. PC-JeDi takes arccos(0.02)
        and 0; FPCD's cosine log-SNR arctan(e^10) and arctan(e^-10).

    References
    ----------
    Albergo, Vanden-Eijnden, 2022, arXiv:2209.15571; Leigh et al. (PC-JeDi), 2023, arXiv:2303.05376;
    Mikuni, Nachman, Pettee (FPCD), 2023, arXiv:2304.01266.
    """

    noise_angle: float = math.pi / 2
    data_angle: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.data_angle < self.noise_angle <= math.pi / 2:
            found = f"data_angle = {self.data_angle}, noise_angle = {self.noise_angle}"
            raise ValueError(f"angles need 0 <= data_angle < noise_angle <= pi/2: found {found}")

    def _theta(self, t: Time) -> Any:
        return self.noise_angle * (1.0 - t) + self.data_angle * t

    def alpha(self, t: Time) -> Any:
        # the sine of the complement is exactly 0 at t = 0, where cos(pi/2) is not
        complement = (math.pi / 2 - self.noise_angle) * (1.0 - t) + (math.pi / 2 - self.data_angle) * t
        return functions(t).sin(complement)

    def sigma(self, t: Time) -> Any:
        return functions(t).sin(self._theta(t))

    def alpha_dot(self, t: Time) -> Any:
        return (self.noise_angle - self.data_angle) * self.sigma(t)

    def sigma_dot(self, t: Time) -> Any:
        return (self.data_angle - self.noise_angle) * self.alpha(t)

    def time(self, ratio: float) -> float:
        return (self.noise_angle - math.atan(self._reached(ratio))) / (self.noise_angle - self.data_angle)


@dataclass(frozen=True)
class _Diffusion(Schedule):
    """Noise added at rate ``beta(tau) = b0 + (b1 - b0) tau``; ``B(tau)`` is its integral."""

    b0: float = 0.1
    b1: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.b0 <= self.b1 or self.b1 == 0:
            raise ValueError(f"noise rates need 0 <= b0 <= b1, b1 > 0: found b0 = {self.b0}, b1 = {self.b1}")

    def _beta(self, t: Time) -> Any:
        return self.b0 + (self.b1 - self.b0) * (1.0 - t)

    def _integral(self, t: Time) -> Any:
        return (self.b0 + 0.5 * (self.b1 - self.b0) * (1.0 - t)) * (1.0 - t)

    def _time_at(self, integral: float) -> float:
        """t at which B has the given value; this form of the root keeps its digits near tau = 0."""
        root = math.sqrt(self.b0**2 + 2 * (self.b1 - self.b0) * integral)
        return 1.0 - 2 * integral / (self.b0 + root) if integral else 1.0

    def alpha(self, t: Time) -> Any:
        return functions(t).exp(-0.5 * self._integral(t))

    def alpha_dot(self, t: Time) -> Any:
        return 0.5 * self._beta(t) * self.alpha(t)


@dataclass(frozen=True)
class VariancePreserving(_Diffusion):
    """``alpha = exp(-B/2)``, ``sigma = sqrt(1 - exp(-B))``, ``B(tau) = b0 tau + (b1 - b0) tau^2 / 2``.

    Parameters
    ----------
    b0, b1 : float
        Noise rates at the data and at the noise end, 0 <= b0 <= b1.

    References
    ----------
    Song et al., "Score-based generative modeling through stochastic differential equations", 2020,
    arXiv:2011.13456.
    """

    def sigma(self, t: Time) -> Any:
        return functions(t).sqrt(-functions(t).expm1(-self._integral(t)))

    def sigma_dot(self, t: Time) -> Any:
        if isinstance(t, int | float) and t == 1:
            raise ValueError(
                "the variance-preserving path has no velocity at t = 1: end the grid at 1 - 1e-3, as published codes, "
                "and take path.at(t).denoised(x, u) for data; or follow the field on the linear path"
            )
        return -0.5 * self._beta(t) * self.alpha(t) ** 2 / self.sigma(t)

    def time(self, ratio: float) -> float:
        return self._time_at(math.log1p(self._reached(ratio) ** 2))


@dataclass(frozen=True)
class SubVariancePreserving(_Diffusion):
    """``alpha = exp(-B/2)``, ``sigma = 1 - exp(-B)`` with B as in :class:`VariancePreserving`.

    Parameters
    ----------
    b0, b1 : float
        Noise rates at the data and at the noise end, 0 <= b0 <= b1.

    References
    ----------
    Song et al., 2020, arXiv:2011.13456.
    """

    def sigma(self, t: Time) -> Any:
        return -functions(t).expm1(-self._integral(t))

    def sigma_dot(self, t: Time) -> Any:
        return -self._beta(t) * self.alpha(t) ** 2

    def time(self, ratio: float) -> float:
        return self._time_at(2 * math.asinh(self._reached(ratio) / 2))


@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """``alpha = 1``, ``sigma = sigma_max (1 - t)``: the reduced coordinates x / alpha, linear in sigma.

    Every path has the same ODE there, ``dx / dsigma = eps``, so a solver on this path is the solver in sigma
    of Karras et al., and a grid of sigmas a grid of times.

    Parameters
    ----------
    sigma_max : float
        Noise at t = 0, positive.

    References
    ----------
    Karras, Aittala, Aila, Laine (EDM), 2022, arXiv:2206.00364.
    """

    sigma_max: float = 80.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_max < math.inf:
            raise ValueError(f"sigma_max is the noise at t = 0, positive and finite: found {self.sigma_max}")

    def alpha(self, t: Time) -> Any:
        return 1.0

    def sigma(self, t: Time) -> Any:
        return self.sigma_max * (1.0 - t)

    def alpha_dot(self, t: Time) -> Any:
        return 0.0

    def sigma_dot(self, t: Time) -> Any:
        return -self.sigma_max

    def time(self, ratio: float) -> float:
        return 1.0 - self._reached(ratio) / self.sigma_max


@dataclass(frozen=True)
class Backward(Schedule):
    """A schedule read from data to noise: at t what the forward one has at 1 - t.

    Parameters
    ----------
    forward : Schedule
        The schedule from noise to data.
    """

    forward: Schedule

    def alpha(self, t: Time) -> Any:
        return self.forward.alpha(1.0 - t)

    def sigma(self, t: Time) -> Any:
        return self.forward.sigma(1.0 - t)

    def alpha_dot(self, t: Time) -> Any:
        return -self.forward.alpha_dot(1.0 - t)

    def sigma_dot(self, t: Time) -> Any:
        return -self.forward.sigma_dot(1.0 - t)

    def time(self, ratio: float) -> float:
        return 1.0 - self.forward.time(ratio)


SCHEDULES: dict[str, type[Schedule]] = {
    "linear": Linear,
    "trigonometric": Trigonometric,
    "vp": VariancePreserving,
    "subvp": SubVariancePreserving,
    "ve": VarianceExploding,
}


def get_schedule(name: str, **parameters: Any) -> Schedule:
    """A schedule by name.

    Examples
    --------
    >>> get_schedule("vp", b1=8.0)
    VariancePreserving(b0=0.1, b1=8.0)
    """
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}: choose one of {', '.join(SCHEDULES)}")
    known = [f.name for f in fields(cast(Any, SCHEDULES[name]))]
    for parameter, value in parameters.items():
        if parameter not in known:
            raise ValueError(f"{name} has no parameter {parameter!r}: choose from {', '.join(known)}")
        if not isinstance(value, Real):
            raise TypeError(f"{parameter} of {name} must be a number: found {value!r}")
    return SCHEDULES[name](**parameters)


#: Reduced coordinates x / alpha with sigma from 80 down to 0: the path of EDM.
REDUCED = Path(VarianceExploding())


def get_path(name: str | Schedule | Path, **parameters: float) -> Path:
    """A path by the name of its schedule: linear, trigonometric, vp, subvp or ve; that of a schedule, or a path itself.

    Examples
    --------
    >>> get_path("linear")
    Path(schedule=Linear(floor=0.0))
    """
    if isinstance(name, str):
        return Path(get_schedule(name, **parameters))
    if not isinstance(name, Schedule | Path):
        raise TypeError(f"path must be a name, a Schedule or a Path, found {name!r}")
    return name if isinstance(name, Path) else Path(name)
