"""What a container was like, so that columns can be put into one like it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from buff.protocols import Array, Mask, Values
from buff.records import checked_list, checked_record, require
from buff.tables.arrow import is_temporal, temporal_dtype
from buff.tables.containers import NAMED, from_columns
from buff.tables.frames import restored_frame

__all__ = ["Template", "is_missing"]

#: Facts that a template has of every column, and their types in a record.
_OF_COLUMNS: dict[str, Any] = {"dtypes": str, "categories": (list, type(None)), "ordered": bool, "nulls": bool}


@dataclass(frozen=True)
class Template:
    """What it takes to build a container like the one that was read.

    Attributes
    ----------
    container : str
        ``"numpy"``, ``"list"``, ``"torch"``, ``"dict"``, ``"records"``, ``"recarray"``, ``"awkward"``,
        ``"recordbatch"`` or the library of a data frame (``"pandas"``, ``"polars"``, ``"pyarrow"``, ...).
    names : tuple of str
        Column names, in order.
    dtypes : tuple of str
        The columns' dtypes in the container's own words.
    categories : tuple of (tuple or None)
        Declared categories of the columns that have them (pandas categories, polars enums, Arrow
        dictionaries).
    ordered : tuple of bool
        Whether the declared categories are ordered.
    nulls : tuple of bool
        Whether missing values come back as nulls rather than NaN.
    schema : bytes
        The Arrow schema, empty for plain NumPy arrays.
    wrapped : bool
        Whether the frame was wrapped by narwhals.
    labels : tuple of (str or int)
        Column labels, where a container allows more than strings.
    """

    container: str
    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    categories: tuple[tuple[Any, ...] | None, ...]
    ordered: tuple[bool, ...]
    nulls: tuple[bool, ...]
    schema: bytes = b""
    wrapped: bool = False
    labels: tuple[Any, ...] = ()

    def restore(self, arrays: Sequence[Array]) -> Any:
        """Container with one column for each of ``arrays`` (natural dtypes, equal lengths)."""
        if not self.schema:
            return self._array(np.column_stack([np.asarray(a) for a in arrays]))
        table = self._arrow_table(arrays)
        if self.container in NAMED:
            return from_columns(self.container, table, self.dtypes)
        if self.container in ("numpy", "list"):
            rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
            return [list(row) for row in rows] if self.container == "list" else self._object_array(rows)
        return self._frame(table)

    @property
    def is_frame(self) -> bool:
        """Whether the columns have names of their own."""
        return self.container not in ("numpy", "list", "torch")

    @property
    def units(self) -> dict[str, str]:
        """Units that the columns of Arrow tables carry as metadata."""
        if not self.schema:
            return {}
        fields = pa.ipc.read_schema(pa.py_buffer(self.schema))
        found = {field.name: (field.metadata or {}).get(b"unit", b"").decode() for field in fields}
        return {name: unit for name, unit in found.items() if unit}

    def select(self, numbers: Sequence[int]) -> "Template":
        """Template of some of the columns, by position."""
        parts: dict[str, Any] = {
            key: tuple(getattr(self, key)[j] for j in numbers)
            for key in ("names", "dtypes", "categories", "ordered", "nulls", "labels")
            if getattr(self, key)
        }
        if self.schema:
            schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
            fields = [schema.field(j) for j in numbers]
            parts["schema"] = pa.schema(fields, schema.metadata).serialize().to_pybytes()
        return replace(self, **parts)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable form."""
        return {
            "container": self.container,
            "names": list(self.names),
            "dtypes": list(self.dtypes),
            "categories": [None if c is None else list(c) for c in self.categories],
            "ordered": list(self.ordered),
            "nulls": list(self.nulls),
            "schema": base64.b64encode(self.schema).decode(),
            "wrapped": self.wrapped,
            "labels": list(self.labels),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Template":
        """Inverse of :meth:`to_dict`; data frame libraries are imported by :meth:`restore` only.

        Raises
        ------
        ArchiveError
            Facts that are lost, of other types, or of another number of columns.
        """
        checked_record(record, "the template", ("container", "names", "schema", *_OF_COLUMNS))
        names = checked_list(record["names"], "names of columns", str)
        for key, kind in _OF_COLUMNS.items():
            checked_list(record[key], f"{key} of columns", kind, len(names))
        text = isinstance(record["container"], str) and isinstance(record["schema"], str)
        require(text, "the template has no container")
        lists = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
        categories = tuple(None if c is None else tuple(c) for c in record["categories"])
        return cls(**lists | {"categories": categories, "schema": base64.b64decode(record["schema"])})

    def _arrow_table(self, arrays: Sequence[Array]) -> pa.Table:
        schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
        settings = zip(arrays, schema.types, self.categories, self.nulls, strict=True)
        columns = [_from_numpy(np.asarray(a), kind, levels, nulls) for a, kind, levels, nulls in settings]
        return pa.Table.from_arrays(columns, schema=schema)

    def _object_array(self, rows: list[tuple[Any, ...]]) -> Array:
        out = np.empty((len(rows), len(self.names)), object)
        if rows:
            out[:] = rows
        return out.astype(self.dtypes[0])

    def _array(self, values: Values) -> Any:
        if self.container != "torch":
            return values.astype(self.dtypes[0])
        import torch

        return torch.from_numpy(values.astype(self.dtypes[0]))

    def _frame(self, table: pa.Table) -> Any:
        native = restored_frame(table, self.container, self.dtypes, self.categories)
        if self.labels != self.names:
            native.columns = list(self.labels)
        return nw.from_native(native) if self.wrapped else native


def is_missing(values: Values) -> Array:
    """Which entries are NaN, NaT or None."""
    if values.dtype.kind in "fmM":
        return np.isnan(values)
    if values.dtype.kind == "O":
        return pc.is_null(pa.array(values, from_pandas=True)).to_numpy(zero_copy_only=False)
    return np.zeros(len(values), bool)


def _from_numpy(values: Values, kind: pa.DataType, categories: Sequence[Any] | None, nulls: bool) -> pa.Array:
    """Array of type ``kind`` with the natural ``values``; NaN stays NaN unless ``nulls``."""
    if pa.types.is_dictionary(kind):
        dictionary = pa.array(list(categories or ()), kind.value_type)
        indices = pc.index_in(_from_numpy(values, kind.value_type, None, True), dictionary)
        return pa.DictionaryArray.from_arrays(indices.cast(kind.index_type), dictionary, ordered=kind.ordered)
    missing = is_missing(values)
    if pa.types.is_null(kind):
        return pa.nulls(len(values))
    if pa.types.is_floating(kind) and not nulls:
        return pa.array(values.astype(kind.to_pandas_dtype()), kind)
    if pa.types.is_integer(kind) and values.dtype.kind == "f":
        values = np.rint(np.where(missing, 0, values))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = values.astype(kind.to_pandas_dtype())
    if is_temporal(kind):
        return _temporal_from_numpy(values, kind, missing)
    if pa.types.is_decimal(kind):
        cents = np.round(np.asarray(values, float), kind.scale)
        return pa.array(cents, mask=missing).cast(kind, safe=False)
    return pa.array(values, kind, mask=missing)


def _temporal_from_numpy(values: Values, kind: pa.DataType, missing: Mask) -> pa.Array:
    numbers = values.astype(temporal_dtype(kind)).view(np.int64)
    narrow = pa.array(numbers, mask=missing)
    if pa.types.is_date(kind):
        return narrow.cast(pa.int32()).cast(pa.date32()).cast(kind)
    return narrow.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
