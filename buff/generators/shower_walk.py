"""What the splits of a shower have in common: events that are walked together, shares of an energy, thresholds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from buff.protocols import Array, Indices, Numbers, Scores

__all__ = ["Share", "Walk", "added", "divided", "log_energy"]

#: Energy, MeV, below which its logarithm says nothing more.
_FLOOR = 1e-2

#: Shares z of a split: from name of its model, its number among all splits, its group, the events that have energy,
#: their features (given any of the events), logarithm of their energy, and the features that the linear part takes.
Share: TypeAlias = Callable[[str, int, int, Indices, Callable[[Indices], Array], Array, tuple[int, ...]], Array]


@dataclass(frozen=True)
class Walk:
    """Showers that are divided together.

    Attributes
    ----------
    incident : array of shape (n,), MeV
    condition : list of arrays of shape (n,)
        Further features of the condition.
    threshold : float
        Energy, MeV, below which no part may be.
    """

    incident: Array
    condition: list[Array]
    threshold: float


def divided(energy: Numbers, z: Scores, threshold: float) -> tuple[Array, Array]:
    """Two parts that sum up to the energy; a part below the threshold goes to the other.

    Examples
    --------
    >>> divided(np.array([4.0, 4.0]), np.array([0.25, 0.01]), 0.5)
    (array([1., 0.]), array([3., 4.]))
    """
    first = energy * z
    first = np.where(first < threshold, 0.0, first)
    last = energy - first
    small = last < threshold
    return np.where(small, energy, first), np.where(small, 0.0, last)


def log_energy(energy: Numbers) -> Array:
    """Decadic logarithm of energies, MeV, finite at zero."""
    return np.log10(energy + _FLOOR).astype(np.float32)


def added(parts: Array) -> Array:
    """Sum over the first axis, one part after the other: NumPy's own order depends on how many events there are."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total
