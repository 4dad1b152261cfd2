"""Tables in and out: any container becomes columns of NumPy arrays, and columns become the same container.

Containers are recognised through narwhals and cross over as Arrow, whose schema carries every dtype, unit,
time zone and category set that has to come back.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from sklearn.utils import check_array, validation

from buff.protocols import Array, TableLike, Values
from buff.tables.arrow import to_numpy
from buff.tables.containers import arrow_column, named_columns, plain_array
from buff.tables.frames import frame_to_arrow
from buff.tables.template import Template

__all__ = ["Columns", "read", "recognised", "to_arrow", "validate_data"]


@dataclass(frozen=True)
class Columns:
    """A table as columns.

    Attributes
    ----------
    names : tuple of str
    arrays : tuple of arrays of shape (n,)
        In their natural dtype, see :mod:`buff.tables.arrow`. They may share memory with the table:
        read only.
    template : Template
    """

    names: tuple[str, ...]
    arrays: tuple[Array, ...]
    template: Template

    def __len__(self) -> int:
        return len(self.arrays[0])

    def require_rows(self, n: int) -> None:
        """Raise ValueError below ``n`` rows."""
        if len(self) < n:
            shape = (len(self), len(self.names))
            raise ValueError(
                f"Found array with {len(self)} sample(s) (shape={shape}) while a minimum of {n} is required"
            )

    def take(self, rows: Any) -> "Columns":
        """Some of the rows: indices, a mask or a slice."""
        return replace(self, arrays=tuple(values[rows] for values in self.arrays))

    def without(self, names: Collection[str]) -> "Columns":
        """All columns but some."""
        return self.select([j for j, name in enumerate(self.names) if name not in names])

    def select(self, numbers: Sequence[int]) -> "Columns":
        """Some of the columns, by position."""
        names, arrays = (tuple(of[j] for j in numbers) for of in (self.names, self.arrays))
        return Columns(names, arrays, self.template.select(numbers))


@dataclass(frozen=True)
class _Opened:
    """A container as an Arrow table, with what it takes to make one like it."""

    container: str
    table: pa.Table
    dtypes: tuple[str, ...]
    labels: tuple[Any, ...] = ()
    wrapped: bool = False


def read(
    X: TableLike, *, min_rows: int = 1, prefix: str = "x", names: Sequence[str] = (), finite: bool = True
) -> Columns:
    """Columns of a table.

    Parameters
    ----------
    X : table of shape (n, d)
        NumPy array (memory-mapped or not; object arrays may mix numbers and strings), list of rows, mapping from names
        to columns, structured or record array, tensor, awkward array of records, Arrow table or batch, or a data
        frame of pandas, polars or another library that narwhals reads, or anything with ``to_arrow()``. Missing
        values are welcome.
    min_rows : int
        Fewer rows raise ValueError.
    prefix : str
        Columns without names are called prefix0, prefix1, ...
    names : sequence of str
        Or by these.
    finite : bool
        Whether infinite values are refused.

    Raises
    ------
    ValueError
        For infinite values, duplicate column names, too few rows or columns, a wrong number of dimensions,
        complex numbers, integers beyond 64 bits, dates of several time zones in one column.
    TypeError
        For lazy frames, sparse matrices and columns that hold no numbers, strings, booleans, dates or
        categories.

    Examples
    --------
    >>> columns = read([[1, "a"], [2, "b"]])
    >>> columns.names, columns.arrays[0]
    (('x0', 'x1'), array([1, 2]))
    >>> columns.template.restore(columns.arrays)
    [[1, 'a'], [2, 'b']]
    """
    opened = _open(X, prefix, tuple(names))
    columns = opened if isinstance(opened, Columns) else _from_arrow(opened)
    columns.require_rows(min_rows)
    if finite:
        for name, values in zip(columns.names, columns.arrays, strict=True):
            _refuse_infinity(name, values)
    return columns


def to_arrow(X: TableLike, *, prefix: str = "x", names: Sequence[str] = ()) -> pa.Table:
    """The same containers as one Arrow table, with lists and other nested columns as they are."""
    opened = _open(X, prefix, tuple(names))
    if not isinstance(opened, Columns):
        return opened.table
    arrays = [arrow_column(values, name) for name, values in zip(opened.names, opened.arrays, strict=True)]
    return pa.Table.from_arrays(arrays, names=list(opened.names))


def validate_data(estimator: Any, X: TableLike, *, reset: bool = True, skip_check_array: bool = True) -> Any:
    """:func:`sklearn.utils.validation.validate_data` without its look at the values, for any container.

    Sets ``n_features_in_`` and ``feature_names_in_``, or with ``reset=False`` compares them with ``X``.

    Raises
    ------
    ValueError
        Other columns than those of the fit.
    """
    if not _is_plain(X):
        named = named_columns(X)
        X = plain_array(X) if named is None else pa.table({name: np.empty(0) for name in named[1]})
    return validation.validate_data(estimator, X, reset=reset, skip_check_array=skip_check_array)


def _is_plain(X: TableLike) -> bool:
    """Whether X is an array without names, which most tables are."""
    return type(X) is np.ndarray and X.dtype.names is None


def _open(X: TableLike, prefix: str, names: tuple[str, ...]) -> Columns | _Opened:
    """Columns of a plain array, which are views of it; anything else by way of Arrow."""
    given = X
    if not _is_plain(X):
        named = named_columns(X)
        if named is not None:
            return _open_named(*named)
        X = plain_array(X)
    frame = recognised(X)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError("the table is lazy: collect it first")
    if isinstance(frame, nw.DataFrame):
        return _open_frame(frame, wrapped=frame is X)
    if isinstance(X, list | tuple) or getattr(X, "dtype", np.dtype(float)).kind == "O":
        return _open_objects(X, "list" if isinstance(X, list | tuple) else "numpy", prefix, names)
    is_tensor = X is not given and type(given).__module__.split(".")[0] == "torch"
    return _open_numpy(_unmasked(X), "torch" if is_tensor else "numpy", prefix, names)


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


def _refuse_infinity(name: str, values: Values) -> None:
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):  # one pass decides for most columns
        suspicious = not np.isfinite(np.add.reduce(values, dtype=float))
    if suspicious:
        rows = np.flatnonzero(np.isinf(values))
        if len(rows):
            raise ValueError(
                f"column {name!r} contains infinity (inf) in {len(rows)} rows, the first is row {rows[0]}: "
                f"drop them or set them to NaN, which is a missing value"
            )


def _open_numpy(X: Any, container: str, prefix: str, names: tuple[str, ...]) -> Columns | _Opened:
    X = check_array(X, dtype=None, ensure_all_finite=False, ensure_min_samples=0)
    if X.dtype.kind not in "biufmM":
        return _open_objects(X, "numpy", prefix, names)
    d = X.shape[1]
    names = names or _default_names(prefix, d)
    template = Template(container, names, (str(X.dtype),) * d, (None,) * d, (False,) * d, (False,) * d)
    if X.dtype == np.longdouble:
        X = X.astype(np.float64)
    return Columns(names, tuple(X.T), template)


def _open_objects(X: TableLike, container: str, prefix: str, names: tuple[str, ...]) -> _Opened:
    rows = check_array(
        np.asarray(X) if container == "numpy" else _as_objects(X),
        dtype=None,
        ensure_all_finite=False,
        ensure_min_samples=0,
    )
    names = names or _default_names(prefix, rows.shape[1])
    arrays = [arrow_column(column, name) for name, column in zip(names, rows.T, strict=True)]
    table = pa.Table.from_arrays(arrays, names=list(names))
    return _Opened(container, table, (str(rows.dtype),) * len(names))


def _as_objects(X: Any) -> Array:
    rows = [row if np.ndim(row) else [row] for row in X] if len(X) and np.ndim(X[0]) else X
    if len({len(row) if np.ndim(row) else 0 for row in rows}) > 1:
        raise ValueError(f"rows differ in length: {sorted({len(row) for row in rows})}")
    return np.array(rows, dtype=object)


def _open_named(container: str, columns: Mapping[str, Any]) -> _Opened:
    if not columns:
        raise ValueError("0 feature(s) while a minimum of 1 is required: the table has no columns")
    arrays = {name: arrow_column(values, name) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of one length are needed, found {lengths}")
    dtypes = tuple(_array_dtype(columns[name], arrays[name].type) for name in arrays)
    return _Opened(container, pa.table(arrays), dtypes)


def _array_dtype(values: Any, kind: pa.DataType) -> str:
    if isinstance(values, np.ndarray):
        return str(values.dtype)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    complete = number and not (getattr(values, "null_count", 0) and not pa.types.is_floating(kind))
    return str(np.dtype(kind.to_pandas_dtype())) if complete else "object"


def _open_frame(frame: nw.DataFrame[Any], wrapped: bool) -> _Opened:
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
    return _Opened(library, table, dtypes, labels, wrapped)


def _from_arrow(opened: _Opened) -> Columns:
    table = opened.table
    names, kinds = tuple(table.column_names), table.schema.types
    arrays = tuple(to_numpy(table.column(j), name) for j, name in enumerate(names))
    template = Template(
        container=opened.container,
        names=names,
        dtypes=opened.dtypes,
        categories=tuple(_categories(field, column) for field, column in zip(table.schema, table.columns, strict=True)),
        ordered=tuple(bool(pa.types.is_dictionary(kind) and kind.ordered) for kind in kinds),
        nulls=tuple(
            column.null_count > 0 or not pa.types.is_floating(kind)
            for column, kind in zip(table.columns, kinds, strict=True)
        ),
        schema=table.schema.serialize().to_pybytes(),
        wrapped=opened.wrapped,
        labels=tuple(x if isinstance(x, str) else int(x) for x in opened.labels) or names,
    )
    return Columns(names, arrays, template)


def _categories(field: pa.Field, column: pa.ChunkedArray) -> tuple[Any, ...] | None:
    if not pa.types.is_dictionary(column.type):
        return () if (field.metadata or {}).get(b"kind") == b"categorical" else None
    chunks = column.unify_dictionaries().chunks
    return tuple(chunks[0].dictionary.to_pylist()) if chunks else ()


def _default_names(prefix: str, d: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{j}" for j in range(d))
