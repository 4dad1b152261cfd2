"""XGBoost's documents: the part of UBJSON that it writes and reads, and the trees in them.

Reading is bounded by the bytes that are there.

Source: Universal Binary JSON, draft 12, https://ubjson.org. Numbers are big-endian; an array may name one type for all
of its items. Counts of objects, no-ops and numbers of arbitrary precision, which XGBoost does not write, are refused.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from buff.errors import ArchiveError
from buff.protocols import Array

__all__ = ["DEEPEST", "MOST_CUTS", "MOST_FEATURES", "NO_SPLIT", "NodeTable", "UnfitForest", "decode", "encode"]

#: Splits of a feature that a byte tells apart, features that a byte names, levels whose leaves a byte names.
MOST_CUTS, MOST_FEATURES, DEEPEST = 255, 255, 8
#: Code of a node that does not split: no value lies beyond it.
NO_SPLIT = 255
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


class UnfitForest(ValueError):
    """Trees that bytes cannot hold; XGBoost predicts them."""


@dataclass(frozen=True)
class NodeTable:
    """The nodes of all trees, one after another.

    Attributes
    ----------
    roots : array of shape (T,)
    left, right : arrays of shape (n,)
        Children; -1 and anything at leaves.
    feature : array of shape (n,)
    threshold : float32 array of shape (n,)
    value : float32 array of shape (n, w)
        Of leaves; anything at other nodes.
    """

    roots: Array
    left: Array
    right: Array
    feature: Array
    threshold: Array
    value: Array

    @classmethod
    def of(cls, trees: Sequence[Mapping[str, Any]], d: int) -> "NodeTable":
        """The nodes of trees as XGBoost writes them, for ``d`` outputs.

        Raises
        ------
        UnfitForest
            Trees split by categories.
        """
        if not trees:
            nothing = np.empty(0, np.int64)
            return cls(nothing, nothing, nothing, nothing, np.empty(0, np.float32), np.empty((0, 1), np.float32))

        def joined(name: str) -> Array:
            return np.concatenate([np.asarray(tree[name]) for tree in trees])

        if joined("split_type").any():
            raise UnfitForest("trees split by categories")
        sizes = np.array([len(tree["left_children"]) for tree in trees])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        offset = np.repeat(roots, sizes)
        left, right = joined("left_children").astype(np.int64), joined("right_children").astype(np.int64)
        threshold = joined("split_conditions").astype(np.float32)
        value = threshold[:, None]
        if "leaf_weights" in trees[0]:  # right children of leaves are rows of their values
            value = np.zeros((len(left), d), np.float32)
            rows = np.cumsum([0] + [len(tree["leaf_weights"]) // d for tree in trees[:-1]])
            leaf = left < 0
            weights = joined("leaf_weights").astype(np.float32).reshape(-1, d)
            value[leaf] = weights[(right + np.repeat(rows, sizes))[leaf]]
        inner = left >= 0
        feature = joined("split_indices").astype(np.int64)
        return cls(
            roots, np.where(inner, left + offset, -1), np.where(inner, right + offset, -1), feature, threshold, value
        )

    def cuts(self, n_features: int) -> list[Array]:
        """Distinct thresholds of each feature, rising.

        Raises
        ------
        UnfitForest
            More features, or cuts of one, than a byte holds.
        """
        if n_features > MOST_FEATURES:
            raise UnfitForest(f"{n_features} features, more than {MOST_FEATURES}")
        inner = self.left >= 0
        feature, threshold = self.feature[inner], self.threshold[inner]
        found = [np.unique(threshold[feature == f]) for f in range(n_features)]
        most = max((len(own) for own in found), default=0)
        if most > MOST_CUTS:
            raise UnfitForest(f"{most} cuts of a feature, more than {MOST_CUTS}: lower max_bin")
        return found

    def flatten(self, cuts: Sequence[Array]) -> tuple[Array, Array, Array]:
        """``feature`` and ``code`` (T, 2^depth - 1) and ``leaf`` (T, 2^depth, w) in heap order.

        Raises
        ------
        UnfitForest
            Trees of more than 8 levels.
        """
        inner = self.left >= 0
        code = np.full(len(self.left), NO_SPLIT, np.uint8)
        for f, own in enumerate(cuts):
            mine = inner & (self.feature == f)
            code[mine] = np.searchsorted(own, self.threshold[mine])
        feature = np.where(inner, self.feature, 0).astype(np.uint8)
        here = np.arange(len(self.left))  # a leaf stays where it is
        left, right = np.where(inner, self.left, here), np.where(inner, self.right, here)
        level, levels = self.roots[:, None], list[Array]()
        while not levels or inner[level].any():
            if len(levels) == DEEPEST:
                raise UnfitForest(f"trees of more than {DEEPEST} levels: lower max_depth")
            levels.append(level)
            level = np.stack([left[level], right[level]], axis=2).reshape(len(level), -1)
        nodes = np.concatenate(levels, axis=1)
        return feature[nodes], code[nodes], self.value[level]
