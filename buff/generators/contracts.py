"""What generators of tables work with: rows to learn from, and the way from columns to scores and back."""

from dataclasses import dataclass
from typing import Any, Protocol

from buff.protocols import Array, Scores
from buff.tables import Columns, Template

__all__ = ["Space", "TrainingTable"]


class Space(Protocol):
    """What maps columns to scores and back, such as a fitted :class:`~buff.transforms.TableTransformer`."""

    n_dims_: int
    template_: Template

    def encode(self, X: Any, place: Any, /) -> Array:
        """Scores of shape (n, n_dims_) of a table."""

    def decode(self, Z: Scores, /) -> tuple[Array, ...]:
        """One array a column, from scores."""

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A record and arrays, for files."""


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """A table to learn from, read and checked.

    Attributes
    ----------
    columns : Columns
        Of n rows.
    features : float32 array of shape (n, c) or None
        Those of the condition.
    condition : table or None
        As the user gave it, in a container of its own.
    weights : array of shape (n,) or None
        None of them negative.
    """

    columns: Columns
    features: Array | None
    condition: Any
    weights: Any
