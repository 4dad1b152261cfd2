"""Kinds of columns, what is known of one, and what a user says of it, checked against its values."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from buff.protocols import Values
from buff.tables.categories import ORDERS, factorize
from buff.tables.columns import are_integers, is_missing

__all__ = [
    "ASIDE",
    "KEYS",
    "KINDS",
    "TAILS",
    "ColumnKind",
    "ColumnSchema",
    "Kind",
    "bounds",
    "check_choice",
    "check_kind",
    "checked_order",
    "is_categorical",
    "normalised",
    "numbers_of",
]

Kind: TypeAlias = Literal["continuous", "integer", "categorical", "boolean", "datetime", "constant"]


@dataclass(frozen=True)
class ColumnKind:
    """What holds for every column of a kind.

    Attributes
    ----------
    dtypes : str
        The kinds of natural dtypes that it takes, as in ``numpy.dtype.kind``; text is "O".
    is_number : bool
        Whether values have a range, bounds and tails, and are compared as numbers or dates.
    is_label : bool
        Whether values are categories, which may be given an order. A constant is neither.
    is_whole : bool
        Whether values can only lie on a lattice, so that between two neighbours there is nothing.
    number : function of a str, optional
        The number that a text stands for, of a kind of numbers that are written as text; ValueError for others.
    """

    dtypes: str
    is_number: bool = True
    is_label: bool = False
    is_whole: bool = False
    number: Callable[[str], float] | None = None


#: All that is said of a kind by its name; what columns of it become is in :data:`buff.transforms.registry.ENCODERS`.
KINDS: dict[str, ColumnKind] = {
    "continuous": ColumnKind("iuf"),
    "integer": ColumnKind("iuf", is_whole=True),
    "categorical": ColumnKind("biufO", is_number=False, is_label=True, is_whole=True),
    "boolean": ColumnKind("biufO", is_number=False, is_label=True, is_whole=True),
    "datetime": ColumnKind("mM", is_whole=True),
    "constant": ColumnKind("biufmMO", is_number=False, is_whole=True),
}
#: Kinds of columns that have no distribution of their own to be learned.
ASIDE = ("id", "drop", "angle", "coordinate")
TAILS = ("clip", "extrapolate")
KEYS = ("kind", "lower", "upper", "tails", "order")


@dataclass(frozen=True)
class ColumnSchema:
    """One column.

    Attributes
    ----------
    name : str
    kind : str
        One of :data:`KINDS`; durations and times of day are "datetime".
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


def normalised(name: str, override: Any) -> dict[str, Any]:
    """What a user says of a column, as a mapping; ValueError or TypeError for unknown keys and choices."""
    settings = {"kind": override} if isinstance(override, str) else override
    if not isinstance(settings, Mapping):
        raise TypeError(f"schema of column {name!r} must be a kind or a mapping, found {override!r}")
    unknown = sorted(set(settings) - set(KEYS), key=str)
    if unknown:
        raise ValueError(f"schema of column {name!r} has unknown keys {unknown}; the keys are {list(KEYS)}")
    settings = {key: value for key, value in settings.items() if value is not None}
    for key, choices in (("kind", KINDS), ("tails", TAILS)):
        if key in settings:
            check_choice(f"{key} of column {name!r}", settings[key], choices)
    if isinstance(settings.get("order"), str):
        check_choice(f"order of column {name!r}", settings["order"], ORDERS)
    elif "order" in settings:
        settings["order"] = tuple(settings["order"])
    return settings


def check_choice(what: str, found: object, choices: Collection[str]) -> None:
    """Raise ValueError for what is none of the choices."""
    if not isinstance(found, str) or found not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, found {found!r}")


def is_categorical(kind: str, values: Values) -> bool:
    """Whether a column of this kind holds categories; of a constant, its values decide."""
    own = KINDS.get(kind)
    if own is not None and (own.is_number or own.is_label):
        return own.is_label
    return values.dtype.kind in "bO"


def numbers_of(name: str, kind: str, values: Values) -> Values:
    """Values as they are compared: themselves, or float64 where they are numbers that are written as text.

    Raises
    ------
    ValueError
        For a text that stands for no number, and a kind that does not say for which.
    """
    own = KINDS.get(kind)
    if values.dtype.kind != "O" or own is None or not own.is_number:
        return values
    known = np.flatnonzero(~is_missing(values))
    numbers = np.full(len(values), np.nan)
    for i in known:
        try:
            numbers[i] = own.number(values[i]) if own.number is not None else np.nan
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"column {name!r} holds {values[i]!r}, which is not {kind}: correct it or change the kind"
            ) from error
    if own.number is None and len(known):
        raise ValueError(
            f"column {name!r} holds {values[known[0]]!r}, and its kind {kind!r} does not say for which number that "
            f"stands: give the kind a number= in buff.tables.kinds.KINDS, or change it"
        )
    return numbers


def check_kind(name: str, known: Values, kind: str) -> None:
    """Raise ValueError where the known values of a column cannot be of this kind."""
    check_choice(f"kind of column {name!r}", kind, KINDS)
    if kind == "constant":
        raise ValueError(f"column {name!r} is not constant: it holds {known[0]} and other values")
    if kind == "boolean" and (known.dtype.kind in "mM" or len(factorize(known)[0]) > 2):
        raise ValueError(f"column {name!r} is not boolean: it holds more than two values")
    if known.dtype.kind not in KINDS[kind].dtypes:
        found = repr(known[0]) if isinstance(known[0], str) else known[0]
        raise ValueError(f"column {name!r} holds {found} and cannot be {kind}; convert it or change the kind")
    if kind == "integer" and not are_integers(known):
        fraction = known[known != np.rint(known)][0]
        raise ValueError(f"column {name!r} is not integer: it holds {fraction}; round it or call it continuous")


def checked_order(name: str, known: Values, order: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those of the ordered levels that occur; ValueError for levels without a place."""
    levels = set(factorize(known)[0])
    absent = sorted(levels - set(order), key=str)
    if absent:
        raise ValueError(f"order of column {name!r} lacks the levels {absent[:10]}")
    return tuple(level for level in order if level in levels)


def bounds(name: str, kind: str, known: Values, override: Mapping[str, Any]) -> tuple[Any, Any]:
    """Lower and upper bound of a column, which its known values keep; None for none."""
    lower, upper = (_bound(name, kind, known.dtype, key, override.get(key)) for key in ("lower", "upper"))
    _check_bounds(name, known, lower, upper)
    return lower, upper


def _bound(name: str, kind: str, dtype: np.dtype[Any], key: str, value: Any) -> Any:
    if value is None or kind == "constant":
        return None
    if not KINDS[kind].is_number:
        raise ValueError(f"column {name!r} is {kind} and takes no {key} bound")
    if dtype.kind in "mM":
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
