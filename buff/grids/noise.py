"""Grids given in the noise-to-signal ratio ``rho = sigma / alpha``, the sigma of EDM: decreasing, N + 1 for
N steps.

Ends are assigned, not computed. A trailing zero (the data) is appended on request only: published codes
differ in whether N counts it.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import betaincinv

from buff.errors import check_parameters, check_range, check_steps, check_whole
from buff.grids.discrete import alpha_bar, ratios, spaced, zero_terminal_snr
from buff.paths.schedules import SubVariancePreserving, Trigonometric, VariancePreserving

__all__ = ["NOISE_GRIDS", "iddpm_table", "karras", "noise_grid"]


def _check_ends(low: Any, high: Any) -> None:
    if not isinstance(low, Real) or not isinstance(high, Real):
        raise TypeError(f"the ends low and high must be numbers: found low = {low!r}, high = {high!r}")
    if not 0 < float(low) < float(high) < math.inf:
        raise ValueError(f"a noise grid needs 0 < low < high: found low = {low!r}, high = {high!r}")


def _fractions(n_steps: int) -> tuple[float, ...]:
    n = check_steps(n_steps)
    return tuple(i / n for i in range(n + 1))


def _between(n_steps: int, low: float, high: float, inner: Callable[[float], float]) -> tuple[float, ...]:
    _check_ends(low, high)
    return (high, *(inner(r) for r in _fractions(n_steps)[1:-1]), low)


def karras(n_steps: int, low: float = 0.002, high: float = 80.0, rho: float = 7.0) -> tuple[float, ...]:
    """``(high^(1/rho) + r (low^(1/rho) - high^(1/rho)))^rho``: linear for rho = 1, exponential as rho grows.

    Parameters
    ----------
    n_steps : int
        Number of steps.
    low, high : float
        Ends, 0 < low < high.
    rho : float
        At least 1; useful 1 to 10; infinity is the exponential grid.

    References
    ----------
    Karras, Aittala, Aila, Laine, 2022, arXiv:2206.00364, equation 5.

    Examples
    --------
    >>> [round(sigma, 6) for sigma in karras(4)]
    [80.0, 17.527832, 2.515219, 0.169753, 0.002]
    """
    check_range("rho", rho, 1, math.inf)
    _check_ends(low, high)
    if rho > 1e6:  # the limit is reached, and the difference of the roots has lost its digits
        return _exponential(n_steps, low, high)
    a, b = high ** (1 / rho), low ** (1 / rho)
    return _between(n_steps, low, high, lambda r: float((a + r * (b - a)) ** rho))


def _polyexponential(n_steps: int, low: float = 0.002, high: float = 80.0, rho: float = 1.0) -> tuple[float, ...]:
    """``ln sigma = ln low + (1 - r)^rho (ln high - ln low)``; rho > 1 puts more nodes near low."""
    check_range("rho", rho, 0.1, 10)
    return _between(n_steps, low, high, lambda r: low * (high / low) ** ((1 - r) ** rho))


def _exponential(n_steps: int, low: float = 0.002, high: float = 80.0) -> tuple[float, ...]:
    """Uniform in ln sigma, hence in lambda."""
    return _polyexponential(n_steps, low, high)


def _lu(n_steps: int, low: float = 0.002, high: float = 80.0, rho: float = 1.0) -> tuple[float, ...]:
    """Uniform in lambda for rho = 1 (Lu et al., 2022, arXiv:2206.00927); otherwise at r^rho.

    Powers of lambda itself are not defined where it changes sign, so the unit interval is warped instead.
    """
    check_range("rho", rho, 0.1, 10)
    return _between(n_steps, low, high, lambda r: high * (low / high) ** (r**rho))


def _ve(n_steps: int, low: float = 0.01, high: float = 50.0) -> tuple[float, ...]:
    """Geometric (Song et al., 2020, arXiv:2011.13456); EDM's ends for it are 0.02 and 100."""
    return _exponential(n_steps, low, high)


def _end_of_time(eps: float) -> None:
    check_range("eps", eps, 1e-5, 1e-2)


def _vp(n_steps: int, b0: float = 0.1, b1: float = 20.0, eps: float = 1e-3, skip: str = "time") -> tuple[float, ...]:
    """The VP schedule at tau from 1 to eps: uniform in tau, in sqrt(tau), or in lambda (skip logsnr)."""
    schedule = VariancePreserving(b0, b1)
    _end_of_time(eps)
    high, low = schedule.ratio(0.0), schedule.ratio(1 - eps)
    if skip == "logsnr":
        return _exponential(n_steps, low, high)
    if skip not in ("time", "quadratic"):
        raise ValueError(f"unknown skip {skip!r}: choose time, quadratic or logsnr")
    power = 1 if skip == "time" else 2
    root = eps ** (1 / power)
    return _between(n_steps, low, high, lambda r: schedule.ratio(1 - (1 + r * (root - 1)) ** power))


def _subvp(n_steps: int, b0: float = 0.1, b1: float = 20.0, eps: float = 1e-3) -> tuple[float, ...]:
    """The sub-VP schedule at tau uniform from 1 to eps (Song et al., 2020, arXiv:2011.13456)."""
    schedule = SubVariancePreserving(b0, b1)
    _end_of_time(eps)
    high, low = schedule.ratio(0.0), schedule.ratio(1 - eps)
    return _between(n_steps, low, high, lambda r: schedule.ratio(1 - (1 + r * (eps - 1))))


def iddpm_table(M: int = 1000, C1: float = 0.001, C2: float = 0.008) -> tuple[float, ...]:
    """iDDPM's ratios u_0 > ... > u_M = 0 (Nichol, Dhariwal, 2021; in the form of Karras et al., 2022)."""
    check_whole("M", M, 1)
    check_range("C1", C1, 1e-9, 0.5)
    check_range("C2", C2, 0, 1)
    squared_signal = np.sin(np.pi / 2 * np.arange(M + 1) / (M * (C2 + 1))) ** 2
    u = [0.0]
    for j in range(M, 0, -1):
        kept = max(squared_signal[j - 1] / squared_signal[j], C1)
        u.append(math.sqrt((u[-1] ** 2 + 1) / kept - 1))
    return tuple(u[::-1])


def _iddpm(
    n_steps: int, low: float = 0.002, high: float = 80.0, M: int = 1000, C1: float = 0.001, C2: float = 0.008
) -> tuple[float, ...]:
    """Equally spaced entries of iDDPM's table inside [low, high]."""
    _check_ends(low, high)
    inside = [u for u in iddpm_table(M, C1, C2) if low <= u <= high]
    if len(inside) <= n_steps:
        raise ValueError(f"only {len(inside)} of iDDPM's levels lie in [{low:g}, {high:g}]: take fewer steps")
    return tuple(inside[i] for i in spaced(len(inside), n_steps + 1))


def _beta_quantile(
    n_steps: int, low: float = 0.002, high: float = 80.0, a: float = 0.6, b: float = 0.6
) -> tuple[float, ...]:
    """Quantiles of a beta distribution between the ends (Lee et al., 2024, arXiv:2407.12173)."""
    check_range("a", a, 0.1, 10)
    check_range("b", b, 0.1, 10)
    return _between(n_steps, low, high, lambda r: low + (high - low) * float(betaincinv(a, b, 1 - r)))


def _angle(n_steps: int, schedule: Trigonometric) -> tuple[float, ...]:
    return tuple(schedule.ratio(t) for t in _fractions(n_steps))


def _pc_jedi(n_steps: int, max_signal: float = 1.0, min_signal: float = 0.02) -> tuple[float, ...]:
    """Angle uniform from arccos(min_signal) to arccos(max_signal) (Leigh et al., 2023, arXiv:2303.05376)."""
    check_range("min_signal", min_signal, 0, 1)
    check_range("max_signal", max_signal, 0, 1)
    if not 0 < min_signal < max_signal:
        found = f"min_signal = {min_signal!r}, max_signal = {max_signal!r}"
        raise ValueError(f"a grid of angles needs 0 < min_signal < max_signal: found {found}")
    return _angle(n_steps, Trigonometric(math.acos(min_signal), math.acos(max_signal)))


def _fpcd(n_steps: int, log_snr: float = 20.0) -> tuple[float, ...]:
    """Cosine log-SNR between -log_snr and log_snr (Mikuni, Nachman, Pettee, 2023, arXiv:2304.01266)."""
    check_range("log_snr", log_snr, 1, 40)
    return _angle(n_steps, Trigonometric(math.atan(math.exp(log_snr / 2)), math.atan(math.exp(-log_snr / 2))))


def _from_table(name: str) -> Callable[..., tuple[float, ...]]:
    def grid(n_steps: int, T: int = 1000, spacing: str = "linspace", zero_terminal: bool = False) -> tuple[float, ...]:
        table = alpha_bar(name, T)
        levels = ratios(zero_terminal_snr(table) if zero_terminal else table)
        return tuple(levels[i] for i in reversed(spaced(T, n_steps + 1, spacing)))

    return grid


NOISE_GRIDS: dict[str, Callable[..., tuple[float, ...]]] = {
    "karras": karras,
    "exponential": _exponential,
    "polyexponential": _polyexponential,
    "lu": _lu,
    "vp": _vp,
    "subvp": _subvp,
    "ve": _ve,
    "iddpm": _iddpm,
    "beta_quantile": _beta_quantile,
    "pc_jedi": _pc_jedi,
    "fpcd": _fpcd,
    **{name: _from_table(name) for name in ("ddpm", "scaled_linear", "sigmoid_beta", "cosine_alpha_bar")},
}


def noise_grid(name: str, n_steps: int, append_zero: bool = False, **parameters: Any) -> tuple[float, ...]:
    """Noise-to-signal ratios by the name of their rule, from high to low.

    Parameters
    ----------
    name : str
        A name in ``NOISE_GRIDS``.
    n_steps : int
        Steps between the first and the last ratio of the rule, at least 1.
    append_zero : bool
        End with 0, the data: one step more, unless the rule itself ends there.
    **parameters
        Of the rule. Those of tables of T steps take ``T``, ``spacing`` and ``zero_terminal``
        (:func:`buff.grids.discrete.zero_terminal_snr`: the first ratio is then infinite).

    Raises
    ------
    ValueError
        Unknown name, a parameter out of range, or parameters whose ratios do not decrease.

    Examples
    --------
    >>> noise_grid("exponential", 2, append_zero=True, low=0.25, high=4.0)
    (4.0, 1.0, 0.25, 0.0)
    """
    if name not in NOISE_GRIDS:
        raise ValueError(f"unknown noise grid {name!r}: choose one of {', '.join(NOISE_GRIDS)}")
    check_parameters(name, NOISE_GRIDS[name], parameters)
    grid = NOISE_GRIDS[name](check_steps(n_steps), **parameters)
    if any(b >= a for a, b in pairwise(grid)):
        shown = ", ".join(f"{ratio:g}" for ratio in grid[:6])
        raise ValueError(f"{name} with {parameters} does not decrease: found {shown} ...; change its parameters")
    return (*grid, 0.0) if append_zero and grid[-1] > 0 else grid
