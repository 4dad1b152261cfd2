"""Data frames to Arrow and back, where narwhals and pandas lose something on the way."""

import json
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from buff.tables.containers import arrow_column, refuse_mixed_zones

__all__ = ["frame_to_arrow", "restored_frame", "with_index"]


def frame_to_arrow(frame: nw.DataFrame[Any], library: str) -> tuple[pa.Table, tuple[str, ...]]:
    """The table, and the dtypes of its columns in the words of the library."""
    if library == "pandas":
        native = frame.to_native()
        return _from_pandas(native), tuple(str(dtype) for dtype in native.dtypes)
    dtypes = tuple(str(dtype) for dtype in frame.schema.values())
    wide = [name for name, dtype in zip(frame.columns, dtypes, strict=True) if dtype in ("Int128", "UInt128")]
    for name in wide:
        try:
            frame = frame.with_columns(nw.col(name).cast(nw.Int64))
        except Exception as error:  # of the library, whichever it is
            raise ValueError(
                f"column {name!r} holds integers beyond 64 bits: convert it to floats, or to text if it is a label"
            ) from error
    return frame.to_arrow(), dtypes


def _from_pandas(native: Any) -> pa.Table:
    if any(getattr(dtype, "kind", "O") == "c" for dtype in native.dtypes):
        raise ValueError("Complex data not supported: split real and imaginary parts into two columns")
    native = native.set_axis([str(name) for name in native.columns], axis=1)
    for name, dtype in native.dtypes.items():
        if str(dtype).startswith("Sparse["):
            native[name] = native[name].sparse.to_dense()
        elif dtype == np.longdouble and dtype != np.float64:
            native[name] = native[name].astype(np.float64)
    try:
        table = pa.Table.from_pandas(native, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, OverflowError):
        for name in native.columns:
            arrow_column(native[name], name)
        raise
    for field, dtype in zip(table.schema, native.dtypes, strict=True):
        if str(dtype) == "object" and pa.types.is_timestamp(field.type):
            refuse_mixed_zones(native[field.name], field.name)
    return table


def restored_frame(
    table: pa.Table, library: str, dtypes: Sequence[str], categories: Sequence[tuple[Any, ...] | None]
) -> Any:
    """A data frame of the library with columns of these dtypes."""
    if library == "pandas":
        table = _without_arrow_dtypes(table)
    frame: nw.DataFrame[Any] = nw.from_arrow(table, backend=library)  # type: ignore[arg-type]
    if library == "polars":
        casts = [_polars_cast(table.column_names[j], dtype, categories[j]) for j, dtype in enumerate(dtypes)]
        return frame.with_columns(*(cast for cast in casts if cast is not None)).to_native()
    native = frame.to_native()
    if library == "pandas":
        for name, dtype in zip(table.column_names, dtypes, strict=True):
            native[name] = _pandas_column(native[name], table[name], dtype)
    return native


def with_index(table: Any, like: Any) -> Any:
    """A frame of pandas with the index of another of as many rows; anything else as it is."""
    if not nw.dependencies.is_into_dataframe(like):
        return table
    index, native = nw.maybe_get_index(nw.from_native(like)), nw.to_native(table, pass_through=True)
    if index is not None and len(index) == len(native):
        native.index = index
    return table


def _without_arrow_dtypes(table: pa.Table) -> pa.Table:
    """Without the words for dtypes that pandas itself cannot read back; the columns are replaced later."""
    metadata = dict(table.schema.metadata or {})
    if b"pandas" in metadata:
        about = json.loads(metadata[b"pandas"])
        about["columns"] = [c for c in about["columns"] if not str(c["numpy_type"]).endswith("[pyarrow]")]
        metadata[b"pandas"] = json.dumps(about).encode()
    return table.replace_schema_metadata(metadata)


def _polars_cast(name: str, dtype: str, levels: tuple[Any, ...] | None) -> Any:
    if dtype.startswith("Enum"):
        return nw.col(name).cast(nw.Enum(levels or ()))
    return nw.col(name).cast(getattr(nw, dtype)) if dtype in ("Int128", "UInt128") else None


def _pandas_column(column: Any, arrow: pa.ChunkedArray, dtype: str) -> Any:
    if dtype.endswith("[pyarrow]"):
        import pandas as pd

        return pd.Series(pd.arrays.ArrowExtensionArray(arrow), index=column.index)
    if dtype.startswith("Sparse["):
        import pandas as pd

        kind, _, fill = dtype.removeprefix("Sparse[").removesuffix("]").partition(", ")
        fill = fill.rpartition("(")[2].rstrip(")")  # np.int64(0) or 0
        value = fill.startswith("True") if kind == "bool" else np.dtype(kind).type(fill).item()
        return column.astype(pd.SparseDtype(kind, value))
    return column.astype(dtype) if dtype in ("float128", "float96") else column
