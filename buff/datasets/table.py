"""A table of events whose columns know their names, units and kinds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from buff.errors import MissingExtraError
from buff.tables.kinds import Kind

__all__ = ["Column", "Kind", "Table"]


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Attributes
    ----------
    name : str
    unit : str
        ``"GeV"``, ``"MeV"``, ..., or ``"1"`` for a pure number.
    kind : {"continuous", "integer", "categorical", "boolean", "datetime", "constant"}
    description : str
    """

    name: str
    unit: str = "1"
    kind: Kind = "continuous"
    description: str = ""

    @property
    def label(self) -> str:
        """Axis label: the name, and the unit in brackets if there is one."""
        return self.name if self.unit == "1" else f"{self.name} [{self.unit}]"


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Columns of equal length, read-only.

    Parameters
    ----------
    columns : tuple of Column
    data : mapping from column name to array of shape (n,)
    metadata : mapping from str to str
        Provenance.

    Raises
    ------
    ValueError
        When names repeat, differ from those in ``data``, or lengths differ.

    Examples
    --------
    >>> table = Table((Column("mass", "GeV"), Column("event", kind="integer")),
    ...               {"mass": np.array([80.4, 91.2, 91.0]), "event": np.array([0, 1, 1])})
    >>> table
    Table(3 rows: mass [GeV], event)
    >>> train, test = table.split(0.5, random_state=1)
    >>> len(train) + len(test), set(train["event"]) & set(test["event"])
    (3, set())
    """

    columns: tuple[Column, ...]
    data: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names) or set(names) != set(self.data):
            raise ValueError(f"columns {list(names)} and data {list(self.data)} name different things")
        data = {name: np.asarray(self.data[name]).view() for name in names}
        shapes = {name: values.shape for name, values in data.items()}
        if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
            raise ValueError(f"columns are one-dimensional and of one length, got shapes {shapes}")
        for values in data.values():
            values.flags.writeable = False
        object.__setattr__(self, "data", MappingProxyType(data))

    def __reduce__(self) -> tuple[type["Table"], tuple[Any, ...]]:
        return Table, (self.columns, dict(self.data), dict(self.metadata))

    def __repr__(self) -> str:
        return f"Table({len(self)} rows: {', '.join(c.label for c in self.columns)})"

    def __len__(self) -> int:
        return len(next(iter(self.data.values()))) if self.columns else 0

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.data[self.column(name).name]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self), len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(c.name for c in self.columns)

    @property
    def units(self) -> dict[str, str]:
        """Unit by column name."""
        return {c.name: c.unit for c in self.columns}

    def column(self, name: str) -> Column:
        """The description of one column; ValueError for a name that is not there."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ValueError(f"no column {name!r}; the columns are {', '.join(self.names)}")

    def select(self, columns: Iterable[str]) -> "Table":
        """The table with these columns only, in this order."""
        chosen = tuple(self.column(name) for name in columns)
        return Table(chosen, {c.name: self.data[c.name] for c in chosen}, self.metadata)

    def rows(self, index: NDArray[Any] | slice) -> "Table":
        """The table with these rows only: row numbers, a mask of booleans, or a slice."""
        return Table(self.columns, {name: values[index] for name, values in self.data.items()}, self.metadata)

    def split(
        self, fraction: float, *, groups: str | None = None, random_state: int | np.random.Generator
    ) -> tuple["Table", "Table"]:
        """Two tables of ``fraction`` and ``1 - fraction`` of the rows, at random, in the order of the table.

        Parameters
        ----------
        fraction : float in (0, 1)
        groups : str, optional
            Rows that share a value of this column stay together. By default ``"event"`` where there is such a
            column; otherwise every row is on its own.
        random_state : int or numpy Generator
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction lies between 0 and 1, got {fraction!r}")
        if groups is None and "event" in self.names:
            groups = "event"
        keys = np.arange(len(self)) if groups is None else self[groups]
        _, group, size = np.unique(keys, return_inverse=True, return_counts=True)
        order = np.random.default_rng(random_state).permutation(len(size))
        first = np.empty(len(size), dtype=bool)
        first[order] = np.cumsum(size[order]) - size[order] / 2 <= fraction * len(self)
        return self.rows(first[group]), self.rows(~first[group])

    def to_numpy(self, columns: Iterable[str] | None = None) -> NDArray[Any]:
        """Array of shape (n, columns), by default of every column that holds numbers."""
        numbers = [n for n in self.names if np.issubdtype(self.data[n].dtype, np.number)]
        arrays = [self[name] for name in (numbers if columns is None else columns)]
        return np.stack(arrays, axis=1) if arrays else np.empty((len(self), 0))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All columns, in order, as an array of shape (n, columns); of objects, where some hold numbers, some text."""
        arrays = [self.data[name] for name in self.names]
        if len({"n" if a.dtype.kind in "biuf" else a.dtype.kind for a in arrays}) > 1:
            arrays = [a.astype(object) for a in arrays]
        return np.asarray(np.stack(arrays, axis=1) if arrays else np.empty((0, 0)), dtype=dtype)

    def to_arrow(self) -> Any:
        """A pyarrow Table; unit, kind and description in the metadata of its fields."""
        import pyarrow as pa

        arrays = [pa.array(self.data[name]) for name in self.names]
        fields = [
            pa.field(c.name, a.type, False, {"unit": c.unit, "kind": c.kind, "description": c.description})
            for c, a in zip(self.columns, arrays, strict=True)
        ]
        return pa.table(arrays, schema=pa.schema(fields, metadata=dict(self.metadata)))

    def to_pandas(self) -> Any:
        """A pandas DataFrame."""
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError("pandas") from error
        return pd.DataFrame({name: self.data[name] for name in self.names})

    def to_polars(self) -> Any:
        """A polars DataFrame."""
        try:
            import polars as pl
        except ImportError as error:
            raise MissingExtraError("polars") from error
        return pl.DataFrame({name: self.data[name] for name in self.names})

    @classmethod
    def from_arrow(cls, table: Any) -> "Table":
        """Inverse of :meth:`to_arrow`; kinds that a table does not state are those that a model would infer."""
        from buff.tables import infer_schema, read

        columns, data = [], {}
        found = read(table, min_rows=0)
        inferred = infer_schema(found)
        for entry, values, column in zip(table.schema, found.arrays, inferred, strict=True):
            about = {key.decode(): value.decode() for key, value in (entry.metadata or {}).items()}
            is_text = values.dtype == object and not column.missing
            data[entry.name] = values.astype(str) if is_text and column.kind != "boolean" else values
            kind = cast(Kind, about.get("kind", column.kind))
            columns.append(Column(entry.name, about.get("unit", "1"), kind, about.get("description", "")))
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        return cls(tuple(columns), data, metadata)
