"""Pairs of coordinates, such as latitude and longitude, whose rows lie in clusters, on roads or along a coast."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from buff.protocols import Values
from buff.tables.columns import is_missing
from buff.tables.relations.base import Absence, Relation, Table, rounded
from buff.tables.relations.numbers import decimals_of

__all__ = ["LATITUDE", "Coordinates", "find_coordinates"]

#: Rows of a strip; a spacing is a gap where it exceeds so many spacings on both sides together.
_STRIP, _REACH = 32, 8
#: Knots of a strip, at most.
_KNOTS = 24
#: Names of a latitude, and of the longitudes beside it.
LATITUDE = re.compile(r"(?i)(?<![a-z])lat(itude)?(?![a-z])")
_LONGITUDES = {"lat": ("lon", "lng", "long"), "latitude": ("longitude",)}
#: Rows between the last rank of a group and the gap that follows.
_MARGIN = 1e-3


@dataclass(frozen=True)
class Coordinates(Relation):
    r"""``second`` by its rank among the rows of a strip of alike ``first``: a triangular map of both to a square.

    .. math:: r = F(\text{second} \mid \text{first} \in \text{strip})

    Strips hold about thirty rows, and neither strips nor ranks run over a gap (the map of M. Rosenblatt, 1952, with
    empirical distributions), so that what is drawn lies where rows are, however many clusters there are.

    Parameters
    ----------
    first, second : str
        Columns of numbers.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> towns = np.array([[0.0, 9.0], [0.1, -9.0]])[rng.integers(0, 2, 500)] + 0.1 * rng.normal(size=(500, 2))
    >>> table = {"lat": towns[:, 0], "lon": towns[:, 1]}
    >>> own = Coordinates("lat", "lon").learn(table)
    >>> rank = own.encode(table)
    >>> bool(rank.min() >= 0), bool(rank.max() <= 1)
    (True, True)
    >>> bool((abs(own.decode(table, rng.random(500), 500)) > 8).all())  # nothing between the towns
    True
    """

    kind: ClassVar[str] = "coordinates"
    first: str
    second: str
    rows: int = 0
    dtype: str = ""
    decimals: int | None = None
    sentinel: float | None = None
    #: Upper ends of the strips but the last, and the ranks and values at the knots of each.
    ends: tuple[float, ...] = ()
    ranks: tuple[tuple[float, ...], ...] = ()
    values: tuple[tuple[float, ...], ...] = ()

    @property
    def target(self) -> str:
        return self.second

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.first,)

    def learn(self, table: Table) -> Self:
        self._require(table)
        for name in (self.first, self.second):
            if table[name].dtype.kind not in "iuf":
                raise TypeError(f"column {name!r} is no coordinate: it holds {table[name].dtype}")
        y, absence = table[self.second], Absence.of(table[self.second])
        there = absence.there(y)
        if there.sum() < 2:
            raise ValueError(f"column {self.second!r} has {there.sum()} values, and no coordinate is learned from that")
        x, known = _first(table[self.first])[there], y[there].astype(np.float64)
        order = np.argsort(x, kind="stable")
        cuts = _strips(x[order])
        knots = [_knots(np.sort(part)) for part in np.split(known[order], cuts)]
        ends = 0.5 * (x[order][cuts - 1] + x[order][cuts])
        ranks, values = (tuple(tuple(knot[k].tolist()) for knot in knots) for k in (0, 1))
        learned = {"ends": tuple(ends.tolist()), "ranks": ranks, "values": values, "sentinel": absence.sentinel}
        return self.seen(len(known), dtype=y.dtype.str, decimals=decimals_of(y[there]), **learned)

    def encode(self, table: Table) -> Values:
        y, absence = table[self.second], Absence(self.sentinel)
        there = absence.there(y)
        rank = np.zeros(len(y))
        for rows, u, v in self._parts(table, there):
            value = y[rows].astype(np.float64)
            # of values that several ranks have, the middle
            below, above = np.interp(value, v, u), 1 - np.interp(-value, -np.array(v[::-1]), 1 - np.array(u[::-1]))
            rank[rows] = 0.5 * (below + above)
        encoded: Values = absence.encode(y.astype(np.float64), rank)
        return encoded

    def decode(self, table: Table, rest: Values | None, n: int) -> Values:
        assert rest is not None
        out, there = np.zeros(n), rest >= 0
        for rows, u, v in self._parts(table, there):
            out[rows] = np.interp(rest[rows], u, v)
        values, dtype = rounded(out, self.decimals), np.dtype(self.dtype)
        values = np.rint(values).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)
        decoded: Values = Absence(self.sentinel).decode(rest, values)
        return decoded

    def _parts(self, table: Table, there: Values) -> list[tuple[Values, Sequence[float], Sequence[float]]]:
        """Rows of each strip with its knots."""
        strip = np.searchsorted(self.ends, _first(table[self.first]))
        rows = [np.flatnonzero(there & (strip == k)) for k in range(len(self.ranks))]
        return [(own, u, v) for own, u, v in zip(rows, self.ranks, self.values, strict=True) if len(own)]

    @classmethod
    def from_dict(cls, record: Table) -> Self:
        fields = {key: value for key, value in record.items() if key != "kind"}
        fields |= {key: tuple(map(tuple, fields[key])) for key in ("ranks", "values")}
        return cls(**fields | {"ends": tuple(fields["ends"])})

    def to_dict(self) -> dict[str, object]:
        return {"kind": self.kind} | dict(vars(self))

    def __str__(self) -> str:
        return f"{self.first}, {self.second} are coordinates"


def _first(values: Values) -> Values:
    """Numbers, with missing ones above all others."""
    x = values.astype(np.float64)
    return np.where(is_missing(values), np.finfo(np.float64).max / 8, x)


def _strips(x: Values) -> Values:
    """Where sorted values are cut: at gaps, then into strips of so many rows; equal values stay together."""
    cuts = np.union1d(_gaps(x), np.arange(_STRIP, len(x) - _STRIP // 2, _STRIP))
    return cuts[x[cuts - 1] < x[cuts]] if len(cuts) else cuts.astype(int)


def _gaps(x: Values) -> Values:
    """Positions behind the spacings of sorted values that no chance makes so wide."""
    n = len(x)
    if n < 2:
        return np.empty(0, int)
    reach = min(_REACH, max(1, (n - 1) // 4))
    spacing = np.diff(x)
    i = np.arange(n - 1)
    span = x[np.minimum(i + 1 + reach, n - 1)] - x[np.maximum(i - reach, 0)]
    return np.flatnonzero(2 * spacing > span) + 1 if n >= 4 else np.empty(0, int)


def _knots(y: Values) -> tuple[Values, Values]:
    """Ranks and values of a distribution function with a step over each gap, which quotes no single row."""
    n, u, v, start = len(y), [], [], 0
    groups = np.split(y, _gaps(y))
    width = np.median([np.ptp(part) / len(part) for part in groups])
    for part in groups:
        m = len(part)
        if m < 3:
            # off the middle by a part of the width that the number of rows tells
            centre = part.mean() + width * ((0.6180339887498949 * (start + n)) % 1 - 0.5)
            values = np.array([centre - 0.5 * width, centre + 0.5 * width])
        else:
            middles = 0.5 * (part[1:] + part[:-1])
            chosen = np.unique(np.linspace(0, m - 2, min(m - 1, _KNOTS)).round().astype(int) // 2 * 2)
            values = np.append(middles[chosen], middles[-1]) if chosen[-1] != m - 2 else middles[chosen]
        # values between a group and its outermost knot come back to it, and hardly a rank falls into a gap
        inner = np.linspace(start + _MARGIN, start + m - _MARGIN, len(values)) / n
        u.append(inner)
        v.append(values)
        start += m
    return np.concatenate(u), np.maximum.accumulate(np.concatenate(v))


def find_coordinates(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of names of a latitude and a longitude.

    Examples
    --------
    >>> list(find_coordinates(["pickup_lat", "pickup_lng", "Longitude", "Latitude", "late", "lat"]))
    [('pickup_lat', 'pickup_lng'), ('Latitude', 'Longitude')]
    """
    lower = {name.lower(): name for name in names}
    for name in names:
        if part := LATITUDE.search(name):
            start, stop = part.span()
            for word in _LONGITUDES[part[0].lower()]:
                if (other := name[:start].lower() + word + name[stop:].lower()) in lower:
                    yield name, lower[other]
