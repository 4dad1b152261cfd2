"""XGBoost's model files as nested dictionaries: the part of Universal Binary JSON that it writes and reads."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["decode", "encode"]

_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_LETTERS = {np.dtype(code).newbyteorder("="): letter for letter, code in _NUMBERS.items()}
_WORDS = {"T": True, "F": False, "Z": None}


def decode(raw: bytes) -> Any:
    """Dictionaries, lists, strings and numbers; arrays of one type as NumPy arrays.

    Raises
    ------
    ValueError
        The bytes are something else, or are cut short.

    Examples
    --------
    >>> decode(encode({"a": {"b": np.arange(3, dtype=np.int32)}, "c": "d"}))["a"]["b"].tolist()
    [0, 1, 2]
    """
    try:
        value, _ = _value(memoryview(raw), 0)
    except (ValueError, KeyError, IndexError, struct.error, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no model of XGBoost in UBJSON, or cut short: {error!r}") from error
    return value


def encode(value: Any) -> bytes:
    """Inverse of :func:`decode`, for XGBoost to read."""
    if isinstance(value, Mapping):
        return b"{" + b"".join(_text(key) + encode(item) for key, item in value.items()) + b"}"
    if isinstance(value, np.ndarray):
        letter = _LETTERS[value.dtype].encode()
        return b"[$" + letter + b"#" + _length(len(value)) + value.astype(value.dtype.newbyteorder(">")).tobytes()
    if isinstance(value, list):
        return b"[#" + _length(len(value)) + b"".join(map(encode, value))
    if isinstance(value, str):
        return b"S" + _text(value)
    return b"l" + struct.pack(">i", value)


def _text(text: str) -> bytes:
    return _length(len(text.encode())) + text.encode()


def _length(n: int) -> bytes:
    return b"L" + struct.pack(">q", n)


def _value(raw: memoryview, at: int) -> tuple[Any, int]:
    letter, at = chr(raw[at]), at + 1
    if letter == "{":
        return _mapping(raw, at)
    if letter == "[":
        return _array(raw, at)
    if letter == "S":
        return _string(raw, at)
    if letter in _WORDS:
        return _WORDS[letter], at
    return _number(raw, at, letter)


def _number(raw: memoryview, at: int, letter: str) -> tuple[Any, int]:
    code = _NUMBERS[letter]
    end = at + int(code[2:])
    return np.frombuffer(raw[at:end], code)[0].item(), end


def _string(raw: memoryview, at: int) -> tuple[str, int]:
    n, at = _number(raw, at + 1, chr(raw[at]))
    return bytes(raw[at : at + n]).decode(), at + n


def _mapping(raw: memoryview, at: int) -> tuple[dict[str, Any], int]:
    found = {}
    while chr(raw[at]) != "}":
        key, at = _string(raw, at)
        found[key], at = _value(raw, at)
    return found, at + 1


def _array(raw: memoryview, at: int) -> tuple[Any, int]:
    kind = None
    if chr(raw[at]) == "$":
        kind, at = chr(raw[at + 1]), at + 2
    if chr(raw[at]) != "#":
        return _open_array(raw, at)
    n, at = _number(raw, at + 2, chr(raw[at + 1]))
    if kind:
        end = at + n * int(_NUMBERS[kind][2:])
        if end > len(raw):
            raise IndexError("an array ends too early")
        return np.frombuffer(raw[at:end], _NUMBERS[kind]), end
    items = []
    for _ in range(n):
        item, at = _value(raw, at)
        items.append(item)
    return items, at


def _open_array(raw: memoryview, at: int) -> tuple[list[Any], int]:
    items = []
    while chr(raw[at]) != "]":
        item, at = _value(raw, at)
        items.append(item)
    return items, at + 1
