"""Containers other than data frames and plain arrays: what they hold as columns, and a container like it again."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from buff.protocols import Array, TableLike, Values
from buff.tables.arrow import to_numpy

__all__ = ["NAMED", "arrow_column", "from_columns", "named_columns", "plain_array"]

#: Containers of named columns that are no data frame.
NAMED = ("dict", "records", "recarray", "awkward", "recordbatch")


def named_columns(X: TableLike) -> tuple[str, Mapping[str, Any]] | None:
    """Name and columns of a container in :data:`NAMED`, None for anything else.

    Raises
    ------
    TypeError
        Columns of more than one value a row, with what to convert.
    """
    if isinstance(X, pa.RecordBatch):
        return "recordbatch", dict(zip(X.schema.names, X.columns, strict=True))
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):  # some sparse matrices are mappings too
        return "dict", {str(name): _column_of(str(name), values) for name, values in X.items()}
    if isinstance(X, np.ndarray) and X.dtype.names:
        container = "recarray" if isinstance(X, np.recarray) else "records"
        return container, {name: _column_of(name, X[name]) for name in X.dtype.names}
    if type(X).__module__.split(".")[0] == "awkward" and getattr(X, "fields", None):
        return "awkward", dict(_awkward_columns(X))
    return None


def plain_array(X: Any) -> Any:
    """Tensors and awkward arrays without fields as NumPy arrays; anything else as it is."""
    package = type(X).__module__.split(".")[0]
    if package == "torch" and hasattr(X, "detach"):
        X = X.detach().cpu()
        return X.float().numpy() if str(X.dtype) == "torch.bfloat16" else X.numpy()
    if package == "awkward":
        import awkward as ak

        try:
            return ak.to_numpy(X)
        except ValueError as error:
            raise TypeError(
                f"the awkward array of type {X.type} is jagged and no table: give records of one value an event "
                f'each, such as ak.zip({{"n": ak.num(x), "leading": ak.firsts(x)}})'
            ) from error
    return X


def arrow_column(values: Any, name: str) -> pa.Array:
    """An Arrow array of one kind of values; None is missing.

    Raises
    ------
    TypeError
        Values of several kinds, with those found.
    ValueError
        Integers beyond 64 bits, dates of several time zones.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return pa.array(_native(values))
    try:
        column = pa.array(values, from_pandas=True)
    except OverflowError as error:
        raise ValueError(
            f"column {name!r} holds integers beyond 64 bits: convert it to floats, or to text if it is a label"
        ) from error
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        found = sorted({type(value).__name__ for value in values})
        raise TypeError(
            f"column {name!r} holds values of types {found}: each argument must be a string or a number, "
            f"and a column of one kind"
        ) from error
    if pa.types.is_timestamp(column.type):
        refuse_mixed_zones(values, name)
    return column


def refuse_mixed_zones(values: Any, name: str) -> None:
    """Raise ValueError for dates of different time zones, which one column cannot keep."""
    zones = sorted({str(value.tzinfo) for value in values if isinstance(value, datetime) and value == value})
    if len(zones) > 1:
        raise ValueError(
            f"column {name!r} holds dates of different time zones ({', '.join(zones[:4])}), which one column cannot "
            f"keep: convert them to one, such as pandas.to_datetime(column, utc=True)"
        )


def from_columns(container: str, table: pa.Table, dtypes: Sequence[str]) -> Any:
    """A container in :data:`NAMED` with the columns of ``table`` in ``dtypes``."""
    if container == "recordbatch":
        batches = table.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
    columns = {
        name: to_numpy(column, name).astype(_dtype(dtype))
        for name, column, dtype in zip(table.column_names, table.columns, dtypes, strict=True)
    }
    if container == "dict":
        return columns
    if container == "awkward":
        import awkward as ak

        return ak.zip({name: ak.from_iter(v) if v.dtype.kind in "OU" else ak.Array(v) for name, v in columns.items()})
    records = np.empty(len(table), [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        records[name] = values
    return records.view(np.recarray) if container == "recarray" else records


def _column_of(name: str, values: Any) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if type(values).__module__.split(".")[0] == "pandas":
        return arrow_column(values, name)
    if hasattr(values, "to_arrow"):
        return values.to_arrow()
    array = plain_array(values) if not isinstance(values, list | tuple) else values
    if np.ndim(array) == 0 and not isinstance(array, list | tuple):
        raise TypeError(f"column {name!r} is {values!r} where an array of one value a row is needed")
    if isinstance(array, np.ndarray) and array.ndim > 1:
        raise TypeError(f"column {name!r} has shape {array.shape}, several values a row: give each a column of its own")
    return np.array(array, _common_dtype(array)) if isinstance(array, list | tuple) else array


def _common_dtype(values: Sequence[Any]) -> Any:
    """NumPy would write numbers beside text as text."""
    kinds = {type(value) for value in values}
    return None if kinds <= {bool} or kinds <= {int, float} or kinds <= {str} else object


def _awkward_columns(X: Any) -> Iterator[tuple[str, Any]]:
    import awkward as ak

    for name in X.fields:
        column = ak.to_arrow(X[name], extensionarray=False, list_to32=True)
        if pa.types.is_nested(column.type):
            raise TypeError(
                f"column {name!r} holds {X[name].type.content}, several values an event: give single ones such as "
                f"ak.firsts(x[{name!r}]) and ak.num(x[{name!r}]), or drop it"
            )
        yield name, column


def _native(values: Values) -> Array:
    """A contiguous array in the byte order of the machine; wide floats as float64, long units of time in seconds."""
    if values.dtype.kind in "mM":
        unit = np.datetime_data(values.dtype)[0]
        if unit not in ("s", "ms", "us", "ns") and (values.dtype.kind, unit) != ("M", "D"):
            values = values.astype(f"{values.dtype.kind}8[s]")
    if values.dtype == np.longdouble and values.dtype != np.float64:
        return values.astype(np.float64)
    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("="))
    return np.ascontiguousarray(values)


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype("O" if name == "object" else name)
