"""Columns of two tables as numbers that can be drawn: with unit, kind and common bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from buff.protocols import TableLike
from buff.tables import AlikeTables, Schema, read_alike
from buff.tables.categories import factorize

__all__ = ["Observable", "Values", "observables"]

Values: TypeAlias = npt.NDArray[np.float64]

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
    kind : str
        One of :data:`buff.tables.kinds.KINDS`, as in the schema of a model.
    real, generated : array of shape (n,), (m,)
        Values; categories as their position in ``categories``, dates as days since 1970, missing as NaN.
    categories : tuple of str
        Names of the categories, the most frequent first; empty for numbers and dates.
    calendar : bool
        Whether the values are dates.
    others : tuple of arrays
        Values of further samples.
    """

    name: str
    unit: str
    kind: str
    real: Values
    generated: Values
    categories: tuple[str, ...] = ()
    calendar: bool = False
    others: tuple[Values, ...] = ()

    @property
    def samples(self) -> tuple[Values, ...]:
        """Values of all samples, the real one first."""
        return (self.real, self.generated, *self.others)

    @property
    def label(self) -> str:
        """Axis label: the name, and the unit in brackets if there is one."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    @property
    def discrete(self) -> bool:
        """Whether bins must not cut between values."""
        return self.is_category or self.is_whole

    @property
    def is_category(self) -> bool:
        """Whether the values are positions in ``categories``."""
        return bool(self.categories)

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        if self.kind != "constant" or self.categories or self.calendar:
            return self.kind == "integer"
        return all(np.array_equal(known, np.round(known)) for known in map(_finite, (self.real, self.generated)))

    def edges(self, bins: int, tails: float = 1e-3) -> Values:
        """Common edges of at most ``bins`` bins; beyond them lies about a share ``tails`` of the real values.

        Integers sit in the middle of their bin; an end without a tail is not cut.
        """
        if self.is_category:
            return np.arange(len(self.categories) + 1.0) - 0.5
        known = _finite(self.real) if len(_finite(self.real)) else _finite(self.generated)
        if not len(known):
            return np.array([-0.5, 0.5])
        low, high = _ends(known, tails)
        if self.is_whole:
            step = float(np.ceil((high - low + 1) / max(bins, 60)))
            return np.arange(np.floor(low), np.ceil(high) + step + 1, step, dtype=np.float64) - 0.5
        if low == high:
            low, high = low - 0.5, high + 0.5
        return np.linspace(low, np.nextafter(high, np.inf), bins + 1)  # the largest value is inside


def observables(
    real: TableLike,
    generated: TableLike,
    columns: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    schema: Schema | Mapping[str, Any] | None = None,
    others: Mapping[str, Any] | None = None,
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
    schema : Schema or mapping from column name to a kind, optional
        Kinds that are known, such as ``schema_`` of a model; others are inferred from all tables together.
    others : mapping from name to table, optional
        Further samples of the same columns.

    Raises
    ------
    ValueError
        If a table is empty, lacks a column, there is none in common, or a column has different types.

    Examples
    --------
    >>> import numpy as np
    >>> pt, n = observables(np.array([[10.5, 3], [9.5, 4]]), np.array([[11.5, 4]]), ["pt", "n"], {"pt": "GeV"})
    >>> pt.label, pt.kind, n.label, n.kind
    ('pt [GeV]', 'continuous', 'n', 'integer')
    """
    tables = {"real": real, "generated": generated, **(others or {})}
    alike = read_alike(tables, columns, schema, shared=True, finite=False)
    known: dict[str, str] = {}
    for table in reversed(alike.tables.values()):
        known |= table.template.units
    known |= units or {}
    return [_observable(alike, j, known.get(name, "")) for j, name in enumerate(alike.names)]


def _observable(alike: AlikeTables, j: int, unit: str) -> Observable:
    name, kind, parts = alike.names[j], alike.kinds[j], alike.parts(j)
    unit = "" if unit == "1" else unit
    if alike.categorical(j):
        return _categories(name, kind, parts)
    if parts[0].dtype.kind == "M":
        days, calendar = [_seconds(part) / 86_400 for part in parts], True
        return Observable(name, unit, kind, days[0], days[1], calendar=calendar, others=tuple(days[2:]))
    if parts[0].dtype.kind == "m":
        seconds = [_seconds(part) for part in parts]
        return Observable(name, unit or "s", kind, seconds[0], seconds[1], others=tuple(seconds[2:]))
    real, generated, *others = (np.asarray(part, dtype=np.float64) for part in parts)
    return Observable(name, unit, kind, real, generated, others=tuple(others))


def _categories(name: str, kind: str, parts: Sequence[Any]) -> Observable:
    found = [factorize(part) for part in parts]
    texts = [np.array([*map(_text, levels), "missing"], dtype=object) for levels, _ in found]
    counts: Counter[str] = Counter()
    for words, (_, codes) in zip(texts, found, strict=True):
        counts.update(dict(zip(words, np.bincount(codes % len(words), minlength=len(words)).tolist(), strict=True)))
    ranked = [text for text, n in counts.most_common() if n]
    shown = ranked if len(ranked) <= _MAX_CATEGORIES else [*ranked[: _MAX_CATEGORIES - 1], "other"]
    position = {text: float(k) for k, text in enumerate(shown)}
    columns = [
        np.array([position.get(text, len(shown) - 1.0) for text in words])[codes]
        for words, (_, codes) in zip(texts, found, strict=True)
    ]
    return Observable(name, "", kind, columns[0], columns[1], tuple(shown), others=tuple(columns[2:]))


def _text(level: Any) -> str:
    return str(level).lower() if isinstance(level, bool) else str(level)


def _seconds(part: Any) -> Values:
    """Since 1970, since midnight, or of the duration; NaN where missing."""
    ticks = part.astype(f"{part.dtype.kind}8[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(part), np.nan, ticks)


def _finite(values: Values) -> Values:
    return values[np.isfinite(values)]


def _ends(values: Values, tails: float) -> tuple[float, float]:
    """Quantiles at both ends; the extreme value itself where that lies hardly beyond."""
    cuts = np.quantile(values, [tails / 2, 1 - tails / 2])
    extremes = np.array([values.min(), values.max()])
    near = np.abs(extremes - cuts) <= 0.1 * (cuts[1] - cuts[0])
    low, high = extremes if cuts[0] == cuts[1] else np.where(near, extremes, cuts)
    return float(low), float(high)
