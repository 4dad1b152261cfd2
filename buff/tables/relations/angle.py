"""Angles, which have no ends."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from buff.protocols import Array, Mask, Values
from buff.tables.relations.base import Absence, Relation, Table, rounded
from buff.tables.relations.numbers import decimals_of

__all__ = ["Angle"]

#: Cells in which the thinnest place of a circle is looked for.
_CELLS = 36
#: An angle is counted from another where that leaves so much less spread: mean resultant lengths.
_CLOSER = 0.05


@dataclass(frozen=True)
class Angle(Relation):
    r"""An angle, counted from another one or from zero, and cut where there are fewest rows: no seam at +-pi.

    Parameters
    ----------
    column : str
    period : float, optional
        Of the values; 2 pi or 360 by their range unless told.
    reference : str, optional
        Another angle of the same period; found among ``candidates`` unless told.
    candidates : tuple of str
        Angles that this one may be counted from.

    Examples
    --------
    >>> table = {"phi": np.array([3.1, -3.1, 3.0, -3.0])}
    >>> phi = Angle("phi").learn(table)
    >>> bool(np.ptp(phi.encode(table)) < 0.4), phi.decode({}, phi.encode(table), 4).round(6)
    (True, array([ 3.1, -3.1,  3. , -3. ]))
    """

    kind: ClassVar[str] = "angle"
    column: str
    period: float | None = None
    reference: str | None = None
    candidates: tuple[str, ...] = ()
    rows: int = 0
    dtype: str = ""
    low: float = 0.0
    cut: float = 0.0
    decimals: int | None = None
    sentinel: float | None = None

    @property
    def target(self) -> str:
        return self.column

    @property
    def inputs(self) -> tuple[str, ...]:
        return () if self.reference is None else (self.reference,)

    def learn(self, table: Table) -> Self:
        self._require(table)
        values = table[self.column]
        if values.dtype.kind not in "iuf":
            raise TypeError(f"column {self.column!r} is no angle: it holds {values.dtype}")
        absence = Absence.of(values)
        there = absence.there(values)
        known = values[there].astype(np.float64)
        if not len(known):
            raise ValueError(f"column {self.column!r} is always missing, and no angle can be learned from that")
        period = self.period or (2 * np.pi if np.ptp(known) <= 2 * np.pi + 0.01 else 360.0)
        if np.ptp(known) > period * 1.001:
            raise ValueError(
                f"column {self.column!r} has values from {known.min()} to {known.max()}, more than a period of "
                f'{period}: give it, {{"kind": "angle", "period": ...}}'
            )
        low = 0.0 if known.min() >= 0 else -period / 2
        own = self.seen(int(there.sum()), period=float(period), low=low, dtype=values.dtype.str)
        own = own.seen(own.rows, decimals=decimals_of(values[there]), sentinel=absence.sentinel)
        reference = self.reference or own._nearest(table, there)
        own = own.seen(own.rows, reference=reference, cut=0.0)
        turned = own._turned(table, values)[there]
        counts, edges = np.histogram(turned, _CELLS, (0.0, period))
        smooth = counts + 0.5 * (np.roll(counts, 1) + np.roll(counts, -1))
        cell = int(smooth.argmin())
        inside = np.sort(turned[(turned >= edges[cell]) & (turned <= edges[cell + 1])])
        ends = np.concatenate([edges[[cell]], inside, edges[[cell + 1]]])
        gap = int(np.diff(ends).argmax())
        return own.seen(own.rows, cut=float(0.5 * (ends[gap] + ends[gap + 1])))

    def encode(self, table: Table) -> Array:
        values = table[self.column]
        absence = Absence(self.sentinel)
        turned = np.where(absence.there(values), self._turned(table, values), 0.0)
        return absence.encode(values.astype(np.float64), turned)

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        assert rest is not None
        assert self.period is not None
        there = rest >= 0
        angle = np.where(there, rest, 0.0) + self.cut + self._base(table, n)
        wrapped = rounded((angle - self.low) % self.period + self.low, self.decimals)
        dtype = np.dtype(self.dtype)
        values = np.rint(wrapped).astype(dtype) if dtype.kind in "iu" else wrapped.astype(dtype)
        return Absence(self.sentinel).decode(rest, values)

    def _base(self, table: Table, n: int) -> Array:
        """Where angles are counted from; zero where the reference is absent."""
        if self.reference is None:
            return np.zeros(n)
        other = table[self.reference]
        return np.where(Absence.of(other).there(other) & ~np.isnan(other.astype(float)), other, 0.0)

    def _turned(self, table: Table, values: Values) -> Array:
        base = self._base(table, len(values))
        turned: Array = (values.astype(np.float64) - base - self.cut) % self.period
        return np.where(np.isnan(turned), 0.0, turned)

    def _nearest(self, table: Table, there: Mask) -> str | None:
        """The angle from which this one spreads least, by the length of the mean of its unit vectors."""

        def length(name: str | None) -> float:
            turned = self.seen(self.rows, reference=name)._turned(table, table[self.column])[there]
            return float(np.abs(np.mean(np.exp(2j * np.pi * turned / (self.period or 1.0)))))

        complete = [name for name in self.candidates if not np.isnan(table[name].astype(float)).any()]
        complete = [name for name in complete if Absence.of(table[name]).sentinel is None]
        best: str | None = max(complete, key=length, default=None)
        return best if best is not None and length(best) > length(None) + _CLOSER else None

    def __str__(self) -> str:
        counted = f" from {self.reference}" if self.reference else ""
        return f"{self.column} is an angle{counted}"
