"""Columns of two tables as numbers that can be drawn: with unit, kind and common bins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buff.io.tables import to_table, units_of

__all__ = ["Kind", "Observable", "Values", "observables"]

Values: TypeAlias = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["number", "integer", "category", "date"]

#: More categories than this are drawn together as "other".
_MAX_CATEGORIES = 12


@dataclass(frozen=True, eq=False)
class Observable:
    """One column of both samples.

    Parameters
    ----------
    name : str
        Name of the column.
    unit : str
        Unit, "" for none.
    kind : {"number", "integer", "category", "date"}
        How to draw it.
    real, generated : array of shape (n,), (m,)
        Values; categories as their position in ``categories``, dates as days since 1970, missing as NaN.
    categories : tuple of str
        Names of the categories, the most frequent first.
    """

    name: str
    unit: str
    kind: Kind
    real: Values
    generated: Values
    categories: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Axis label: the name, and the unit in brackets if there is one."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    @property
    def discrete(self) -> bool:
        """Whether bins must not cut between values."""
        return self.kind in ("integer", "category")

    def edges(self, bins: int, tails: float = 1e-3) -> Values:
        """Common edges of at most ``bins`` bins; beyond them lies about a share ``tails`` of the real values.

        Integers sit in the middle of their bin; an end without a tail is not cut.
        """
        if self.kind == "category":
            return np.arange(len(self.categories) + 1.0) - 0.5
        known = _finite(self.real) if len(_finite(self.real)) else _finite(self.generated)
        if not len(known):
            return np.array([-0.5, 0.5])
        low, high = _ends(known, tails)
        if self.kind == "integer":
            step = float(np.ceil((high - low + 1) / max(bins, 60)))
            return np.arange(np.floor(low), np.ceil(high) + step + 1, step, dtype=np.float64) - 0.5
        if low == high:
            low, high = low - 0.5, high + 0.5
        return np.linspace(low, np.nextafter(high, np.inf), bins + 1)  # the largest value is inside


def observables(
    real: Any,
    generated: Any,
    columns: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
) -> list[Observable]:
    """The columns that two tables share, ready to be drawn.

    Parameters
    ----------
    real, generated : array of shape (n, d), pandas, polars or pyarrow table, buff.datasets.Table
        The samples.
    columns : sequence of str, optional
        Columns to take; names of the columns, where both are arrays.
    units : mapping from name to unit, optional
        Units; tables that carry their own need none.

    Raises
    ------
    ValueError
        If a table is empty, lacks a column, or there is none in common.

    Examples
    --------
    >>> import numpy as np
    >>> pt, n = observables(np.array([[10.5, 3]]), np.array([[11.5, 4]]), ["pt", "n"], {"pt": "GeV"})
    >>> pt.label, pt.kind, n.label, n.kind
    ('pt [GeV]', 'number', 'n', 'integer')
    """
    x, y = (to_table(data, columns if isinstance(data, np.ndarray) else None) for data in (real, generated))
    names = columns if columns is not None else [name for name in x.column_names if name in y.column_names]
    for table, which in ((x, "real"), (y, "generated")):
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise ValueError(f"{which} has no column {missing[0]!r}; it has {' '.join(table.column_names)}")
        if not table.num_rows:
            raise ValueError(f"{which} has no rows")
    if not names:
        raise ValueError(f"no common column: {' '.join(x.column_names)}; {' '.join(y.column_names)}")
    known = {**units_of(x), **(units or {})}
    return [_observable(name, known.get(name, ""), x[name], y[name]) for name in names]


def _observable(name: str, unit: str, x: pa.ChunkedArray, y: pa.ChunkedArray) -> Observable:
    unit = "" if unit == "1" else unit
    family = _family(x.type)
    if family != _family(y.type):
        raise ValueError(f"column {name!r} is {x.type} in real and {y.type} in generated: give both one type")
    if family == "text":
        return _categories(name, x, y)
    if family == "date":
        return Observable(name, unit, "date", _ticks(x) / 86_400, _ticks(y) / 86_400)
    if family == "time":
        return Observable(name, unit or "s", "number", _ticks(x), _ticks(y))
    real, generated = (column.cast(pa.float64(), safe=False).to_numpy() for column in (x, y))
    whole = all(np.array_equal(_finite(values), np.round(_finite(values))) for values in (real, generated))
    return Observable(name, unit, "integer" if whole else "number", real, generated)


def _categories(name: str, x: pa.ChunkedArray, y: pa.ChunkedArray) -> Observable:
    real, generated = (pc.fill_null(column.cast(pa.string()), "missing") for column in (x, y))
    counts = pc.value_counts(pa.chunked_array([*real.chunks, *generated.chunks])).to_pylist()
    ranked = [entry["values"] for entry in sorted(counts, key=lambda entry: -entry["counts"])]
    shown = ranked if len(ranked) <= _MAX_CATEGORIES else [*ranked[: _MAX_CATEGORIES - 1], "other"]
    codes = [pc.index_in(column, pa.array(shown)).fill_null(len(shown) - 1) for column in (real, generated)]
    positions = [column.cast(pa.float64()).to_numpy() for column in codes]
    return Observable(name, "", "category", positions[0], positions[1], tuple(shown))


def _family(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "date"
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return "time"
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return "number" if number else "text"


def _ticks(column: pa.ChunkedArray) -> Values:
    """Seconds since 1970, since midnight, or of the duration."""
    kind = column.type
    if pa.types.is_time(kind):
        microseconds = column.cast(pa.time64("us"))
    elif pa.types.is_duration(kind):
        microseconds = column.cast(pa.duration("us"), safe=False)
    else:
        microseconds = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    seconds: Values = microseconds.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy() / 1e6
    return seconds


def _finite(values: Values) -> Values:
    return values[np.isfinite(values)]


def _ends(values: Values, tails: float) -> tuple[float, float]:
    """Quantiles at both ends; the extreme value itself where that lies hardly beyond."""
    cuts = np.quantile(values, [tails / 2, 1 - tails / 2])
    extremes = np.array([values.min(), values.max()])
    near = np.abs(extremes - cuts) <= 0.1 * (cuts[1] - cuts[0])
    low, high = extremes if cuts[0] == cuts[1] else np.where(near, extremes, cuts)
    return float(low), float(high)
