"""What a column of a chain is told, and the rows that it is learned from."""

from dataclasses import dataclass
from typing import Any

from buff.protocols import Array, Indices

__all__ = ["Context", "TrainingRows"]


@dataclass(frozen=True, eq=False)
class Context:
    """What is known of n rows when a column is drawn.

    Attributes
    ----------
    raw : float32 array of shape (n, c)
        Scores, NaN where they are not given.
    completed : float32 array of shape (n, c)
        The same without gaps.
    given : float32 array of shape (n, g)
        Which of the columns that may be unknown are given, 0 or 1, and the logarithm of the standard deviation that
        they leave, if all were jointly Gaussian.
    innovations : float32 array of shape (n, i)
        What the bases of earlier columns left, NaN on atoms.
    """

    raw: Array
    completed: Array
    given: Array
    innovations: Array

    def __len__(self) -> int:
        return len(self.raw)

    def take(self, rows: Any) -> "Context":
        """Some of the rows."""
        return Context(self.raw[rows], self.completed[rows], self.given[rows], self.innovations[rows])


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Weights of n rows, of mean 1 but for rows that are used several times, and the fold of each."""

    weights: Array
    folds: Indices

    def take(self, rows: Any) -> "TrainingRows":
        """Some of the rows."""
        return TrainingRows(self.weights[rows], self.folds[rows])
