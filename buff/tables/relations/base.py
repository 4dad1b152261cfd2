"""What relations between columns have in common: values that count, decimals, words for a row that breaks one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from buff.protocols import Array, Mask, Values
from buff.tables.columns import is_missing

__all__ = ["Absence", "BrokenRelationError", "Relation", "Table", "listed", "rounded", "unlisted"]

#: Columns by name.
Table: TypeAlias = Mapping[str, Array]

#: A number that stands for "none" is shared by so many rows, at least, and by so many times those of any other value.
_FEWEST_SENTINELS, _SENTINEL_EXCESS = 10, 10
#: It lies so many times further from the rest than the 1 % of values next to it lie from each other.
_SENTINEL_GAP = 3
#: Alphabets of numbers have no sentinels: all their values are what they say.
_SENTINEL_LEVELS = 25


class BrokenRelationError(ValueError):
    """Rows break a relation.

    Parameters
    ----------
    message : str
    n_broken : int
        How many.
    """

    def __init__(self, message: str, n_broken: int) -> None:
        super().__init__(message)
        self.n_broken = n_broken


class Relation:
    """An exact statement on the columns of a table, by which one of them, ``target``, can be told from others.

    Relations are stated without a table, and learn from one (:meth:`learn`). A learned one turns the target into
    something that the other columns do not tell (:meth:`encode`), or nothing, and back (:meth:`decode`).
    """

    kind: ClassVar[str]
    #: Rows in which the relation was seen.
    rows: int

    @property
    def target(self) -> str:
        """The column that is told."""
        raise NotImplementedError

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that tell it."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the relation."""
        return (*self.inputs, self.target)

    @property
    def replaced(self) -> tuple[str, ...]:
        """Columns that hold something else while the table is learned, before all other relations are taken out."""
        return ()

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that are told by what stands in the place of those that are replaced."""
        return ()

    def forward(self, table: Table) -> Table:
        """The table with what the replaced columns hold while it is learned."""
        return table

    def backward(self, table: Table) -> Table:
        """Inverse of :meth:`forward`."""
        return table

    def learn(self, table: Table) -> Self:
        """The relation with all that a table tells of it.

        Raises
        ------
        ValueError
            A row breaks it: with the number of the row and its values.
        """
        raise NotImplementedError

    def encode(self, table: Table) -> Array | None:
        """What is left of the target once the inputs are known; None if nothing."""
        raise NotImplementedError

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        """The target of ``n`` rows from the inputs, in ``table``, and what :meth:`encode` left."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable form."""
        return {"kind": self.kind} | {
            key: list(value) if isinstance(value, tuple) else value.to_dict() if isinstance(value, Absence) else value
            for key, value in vars(self).items()
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        fields = {key: tuple(v) if isinstance(v, list) else v for key, v in record.items() if key != "kind"}
        return cls(**fields)

    def seen(self, rows: int, **learned: Any) -> Self:
        """A copy that holds in ``rows`` rows, with what was ``learned`` of them."""
        return replace(self, rows=rows, **learned)  # type: ignore[type-var]

    def _require(self, table: Table) -> None:
        absent = [name for name in self.columns if name not in table]
        if absent:
            raise ValueError(f"{self} names the unknown column {absent[0]!r}; the columns are {list(table)}")

    def _refuse(self, table: Table, broken: Mask, names: Sequence[str]) -> None:
        if broken.any():
            row = int(np.argmax(broken))
            values = ", ".join(f"{name} = {table[name][row]}" for name in names)
            raise BrokenRelationError(
                f"{self} does not hold in {np.count_nonzero(broken)} of {len(broken)} rows, the first is row {row}: "
                f"{values}; correct the rows or leave the relation out",
                int(np.count_nonzero(broken)),
            )


@dataclass(frozen=True)
class Absence:
    """Which values of a column of numbers or dates mean that there is none: missing ones, and a sentinel.

    Attributes
    ----------
    sentinel : number or None

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Absence.of(np.where(rng.random(1000) < 0.3, -25.0, rng.uniform(30, 90, 1000))).sentinel
    -25.0
    >>> Absence.of(rng.uniform(30, 90, 1000)).sentinel is None
    True
    """

    sentinel: float | None = None

    @classmethod
    def of(cls, values: Values) -> "Absence":
        """Absence as a column shows it."""
        if values.dtype.kind not in "if":
            return cls()
        known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        levels, counts = np.unique(known, return_counts=True)
        if len(levels) <= _SENTINEL_LEVELS:
            return cls()
        for end, rest in ((0, slice(1, None)), (-1, slice(-2, None, -1))):
            others = levels[rest].astype(np.float64)
            gap = abs(float(levels[end]) - others[0])
            near = abs(others[max(1, len(others) // 100)] - others[0])
            common = counts[end] >= max(_FEWEST_SENTINELS, _SENTINEL_EXCESS * counts[rest].max())
            if common and levels[end] != 0 and gap > _SENTINEL_GAP * near:
                return cls(float(levels[end]))
        return cls()

    def there(self, values: Values) -> Array:
        """Which rows have a value."""
        there = ~is_missing(values)
        return there if self.sentinel is None else there & (values != self.sentinel)

    @property
    def code(self) -> float | None:
        """A number below 0 in place of the sentinel."""
        return None if self.sentinel is None else -abs(self.sentinel) - 1

    def encode(self, values: Array, numbers: Array) -> Array:
        """``numbers``, of 0 and above, where there is a value, else what says how it is absent."""
        missing = is_missing(values)
        if numbers.dtype.kind in "iu" and missing.any():
            numbers = numbers.astype(np.float64)
        out = numbers.copy()
        if missing.any():
            out[missing] = _nothing(out.dtype)
        if self.sentinel is not None:
            out[values == self.sentinel] = self.code
        return out

    def decode(self, rest: Values, values: Values) -> Array:
        """Inverse of :meth:`encode` for the ``values`` of rows that have one."""
        missing = is_missing(rest)
        if missing.any():
            values = values.astype(np.float64) if values.dtype.kind in "iu" else values.copy()
            values[missing] = _nothing(values.dtype)
        if self.sentinel is not None:
            values = np.where(rest == self.code, np.asarray(self.sentinel, values.dtype), values)
        return values

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable form."""
        return {"sentinel": self.sentinel}


def _nothing(dtype: np.dtype[Any]) -> Any:
    return "NaT" if dtype.kind in "mM" else np.nan


def rounded(x: Values, decimals: int | None) -> Array:
    """The doubles nearest to numbers of so many decimals."""
    if decimals is None:
        return x
    power = 10.0**decimals
    return np.rint(x * power) / power


def listed(values: Values) -> dict[str, Any]:
    """Values of any natural dtype for JSON."""
    whole = values.dtype.kind in "mM"
    plain = (values.view(np.int64) if whole else values).tolist()
    # JSON has no NaN
    return {"dtype": values.dtype.str, "list": [None if v != v else v for v in plain]}


def unlisted(record: Mapping[str, Any]) -> Array:
    """Inverse of :func:`listed`."""
    dtype = np.dtype(record["dtype"])
    if dtype.kind in "mM":
        return np.array(record["list"], np.int64).view(dtype)
    out = np.empty(len(record["list"]), dtype)
    out[:] = record["list"]
    return out
