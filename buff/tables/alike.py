"""Several tables of the same columns, such as real and generated events: columns by name, and one kind for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from buff.protocols import Array, Values
from buff.tables.categories import factorize
from buff.tables.columns import Columns, is_missing, kind_of, read
from buff.tables.ids import looks_like_ids
from buff.tables.kinds import check_kind, is_categorical, numbers_of
from buff.tables.schema import Schema

__all__ = ["AlikeTables", "read_alike"]

#: What tables of generated rows are called: their texts say nothing of which columns are ids.
_MADE = ("generated", "synthetic")
#: Kinds that say nothing of how values are compared.
_UNSAID = ("constant", "coordinate", "id", "drop")


@dataclass(frozen=True)
class AlikeTables:
    """Tables with their common columns in one order.

    Attributes
    ----------
    tables : dict from str to Columns
    kinds : tuple of str
        One of :data:`buff.tables.kinds.KINDS` for each column: of all tables together, or as a schema says, which may
        also call it an "angle".
    left_out : mapping from str to str
        Columns that are not for comparing, such as ids, and why.
    """

    tables: dict[str, Columns]
    kinds: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""
        return next(iter(self.tables.values())).names

    def parts(self, j: int) -> list[Array]:
        """Column ``j`` of every table, in its natural dtype; numbers that are written as text as float64."""
        return [numbers_of(self.names[j], self.kinds[j], columns.arrays[j]) for columns in self.tables.values()]

    def categorical(self, j: int) -> bool:
        """Whether column ``j`` holds categories rather than numbers or dates."""
        return any(is_categorical(self.kinds[j], part) for part in self.parts(j))


def read_alike(
    tables: Mapping[str, Any],
    columns: Sequence[str] | None = None,
    schema: Schema | Mapping[str, Any] | None = None,
    *,
    shared: bool = False,
    finite: bool = True,
) -> AlikeTables:
    """Read tables that have the same columns, without those that name rows.

    Ids are what :func:`~buff.tables.ids.looks_like_ids` says of the largest table of real rows, and for numbers of any
    table, unless the schema names the column or there is no other: the rule of a fit.

    Parameters
    ----------
    tables : mapping from str to table
        By the names to call them in errors; what :func:`~buff.tables.read` reads, and arrays of shape (n,) as one
        column.
    columns : sequence of str, optional
        Columns to read; for arrays, the names of theirs.
    schema : Schema or mapping from column name to a kind or a mapping with ``kind``, optional
        Kinds that are known, such as ``schema_`` of a model or what it was given; others are inferred from all tables
        together. Columns of kind "id" or "drop" are left out, and so are those that a ``schema_`` does not name and not
        all tables have; "angle" and "coordinate" are numbers.
    shared : bool
        Whether columns that not all tables have are left out rather than refused.
    finite : bool
        Whether infinite values are refused.

    Raises
    ------
    ValueError
        A table without rows or without a column asked for; different columns; none but ids; a column of numbers here
        and of text there; an unknown kind, or one that the values contradict.

    Examples
    --------
    >>> alike = read_alike({"real": {"n": [1, 2], "q": [0.5, 1.0]}, "generated": {"q": [1.0, 2.0], "n": [1, 3]}})
    >>> alike.names, alike.kinds
    (('n', 'q'), ('integer', 'continuous'))
    """
    found = {name: _read_one(table, name, columns, finite) for name, table in tables.items()}
    gone = {} if shared or columns else _gone(found, schema)
    found = {name: table.without(gone) for name, table in found.items()} if gone else found
    names = _common_names(found, columns, shared)
    left_out = gone | _left_out(found, names, schema)
    names = tuple(name for name in names if name not in left_out)
    if not names:
        words = "; ".join(f"{name!r} {why}" for name, why in left_out.items())
        raise ValueError(f"no column is left to compare: {words}; give it another kind by schema=")
    chosen = {
        name: table if table.names == names else table.select([table.names.index(column) for column in names])
        for name, table in found.items()
    }
    known = _known_kinds(schema)
    kinds = tuple(_kind(chosen, j, known.get(column)) for j, column in enumerate(names))
    return AlikeTables(chosen, kinds, left_out)


def _read_one(table: Any, name: str, columns: Sequence[str] | None, finite: bool) -> Columns:
    if isinstance(table, Columns):
        return table
    if _dimensions(table) == 1:
        table = np.reshape(np.asarray(table), (-1, 1))
    named: Sequence[str] = ()
    if columns is not None and _dimensions(table) == 2:
        d = np.shape(table)[1]
        named = tuple(columns)
        if len(named) != d or len(set(named)) != d:
            raise ValueError(f"columns: {d} different names expected for {name}, found {list(named)}")
    try:
        found = read(table, min_rows=0, names=named, finite=finite)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error
    if not len(found):
        raise ValueError(f"{name} has no rows")
    return found


def _dimensions(table: Any) -> int:
    """Axes of an array or list without column names; 0 for a table that has names."""
    if isinstance(table, list | tuple) and len(table):
        return 1 if np.ndim(table[0]) == 0 else 2
    if isinstance(table, np.ndarray) and not table.dtype.names:
        return table.ndim
    return table.ndim if type(table).__module__.split(".")[0] == "torch" else 0


def _common_names(tables: Mapping[str, Columns], columns: Sequence[str] | None, shared: bool) -> tuple[str, ...]:
    (first, head), *others = tables.items()
    if columns:
        for name, table in tables.items():
            absent = [column for column in columns if column not in table.names]
            if absent:
                raise ValueError(f"{name} has no column {absent[0]!r}; it has {', '.join(table.names)}")
        return tuple(dict.fromkeys(columns))
    if shared or columns is not None:
        common = tuple(column for column in head.names if all(column in table.names for _, table in others))
        if columns is not None or not common:
            found = "; ".join(f"{name} has {' '.join(table.names)}" for name, table in tables.items())
            raise ValueError(f"no common column: {found}")
        return common
    for name, table in others:
        if set(table.names) != set(head.names):
            difference = ", ".join(sorted(set(table.names) ^ set(head.names)))
            raise ValueError(f"{name} and {first} differ in columns: {difference}")
    return head.names


def _gone(tables: Mapping[str, Columns], schema: Schema | Mapping[str, Any] | None) -> dict[str, str]:
    """Columns of some tables only that a model does not give back by its schema, and why."""
    stated = {} if schema is None else _stated(schema)
    every = dict.fromkeys(name for table in tables.values() for name in table.names)
    partial = [name for name in every if not all(name in table.names for table in tables.values())]
    found = {name: "is dropped" for name in partial if stated.get(name) == "drop"}
    if isinstance(schema, Schema):
        found |= {name: "is not in the schema" for name in partial if name not in stated}
    return found


def _left_out(
    tables: Mapping[str, Columns], names: Sequence[str], schema: Schema | Mapping[str, Any] | None
) -> dict[str, str]:
    """Columns that name rows or that a model leaves out, and why."""
    stated, kinds = {} if schema is None else _stated(schema), {"id": "is an id", "drop": "is dropped"}
    largest = max((table for name, table in tables.items() if name not in _MADE), key=len, default=None)
    found: dict[str, str] = {}
    for name in names:
        if name in stated:
            why = kinds.get(stated[name] or "", "")
        else:
            columns = [(table, table.arrays[table.names.index(name)]) for table in tables.values()]
            judged = (values for table, values in columns if table is largest or values.dtype.kind in "iu")
            words = next(filter(None, map(looks_like_ids, judged)), "")
            why = f"{words} and is taken for an id" if words else ""
        if why:
            found[name] = why
    # a table of nothing else is to be compared by what it has
    return found if set(found) < set(names) else {name: why for name, why in found.items() if name in stated}


def _stated(schema: Schema | Mapping[str, Any]) -> dict[str, str | None]:
    """The kinds of a schema; None for columns that it names without one."""
    if isinstance(schema, Schema):
        return {column.name: column.kind for column in schema}
    return {name: entry if isinstance(entry, str) else entry.get("kind") for name, entry in schema.items()}


def _known_kinds(schema: Schema | Mapping[str, Any] | None) -> dict[str, str]:
    if schema is None:
        return {}
    return {name: kind for name, kind in _stated(schema).items() if kind is not None and kind not in _UNSAID}


def _kind(tables: Mapping[str, Columns], j: int, asked: str | None) -> str:
    parts = {name: table.arrays[j] for name, table in tables.items()}
    known = {name: values[~is_missing(values)] for name, values in parts.items()}
    known = {name: values for name, values in known.items() if len(values)}
    column = next(iter(tables.values())).names[j]
    if asked is not None:
        for values in known.values():
            check_kind(column, values, "continuous" if asked == "angle" else asked)
    declared = any(table.template.categories[j] is not None for table in tables.values())
    kinds = {name: kind_of(values, declared) for name, values in known.items()}
    kind = _joint(column, tables, j, known, kinds)
    complete = sum(map(len, known.values())) == sum(map(len, parts.values()))
    constant = not known or (complete and len({_value(values) for values in known.values()}) == 1 and _flat(known))
    return "constant" if constant and asked is None else asked or kind


def _joint(
    column: str, tables: Mapping[str, Columns], j: int, known: Mapping[str, Array], kinds: Mapping[str, str]
) -> str:
    """The kind of which all are: whole numbers are numbers, and two whole numbers may be booleans."""
    found = set(kinds.values())
    families = {"t" if values.dtype.kind == "O" and isinstance(values[0], str) else values.dtype.kind
                for values in known.values()}  # fmt: skip
    numbers = families <= set("biufO")
    if len(found) <= 1 and ("t" not in families or families == {"t"}) and families != {"m", "M"}:
        return next(iter(found), "constant")
    if numbers and found == {"integer", "continuous"}:
        return "continuous"
    if numbers and found == {"boolean", "integer"} and all(_is_flag(values) for values in known.values()):
        return "boolean"
    dtypes = [f"{tables[name].template.dtypes[j]} in {name}" for name in kinds]
    raise ValueError(f"column {column!r} is {' and '.join(dtypes)}: give both one type")


def _is_flag(values: Values) -> bool:
    return set(factorize(values)[0]) <= {0, 1}


def _value(values: Values) -> Any:
    return values[:1].tolist()[0]


def _flat(known: Mapping[str, Array]) -> bool:
    return all(bool(np.all(values == values[0])) for values in known.values())
