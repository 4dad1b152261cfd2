"""One Arrow column to a NumPy array of its natural dtype, and back.

Natural dtypes: integers and floats keep theirs, with missing values integers become float64 with NaN (exact
to 2^53); booleans are bool, or objects True/False/None when some are missing; strings are objects with None;
dates, times and durations are ``datetime64`` or ``timedelta64`` in their own unit with NaT (dates in days,
times of day as the time since midnight, time stamps in UTC).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from buff.protocols import Array, Mask, Values

__all__ = ["from_numpy", "to_numpy"]


def to_numpy(column: pa.ChunkedArray, name: str) -> Array:
    """Values of ``column`` as a 1-D array; nested and binary types raise TypeError naming the column."""
    kind = column.type
    if pa.types.is_dictionary(kind) and _is_plain(kind.value_type):
        return column.cast(kind.value_type).to_numpy()
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64()).to_numpy()
    if pa.types.is_integer(kind) and column.null_count:
        _refuse_rounding(column, name)
    if _is_plain(kind):
        return column.to_numpy()
    if _is_temporal(kind):
        return _temporal_to_numpy(column)
    if pa.types.is_struct(kind):
        raise TypeError(
            f"column {name!r} holds records ({kind}): each argument must be a string or a number; make each field a "
            f"column, as pandas.json_normalize does"
        )
    raise TypeError(
        f"column {name!r} is of type {kind}: each argument must be a string or a number, a boolean, a date, "
        f"a time or a category; drop or convert the column"
    )


def _is_plain(kind: pa.DataType) -> bool:
    """Text, a number or a boolean."""
    text = str(kind) in ("string", "large_string", "string_view")
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(text or number or pa.types.is_boolean(kind))


def _refuse_rounding(column: pa.ChunkedArray, name: str) -> None:
    """Integers with gaps become floats, which are exact to 2^53."""
    extremes = pc.min_max(column).as_py()
    largest = max((abs(value) for value in extremes.values() if value is not None), default=0)
    if largest > 2**53:
        raise ValueError(
            f"column {name!r} holds the integer {largest}, above 2^53, beside missing values: floats would round it; "
            f"subtract an offset, or make it text if it is a label"
        )


def _is_temporal(kind: pa.DataType) -> bool:
    """A date, a time or a duration."""
    return bool(pa.types.is_temporal(kind)) and not pa.types.is_interval(kind)


def _temporal_dtype(kind: pa.DataType) -> np.dtype[Any]:
    """NumPy's dtype of dates, times and durations."""
    if pa.types.is_date(kind):
        return np.dtype("M8[D]")
    return np.dtype(f"{'M8' if pa.types.is_timestamp(kind) else 'm8'}[{kind.unit}]")


def _temporal_to_numpy(column: pa.ChunkedArray) -> Array:
    kind = column.type
    if pa.types.is_date64(kind):
        column = column.cast(pa.date32())
    dtype = _temporal_dtype(kind)
    numbers = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64()).cast(pa.int64())
    values = pc.fill_null(numbers, np.iinfo(np.int64).min).to_numpy()  # the bits of NaT
    return values.view(dtype)


def from_numpy(
    values: Values, missing: Mask, kind: pa.DataType, categories: Sequence[Any] | None, nulls: bool
) -> pa.Array:
    """Array of type ``kind`` with natural ``values``, some ``missing``; NaN stays NaN unless ``nulls``."""
    if pa.types.is_dictionary(kind):
        dictionary = pa.array(list(categories or ()), kind.value_type)
        indices = pc.index_in(from_numpy(values, missing, kind.value_type, None, True), dictionary)
        return pa.DictionaryArray.from_arrays(indices.cast(kind.index_type), dictionary, ordered=kind.ordered)
    if pa.types.is_null(kind):
        return pa.nulls(len(values))
    if pa.types.is_floating(kind) and not nulls:
        return pa.array(values.astype(kind.to_pandas_dtype()), kind)
    if pa.types.is_integer(kind) and values.dtype.kind == "f":
        values = np.rint(np.where(missing, 0, values))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = values.astype(kind.to_pandas_dtype())
    if _is_temporal(kind):
        return _temporal_from_numpy(values, kind, missing)
    if pa.types.is_decimal(kind):
        cents = np.round(np.asarray(values, float), kind.scale)
        return pa.array(cents, mask=missing).cast(kind, safe=False)
    return pa.array(values, kind, mask=missing)


def _temporal_from_numpy(values: Values, kind: pa.DataType, missing: Mask) -> pa.Array:
    numbers = values.astype(_temporal_dtype(kind)).view(np.int64)
    narrow = pa.array(numbers, mask=missing)
    if pa.types.is_date(kind):
        return narrow.cast(pa.int32()).cast(pa.date32()).cast(kind)
    return narrow.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
