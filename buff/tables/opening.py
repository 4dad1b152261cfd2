"""Any container to an Arrow table or a plain array, with what it takes to make one like it.

Containers are recognised through narwhals and cross over as Arrow, whose schema carries every dtype, unit,
time zone and category set that has to come back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from sklearn.utils import check_array

from buff.protocols import Array, TableLike
from buff.tables.containers import arrow_column, named_columns, plain_array
from buff.tables.frames import frame_to_arrow

__all__ = ["Opened", "opened", "recognised", "to_arrow"]


@dataclass(frozen=True)
class Opened:
    """What a container holds: an Arrow table, or an array (n, d) of numbers or dates.

    Attributes
    ----------
    container : str
        See :class:`buff.tables.Template`.
    table : pyarrow.Table or array of shape (n, d)
    dtypes : tuple of str
        In the container's own words; of tables.
    labels : tuple
        Of the columns, where a container allows more than strings.
    wrapped : bool
        Whether the frame was wrapped by narwhals.
    names : tuple of str
        Of the columns of an array.
    """

    container: str
    table: Any
    dtypes: tuple[str, ...] = ()
    labels: tuple[Any, ...] = ()
    wrapped: bool = False
    names: tuple[str, ...] = ()


def opened(X: Any, prefix: str = "x", names: Sequence[str] = ()) -> Opened:
    """What a container holds; columns without names are called so or by a prefix: see :func:`buff.tables.read`."""
    named = named_columns(X)
    if named is not None:
        return _open_named(*named)
    given, X = X, plain_array(X)
    frame = recognised(X)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError("the table is lazy: collect it first")
    if isinstance(frame, nw.DataFrame):
        return _open_frame(frame, wrapped=frame is X)
    if isinstance(X, list | tuple) or getattr(X, "dtype", np.dtype(float)).kind == "O":
        return _open_objects(X, "list" if isinstance(X, list | tuple) else "numpy", prefix, names)
    is_tensor = X is not given and type(given).__module__.split(".")[0] == "torch"
    X = check_array(_unmasked(X), dtype=None, ensure_all_finite=False, ensure_min_samples=0)
    if X.dtype.kind not in "biufmM":
        return _open_objects(X, "numpy", prefix, names)
    own = tuple(names) or _default_names(prefix, X.shape[1])
    return Opened("torch" if is_tensor else "numpy", X, names=own)


def recognised(X: TableLike, *, allow_series: bool = False) -> Any:
    """X as narwhals sees it, or X itself if it is an array or a list.

    Raises
    ------
    ValueError
        Column names that are used twice, a single column.
    TypeError
        What is no table at all.
    """
    if not allow_series and (X is None or isinstance(X, str | bytes)):
        raise TypeError(
            f"a table of shape (n, d) is needed, an array or a data frame such as pandas.DataFrame(X): "
            f"found {type(X).__name__}"
        )
    try:
        frame = nw.from_native(X, allow_series=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise _duplicates(X) from error
    if frame is X and not isinstance(X, nw.DataFrame | nw.LazyFrame | nw.Series) and hasattr(X, "to_arrow"):
        frame = nw.from_native(X.to_arrow())  # such as the tables of buff.datasets
    if isinstance(frame, nw.DataFrame) and len(set(map(str, frame.columns))) < len(frame.columns):
        raise _duplicates(frame.to_native())
    if isinstance(frame, nw.Series) and not allow_series:
        raise ValueError("a table of shape (n, d) is needed, found a single column: make a table of it, X.to_frame()")
    return frame


def _duplicates(native: Any) -> ValueError:
    labels = list(getattr(native, "column_names", native.columns))
    names = [str(label) for label in labels]
    twice = sorted({name for name in names if names.count(name) > 1})
    alike = [label for label in labels if str(label) == twice[0]]
    if len({type(label) for label in alike}) > 1:
        shown = " and ".join(f"{label!r} ({type(label).__name__})" for label in alike)
        return ValueError(f"column names must be unique as text: {shown} are not; rename one of them")
    return ValueError(f"column names must be unique, found twice: {twice}; rename the columns")


def _unmasked(X: TableLike) -> Any:
    """Masked entries are missing, not what lies under the mask."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    if X.dtype.kind != "f" and np.ma.getmaskarray(X).any():
        raise TypeError(f"a masked array must hold floats, so that NaN can stand for what is masked: found {X.dtype}")
    return X.filled(np.nan) if X.dtype.kind == "f" else X.data


def _open_objects(X: TableLike, container: str, prefix: str, names: Sequence[str]) -> Opened:
    rows = check_array(
        np.asarray(X) if container == "numpy" else _as_objects(X),
        dtype=None,
        ensure_all_finite=False,
        ensure_min_samples=0,
    )
    names = names or _default_names(prefix, rows.shape[1])
    arrays = [arrow_column(column, name) for name, column in zip(names, rows.T, strict=True)]
    table = pa.Table.from_arrays(arrays, names=list(names))
    return Opened(container, table, (str(rows.dtype),) * len(names))


def _as_objects(X: Any) -> Array:
    rows = [row if np.ndim(row) else [row] for row in X] if len(X) and np.ndim(X[0]) else X
    if len({len(row) if np.ndim(row) else 0 for row in rows}) > 1:
        raise ValueError(f"rows differ in length: {sorted({len(row) for row in rows})}")
    return np.array(rows, dtype=object)


def _open_named(container: str, columns: Mapping[str, Any]) -> Opened:
    if not columns:
        raise ValueError("0 feature(s) while a minimum of 1 is required: the table has no columns")
    arrays = {name: arrow_column(values, name) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of one length are needed, found {lengths}")
    dtypes = tuple(_array_dtype(columns[name], arrays[name].type) for name in arrays)
    return Opened(container, pa.table(arrays), dtypes)


def _array_dtype(values: Any, kind: pa.DataType) -> str:
    if isinstance(values, np.ndarray):
        return str(values.dtype)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    complete = number and not (getattr(values, "null_count", 0) and not pa.types.is_floating(kind))
    return str(np.dtype(kind.to_pandas_dtype())) if complete else "object"


def _open_frame(frame: nw.DataFrame[Any], wrapped: bool) -> Opened:
    labels: tuple[Any, ...] = tuple(frame.columns)
    if not labels:
        raise ValueError(f"0 feature(s) (shape=({len(frame)}, 0)) while a minimum of 1 is required.")
    for j, label in enumerate(labels):
        if not isinstance(label, str | int | np.integer):
            nothing = label is None or label != label
            raise TypeError(
                f"column names must be strings or integers, found {'None' if nothing else repr(label)} for column "
                f"{j}: rename the columns"
            )
    library = frame.implementation.name.lower()
    table, dtypes = frame_to_arrow(frame, library)
    return Opened(library, table, dtypes, labels, wrapped)


def _default_names(prefix: str, d: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{j}" for j in range(d))


def to_arrow(X: TableLike, *, prefix: str = "x", names: Sequence[str] = ()) -> pa.Table:
    """A table in any container as one Arrow table, with lists and other nested columns as they are."""
    found = opened(X, prefix, names)
    if isinstance(found.table, pa.Table):
        return found.table
    columns = [arrow_column(v, name) for v, name in zip(found.table.T, found.names, strict=True)]
    return pa.Table.from_arrays(columns, names=list(found.names))
