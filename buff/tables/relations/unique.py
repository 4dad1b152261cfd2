"""Columns of which no value repeats."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from buff.protocols import Array, Values
from buff.tables.columns import is_missing
from buff.tables.relations.base import Relation, Table
from buff.tables.relations.functions import joint_codes

__all__ = ["Unique"]


@dataclass(frozen=True)
class Unique(Relation):
    """No value repeats: the column names rows, and drawn rows get new names of the same pattern.

    Parameters
    ----------
    column : str

    Examples
    --------
    >>> Unique("id").learn({"id": np.array([1, 2, 2])})
    Traceback (most recent call last):
    buff.tables.relations.base.BrokenRelationError: id is unique does not hold in 1 of 3 rows, the first is ...
    """

    kind: ClassVar[str] = "unique"
    column: str
    rows: int = 0

    @property
    def target(self) -> str:
        return self.column

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    def learn(self, table: Table) -> Self:
        self._require(table)
        codes = joint_codes(table[self.column])
        repeated = np.ones(len(codes), bool)
        repeated[np.unique(codes, return_index=True)[1]] = False
        self._refuse(table, repeated & ~is_missing(table[self.column]), self.columns)
        return self.seen(len(codes))

    def encode(self, table: Table) -> Array | None:
        return None

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        raise ValueError(f"column {self.column!r} is told by nothing: draw it by buff.tables.ids.IdPattern")

    def __str__(self) -> str:
        return f"{self.column} is unique"
