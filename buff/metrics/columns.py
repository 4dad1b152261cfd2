"""Tables of numbers, categories and missing values as arrays of floats, for distances and classifiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from buff.errors import warn
from buff.metrics.samples import LARGEST, Rows
from buff.protocols import Array, Indices
from buff.tables import Schema, read_alike
from buff.tables.categories import factorize
from buff.tables.relations import Angle

__all__ = ["NumericTable", "TableLike", "read_tables"]

#: Labels of a column that a warning shows.
_SHOWN = 3
#: A 2-D array (of numbers or objects), a structured array, a mapping from names to columns, or a data frame.
TableLike: TypeAlias = npt.ArrayLike | Mapping[str, npt.ArrayLike]


@dataclass(frozen=True, eq=False)
class NumericTable:
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
    kinds : tuple of str
        Kinds of the columns, see :data:`buff.tables.kinds.KINDS`.
    left_out : mapping from str to str
        Columns of the table that are not compared, such as ids, and why.
    """

    names: tuple[str, ...]
    values: Rows
    categorical: tuple[int, ...]
    incomplete: tuple[int, ...]
    kinds: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def numeric(self) -> list[int]:
        return [k for k in range(len(self.names)) if k not in self.categorical]

    def select(self, columns: Sequence[int]) -> "NumericTable":
        """Some of the columns, in the order given."""
        codes, incomplete = (
            tuple(position for position, k in enumerate(columns) if k in marked)
            for marked in (self.categorical, self.incomplete)
        )
        names, kinds = (tuple(of[k] for k in columns) for of in (self.names, self.kinds))
        return NumericTable(names, self.values[:, list(columns)], codes, incomplete, kinds, self.left_out)

    def take(self, rows: Indices) -> "NumericTable":
        return replace(self, values=self.values[rows])

    def join(self, other: "NumericTable") -> "NumericTable":
        return replace(self, values=np.concatenate([self.values, other.values]))


def read_tables(
    tables: Mapping[str, TableLike],
    columns: Sequence[str] | None = None,
    schema: Schema | Mapping[str, Any] | None = None,
) -> list[NumericTable]:
    """Read tables of the same columns with common codes, the first table's most frequent category first.

    Numbers and dates (as seconds) are numeric; columns of kind "categorical" or "boolean" are categories. ``None``,
    nan and missing dates are missing values. Angles are cut where the first table has fewest rows and count on from
    there, so that neighbours on the circle are neighbours. Ids and dropped columns are left out, see
    :func:`buff.tables.read_alike`.

    Parameters
    ----------
    tables : mapping from str to table
        The tables by the names to call them in errors: whatever :func:`buff.tables.read` reads.
    columns : sequence of str, optional
        Names of an array's columns, or the columns of a table to read.
    schema : Schema or mapping from column name to a kind, optional
        Kinds that are known, such as ``schema_`` of a model.

    Returns
    -------
    list of NumericTable

    Warns
    -----
    Notice
        Tables that have no label of a column with the first in common.

    Raises
    ------
    ValueError
        If a table is empty or ragged, lacks a column, or holds a number above 1e150 in size; if a column has
        different types in the tables.

    Examples
    --------
    >>> table, = read_tables({"real": {"pt": [1.0, None], "tag": ["b", "c"]}})
    >>> table.values, table.categorical, table.kinds
    (array([[ 1.,  0.],
           [nan,  1.]]), (1,), ('integer', 'categorical'))
    """
    alike = read_alike(tables, columns, schema)
    categorical = tuple(j for j in range(len(alike.names)) if alike.categorical(j))
    parts = [
        _codes(alike.parts(j)) if j in categorical else [_numbers(part) for part in alike.parts(j)]
        for j in range(len(alike.names))
    ]
    for j, kind in enumerate(alike.kinds):
        if kind == "angle":
            parts[j] = _unrolled(parts[j], _period(schema, alike.names[j]))
    for j in categorical:
        _warn_of_unshared_labels(alike.names[j], dict(zip(alike.tables, alike.parts(j), strict=True)))
    values = [np.column_stack(rows) for rows in zip(*parts, strict=True)]
    for name, rows in zip(alike.tables, values, strict=True):
        _refuse_extremes(rows, alike.names, name)
    missing = np.any([np.isnan(rows).any(axis=0) for rows in values], axis=0)
    incomplete = tuple(np.flatnonzero(missing).tolist())
    return [NumericTable(alike.names, rows, categorical, incomplete, alike.kinds, alike.left_out) for rows in values]


def _numbers(part: Array) -> Rows:
    if part.dtype.kind in "mM":
        seconds = part.astype(f"{part.dtype.kind}8[us]").astype(np.int64) / 1e6
        return np.where(np.isnat(part), np.nan, seconds)
    return np.asarray(part, dtype=np.float64)


def _period(schema: Schema | Mapping[str, Any] | None, name: str) -> float | None:
    """The period of an angle, if the schema says it."""
    entry = schema.get(name) if isinstance(schema, Mapping) else None
    return entry.get("period") if isinstance(entry, Mapping) else None


def _unrolled(parts: list[Rows], period: float | None) -> list[Rows]:
    """Angles from the thinnest place of the first table on; as they are where their period is not known."""
    try:
        circle = Angle("angle", period).learn({"angle": parts[0]})
    except ValueError:
        return parts
    assert circle.period is not None
    # the seam goes where fewest rows are, by whole periods near where values have been
    turned = [np.where(np.isnan(part), np.nan, (part - circle.cut) % circle.period + circle.cut) for part in parts]
    shift = circle.period * np.round((np.nanmedian(turned[0]) - np.nanmedian(parts[0])) / circle.period)
    return [part - shift for part in turned]


def _codes(parts: list[Array]) -> list[Rows]:
    """Common codes; categories unknown to the first table come last. A missing value is a category, ``""``."""
    found = [factorize(part) for part in parts]
    texts = [[*(f"={level}" for level in levels), ""] for levels, _ in found]
    n_rows = [
        {part[k]: int(n) for k, n in enumerate(np.bincount(codes % len(part))) if n}
        for part, (_, codes) in zip(texts, found, strict=True)
    ]
    order = sorted(sorted(n_rows[0]), key=lambda text: -n_rows[0][text])
    order += sorted({text for part in n_rows for text in part} - set(order))
    code = {text: float(k) for k, text in enumerate(order)}
    numbers = [np.array([code.get(text, np.nan) for text in part]) for part in texts]
    return [rows[codes] for rows, (_, codes) in zip(numbers, found, strict=True)]


def _warn_of_unshared_labels(column: str, parts: Mapping[str, Array]) -> None:
    """Warn of tables that share no label with the first: a model knows no others, so these are written otherwise."""
    levels = {name: [str(level) for level in factorize(part)[0]] for name, part in parts.items()}
    first, *others = levels
    for name in others:
        if levels[first] and levels[name] and not set(levels[first]) & set(levels[name]):
            here, there = (", ".join(map(repr, levels[own][:_SHOWN])) for own in (name, first))
            warn(
                f"column {column!r}: {name} has none of the labels of {first}, {here} and not {there}: distances and "
                f"classifiers show little but that, and copies are not found; write labels alike, or leave it out"
            )


def _refuse_extremes(values: Rows, names: Sequence[str], table: str) -> None:
    extreme = np.abs(values) > LARGEST
    if extreme.any():
        row, column = np.argwhere(extreme)[0]
        found = f"holds {values[row, column]:g} in row {row}"
        raise ValueError(f"{table}: column {names[column]!r} {found}; drop it, or rescale the column")
