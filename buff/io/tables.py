"""Other containers as Arrow tables, and what the formats without Arrow's types need."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from buff.tables import to_arrow

__all__ = ["TableError", "from_numpy", "rechunk", "to_numpy", "to_table", "units_of"]


class TableError(ValueError):
    """A table cannot be read or written as asked, though the file is sound."""


def to_table(data: Any, names: Sequence[str] | None = None) -> pa.Table:
    """Any table as a :class:`pyarrow.Table`.

    Parameters
    ----------
    data : array of shape (n, d) or (n,), or any table that :func:`buff.tables.read` reads
        Columns may be nested.
    names : sequence of str, optional
        Column names of an array, ``x0 x1 ...`` unless told.

    Returns
    -------
    pyarrow.Table
        Without an index; a table that was one already comes back as it is.

    Raises
    ------
    ValueError
        If ``names`` does not fit the number of columns.
    TypeError
        If ``data`` is no table.

    Examples
    --------
    >>> import numpy as np
    >>> to_table(np.zeros((2, 3)), ["pt", "eta", "phi"]).column_names
    ['pt', 'eta', 'phi']
    """
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, np.ndarray) and not data.dtype.names:
        if data.ndim not in (1, 2):
            raise ValueError(f"an array of shape (n, d) is needed, not of shape {data.shape}")
        data = data[:, None] if data.ndim == 1 else data
        if names is not None and len(names) != data.shape[1]:
            raise ValueError(f"names has {len(names)} entries for {data.shape[1]} columns")
    if np.isscalar(data) or data is None:
        raise TypeError(f"a table is needed, not {type(data).__name__}")
    table = to_arrow(data, names=tuple(names or ()))
    return table.select([name for name in table.column_names if not is_index(name)])


def is_index(name: str) -> bool:
    """Whether pandas made up this column for its row labels."""
    return name.startswith("__index_level_") and name.endswith("__")


def units_of(table: pa.Table) -> dict[str, str]:
    """Units that parquet and feather files carry as metadata ``unit`` of a field.

    Examples
    --------
    >>> import pyarrow as pa
    >>> units_of(pa.table([[1.0]], pa.schema([pa.field("pt", pa.float64(), metadata={"unit": "GeV"})])))
    {'pt': 'GeV'}
    """
    found = {field.name: (field.metadata or {}).get(b"unit", b"").decode() for field in table.schema}
    return {name: unit for name, unit in found.items() if unit}


def rechunk(pieces: Iterable[pa.Table], rows: int, limit: int | None = None) -> Iterator[pa.Table]:
    """The same rows in tables of exactly ``rows`` rows, the last one shorter; no more than ``limit`` in all.

    Where there are no rows at all one empty table comes out, so that the columns are known.
    """
    held: list[pa.Table] = []
    left = np.inf if limit is None else limit
    n_whole = 0
    for piece in pieces:
        held.append(piece.slice(0, int(min(left, piece.num_rows))))
        left -= held[-1].num_rows
        if sum(table.num_rows for table in held) >= rows:
            whole = pa.concat_tables(held)
            n_full = whole.num_rows // rows * rows
            yield from (whole.slice(start, rows) for start in range(0, n_full, rows))
            held = [whole.slice(n_full)]
            n_whole += n_full
        if left <= 0:
            break
    if any(table.num_rows for table in held) or not n_whole:
        yield pa.concat_tables(held)


def to_numpy(column: pa.ChunkedArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """A column as an array, and which of its cells hold a value (None: all).

    Strings become objects, dates ``datetime64``. An empty cell holds NaN, 0, "" or 1970.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    valid = column.is_valid().to_numpy() if column.null_count else None
    kind = column.type
    if _is_string(kind):
        return column.fill_null("").to_numpy(), valid
    if pa.types.is_floating(kind):
        return column.to_numpy(), valid
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return pc.fill_null(column, pa.scalar(False if kind == pa.bool_() else 0, kind)).to_numpy(), valid
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        unit = kind.unit if pa.types.is_timestamp(kind) else "D"
        ticks = column.cast(pa.int64() if pa.types.is_timestamp(kind) else pa.int32()).cast(pa.int64())
        return ticks.fill_null(0).to_numpy().view(f"datetime64[{unit}]"), valid
    raise TableError(f"{kind} cannot be written to this format: cast it, or write parquet or feather")


def from_numpy(
    values: np.ndarray[Any, Any], valid: np.ndarray[Any, Any] | None = None, kind: pa.DataType | None = None
) -> pa.Array:
    """An array of any byte order as an Arrow column, of type ``kind`` if that is known."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    elif values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("="))
    if kind == pa.date32() and values.dtype.kind == "i":
        values = values.astype("M8[D]")
    if values.dtype.kind in "OU":
        column = pa.array(values.tolist(), pa.string())
    else:
        column = pa.array(np.ascontiguousarray(values))
    if valid is not None:
        column = pc.if_else(pa.array(valid), column, pa.scalar(None, column.type))
    return column if kind is None else column.cast(kind)


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
