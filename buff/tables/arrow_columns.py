"""Arrow tables as columns of NumPy arrays, and columns as any container that Arrow leads to."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from buff.protocols import Array
from buff.tables.arrow import from_numpy, to_numpy
from buff.tables.columns import Columns, Template, is_missing
from buff.tables.containers import NAMED, from_columns
from buff.tables.frames import restored_frame
from buff.tables.opening import Opened

__all__ = ["columns_of", "restored"]


def columns_of(found: Opened) -> Columns:
    """Columns of an opened Arrow table."""
    table = found.table
    names, kinds = tuple(table.column_names), table.schema.types
    arrays = tuple(to_numpy(table.column(j), name) for j, name in enumerate(names))
    template = Template(
        container=found.container,
        names=names,
        dtypes=found.dtypes,
        categories=tuple(_categories(field, column) for field, column in zip(table.schema, table.columns, strict=True)),
        ordered=tuple(bool(pa.types.is_dictionary(kind) and kind.ordered) for kind in kinds),
        nulls=tuple(
            column.null_count > 0 or not pa.types.is_floating(kind)
            for column, kind in zip(table.columns, kinds, strict=True)
        ),
        schema=table.schema.serialize().to_pybytes(),
        wrapped=found.wrapped,
        labels=tuple(x if isinstance(x, str) else int(x) for x in found.labels) or names,
    )
    return Columns(names, arrays, template)


def restored(template: Template, arrays: Sequence[Array]) -> Any:
    """Container with one column for each of ``arrays``, by way of Arrow: see :meth:`Template.restore`."""
    schema = pa.ipc.read_schema(pa.py_buffer(template.schema))
    facts = zip(map(np.asarray, arrays), schema.types, template.categories, template.nulls, strict=True)
    columns = [from_numpy(a, is_missing(a), kind, levels, nulls) for a, kind, levels, nulls in facts]
    table = pa.Table.from_arrays(columns, schema=schema)
    if template.container in NAMED:
        return from_columns(template.container, table, template.dtypes)
    if template.container in ("numpy", "list"):
        return _rows_of(table, template.container, template.dtypes[0])
    native = restored_frame(table, template.container, template.dtypes, template.categories)
    if template.labels != template.names:
        native.columns = list(template.labels)
    return nw.from_native(native) if template.wrapped else native


def _categories(field: pa.Field, column: pa.ChunkedArray) -> tuple[Any, ...] | None:
    if not pa.types.is_dictionary(column.type):
        return () if (field.metadata or {}).get(b"kind") == b"categorical" else None
    chunks = column.unify_dictionaries().chunks
    return tuple(chunks[0].dictionary.to_pylist()) if chunks else ()


def _rows_of(table: pa.Table, container: str, dtype: str) -> Any:
    """A list of rows, or an array of objects."""
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    if container == "list":
        return [list(row) for row in rows]
    out = np.empty((len(rows), table.num_columns), object)
    if rows:
        out[:] = rows
    return out.astype(dtype)
