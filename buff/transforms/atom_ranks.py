"""Ranks of a column without those of its atoms, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from buff.protocols import Array, Indices, Numbers
from buff.records import checked_array, require

__all__ = ["AtomRanks"]


@dataclass(frozen=True, eq=False)
class AtomRanks:
    """Atoms that own intervals of the ranks of a column, and the values between them, whose own ranks fill (0, 1).

    Attributes
    ----------
    intervals : array of shape (k, 2)
        Rising, disjoint.
    small : array of shape (m, 2)
        Intervals of values that repeat, and count as values all the same.

    Examples
    --------
    >>> ranks = AtomRanks(np.array([[0.0, 0.5]]), np.empty((0, 2)))
    >>> ranks.of_values(np.array([0.75])).tolist(), ranks.among_all(np.array([0.5])).tolist()
    ([0.5], [0.75])
    """

    intervals: Array
    small: Array

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], name: str) -> "AtomRanks":
        """Of the arrays under a name; ArchiveError where they are no parts of the ranks."""
        options: dict[str, Any] = {"low": 0, "high": 1 + 1e-9, "rising": True}
        found = [checked_array(arrays[f"{name}/{part}"], part, (None, 2), **options) for part in ("intervals", "small")]
        require(
            all((np.diff(part, axis=1) >= 0).all() for part in found), f"{name} has ranks that end before they start"
        )
        return cls(*found)

    @property
    def rest(self) -> float:
        """Share of values."""
        return float(1 - np.diff(self.intervals, axis=1).sum())

    def of_values(self, u: Numbers) -> Array:
        """Ranks among values of ranks among all."""
        widths = np.diff(self.intervals, axis=1).ravel()
        below = np.clip(u[:, None] - self.intervals[:, 0], 0, widths).sum(axis=1)
        return np.clip((u - below) / max(self.rest, 1e-300), 0, 1)

    def among_all(self, v: Numbers) -> Array:
        """Ranks among all of ranks among values."""
        widths = np.diff(self.intervals, axis=1).ravel()
        own = v * self.rest
        starts = self.intervals[:, 0] - np.concatenate([[0.0], np.cumsum(widths)[:-1]]) if len(widths) else widths
        return own + np.where(own[:, None] > starts, widths, 0).sum(axis=1)

    def scores(self, state: Indices, s: Numbers, *, snapped: bool = True) -> Array:
        """Normal scores among all, float64, of states and scores among values.

        With ``snapped``, values that repeat stand in the middle of their ranks.
        """
        z = np.empty(len(state))
        atoms, values = state >= 0, state < 0
        if atoms.any():
            z[atoms] = ndtri(self.intervals.mean(axis=1))[state[atoms]]
        if values.any():
            own = s[values]
            if len(self.intervals) or (snapped and len(self.small)):
                u = self.among_all(ndtr(own))
                if snapped and len(self.small):
                    i = np.clip(np.searchsorted(self.small[:, 0], u, side="right") - 1, 0, None)
                    inside = u < self.small[i, 1]
                    u = np.where(inside & (u >= self.small[i, 0]), self.small[i].mean(axis=1), u)
                own = ndtri(u)
            z[values] = own
        return z
