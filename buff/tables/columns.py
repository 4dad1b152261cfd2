"""Tables in and out: any container becomes columns of NumPy arrays, and columns become the same container.

Containers are recognised through narwhals and cross over as Arrow, whose schema carries every dtype, unit,
time zone and category set that has to come back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from sklearn.utils import check_array

from buff.protocols import Array
from buff.tables.arrow import to_numpy
from buff.tables.template import Template

__all__ = ["Columns", "read", "recognised"]


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

    def select(self, numbers: Sequence[int]) -> "Columns":
        """Some of the columns, by position."""
        names, arrays = (tuple(of[j] for j in numbers) for of in (self.names, self.arrays))
        return Columns(names, arrays, self.template.select(numbers))


def read(X: Any, *, min_rows: int = 1, prefix: str = "x", names: tuple[str, ...] = ()) -> Columns:
    """Columns of a table.

    Parameters
    ----------
    X : table of shape (n, d)
        NumPy array (memory-mapped or not; object arrays may mix numbers and strings), list of rows, or a data
        frame of pandas, polars, pyarrow or another library that narwhals reads, or anything with ``to_arrow()``.
        Missing values are welcome.
    min_rows : int
        Fewer rows raise ValueError.
    prefix : str
        Columns without names are called prefix0, prefix1, ...
    names : tuple of str
        Or by these.

    Raises
    ------
    ValueError
        For infinite values, duplicate column names, too few rows or columns, a wrong number of dimensions,
        complex numbers.
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
    frame = recognised(X)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError("the table is lazy: collect it first")
    if isinstance(frame, nw.DataFrame):
        columns = _read_frame(frame, wrapped=frame is X)
    elif isinstance(X, list | tuple) or getattr(X, "dtype", np.dtype(float)).kind == "O":
        columns = _read_objects(X, "list" if isinstance(X, list | tuple) else "numpy", prefix, names)
    else:
        columns = _read_numpy(_unmasked(X), prefix, names)
    columns.require_rows(min_rows)
    for name, values in zip(columns.names, columns.arrays, strict=True):
        _refuse_infinity(name, values)
    return columns


def recognised(X: Any, *, allow_series: bool = False) -> Any:
    """X as narwhals sees it, or X itself if it is an array or a list.

    Raises
    ------
    ValueError
        Column names that are used twice, a single column.
    TypeError
        What is no table at all.
    """
    mapping = isinstance(X, Mapping) and not hasattr(X, "tocsr")  # some sparse matrices are mappings too
    if not allow_series and (X is None or mapping or isinstance(X, str | bytes)):
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
    names = [str(name) for name in getattr(native, "column_names", native.columns)]
    twice = sorted({name for name in names if names.count(name) > 1})
    return ValueError(f"column names must be unique, found twice: {twice}; rename the columns")


def _unmasked(X: Any) -> Any:
    """Masked entries are missing, not what lies under the mask."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    if X.dtype.kind != "f" and np.ma.getmaskarray(X).any():
        raise TypeError(f"a masked array must hold floats, so that NaN can stand for what is masked: found {X.dtype}")
    return X.filled(np.nan) if X.dtype.kind == "f" else X.data


def _refuse_infinity(name: str, values: Array) -> None:
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


def _read_numpy(X: Any, prefix: str, names: tuple[str, ...]) -> Columns:
    X = check_array(X, dtype=None, ensure_all_finite=False, ensure_min_samples=0)
    if X.dtype.kind not in "biufmM":
        return _read_objects(X, "numpy", prefix, names)
    d = X.shape[1]
    names = names or _default_names(prefix, d)
    template = Template("numpy", names, (str(X.dtype),) * d, (None,) * d, (False,) * d, (False,) * d)
    return Columns(names, tuple(X.T), template)


def _read_objects(X: Any, container: str, prefix: str, names: tuple[str, ...]) -> Columns:
    rows = check_array(
        np.asarray(X) if container == "numpy" else _as_objects(X),
        dtype=None,
        ensure_all_finite=False,
        ensure_min_samples=0,
    )
    dtype = str(rows.dtype)
    names = names or _default_names(prefix, rows.shape[1])
    arrays = [_arrow_column(column, name) for name, column in zip(names, rows.T, strict=True)]
    return _from_arrow(pa.Table.from_arrays(arrays, names=list(names)), container, (dtype,) * len(names))


def _as_objects(X: Any) -> Array:
    rows = [row if np.ndim(row) else [row] for row in X] if len(X) and np.ndim(X[0]) else X
    if len({len(row) if np.ndim(row) else 0 for row in rows}) > 1:
        raise ValueError(f"rows differ in length: {sorted({len(row) for row in rows})}")
    return np.array(rows, dtype=object)


def _arrow_column(values: Any, name: str) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        found = sorted({type(value).__name__ for value in values})
        raise TypeError(
            f"column {name!r} holds values of types {found}: each argument must be a string or a number, "
            f"and a column of one kind"
        ) from error


def _read_frame(frame: nw.DataFrame[Any], wrapped: bool) -> Columns:
    native = frame.to_native()
    labels = tuple(frame.columns)
    if not labels:
        raise ValueError(f"0 feature(s) (shape=({len(frame)}, 0)) while a minimum of 1 is required.")
    odd = [label for label in labels if not isinstance(label, str | int | np.integer)]
    if odd:
        raise TypeError(f"column names must be strings or integers, found {odd[0]!r}: rename the columns")
    library = frame.implementation.name.lower()
    if library == "pandas":
        table = _from_pandas(native)
        dtypes = tuple(str(dtype) for dtype in native.dtypes)
    else:
        table = frame.to_arrow()
        dtypes = tuple(str(dtype) for dtype in frame.schema.values())
    return _from_arrow(table, library, dtypes, wrapped=wrapped, labels=labels)


def _from_pandas(native: Any) -> pa.Table:
    if any(getattr(dtype, "kind", "O") == "c" for dtype in native.dtypes):
        raise ValueError("Complex data not supported: split real and imaginary parts into two columns")
    native = native.set_axis([str(name) for name in native.columns], axis=1)
    try:
        return pa.Table.from_pandas(native, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
        for name in native.columns:
            _arrow_column(native[name], name)
        raise


def _from_arrow(
    table: pa.Table,
    container: str,
    dtypes: tuple[str, ...],
    wrapped: bool = False,
    labels: tuple[Any, ...] = (),
) -> Columns:
    names = tuple(table.column_names)
    arrays = tuple(to_numpy(table.column(j), name) for j, name in enumerate(names))
    kinds = table.schema.types
    template = Template(
        container=container,
        names=names,
        dtypes=dtypes,
        categories=tuple(_categories(column) for column in table.columns),
        ordered=tuple(bool(pa.types.is_dictionary(kind) and kind.ordered) for kind in kinds),
        nulls=tuple(
            column.null_count > 0 or not pa.types.is_floating(kind)
            for column, kind in zip(table.columns, kinds, strict=True)
        ),
        schema=table.schema.serialize().to_pybytes(),
        wrapped=wrapped,
        labels=tuple(x if isinstance(x, str) else int(x) for x in labels) or names,
    )
    return Columns(names, arrays, template)


def _categories(column: pa.ChunkedArray) -> tuple[Any, ...] | None:
    if not pa.types.is_dictionary(column.type):
        return None
    chunks = column.unify_dictionaries().chunks
    return tuple(chunks[0].dictionary.to_pylist()) if chunks else ()


def _default_names(prefix: str, d: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{j}" for j in range(d))
