"""Tables in and out: any container as columns of NumPy arrays and back, and what the values of a column are."""

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.utils import check_array, validation

from buff.protocols import Array, TableLike, Values
from buff.records import checked_list, checked_record, require
from buff.tables.categories import factorize
from buff.tables.containers import named_columns, plain_array
from buff.tables.opening import opened

if TYPE_CHECKING:
    from buff.tables.kinds import ColumnKind

__all__ = ["Columns", "Template", "are_integers", "is_missing", "kind_of", "read", "summary", "validate_data"]

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
            values = np.column_stack([np.asarray(a) for a in arrays]).astype(self.dtypes[0])
            if self.container == "numpy":
                return values
            import torch

            return torch.from_numpy(values)
        from buff.tables.arrow_columns import restored  # which makes templates

        return restored(self, arrays)

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
    columns = _columns_of(X, prefix, names)
    columns.require_rows(min_rows)
    if finite:
        for name, values in zip(columns.names, columns.arrays, strict=True):
            _refuse_infinity(name, values)
    return columns


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


def _columns_of(X: Any, prefix: str, names: Sequence[str]) -> Columns:
    """Columns of an array of numbers or dates, which are views of it; anything else by way of Arrow."""
    if _is_plain(X) and X.dtype.kind in "biufmM":
        container, X = "numpy", check_array(X, dtype=None, ensure_all_finite=False, ensure_min_samples=0)
        names = tuple(names) or tuple(f"{prefix}{j}" for j in range(X.shape[1]))
    else:
        found = opened(X, prefix, names)
        if isinstance(found.table, pa.Table):
            from buff.tables.arrow_columns import columns_of  # which makes columns

            return columns_of(found)
        container, X, names = found.container, found.table, found.names
    d = len(names)
    template = Template(container, names, (str(X.dtype),) * d, (None,) * d, (False,) * d, (False,) * d)
    return Columns(names, tuple(X.astype(np.float64).T if X.dtype == np.longdouble else X.T), template)


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


def is_missing(values: Values) -> Array:
    """Which entries are NaN, NaT or None."""
    if values.dtype.kind in "fmM":
        return np.isnan(values)
    if values.dtype.kind == "O":
        return pc.is_null(pa.array(values, from_pandas=True)).to_numpy(zero_copy_only=False)
    return np.zeros(len(values), bool)


def kind_of(known: Values, declared: bool = False) -> str:
    """The kind of a column by its known values, which are some at least.

    Parameters
    ----------
    known : array of shape (n,)
        Values of natural dtype, see :mod:`buff.tables.arrow`, without the missing ones.
    declared : bool
        Whether the container calls them categories.

    Examples
    --------
    >>> kind_of(np.array([1.0, 2.0])), kind_of(np.array([1.0, 2.0]), declared=True)
    ('integer', 'categorical')
    """
    if declared:
        return "categorical"
    if known.dtype.kind == "O":
        return "boolean" if isinstance(known[0], bool | np.bool_) else "categorical"
    if known.dtype.kind == "f":
        return "integer" if are_integers(known) else "continuous"
    return {"b": "boolean", "i": "integer", "u": "integer", "m": "datetime", "M": "datetime"}[known.dtype.kind]


def are_integers(x: Values) -> bool:
    """Whether all of these numbers are integers that doubles hold."""
    head = x[:100]
    return bool(np.all(head == np.rint(head)) and np.all(x == np.rint(x)) and np.max(np.abs(x)) < 2.0**52)


def summary(known: Values, kind: "ColumnKind") -> str:
    """The range (three digits) or the first levels of the known values of a column, numbers as they are compared."""
    if not len(known):
        return "always missing"
    if kind.is_label:
        levels = factorize(known)[0]
        shown = ", ".join(repr(level) for level in levels[:4])
        return f"{len(levels)}: {shown}{', ...' if len(levels) > 4 else ''}"
    if not kind.is_number:
        return str(known[0])
    if known.dtype.kind in "mM":
        return " .. ".join(_rough_time(time) for time in (known.min(), known.max()))
    return f"{float(known.min()):.3g} .. {float(known.max()):.3g}"


def _rough_time(time: Any) -> str:
    """To the month or three digits: the summary is no place for a value of a single row."""
    if time.dtype.kind == "M":
        return str(time.astype("M8[M]"))
    return f"{time / np.timedelta64(1, 's'):.3g} s"
