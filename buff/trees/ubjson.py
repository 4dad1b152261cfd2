"""The part of UBJSON that XGBoost writes and reads; reading is bounded by the bytes that are there.

Source: Universal Binary JSON, draft 12, https://ubjson.org. Numbers are big-endian; an array may name one type for all
of its items. Counts of objects, no-ops and numbers of arbitrary precision, which XGBoost does not write, are refused.
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from buff.errors import ArchiveError

__all__ = ["decode", "encode"]

#: Levels of arrays and objects inside one another; models of XGBoost have seven.
_DEPTH = 16
_NUMBERS = {
    key: struct.Struct(f">{code}")
    for key, code in {b"i": "b", b"U": "B", b"I": "h", b"l": "i", b"L": "q", b"d": "f", b"D": "d"}.items()
}
_DTYPES = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_LETTERS = {np.dtype(code).newbyteorder("="): letter for letter, code in _DTYPES.items()}
_WORDS = {b"T": True, b"F": False, b"Z": None}


def decode(raw: bytes) -> Any:
    """The document: dictionaries, lists, strings, numbers; arrays of one type are NumPy arrays.

    Raises
    ------
    ArchiveError
        Bytes that are no whole document of this kind, nested too deeply, or that name a key twice.

    Examples
    --------
    >>> decode(b"{i\\x01x[$U#i\\x03\\x01\\x02\\x03}")
    {'x': array([1, 2, 3], dtype=uint8)}
    """
    reader = _Reader(raw)
    value = reader.value(reader.take(1), 0)
    if reader.place != len(raw):
        raise ArchiveError(f"UBJSON: {len(raw) - reader.place} bytes after the end of the document")
    return value


def encode(value: object) -> bytes:
    """Inverse of :func:`decode`, for XGBoost to read."""
    if isinstance(value, Mapping):
        return b"{" + b"".join(_text(key) + encode(item) for key, item in value.items()) + b"}"
    if isinstance(value, np.ndarray):
        letter = _LETTERS[value.dtype]
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


class _Reader:
    """A place in the bytes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.place = 0

    def take(self, n: int) -> bytes:
        part = self.raw[self.place : self.place + n]
        if n < 0 or len(part) < n:
            where = f"{n} bytes asked for at byte {self.place} of {len(self.raw)}"
            raise ArchiveError(f"UBJSON, cut short or no such file: {where}")
        self.place += n
        return part

    def number(self, kind: bytes) -> Any:
        packed = _NUMBERS.get(kind)
        if packed is None:
            raise ArchiveError(f"UBJSON, cut short or no such file: a value of type {kind!r} before byte {self.place}")
        return packed.unpack(self.take(packed.size))[0]

    def count(self) -> int:
        kind = self.take(1)
        if kind not in b"iUIlL":
            raise ArchiveError(f"UBJSON, cut short or no such file: a length of type {kind!r} before byte {self.place}")
        n = int(self.number(kind))
        if not 0 <= n <= len(self.raw):
            raise ArchiveError(f"UBJSON: length {n} before byte {self.place} of {len(self.raw)}")
        return n

    def text(self) -> str:
        try:
            return self.take(self.count()).decode()
        except UnicodeDecodeError as error:
            raise ArchiveError(f"UBJSON: a string that is no UTF-8 before byte {self.place}") from error

    def value(self, kind: bytes, depth: int) -> Any:
        if depth > _DEPTH:
            raise ArchiveError(f"UBJSON: more than {_DEPTH} levels")
        if kind == b"{":
            return self.mapping(depth)
        if kind == b"[":
            return self.array(depth)
        if kind == b"S":
            return self.text()
        return _WORDS[kind] if kind in _WORDS else self.number(kind)

    def mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.raw[self.place : self.place + 1] != b"}":
            key = self.text()
            if key in found:
                raise ArchiveError(f"UBJSON: the key {key!r} twice")
            found[key] = self.value(self.take(1), depth + 1)
        self.place += 1
        return found

    def array(self, depth: int) -> Any:
        head = self.raw[self.place : self.place + 1]
        if head == b"$":
            kind, mark = self.take(3)[1:2], self.raw[self.place - 1 : self.place]
            if kind not in _DTYPES or mark != b"#":
                raise ArchiveError(f"UBJSON: an array of type {kind!r} before byte {self.place}")
            dtype, n = np.dtype(_DTYPES[kind]), self.count()
            return np.frombuffer(self.take(n * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))
        if head == b"#":
            self.place += 1
            return [self.value(self.take(1), depth + 1) for _ in range(self.count())]
        items = []
        while (kind := self.take(1)) != b"]":
            items.append(self.value(kind, depth + 1))
        return items
