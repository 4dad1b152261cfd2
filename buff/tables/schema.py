"""What each column is: kinds inferred from the data, and what the user knows better."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from buff.protocols import Values
from buff.records import checked_list, checked_number, checked_record, known_part, require
from buff.tables.categories import ORDERS, factorize
from buff.tables.columns import Columns, is_missing
from buff.tables.layout import as_text

__all__ = [
    "ASIDE",
    "KINDS",
    "TAILS",
    "ColumnSchema",
    "Kind",
    "Schema",
    "check_kind",
    "infer_schema",
    "is_categorical",
    "kind_of",
]

Kind: TypeAlias = Literal["continuous", "integer", "categorical", "boolean", "datetime", "constant"]
KINDS: tuple[str, ...] = get_args(Kind)
#: Kinds of columns that have no distribution of their own to be learned.
ASIDE = ("id", "drop", "angle", "coordinate")
TAILS = ("clip", "extrapolate")
_KEYS = ("kind", "lower", "upper", "tails", "order")


@dataclass(frozen=True)
class ColumnSchema:
    """One column.

    Attributes
    ----------
    name : str
    kind : {"continuous", "integer", "categorical", "boolean", "datetime", "constant"}
        Durations and times of day are "datetime".
    dtype : str
        In the words of the container.
    missing : float
        Share of rows without a value.
    summary : str
        The range (three digits) or the first levels.
    lower, upper : number, str or None
        Bounds set by the user, in the column's unit; ISO 8601 for dates.
    tails : {"clip", "extrapolate"}
        Whether generated values stay inside the training range.
    order : str or tuple or None
        For categories: a strategy, one of "lexical", "frequency", "similar", "onehot", or the levels in
        order.
    """

    name: str
    kind: str
    dtype: str
    missing: float
    summary: str
    lower: Any = None
    upper: Any = None
    tails: str = "clip"
    order: str | tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Schema:
    """The columns of a table, by name or position; prints as a table.

    Examples
    --------
    >>> from buff.tables import infer_schema, read
    >>> infer_schema(read([[0.5, "a"], [1.5, "b"], [2.5, "b"]]), {"x0": {"lower": 0}})
    name  kind         dtype   missing  values       bounds       tails  order
    x0    continuous   object  0        0.5 .. 2.5   [0.0, None]  clip
    x1    categorical  object  0        2: 'a', 'b'                      similar
    """

    columns: tuple[ColumnSchema, ...]

    def __getitem__(self, key: str | int) -> ColumnSchema:
        if isinstance(key, int):
            return self.columns[key]
        for column in self.columns:
            if column.name == key:
                return column
        raise KeyError(f"no column {key!r}; the columns are {[column.name for column in self.columns]}")

    def __iter__(self) -> Iterator[ColumnSchema]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        return as_text(self.columns)

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        """What makes :func:`infer_schema` find the same for another table of these columns."""
        return {
            column.name: {key: value for key in _KEYS if (value := getattr(column, key)) is not None}
            for column in self.columns
            if column.kind != "constant"
        }

    def to_dict(self) -> list[dict[str, Any]]:
        """JSON-serialisable form."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_dict(cls, records: list[dict[str, Any]]) -> "Schema":
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        ArchiveError
            Facts of a column that are lost or of other types.
        """
        name = "the schema of a column"
        known = [f.name for f in fields(ColumnSchema)]
        records = [known_part(record, name, known) for record in checked_list(records, "the schema", dict)]
        for record in records:
            checked_record(record, name, ("name", "kind", "dtype", "missing", "summary", "order"))
            require(isinstance(record["name"], str) and isinstance(record["kind"], str), "a column has no name")
            checked_number(record["missing"], "the share of missing values", 0, 1)
        orders = (tuple(r["order"]) if isinstance(r["order"], list) else r["order"] for r in records)
        return cls(tuple(ColumnSchema(**r | {"order": o}) for r, o in zip(records, orders, strict=True)))


def infer_schema(
    columns: Columns,
    overrides: "Mapping[str, Any] | Schema | None" = None,
    *,
    tails: str = "clip",
    categories: str = "similar",
) -> Schema:
    """Schema of a table.

    Parameters
    ----------
    columns : Columns
    overrides : mapping from column name to a kind or a mapping, or Schema, optional
        A mapping has any of the keys ``kind``, ``lower``, ``upper``, ``tails`` and ``order``.
    tails : {"clip", "extrapolate"}
        For the columns whose tails are not overridden.
    categories : {"lexical", "frequency", "similar", "onehot"}
        Likewise for the order of categories; declared, ordered categories keep their order.

    Raises
    ------
    ValueError
        For unknown columns, kinds, keys, tails and orders, with the valid ones, and for data that contradict
        an override: values out of bounds, fractions in an integer column, levels missing in an order.
    """
    _check_choice("tails", tails, TAILS)
    _check_choice("categories", categories, ORDERS)
    if isinstance(overrides, Schema):
        overrides = overrides.overrides
    if not isinstance(overrides, Mapping | None):
        raise TypeError(f"schema must be a mapping from column name to a kind or a mapping, found {overrides!r}")
    overrides = dict(overrides or {})
    unknown = sorted(set(overrides) - set(columns.names), key=str)
    if unknown:
        raise ValueError(f"schema names unknown columns {unknown}; the columns are {list(columns.names)}")
    return Schema(
        tuple(
            _column(columns, j, _normalised(name, overrides.get(name, {})), {"tails": tails, "order": categories})
            for j, name in enumerate(columns.names)
        )
    )


def _column(columns: Columns, j: int, override: dict[str, Any], default: dict[str, Any]) -> ColumnSchema:
    name, values, template = columns.names[j], columns.arrays[j], columns.template
    missing = is_missing(values)
    known = values[~missing] if missing.any() else values
    constant = not len(known) or (not missing.any() and _all_equal(known))
    inferred = "constant" if constant else kind_of(known, template.categories[j] is not None)
    kind = inferred if inferred == "constant" else override.get("kind", inferred)
    if kind != inferred:
        check_kind(name, known, kind)
    order = None
    if kind in ("categorical", "boolean"):
        declared = template.categories[j] if template.ordered[j] else None
        order = override.get("order") or declared or ("lexical" if kind == "boolean" else default["order"])
    elif "order" in override and kind != "constant":
        raise ValueError(f"column {name!r} is {kind} and has no order of categories; remove order or set kind")
    lower, upper = (_bound(name, kind, values.dtype, key, override.get(key)) for key in ("lower", "upper"))
    _check_bounds(name, known, lower, upper)
    return ColumnSchema(
        name=name,
        kind=kind,
        dtype=template.dtypes[j],
        missing=float(missing.mean()),
        summary=_summary(known, kind),
        lower=lower,
        upper=upper,
        tails=override.get("tails", default["tails"]),
        order=_checked_order(name, known, order) if isinstance(order, tuple) else order,
    )


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
        return "integer" if _are_integers(known) else "continuous"
    return {"b": "boolean", "i": "integer", "u": "integer", "m": "datetime", "M": "datetime"}[known.dtype.kind]


def is_categorical(kind: str, values: Values) -> bool:
    """Whether a column of this kind holds categories; of a constant, its values decide."""
    labels = values.dtype.kind in "bO"
    return kind in ("categorical", "boolean") or (labels and kind not in ("continuous", "integer", "datetime"))


def _all_equal(values: Values) -> bool:
    return bool(np.all(values == values[0]))


def _are_integers(x: Values) -> bool:
    head = x[:100]
    return bool(np.all(head == np.rint(head)) and np.all(x == np.rint(x)) and np.max(np.abs(x)) < 2.0**52)


def check_kind(name: str, known: Values, kind: str) -> None:
    """Raise ValueError where the known values of a column cannot be of this kind."""
    _check_choice(f"kind of column {name!r}", kind, KINDS)
    if kind == "constant":
        raise ValueError(f"column {name!r} is not constant: it holds {known[0]} and other values")
    if kind == "boolean" and (known.dtype.kind in "mM" or len(factorize(known)[0]) > 2):
        raise ValueError(f"column {name!r} is not boolean: it holds more than two values")
    accepted = {"continuous": "iuf", "integer": "iuf", "datetime": "mM"}.get(kind, "biufO")
    if known.dtype.kind not in accepted:
        raise ValueError(f"column {name!r} holds {known[0]} and cannot be {kind}; convert it or change the kind")
    if kind == "integer" and not _are_integers(known):
        fraction = known[known != np.rint(known)][0]
        raise ValueError(f"column {name!r} is not integer: it holds {fraction}; round it or call it continuous")


def _normalised(name: str, override: Any) -> dict[str, Any]:
    settings = {"kind": override} if isinstance(override, str) else override
    if not isinstance(settings, Mapping):
        raise TypeError(f"schema of column {name!r} must be a kind or a mapping, found {override!r}")
    unknown = sorted(set(settings) - set(_KEYS), key=str)
    if unknown:
        raise ValueError(f"schema of column {name!r} has unknown keys {unknown}; the keys are {list(_KEYS)}")
    settings = {key: value for key, value in settings.items() if value is not None}
    for key, choices in (("kind", KINDS), ("tails", TAILS)):
        if key in settings:
            _check_choice(f"{key} of column {name!r}", settings[key], choices)
    if isinstance(settings.get("order"), str):
        _check_choice(f"order of column {name!r}", settings["order"], ORDERS)
    elif "order" in settings:
        settings["order"] = tuple(settings["order"])
    return settings


def _check_choice(what: str, found: object, choices: Sequence[str]) -> None:
    if found not in choices:
        raise ValueError(f"unknown {what}: {found!r}; choose one of {list(choices)}")


def _bound(name: str, kind: str, dtype: np.dtype[Any], key: str, value: Any) -> Any:
    if value is None or kind == "constant":
        return None
    if kind not in ("continuous", "integer", "datetime"):
        raise ValueError(f"column {name!r} is {kind} and takes no {key} bound")
    if kind == "datetime":
        time = np.array(value, dtype)
        return str(time) if dtype.kind == "M" else int(time.astype(np.int64))
    try:
        bound = float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{key} bound of column {name!r} must be a number, found {value!r}") from error
    if not np.isfinite(bound):
        raise ValueError(f"{key} bound of column {name!r} must be finite, found {value!r}")
    return bound


def _check_bounds(name: str, known: Values, lower: Any, upper: Any) -> None:
    if (lower is None and upper is None) or not len(known):
        return
    lo, hi = (
        None if b is None else np.asarray(b).astype(known.dtype if known.dtype.kind in "mM" else float)
        for b in (lower, upper)
    )
    if lo is not None and hi is not None and not lo < hi:
        raise ValueError(f"column {name!r}: lower = {lower} must be below upper = {upper}")
    if lo is not None and known.min() < lo:
        raise ValueError(f"column {name!r} holds {known.min()}, below lower = {lower}; clean the data or the bound")
    if hi is not None and known.max() > hi:
        raise ValueError(f"column {name!r} holds {known.max()}, above upper = {upper}; clean the data or the bound")


def _checked_order(name: str, known: Values, order: tuple[Any, ...]) -> tuple[Any, ...]:
    levels = set(factorize(known)[0])
    absent = sorted(levels - set(order), key=str)
    if absent:
        raise ValueError(f"order of column {name!r} lacks the levels {absent[:10]}")
    return tuple(level for level in order if level in levels)


def _summary(known: Values, kind: str) -> str:
    if not len(known):
        return "always missing"
    if kind == "constant":
        return str(known[0])
    if kind in ("categorical", "boolean"):
        levels = factorize(known)[0]
        shown = ", ".join(repr(level) for level in levels[:4])
        return f"{len(levels)}: {shown}{', ...' if len(levels) > 4 else ''}"
    if kind == "datetime":
        return " .. ".join(_rough_time(time) for time in (known.min(), known.max()))
    return f"{float(known.min()):.3g} .. {float(known.max()):.3g}"


def _rough_time(time: Any) -> str:
    """To the month or three digits: the summary is no place for a value of a single row."""
    if time.dtype.kind == "M":
        return str(time.astype("M8[M]"))
    return f"{time / np.timedelta64(1, 's'):.3g} s"
