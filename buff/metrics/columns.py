"""Tables of numbers, categories and missing values, read into one array of floats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from buff.metrics.samples import LARGEST, Rows
from buff.protocols import Indices

__all__ = ["Columns", "TableLike", "read_tables"]

#: A 2-D array (of numbers or objects), a structured array, or a mapping from names to columns.
TableLike: TypeAlias = npt.ArrayLike | Mapping[str, npt.ArrayLike]
_Raw: TypeAlias = dict[str, npt.NDArray[Any]]
_NUMBER = int | float | np.number


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns as floats.

    Parameters
    ----------
    names : tuple of str
        Their names.
    values : array of shape (n, d)
        Numbers, nan where missing; codes from 0 where categorical, a missing category being one of its own.
    categorical : tuple of int
        Columns of codes.
    incomplete : tuple of int
        Numeric columns with missing values in any of the tables read together.
    """

    names: tuple[str, ...]
    values: Rows
    categorical: tuple[int, ...]
    incomplete: tuple[int, ...]

    @property
    def numeric(self) -> list[int]:
        return [k for k in range(len(self.names)) if k not in self.categorical]

    def select(self, columns: Sequence[int]) -> "Columns":
        """Some of the columns, in the order given."""
        codes, incomplete = (
            tuple(position for position, k in enumerate(columns) if k in marked)
            for marked in (self.categorical, self.incomplete)
        )
        names = tuple(self.names[k] for k in columns)
        return Columns(names, self.values[:, list(columns)], codes, incomplete)

    def take(self, rows: Indices) -> "Columns":
        return replace(self, values=self.values[rows])

    def join(self, other: "Columns") -> "Columns":
        return replace(self, values=np.concatenate([self.values, other.values]))


def read_tables(tables: Mapping[str, TableLike], columns: Sequence[str] | None = None) -> list[Columns]:
    """Read tables of the same columns with common codes, the first table's most frequent category first.

    Numbers, dates (as seconds) and numbers kept as objects are numeric; text, booleans and the rest are
    categories. ``None``, nan and missing dates are missing values.

    Parameters
    ----------
    tables : mapping from str to table
        The tables by the names to call them in errors.
    columns : sequence of str, optional
        Names of an array's columns, or the columns of a mapping to read.

    Returns
    -------
    list of Columns

    Raises
    ------
    ValueError
        If a table is empty or ragged, lacks a column, or holds a number above 1e150 in size.

    Examples
    --------
    >>> table, = read_tables({"real": {"pt": [1.0, None], "tag": ["b", "c"]}})
    >>> table.values, table.categorical
    (array([[ 1.,  0.],
           [nan,  1.]]), (1,))
    """
    raw = {name: _raw_columns(table, name, columns) for name, table in tables.items()}
    first = next(iter(raw))
    names = list(raw[first])
    for name, table in raw.items():
        if set(table) != set(names):
            difference = ", ".join(sorted(set(table) ^ set(names)))
            raise ValueError(f"{name} and {first} differ in columns: {difference}")
    parts = [[table[column] for table in raw.values()] for column in names]
    numbers = [_as_numbers(part) for part in parts]
    categorical = tuple(k for k, column in enumerate(numbers) if column is None)
    read = [_codes(part) if number is None else number for part, number in zip(parts, numbers, strict=True)]
    values = [np.column_stack(parts) for parts in zip(*read, strict=True)]
    for name, rows in zip(raw, values, strict=True):
        _refuse_extremes(rows, names, name)
    missing = np.any([np.isnan(rows).any(axis=0) for rows in values], axis=0)
    incomplete = tuple(np.flatnonzero(missing).tolist())
    return [Columns(tuple(names), rows, categorical, incomplete) for rows in values]


def _raw_columns(table: TableLike, name: str, columns: Sequence[str] | None) -> _Raw:
    by_name = _by_name(table)
    if by_name is not None:
        present = list(by_name.keys())
        chosen = present if columns is None else list(columns)
        for column in chosen:
            if column not in present:
                raise ValueError(f"{name} has no column {column!r}; it has {', '.join(map(str, present))}")
        raw = {str(column): np.asarray(by_name[column]) for column in chosen}
    else:
        raw = _array_columns(np.asarray(table), name, columns)
    lengths = {column: values.shape for column, values in raw.items()}
    if not raw or len(set(lengths.values())) > 1 or any(len(s) != 1 or not s[0] for s in lengths.values()):
        raise ValueError(f"{name}: columns of one length of at least 1 expected, found shapes {lengths}")
    return raw


def _by_name(table: TableLike) -> Any:
    """The table itself if it is a mapping, one from the columns of a data frame, None for an array."""
    if hasattr(table, "keys"):
        return table
    for listed in ("column_names", "columns", "names"):  # Arrow, polars, the tables of buff.datasets
        names = getattr(table, listed, None)
        if names is not None and all(isinstance(name, str) for name in names):
            return {name: table[name] for name in names}  # type: ignore[index]
    return None


def _array_columns(array: npt.NDArray[Any], name: str, columns: Sequence[str] | None) -> _Raw:
    if array.dtype.names:
        return {column: array[column] for column in (columns or array.dtype.names)}
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(f"{name}: shape (n, d) expected, found {array.shape}")
    names = [f"x{k}" for k in range(array.shape[1])] if columns is None else list(columns)
    if len(names) != array.shape[1] or len(set(names)) != len(names):
        raise ValueError(f"columns: {array.shape[1]} different names expected for {name}, found {names}")
    return dict(zip(names, array.T, strict=True))


def _as_numbers(parts: list[npt.NDArray[Any]]) -> list[Rows] | None:
    """The column as numbers in every table, or None where one holds categories."""
    numbers = [rows for part in parts if (rows := _numbers(part)) is not None]
    return numbers if len(numbers) == len(parts) else None


def _numbers(part: npt.NDArray[Any]) -> Rows | None:
    if part.dtype.kind in "iuf":
        return part.astype(np.float64)
    if part.dtype.kind in "mM":
        seconds = part.astype(f"{part.dtype.kind}8[us]").astype(np.int64) / 1e6
        return np.where(np.isnat(part), np.nan, seconds)
    if part.dtype.kind == "O":
        present = [value for value in part if not _is_missing(value)]
        if all(isinstance(value, _NUMBER) and not isinstance(value, bool) for value in present):
            return np.array([np.nan if _is_missing(value) else float(value) for value in part])
    return None


def _codes(parts: list[npt.NDArray[Any]]) -> list[Rows]:
    """Common codes; categories unknown to the first table come last."""
    texts = [["" if _is_missing(value) else f"={value}" for value in part.tolist()] for part in parts]
    known, counts = np.unique(texts[0], return_counts=True)
    order = [str(text) for text in known[np.argsort(-counts, kind="stable")]]
    order += sorted({text for part in texts for text in part} - set(order))
    code = {text: float(k) for k, text in enumerate(order)}
    return [np.array([code[text] for text in part]) for part in texts]


def _is_missing(value: Any) -> bool:
    # pandas.NA refuses to be compared, so it is known by its type
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


def _refuse_extremes(values: Rows, names: Sequence[str], table: str) -> None:
    extreme = np.abs(values) > LARGEST
    if extreme.any():
        row, column = np.argwhere(extreme)[0]
        found = f"holds {values[row, column]:g} in row {row}"
        raise ValueError(f"{table}: column {names[column]!r} {found}; drop it, or rescale the column")
