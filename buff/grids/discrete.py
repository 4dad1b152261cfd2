"""Noise schedules given as tables of T steps: alpha-bar, the squared signal after each step of noising.

Tables start next to the data. ``T`` other than 1000 rescales the rates, so that the total noise stays the
same.
"""

import math
from typing import Any, TypeAlias

import numpy as np

from buff.errors import check_whole

__all__ = ["ALPHA_BARS", "SPACINGS", "alpha_bar", "ratios", "spaced", "zero_terminal_snr"]

Table: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def _linear(T: int) -> Table:
    """Ho, Jain, Abbeel, 2020, arXiv:2006.11239."""
    return np.linspace(1e-4, 0.02, T) * 1000 / T


def _scaled_linear(T: int) -> Table:
    """Linear in sqrt(beta); Rombach et al., 2021, arXiv:2112.10752."""
    return np.linspace(math.sqrt(8.5e-4), math.sqrt(0.012), T) ** 2 * 1000 / T


def _sigmoid(T: int) -> Table:
    """beta from 1e-4 to 0.02 along a sigmoid; Xu et al. (GeoDiff), 2022, arXiv:2203.02923."""
    return ((0.02 - 1e-4) / (1 + np.exp(-np.linspace(-6, 6, T))) + 1e-4) * 1000 / T


def _cosine(T: int) -> Table:
    """Nichol, Dhariwal, 2021, arXiv:2102.09672."""
    squared_signal = np.cos((np.arange(T + 1) / T + 0.008) / 1.008 * math.pi / 2) ** 2
    beta: Table = np.minimum(1 - squared_signal[1:] / squared_signal[:-1], 0.999)
    return beta


ALPHA_BARS = {
    "ddpm": _linear,
    "scaled_linear": _scaled_linear,
    "sigmoid_beta": _sigmoid,
    "cosine_alpha_bar": _cosine,
}
SPACINGS = ("linspace", "leading", "trailing", "quadratic")


def alpha_bar(name: str, T: int = 1000) -> Table:
    """The table of squared signals, from the step next to the data to the noisiest.

    Examples
    --------
    >>> alpha_bar("ddpm")[[0, 999]].round(7).tolist()
    [0.9999, 4.04e-05]
    """
    if name not in ALPHA_BARS:
        raise ValueError(f"unknown table {name!r}: choose one of {', '.join(ALPHA_BARS)}")
    check_whole("T", T, 2)
    beta = ALPHA_BARS[name](T)
    if beta.max() >= 1:
        raise ValueError(f"the {name} table needs more than T = {T} steps: a step would remove all signal")
    table: Table = np.cumprod(1 - beta)
    return table


def zero_terminal_snr(table: Table) -> Table:
    """The table with its signal shifted and scaled so that none is left at the end and the start is kept.

    Needs a model of v or of the data: noise says nothing about the data there.

    References
    ----------
    Lin, Liu, Li, Yang, 2023, arXiv:2305.08891.
    """
    signal = np.sqrt(table)
    rescaled: Table = ((signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])) ** 2
    return rescaled


def ratios(table: Table) -> tuple[float, ...]:
    """``sigma / alpha`` of a variance-preserving table; infinite where no signal is left."""
    return tuple(math.sqrt((1 - a) / a) if a > 0 else math.inf for a in table.tolist())


def spaced(T: int, n: int, spacing: str = "linspace") -> tuple[int, ...]:
    """``n`` of the steps 0 ... T - 1, increasing.

    ``linspace`` takes both ends, ``leading`` multiples of T // n from 0 on, ``trailing`` multiples of T / n
    down from T - 1 (prefer it when no signal is left at the end), ``quadratic`` squares up to 0.8 T.

    Examples
    --------
    >>> spaced(1000, 4, "leading"), spaced(1000, 4, "trailing")
    ((0, 250, 500, 750), (249, 499, 749, 999))
    """
    if spacing not in SPACINGS:
        raise ValueError(f"unknown spacing {spacing!r}: choose one of {', '.join(SPACINGS)}")
    chosen = {
        "linspace": np.round(np.linspace(0, T - 1, n)),
        "leading": np.arange(n) * (T // n),
        "trailing": np.round(np.arange(1, n + 1) * T / n) - 1,
        "quadratic": np.floor(np.linspace(0, math.sqrt(0.8 * T), n) ** 2 + 1e-9),
    }[spacing]
    steps = tuple(int(i) for i in chosen)
    if len(set(steps)) < n:
        raise ValueError(f"{spacing} spacing finds no {n} different steps among {T}: take fewer")
    return steps
