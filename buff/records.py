"""Checks of what a file says, each of which raises ArchiveError with the name and what was found; names of parts."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from math import prod
from tokenize import TokenError
from typing import Any, TypeVar

import numpy as np

from buff.errors import ArchiveError, warn
from buff.protocols import Array

__all__ = [
    "checked_array",
    "checked_list",
    "checked_number",
    "checked_record",
    "joined",
    "known_part",
    "nested",
    "read_array",
    "require",
]

T = TypeVar("T")


def require(holds: object, what: str) -> None:
    """Raise ArchiveError that says ``what`` is wrong, unless the condition holds."""
    if not holds:
        raise ArchiveError(what)


def checked_record(record: Any, name: str, keys: Iterable[str]) -> Mapping[str, Any]:
    """A mapping that has these keys.

    Examples
    --------
    >>> checked_record({"a": 1}, "part", ["a", "b"])
    Traceback (most recent call last):
    buff.errors.ArchiveError: part lacks b
    """
    if not isinstance(record, Mapping):  # a mapping may hold large arrays, which take long to show
        raise ArchiveError(f"{name} is no mapping but {_shown(record)}")
    absent = [key for key in keys if key not in record]
    require(not absent, f"{name} lacks {', '.join(absent)}")
    found: Mapping[str, Any] = record
    return found


def known_part(record: Any, name: str, known: Iterable[str]) -> dict[str, Any]:
    """What this version knows of a mapping; a Notice names the other keys, which later versions may have added.

    FORMAT.md: a key that an older reader must not pass over raises the number of the format.

    Examples
    --------
    >>> known_part({"a": 1}, "part", ["a", "b"])
    {'a': 1}
    """
    kept = {key: value for key, value in checked_record(record, name, ()).items() if key in set(known)}
    if unknown := sorted(set(record) - set(kept)):
        warn(f"{name} has {str(unknown)[:80]}, which this version of buff does not know: the same events without")
    return kept


def checked_list(
    values: Any, name: str, kind: type | tuple[type, ...] = object, length: int | None = None
) -> list[Any]:
    """A list whose items are all of a kind, of this length."""
    if not isinstance(values, list | tuple):
        raise ArchiveError(f"{name} is no list but {_shown(values)}")
    odd = [value for value in values if not isinstance(value, kind)]
    require(not odd, f"{name} holds {_shown(odd[0]) if odd else ''}")
    require(length in (None, len(values)), f"{name} has {len(values)} entries, not {length}")
    return list(values)


def checked_number(value: Any, name: str, low: float = -np.inf, high: float = np.inf) -> float:
    """A finite number between two others.

    Examples
    --------
    >>> checked_number(-1, "noise", 0)
    Traceback (most recent call last):
    buff.errors.ArchiveError: noise is -1, no number from 0 to inf
    """
    fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < np.inf
    require(fits and low <= float(value) <= high, f"{name} is {_shown(value)}, no number from {low:g} to {high:g}")
    return float(value)


def checked_array(
    array: Any,
    name: str,
    shape: tuple[int | None, ...] | None = None,
    *,
    kinds: str = "f",
    low: float = -np.inf,
    high: float = np.inf,
    rising: bool = False,
) -> Array:
    """An array of this shape (None: any length) and these kinds of dtype, finite, within limits, sorted along axis 0.

    Examples
    --------
    >>> checked_array(np.array([0.0, np.nan]), "knots", (2,))
    Traceback (most recent call last):
    buff.errors.ArchiveError: knots holds numbers that are not finite
    """
    require(isinstance(array, np.ndarray) and array.dtype.kind in kinds, f"{name} is no array of numbers it may hold")
    if shape is not None:
        fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        require(fits, f"{name} has shape {array.shape}, not {shape}")
    if array.dtype.kind == "f":
        require(np.isfinite(array).all(), f"{name} holds numbers that are not finite")
    if array.size and array.dtype.kind in "fiu":
        require(low <= array.min() and array.max() <= high, f"{name} leaves the range from {low:g} to {high:g}")
        require(not rising or (np.diff(array, axis=0) >= 0).all(), f"{name} is not sorted")
    found: Array = array
    return found


def read_array(stream: BytesIO, name: str) -> Array:
    """The array in NumPy's format at this place, in no more memory than the bytes that follow.

    Raises
    ------
    ArchiveError
        Python objects, a header that is none, or fewer bytes than the shape says.
    """
    try:
        version = np.lib.format.read_magic(stream)
        readers: Mapping[Any, Any] = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, fortran, dtype = readers[version](stream)
    except (ValueError, KeyError, SyntaxError, TypeError, TokenError, RecursionError, MemoryError) as error:
        raise ArchiveError(f"{name} is no array: {str(error)[:200]}") from None
    counts = all(type(n) is int and 0 <= n < 2**31 for n in shape) and dtype.kind in "biufUSMm"
    count, size = prod(shape), prod(shape) * dtype.itemsize
    if not counts or size > len(stream.getbuffer()) - stream.tell():
        raise ArchiveError(f"{name} declares {str(shape)[:80]} of {str(dtype)[:40]}, more than is there")
    if not count:
        return np.zeros(shape, dtype)
    if not size:  # text of no letters takes no bytes, however many there are
        raise ArchiveError(f"{name} holds text of no letters")
    return np.frombuffer(stream.read(size), dtype).reshape(shape, order="F" if fortran else "C").copy(order="K")


def nested(parts: Mapping[str, T], prefix: str) -> dict[str, T]:
    """The parts whose names start with ``prefix/``, without it.

    Examples
    --------
    >>> nested({"a/b": 1, "c/d": 2}, "a")
    {'b': 1}
    """
    return {key.removeprefix(f"{prefix}/"): a for key, a in parts.items() if key.startswith(f"{prefix}/")}


def joined(parts: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """All of some parts, each under the name of its part: inverse of :func:`nested`."""
    return {f"{name}/{key}": value for name, part in parts.items() for key, value in part.items()}


def _shown(value: object) -> str:
    return repr(value)[:60]
