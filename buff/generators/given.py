"""Cells that are given: rows of which some columns, or some cells, are known when events are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from buff.errors import warn
from buff.protocols import Array, Mask, Values
from buff.tables import read
from buff.tables.columns import Template, is_missing
from buff.transforms import TableTransformer
from buff.transforms.condition_values import in_dtype
from buff.transforms.encoders import RankedEncoder

__all__ = ["GivenTable", "read_given"]

#: Values may lie outside of the training by so much of its range, and count as its end then.
_BEYOND = 1.0
#: Beyond this share of the range the user is told.
_NEAR = 0.25


@dataclass(frozen=True, eq=False)
class GivenTable:
    """Given cells of n rows.

    Attributes
    ----------
    arrays : tuple of arrays of shape (n,)
        One for each column of the table that comes back, in its natural dtype.
    known : tuple of bool arrays of shape (n,)
        Which cells are given.
    """

    arrays: tuple[Array, ...]
    known: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.known[0])

    def take(self, rows: Any) -> "GivenTable":
        """Some of the rows."""
        return GivenTable(*(tuple(values[rows] for values in part) for part in (self.arrays, self.known)))

    def repeated(self, n: int) -> "GivenTable":
        """A single row n times."""
        return self if len(self) == n else self.take(np.zeros(n, np.intp))

    def over(self, drawn: tuple[Array, ...]) -> tuple[Array, ...]:
        """Drawn columns with the given cells in their place."""
        return tuple(
            values if not known.any() else _replaced(values, cells, known)
            for values, cells, known in zip(drawn, self.arrays, self.known, strict=True)
        )


def read_given(given: object, template: Template, n_samples: int, dtypes: Mapping[str, np.dtype[Any]]) -> GivenTable:
    """Given cells, by the columns of the table that was fitted; missing cells are not given.

    Parameters
    ----------
    given : table or mapping
        Columns by name, one row, or one for each event; arrays have all columns.
    template : Template
        Of the table.
    n_samples : int
        Events that are asked for, 1 if not said.
    dtypes : mapping
        Natural dtypes of the columns.

    Raises
    ------
    ValueError
        Unknown columns, another number of columns or rows.
    """
    if isinstance(given, Mapping):
        ranges = [k for k, v in given.items() if isinstance(v, tuple)]
        if ranges:
            raise TypeError(
                f"given {ranges[0]!r} is {given[ranges[0]]!r}: ranges are not supported, draw more rows and choose; "
                f"several values are a list, one an event"
            )
        given = {str(k): [v] if np.ndim(v) == 0 or isinstance(v, str) else v for k, v in given.items()}
    names = template.names
    table = read(_without_empty(given))
    named = table.template.container not in ("numpy", "list", "torch")
    if not named and len(table.names) != len(names):
        raise ValueError(f"given has {len(table.names)} columns, the table that was fitted has {len(names)}")
    found = dict(zip(table.names if named else names, table.arrays, strict=True))
    unknown = [name for name in found if name not in names]
    if unknown:
        raise ValueError(f"given has the unknown column {unknown[0]!r}; the columns are {list(names)}")
    n = len(table)
    if n > 1 and n_samples not in (1, n):
        raise ValueError(f"given has {n} rows and n_samples is {n_samples}: leave n_samples out, or give one row")
    arrays, known = [], []
    for name in names:
        values = found.get(name)
        there = np.zeros(n, bool) if values is None else ~is_missing(values)
        dtype = dtypes.get(name, np.dtype(float))
        arrays.append(np.zeros(n, dtype) if values is None or not there.any() else _cast(name, values, there, dtype))
        known.append(there)
    cells = GivenTable(tuple(arrays), tuple(known))
    return cells.repeated(n_samples) if n == 1 else cells


def check_values(given: GivenTable, space: TableTransformer, numbers: Mapping[int, int]) -> None:
    """Refuse values that a column cannot have.

    Parameters
    ----------
    given : GivenTable
    space : TableTransformer
    numbers : mapping
        From columns of ``space`` to those of the given table.

    Raises
    ------
    ValueError, TypeError
        Unknown categories and values far outside of the training, with the column and the value.
    """
    for j, encoder in enumerate(space.encoders_):
        i = numbers[j]
        values = given.arrays[i][given.known[i]]
        if not len(values):
            continue
        if encoder.is_number and isinstance(encoder, RankedEncoder):
            _check_range(encoder, values)
        else:
            encoder.encode(values)


def _check_range(encoder: RankedEncoder, values: Values) -> None:
    ranks, x = encoder.ranks, encoder.numbers(values)
    line = ranks.line
    if not len(line.x):
        return
    low, high = (float(end) * ranks.unit for end in line.x[[0, -1]])
    room = _BEYOND * (high - low)
    least = low - room if ranks.lower is None else ranks.lower
    most = high + room if ranks.upper is None else ranks.upper
    off = (x < least) | (x > most)
    near = _NEAR * (high - low)
    beyond = ~off & ((x < low - near) | (x > high + near))
    if beyond.any():
        warn(
            f"given {encoder.name!r} is {values[np.argmax(beyond)]} in {np.count_nonzero(beyond)} rows, beyond the "
            f"range of the training, about {low:.4g} to {high:.4g}: other columns are drawn as at its end"
        )
    if off.any():
        raise ValueError(
            f"given {encoder.name!r} is {values[np.argmax(off)]} in {np.count_nonzero(off)} rows, outside of the range "
            f"of the training, about {low:.4g} to {high:.4g}: give a value inside, or leave the cell out"
        )


def _without_empty(given: object) -> Any:
    """Mappings whose columns hold nothing but None would have no type."""
    if not isinstance(given, Mapping):
        return given
    return {k: [np.nan] * len(v) if all(x is None for x in v) else v for k, v in given.items()}


def _cast(name: str, values: Values, there: Mask, dtype: np.dtype[Any]) -> Array:
    """Known values in the natural dtype of the column."""
    cells = in_dtype(values[there], dtype)
    if cells.dtype.kind != dtype.kind and not (cells.dtype.kind in "iuf" and dtype.kind in "iuf"):
        raise TypeError(f"given {name!r} holds {values[there][0]!r}, and {dtype} when fitted: convert it")
    if cells.dtype != dtype:
        if dtype.kind in "iu" and not (cells == np.rint(cells)).all():
            raise ValueError(f"given {name!r} is {cells[cells != np.rint(cells)][0]}, and whole numbers when fitted")
        cells = cells.astype(dtype)
    out = np.zeros(len(values), dtype)
    out[there] = cells
    return out


def _replaced(values: Values, cells: Values, known: Mask) -> Array:
    out = values.astype(np.result_type(values.dtype, cells.dtype)) if values.dtype != cells.dtype else values.copy()
    out[known] = cells[known]
    return out
