"""Relations between numbers: one never above another, sums to the cent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from buff.protocols import Array, Values
from buff.tables.relations.base import Absence, Relation, Table, rounded

__all__ = ["Order", "Sum", "decimals_of"]

#: More decimals than this are a computer's.
_MAX_DECIMALS = 6
#: Units in the last place by which sums of doubles may differ.
_ULPS = 8


@dataclass(frozen=True)
class Order(Relation):
    r"""``lower <= upper`` in every row where both are there.

    ``upper`` is replaced by the gap ``upper - max(lower, floor)``, never below 0; ``floor``, a round number at the
    least value of ``upper``, stands in where ``lower`` is absent. Missing values, and a sentinel such as -25, say that
    there is none.

    The gap keeps an edge sharp that rows come close to, but ``upper`` is then a sum of two columns, whose own
    distribution is only as good as what was learned of both. Where rows hardly come close, ``exchange`` leaves both
    columns as they are, each with its distribution, and swaps their values in the few rows that break the order.

    Parameters
    ----------
    lower, upper : str
        Columns of numbers, or both of dates in the same unit.
    exchange : bool
        Whether rows that break the order have their two values swapped, in place of a gap.

    Examples
    --------
    >>> table = {"start": np.array([5, 9, 4]), "end": np.array([7, 9, 4])}
    >>> order = Order("start", "end").learn(table)
    >>> order.encode(table), order.decode(table, np.array([0, 2, 5]), 3)
    (array([2, 0, 0]), array([ 5, 11,  9]))
    """

    kind: ClassVar[str] = "order"
    lower: str
    upper: str
    rows: int = 0
    dtype: str = ""
    floor: float = 0
    decimals: int | None = None
    absences: tuple[float | None, float | None] = (None, None)
    exchange: bool = False

    @property
    def target(self) -> str:
        return self.upper

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.lower,)

    def learn(self, table: Table) -> Self:
        self._require(table)
        low, up = table[self.lower], table[self.upper]
        kinds = {values.dtype.kind in "mM" for values in (low, up)}
        if self.exchange and low.dtype != up.dtype:
            raise TypeError(f"{self} cannot swap values of {low.dtype} and {up.dtype}: leave exchange out")
        if len(kinds) > 1 or not {low.dtype.kind, up.dtype.kind} <= set("iufmM"):
            raise TypeError(f"{self} needs two columns of numbers or two of dates, found {low.dtype} and {up.dtype}")
        absences = Absence.of(low), Absence.of(up)
        there = [absence.there(values) for absence, values in zip(absences, (low, up), strict=True)]
        both = there[0] & there[1]
        self._refuse(table, both & (np.where(both, low, up) > up), self.columns)
        if not there[1].any():
            raise ValueError(f"{self} cannot be learned: {self.upper!r} has no values")
        decimals = [decimals_of(values[here]) for values, here in zip((low, up), there, strict=True)]
        return self.seen(
            int(both.sum()),
            dtype=up.dtype.str,
            floor=_floor(up[there[1]]),
            decimals=None if None in decimals else max(d for d in decimals if d is not None),
            absences=tuple(absence.sentinel for absence in absences),
        )

    def encode(self, table: Table) -> Array:
        up = table[self.upper]
        if self.exchange:
            return up
        gap = rounded_like(up - self._base(table, up.dtype), self.decimals)
        return Absence(self.absences[1]).encode(up, gap)

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        dtype, absence = np.dtype(self.dtype), Absence(self.absences[1])
        assert rest is not None
        if self.exchange:
            return rest.astype(dtype)
        gap = np.where(_above(rest), rest, np.zeros(1, rest.dtype))
        values = rounded_like(self._base(table, dtype) + gap, self.decimals)
        return absence.decode(rest, values.astype(dtype))

    def broken(self, table: Table) -> Array:
        """Rows, bool of shape (n,), in which both are there and the order does not hold."""
        there = [Absence(own).there(table[name]) for own, name in zip(self.absences, self.columns, strict=True)]
        return there[0] & there[1] & (table[self.lower] > table[self.upper])

    def _base(self, table: Table, dtype: np.dtype[Any]) -> Array:
        low = table[self.lower]
        floor = np.array(self.floor).astype(dtype if dtype.kind in "mM" else low.dtype)
        return np.where(Absence(self.absences[0]).there(low) & (low > floor), low, floor)

    def __str__(self) -> str:
        return f"{self.lower} <= {self.upper}"


@dataclass(frozen=True)
class Sum(Relation):
    r"""``total = part + part - part ...``, to the last decimal.

    Parts that are absent (missing values, or a sentinel) count as 0. Where columns are rounded, the sum of the rounded
    parts may miss the rounded total by a few units of the last decimal: that rest is kept, so that tables come back
    exactly.

    Parameters
    ----------
    total : str
        Column of numbers.
    *parts : str
        Columns of numbers; ``"-tax"`` is subtracted.

    Examples
    --------
    >>> table = {"net": np.array([1.1, 2.2]), "tax": np.array([0.2, 0.4]), "gross": np.array([1.3, 2.6])}
    >>> gross = Sum("gross", "net", "tax").learn(table)
    >>> gross.encode(table) is None, gross.decode(table, None, 2)
    (True, array([1.3, 2.6]))
    """

    kind: ClassVar[str] = "sum"
    total: str
    parts: tuple[str, ...]
    rows: int = 0
    dtype: str = ""
    decimals: int | None = None
    sentinels: tuple[float | None, ...] = ()
    exact: bool = True

    def __init__(self, total: str, *parts: Any, **learned: Any) -> None:
        fields = {"total": total, "parts": learned.pop("parts", parts), "rows": 0, "dtype": "", "decimals": None}
        for key, value in (fields | {"sentinels": (), "exact": True} | learned).items():
            object.__setattr__(self, key, tuple(value) if isinstance(value, list) else value)
        if not self.parts:
            raise ValueError(f"Sum({total!r}) needs parts: Sum('gross', 'net', 'tax')")

    @property
    def target(self) -> str:
        return self.total

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(part.removeprefix("-") for part in self.parts)

    def learn(self, table: Table) -> Self:
        self._require(table)
        columns = [table[name] for name in (self.total, *self.inputs)]
        odd = [name for name, x in zip((self.total, *self.inputs), columns, strict=True) if x.dtype.kind not in "iuf"]
        if odd:
            raise TypeError(f"{self} needs columns of numbers, {odd[0]!r} holds {table[odd[0]].dtype}")
        absences = [Absence.of(x) for x in columns]
        there = [absence.there(x) for absence, x in zip(absences, columns, strict=True)]
        decimals = [decimals_of(x[here]) for x, here in zip(columns, there, strict=True)]
        known = [d for d in decimals if d is not None]
        sentinels = tuple(absence.sentinel for absence in absences)
        own = self.seen(
            int(there[0].sum()),
            dtype=columns[0].dtype.str,
            decimals=max(known) if len(known) == len(decimals) else None,
            sentinels=sentinels,
            exact=False,
        )
        rest = np.where(there[0], columns[0].astype(np.float64) - own._sum(table), 0.0)
        size = np.max([np.abs(np.where(here, x, 0)) for x, here in zip(columns, there, strict=True)], axis=0)
        precise = min((x.dtype for x in columns), key=lambda d: d.itemsize if d.kind == "f" else 8)
        off = np.abs(rest) > own._tolerance(size, precise if precise.kind == "f" else np.dtype(np.float64))
        self._refuse(table, off, (self.total, *self.inputs))
        exact = bool((own.decode(table, None, len(rest))[there[0]] == columns[0][there[0]]).all())
        return own.seen(own.rows, exact=exact or own.decimals is None)

    def encode(self, table: Table) -> Array | None:
        total = table[self.total]
        absence = Absence(self.sentinels[0])
        there = absence.there(total)
        if self.exact and there.all():
            return None
        steps = np.zeros(len(total))
        if not self.exact:
            rest = (total.astype(np.float64) - self._sum(table)) * 10.0 ** (self.decimals or 0)
            steps = np.where(there, np.rint(rest), 0.0) + len(self.parts)
        return absence.encode(total, steps)

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        dtype, values = np.dtype(self.dtype), self._sum(table)
        if rest is not None and not self.exact:
            steps = np.where(_above(rest), rest - len(self.parts), 0.0)
            values = values + steps / 10.0 ** (self.decimals or 0)
        values = rounded(values, self.decimals)
        values = np.rint(values).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)
        return values if rest is None else Absence(self.sentinels[0]).decode(rest, values)

    def _sum(self, table: Table) -> Array:
        total: Any = 0.0
        for part, sentinel in zip(self.parts, self.sentinels[1:], strict=True):
            values = table[part.removeprefix("-")]
            there = Absence(sentinel).there(values)
            # beyond 2^53 doubles are no cents any more; the check of every row notices
            number = np.where(there, values, 0).astype(np.float64)
            total = total - number if part.startswith("-") else total + number
        return rounded(np.asarray(total), self.decimals)

    def _tolerance(self, size: Values, dtype: np.dtype[Any]) -> Array:
        noise = _ULPS * len(self.parts) * np.spacing(size.astype(dtype)).astype(np.float64)
        if self.decimals is None:
            return noise
        # a total that was rounded after the sum is off by half a unit, and so is every part
        units = (len(self.parts) + 1) // 2 if self.decimals else 0
        return noise + (units + 0.25) * 10.0**-self.decimals

    def __str__(self) -> str:
        signed = "".join(f" - {p[1:]}" if p.startswith("-") else f" + {p}" for p in self.parts)
        return f"{self.total} = {signed.removeprefix(' + ').strip()}"

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        return cls(**{key: value for key, value in record.items() if key != "kind"})


def decimals_of(values: Values) -> int | None:
    """Decimals of numbers to a few units in the last place, 0 for integers; None for others.

    Examples
    --------
    >>> decimals_of(np.array([0.1 + 0.2, 5.25])), decimals_of(np.array([3, 4])), decimals_of(np.array([1 / 3]))
    (2, 0, None)
    """
    if values.dtype.kind not in "iuf" or not len(values):
        return None if values.dtype.kind not in "iu" else 0
    if values.dtype.kind in "iu":
        return 0
    x = values.astype(np.float64)
    ulp = np.spacing(np.abs(values)).astype(np.float64)
    for decimals in range(_MAX_DECIMALS + 1):
        step = 10.0**-decimals
        if np.any(64 * ulp > step):  # any number would do
            return None
        near = rounded(x[:200], decimals)
        if np.all(np.abs(x[:200] - near) <= 4 * ulp[:200]) and np.all(np.abs(x - rounded(x, decimals)) <= 4 * ulp):
            return decimals
    return None


def rounded_like(x: Values, decimals: int | None) -> Array:
    """Floats rounded to decimals; others, integers and times, as they are."""
    return rounded(x, decimals).astype(x.dtype) if x.dtype.kind == "f" else x


def _above(rest: Values) -> Array:
    """Rows that have a value: what says that there is none lies below 0, or is missing."""
    return rest >= np.zeros(1, rest.dtype)


def _floor(values: Values) -> float:
    """A round number below all values and close to them, so that it is none of them but by chance."""
    numbers = values.astype(np.int64) if values.dtype.kind in "mM" else values
    lowest, highest = (float(end) for end in (numbers.min(), numbers.max()))
    if lowest == highest:
        return lowest if numbers.dtype.kind == "f" else int(numbers.min())
    digits = int(np.floor(np.log10(highest - lowest))) - 1
    if numbers.dtype.kind in "iu":
        unit: int = 10 ** max(digits, 0)
        return int(numbers.min()) // unit * unit
    return float(np.floor(lowest / 10.0**digits) * 10.0**digits)
