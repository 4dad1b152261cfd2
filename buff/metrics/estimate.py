"""A number with its error, and the bootstrap that most errors come from.

A bootstrap replica is nothing but another set of weights, so a metric that takes weights has its error for
the price of repeating the weighted sum: sorting, binning and distances are done once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import floor, fsum, isfinite, log10, nan, sqrt

import numpy as np
import numpy.typing as npt

from buff.metrics.samples import Rows, Seed

__all__ = ["Estimate", "Quality", "bootstrap", "normalised", "replicate", "weighted_mean"]


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error; unpacks as ``value, error``.

    Printed to the digits that the error supports (two where they start below 3.55, else one: the rule of the
    Particle Data Group).

    Parameters
    ----------
    value : float
        The number measured.
    error : float
        One standard deviation; nan where none was asked for.

    Examples
    --------
    >>> width = Estimate(0.012345, 0.00041)
    >>> print(width)
    0.0123 ± 0.0004
    >>> value, error = width
    >>> print(Estimate(91.18764, 0.0021))
    91.1876 ± 0.0021
    """

    value: float
    error: float

    def __iter__(self) -> Iterator[float]:
        return iter((self.value, self.error))

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        if not (isfinite(self.value) and isfinite(self.error)) or self.error <= 0:
            return f"{self.value:.4g}" + (" ± 0" if self.error == 0 else "")
        digits = _decimals(self.error)
        if digits > 8 or abs(self.value) >= 1e9:
            return f"{self.value:.4g} ± {self.error:.2g}"
        return f"{self.value:z.{max(digits, 0)}f} ± {self.error:.{max(digits, 0)}f}"

    @classmethod
    def from_replicas(cls, values: Rows) -> Estimate:
        """Value from the first entry, error from the spread of the others that are defined."""
        replicas = values[1:][np.isfinite(values[1:])]
        return cls(float(values[0]), float(np.std(replicas, ddof=1)) if len(replicas) > 1 else nan)

    def scaled(self, factor: float) -> Estimate:
        """Value and error times a number."""
        return Estimate(factor * self.value, abs(factor) * self.error)


@dataclass(frozen=True)
class Quality:
    """One measurement.

    Parameters
    ----------
    name : str
        Which line it belongs to: a solver, a model.
    nfe : int
        Field evaluations an event.
    value : float
        The metric.
    error : float
        One standard deviation of it.
    """

    name: str
    nfe: int
    value: float
    error: float = 0.0


def _decimals(error: float) -> int:
    power = floor(log10(error))
    leading = error / 10.0**power
    return 1 - power if leading < 3.55 else (0 - power if leading < 9.5 else -power)


def replicate(weights: Rows, n_bootstrap: int, rng: np.random.Generator) -> Rows:
    """The weights themselves, then ``n_bootstrap`` bootstrap replicas of them.

    Each replica draws the n rows with replacement and multiplies every weight by the number of times its row
    was drawn (Efron, 1979, doi:10.1214/aos/1176344552). One whose sum is not positive is drawn again.

    Parameters
    ----------
    weights : array of shape (n,)
        Event weights, of either sign.
    n_bootstrap : int
        Number of replicas: 0 for none, else 2 or more.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    array of shape (1 + n_bootstrap, n)

    Raises
    ------
    ValueError
        If ``n_bootstrap`` is 1 or negative.

    Examples
    --------
    >>> replicate(np.ones(3), 2, np.random.default_rng(0)).sum(axis=1)
    array([3., 3., 3.])
    """
    if n_bootstrap < 0 or n_bootstrap == 1:
        raise ValueError(f"n_bootstrap must be 0 (no error) or at least 2, found {n_bootstrap}")
    n = len(weights)
    replicas = np.empty((1 + n_bootstrap, n))
    replicas[0] = weights
    for replica in replicas[1:]:
        replica[:] = 0
        while replica.sum() <= 0:
            replica[:] = weights * np.bincount(rng.integers(n, size=n), minlength=n)
    return replicas


def normalised(weights: Rows) -> Rows:
    """Each row of weights (replicas, rows) divided by its sum; nan where that is not positive."""
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights / np.where(total > 0, total, nan))


def bootstrap(statistic: Callable[[Rows, Rows], Rows], w: Rows, v: Rows, n_bootstrap: int, random_state: Seed) -> Rows:
    """``statistic(w, v)`` of the real weights w and generated weights v, and of each replica of both.

    The first axis of the result counts replicas; both samples are resampled independently.
    """
    rng = np.random.default_rng(random_state)
    replicas = zip(replicate(w, n_bootstrap, rng), replicate(v, n_bootstrap, rng), strict=True)
    return np.array([statistic(w_b, v_b) for w_b, v_b in replicas])


def weighted_mean(values: npt.ArrayLike, weights: Rows) -> Estimate:
    """Mean of independent rows with its standard error.

    Examples
    --------
    >>> print(weighted_mean([True, True, False, True], np.ones(4)))
    0.75 ± 0.22
    """
    x = np.asarray(values, dtype=np.float64)
    # exact sums: a matrix product's last bit depends on the processor, and would decide a digit that is printed
    total = fsum(weights.tolist())
    mean = fsum((weights * x).tolist()) / total
    return Estimate(mean, sqrt(fsum((weights**2 * (x - mean) ** 2).tolist())) / abs(total))
