"""Columns that are a function of others: looked up, scaled, or computed by what the user knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from buff.protocols import Array, Values
from buff.tables.categories import factorize
from buff.tables.relations.base import Relation, Table, listed, rounded, unlisted
from buff.tables.relations.numbers import decimals_of

__all__ = ["Derived", "Determines", "Rescaled", "joint_codes"]

#: Units in the last place by which a computed double may differ.
_ULPS = 16


@dataclass(frozen=True)
class Determines(Relation):
    """Rows of the same value of ``determinant`` have the same value of ``dependent``; missing is a value.

    Parameters
    ----------
    determinant, dependent : str
        The finer column, such as a city, and what follows from it, such as the country.

    Examples
    --------
    >>> table = {"city": np.array(["Bonn", "Rome", "Bonn"], object), "country": np.array(["DE", "IT", "DE"], object)}
    >>> lookup = Determines("city", "country").learn(table)
    >>> lookup.decode({"city": np.array(["Rome", "Bonn"], object)}, None, 2).tolist()
    ['IT', 'DE']
    """

    kind: ClassVar[str] = "determines"
    determinant: str
    dependent: str
    rows: int = 0
    keys: Any = None
    values: Any = None

    @property
    def target(self) -> str:
        return self.dependent

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.determinant,)

    def learn(self, table: Table) -> Self:
        self._require(table)
        codes, of = joint_codes(table[self.determinant]), joint_codes(table[self.dependent])
        first = np.unique(codes, return_index=True)[1]
        self._refuse(table, of != of[first][codes], self.columns)
        keys, values = table[self.determinant][first], table[self.dependent][first]
        return self.seen(len(codes), keys=listed(keys), values=listed(values))

    def encode(self, table: Table) -> Array | None:
        return None

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        keys, values, found = unlisted(self.keys), unlisted(self.values), table[self.determinant]
        if keys.dtype.kind == "O" or found.dtype.kind == "O":
            number = {_key(key): i for i, key in enumerate(keys.tolist())}
            return values[[number[_key(value)] for value in found.tolist()]]
        # numbers that the training did not have take the value of the nearest that it had; NaN comes last
        order = np.argsort(keys, kind="stable")
        i = np.clip(np.searchsorted(keys[order], found), 0, len(keys) - 1)
        before = np.maximum(i - 1, 0)
        nearer = np.abs(found - keys[order][before]) < np.abs(keys[order][i] - found)
        return values[order[np.where(nearer, before, i)]]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind} | dict(vars(self))

    def __str__(self) -> str:
        return f"{self.determinant} determines {self.dependent}"


@dataclass(frozen=True)
class Rescaled(Relation):
    r"""``column = scale * form(source) + offset``, with form the identity, log, exp, sqrt or square.

    Parameters
    ----------
    column, source : str
    form : {"identity", "log", "exp", "sqrt", "square"}
    scale, offset : float

    Examples
    --------
    >>> table = {"gev": np.array([1.5, 2.0]), "mev": np.array([1500.0, 2000.0])}
    >>> Rescaled("mev", "gev", scale=1000).learn(table).decode({"gev": np.array([3.0])}, None, 1)
    array([3000.])
    """

    kind: ClassVar[str] = "scaled"
    FORMS: ClassVar[dict[str, Callable[[Array], Array]]] = {
        "identity": lambda x: x,
        "log": np.log,
        "exp": np.exp,
        "sqrt": np.sqrt,
        "square": np.square,
    }
    column: str
    source: str
    form: str = "identity"
    scale: float = 1.0
    offset: float = 0.0
    rows: int = 0
    dtype: str = ""
    decimals: int | None = None

    @property
    def target(self) -> str:
        return self.column

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.source,)

    def learn(self, table: Table) -> Self:
        self._require(table)
        y = table[self.column]
        known = y[~np.isnan(y)] if y.dtype.kind == "f" else y
        own = self.seen(len(y), dtype=y.dtype.str, decimals=decimals_of(known))
        self._refuse(table, _differ(own._value(table[self.source]), y, own.decimals), self.columns)
        return own

    def encode(self, table: Table) -> Array | None:
        return None

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        return _as(self._value(table[self.source]), self.dtype, self.decimals)

    def _value(self, x: Values) -> Array:
        with np.errstate(all="ignore"):
            return self.scale * self.FORMS[self.form](x.astype(np.float64)) + self.offset

    def __str__(self) -> str:
        inner = self.source if self.form == "identity" else f"{self.form}({self.source})"
        scaled = inner if self.scale == 1 else f"{self.scale:.6g} {inner}"
        return f"{self.column} = {scaled}" + (f" + {self.offset:.6g}" if self.offset else "")


@dataclass(frozen=True)
class Derived(Relation):
    """``column = function(*inputs)``: left out of the learning, and computed for rows that are drawn.

    Files cannot hold a Python function: a model that is loaded asks for it, see :meth:`Relations.replace_function`.

    Parameters
    ----------
    column : str
    function : callable
        From arrays of the inputs, in order, to an array.
    *sources : str

    Examples
    --------
    >>> table = {"px": np.array([3.0]), "py": np.array([4.0]), "pt": np.array([5.0])}
    >>> Derived("pt", np.hypot, "px", "py").learn(table).decode({"px": np.array([6.0]), "py": np.array([8.0])}, None, 1)
    array([10.])
    """

    kind: ClassVar[str] = "derived"
    column: str
    function: Callable[..., Any] | None
    sources: tuple[str, ...]
    rows: int = 0
    dtype: str = ""
    decimals: int | None = None

    def __init__(self, column: str, function: Callable[..., Any] | None, *sources: Any, **learned: Any) -> None:
        if function is not None and not callable(function):
            raise TypeError(f"Derived({column!r}, ...) needs a function of the columns, found {function!r}")
        fields = {"column": column, "function": function, "sources": learned.pop("sources", sources)}
        for key, value in (fields | {"rows": 0, "dtype": "", "decimals": None} | learned).items():
            object.__setattr__(self, key, tuple(value) if isinstance(value, list) else value)

    @property
    def target(self) -> str:
        return self.column

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.sources

    def learn(self, table: Table) -> Self:
        self._require(table)
        y = table[self.column]
        number = y.dtype.kind in "iuf"
        decimals = decimals_of(y[~np.isnan(y)] if y.dtype.kind == "f" else y) if number else None
        own = self.seen(len(y), dtype=y.dtype.str, decimals=decimals)
        found = own._value(table, len(y))
        if number:
            differ = _differ(found.astype(np.float64), y, decimals)
        else:
            codes = joint_codes(np.append(found.astype(y.dtype), y))
            differ = codes[: len(y)] != codes[len(y) :]
        self._refuse({**table, "computed": found}, differ, (*self.inputs, self.column, "computed"))
        return own

    def encode(self, table: Table) -> Array | None:
        return None

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        return _as(self._value(table, n), self.dtype, self.decimals)

    def to_dict(self) -> dict[str, Any]:
        name = getattr(self.function, "__qualname__", repr(self.function))
        return {**vars(self), "kind": self.kind, "sources": list(self.sources), "function": name}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        fields = {key: value for key, value in record.items() if key not in ("kind", "function", "column")}
        return cls(record["column"], None, **fields)

    def with_function(self, function: Callable[..., Any]) -> Self:
        """A copy with a function, which files do not keep."""
        return self.seen(self.rows, function=function)

    def _value(self, table: Table, n: int) -> Array:
        if self.function is None:
            raise ValueError(
                f"column {self.column!r} is computed by a Python function, which files do not keep: give it back "
                f"with gen.relations_.replace_function({self.column!r}, function)"
            )
        found = np.asarray(self.function(*(table[name] for name in self.sources)))
        if found.shape not in ((), (n,)):
            raise ValueError(f"{self}: the function gives shape {found.shape} for {n} rows, and not one value a row")
        return np.broadcast_to(found, (n,))

    def __str__(self) -> str:
        name = getattr(self.function, "__name__", "function")
        return f"{self.column} = {name}({', '.join(self.sources)})"


def joint_codes(*columns: Array) -> Array:
    """A number for each row, the same in rows of the same values, missing ones included."""
    codes = np.zeros(len(columns[0]), np.intp)
    for values in columns:
        if values.dtype.kind == "O":
            own = factorize(values)[1] + 1
        else:
            own = np.unique(values, return_inverse=True, equal_nan=True)[1]
        codes = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)[1]
    return codes


def _key(value: object) -> Any:
    """All missing values are one."""
    return None if value is None or value != value else value


def _differ(found: Values, y: Values, decimals: int | None) -> Array:
    """Rows in which a number is not what was computed, to half a unit of its last decimal or a few of the last bit."""
    scale = np.maximum(np.abs(y), np.abs(np.where(np.isfinite(found), found, 0)))
    if y.dtype.kind != "f":
        scale = scale.astype(np.float64)
    room = _ULPS * np.spacing(scale.astype(y.dtype if y.dtype.kind == "f" else float)).astype(np.float64)
    if decimals is not None:
        room = room + 0.5 * 10.0**-decimals
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(found - y.astype(np.float64)) <= room)
    return off & ~(np.isnan(found) & (np.isnan(y) if y.dtype.kind == "f" else False))


def _as(values: Values, dtype: str, decimals: int | None) -> Array:
    kind = np.dtype(dtype)
    if kind.kind in "iuf":
        values = rounded(values.astype(np.float64), decimals)
    return (np.rint(values) if kind.kind in "iu" else values).astype(kind)
