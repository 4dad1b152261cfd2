"""Random words out of their order: of events far from each other, shared by several requests, and numbers of rows."""

from collections.abc import Callable, Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from buff.protocols import Array, Indices, Values

__all__ = ["SharedWords", "is_scattered", "keys_of_rows", "philox"]

#: Events are scattered where all up to the last are so many times more than those wanted.
_SPARSE = 64
#: Philox4x64-10: multipliers of a round, and what its key grows by.
_ROUNDS, _FACTORS, _STEPS = 10, (0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_MASK, _HALF, _LOW = 2**64 - 1, np.uint64(32), np.uint64(2**32 - 1)


class SharedWords:
    """Random words of a number of events, generated once for all who draw for some of them.

    Parameters
    ----------
    n : int
        Number of events.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._kept: dict[tuple[int, int], Array] = {}

    def get(self, key: tuple[int, int], generate: Callable[[int], Array]) -> Array:
        """The words of a stream, by ``generate(n)`` when they are asked for first."""
        if key not in self._kept:
            self._kept[key] = generate(self.n)
        return self._kept[key]


def is_scattered(chosen: Indices) -> bool:
    """Whether to draw for these events alone costs less than for all up to the last."""
    return int(chosen.max(initial=-1)) >= _SPARSE * max(len(chosen), 1)


def philox(key: NDArray[np.uint64], blocks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Blocks of four words of NumPy's generator of this key, by their numbers: (n,) -> (n, 4)."""
    k0, k1 = (int(part) for part in key)
    a, b, c, d = blocks + np.uint64(1), *(np.zeros_like(blocks) for _ in range(3))
    for _ in range(_ROUNDS):
        (high, low), (other_high, other_low) = _product(a, _FACTORS[0]), _product(c, _FACTORS[1])
        a, b, c, d = other_high ^ b ^ np.uint64(k0), other_low, high ^ d ^ np.uint64(k1), low
        k0, k1 = (k0 + _STEPS[0]) & _MASK, (k1 + _STEPS[1]) & _MASK
    return np.stack([a, b, c, d], axis=1)


def _product(x: NDArray[np.uint64], factor: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Upper and lower 64 bits of the product."""
    x1, x0, f1, f0 = x >> _HALF, x & _LOW, np.uint64(factor >> 32), np.uint64(factor) & _LOW
    middle = x1 * f0 + ((x0 * f0) >> _HALF)
    cross = x0 * f1 + (middle & _LOW)
    return x1 * f1 + (middle >> _HALF) + (cross >> _HALF), x * np.uint64(factor)


def keys_of_rows(columns: Iterable[Values]) -> Indices:
    """Numbers below 2^48 for the rows of a table, by what they hold: copy k of a row has the k-th number of its own.

    Rows have the same numbers in any order, and in any part of the table unless copies of them are elsewhere.

    Parameters
    ----------
    columns : arrays of shape (n,)
        Numbers, dates, or objects of which the text counts.

    Examples
    --------
    >>> keys = keys_of_rows([np.array([1.0, 2.0, 1.0]), np.array(["a", "b", "a"], object)])
    >>> bool(keys[0] != keys[2])
    True
    """
    words = [_words_of(column) for column in columns]
    keys = np.zeros(len(words[0]), np.uint64)
    for column in words:
        keys = _mixed(keys ^ column)
    order = np.argsort(keys, kind="stable")
    place = np.arange(len(keys), dtype=np.uint64)
    first = np.append(True, keys[order][1:] != keys[order][:-1])[: len(keys)]
    copies = np.empty_like(place)
    copies[order] = place - np.maximum.accumulate(np.where(first, place, np.uint64(0)))
    return (_mixed(keys + copies) >> np.uint64(16)).astype(np.intp)


def _words_of(column: Values) -> NDArray[np.uint64]:
    """64 bits for each value, the same for equal values."""
    if column.dtype.kind == "O":
        known = {value: blake2b(str(value).encode(), digest_size=8).digest() for value in set(column.tolist())}
        return np.frombuffer(b"".join(known[value] for value in column.tolist()), np.uint64)
    if column.dtype.kind in "mM":
        return column.astype(np.int64).view(np.uint64)
    numbers = column.astype(np.float64) + 0.0  # one zero
    numbers[np.isnan(numbers)] = np.nan
    return numbers.view(np.uint64)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the result depends on every bit of x (Steele, Lea, Flood, 2014, doi:10.1145/2660193.2660195)."""
    x = (x + np.uint64(_STEPS[0])).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.uint64)
