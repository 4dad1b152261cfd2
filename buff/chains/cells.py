"""Cells of a table as a chain sees them: on an atom or on a value, and where."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.protocols import Array, Indices

__all__ = ["UNKNOWN", "UNSEEN", "VALUE", "ScoreCells"]

#: States of a cell that are no number of an atom: a value among values, nothing that is known, and a whole number that
#: the training did not have among its few.
VALUE, UNKNOWN, UNSEEN = -1, -2, -3


@dataclass(frozen=True, eq=False)
class ScoreCells:
    """Cells of n rows and d columns.

    Attributes
    ----------
    z : float32 array of shape (n, d)
        Normal scores, in the middle of the ranks that repeated values own; NaN where a cell is not known.
    state : int array of shape (n, d)
        Number of the atom, :data:`VALUE` or :data:`UNKNOWN`.
    low, high : float64 arrays of shape (n, d)
        Normal scores of values among the values of their column: both ends of the ranks that they own, equal where a
        value hardly ever repeats.
    log_slope : float64 array of shape (n, d)
        Logarithm of the derivative of these scores; of values that own ranks, minus that of the width they stand for;
        of those that were not seen, of their probability.
    """

    z: Array
    state: Indices
    low: Array
    high: Array
    log_slope: Array

    @classmethod
    def stack(cls, columns: list["ScoreCells"]) -> "ScoreCells":
        """Columns side by side."""
        return cls(*(np.concatenate([getattr(c, name) for c in columns], axis=1) for name in cls.__annotations__))

    def __len__(self) -> int:
        return len(self.z)

    @property
    def known(self) -> Array:
        """Which cells are known, bool of shape (n, d)."""
        return np.asarray(self.state != UNKNOWN)

    def take(self, rows: Any) -> "ScoreCells":
        """Some of the rows."""
        return self._map(lambda values: values[rows])

    def columns(self, numbers: Any) -> "ScoreCells":
        """Some of the columns, or all in another order."""
        return self._map(lambda values: values[:, numbers])

    def place(self, rng: np.random.Generator) -> Array:
        """Scores of values (n, d), at random inside the ranks that they own."""
        return self.low + (self.high - self.low) * rng.random(self.low.shape)

    def _map(self, of: Any) -> "ScoreCells":
        return replace(self, **{name: of(getattr(self, name)) for name in type(self).__annotations__})
