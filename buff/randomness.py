"""Random numbers that belong to an event: event i of a seed is the same whoever computes it, and when.

Philox is a counter-based generator (Salmon, Moraes, Dror, Shaw, 2011, doi:10.1145/2063384.2063405): the
words of event i start at a counter that is known without drawing the events before it. Normal numbers come
from the inverse distribution function, which uses one word each whatever its value.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from buff.protocols import Array, Indices, RandomState, Values

__all__ = ["EventNoise", "SharedWords", "is_scattered", "keys_of_rows", "seed_from", "stream_key", "training_seed"]

#: 64-bit words that one tick of Philox' counter yields.
_WORDS = 4
#: First word of the spawn keys of training, where events have the number of their stream: far from any.
_TRAINING = 2**32 - 1
#: A midpoint of 2^53 equal cells, so that 0 and 1 never occur.
_CELL = 2.0**-53
#: Events are scattered where all up to the last are so many times more than those wanted.
_SPARSE = 64
#: Philox4x64-10: multipliers of a round, and what its key grows by.
_ROUNDS, _FACTORS, _STEPS = 10, (0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_MASK, _HALF, _LOW = 2**64 - 1, np.uint64(32), np.uint64(2**32 - 1)


def seed_from(random_state: RandomState) -> int:
    """A seed of 128 bits or less from what scikit-learn calls a random state.

    Parameters
    ----------
    random_state : None, int, numpy.random.RandomState, numpy.random.Generator or numpy.random.SeedSequence
        None asks the operating system.

    Raises
    ------
    ValueError
        For anything else, and for negative integers.

    Examples
    --------
    >>> seed_from(7), seed_from(np.random.default_rng(0)) == seed_from(np.random.default_rng(0))
    (7, True)
    """
    if random_state is None:
        return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
    if isinstance(random_state, np.random.SeedSequence):
        return int.from_bytes(random_state.generate_state(4, np.uint32).tobytes(), "little")
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, int | np.integer) and random_state >= 0:
        return int(random_state)
    raise ValueError(f"random_state must be None, a nonnegative integer or a NumPy generator, found {random_state!r}")


def training_seed(seed: int, i: int | None = None) -> np.random.SeedSequence:
    """Seed of node ``i``, or of what is drawn before all nodes; never that of an event.

    Examples
    --------
    >>> bool(training_seed(7, 0).generate_state(1) == training_seed(7).generate_state(1))
    False
    """
    # NumPy pads with zeros, so that a trailing 0 would not always tell two keys apart
    return np.random.SeedSequence(seed, spawn_key=(_TRAINING, 0 if i is None else i + 1))


@lru_cache(maxsize=1024)
def stream_key(seed: int, stream: int) -> bytes:
    """Key of a stream of random numbers for Philox: two words of 64 bits."""
    return np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(2, np.uint64).tobytes()


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


@dataclass
class EventNoise:
    """Standard normal numbers of events ``first_event``, ``first_event + 1``, ...

    Called like a :data:`~buff.protocols.Noise`; each call is a new, independent stream of the same events.

    Parameters
    ----------
    seed : int
    first_event : int
        Number of the first event.
    stream : int
        First stream to draw from.
    chosen : array of integers, optional
        Only these events, counted from the first, in this order.
    words : SharedWords, optional
        Of all events, shared by those that draw for some of them.

    Examples
    --------
    >>> noise = EventNoise(7).normal(5, 3)
    >>> bool((EventNoise(7, first_event=2).normal(3, 3) == noise[2:]).all())
    True
    """

    seed: int
    first_event: int = 0
    stream: int = 0
    chosen: Indices | None = None
    words: SharedWords | None = None
    _calls: int = field(default=0, repr=False)

    def normal(self, n: int, d: int) -> Array:
        """Float32 array of shape (n, d) from the current stream."""
        return ndtri(self.uniform(n, d)).astype(np.float32)

    def uniform(self, n: int, d: int) -> Array:
        """Float64 array of shape (n, d) between 0 and 1, neither of them, from the current stream."""
        if self.chosen is None:
            words = self._words(n, d)
        elif is_scattered(self.chosen):
            words = self._scattered(self.chosen, d)
        elif self.words is None:
            words = self._words(int(self.chosen.max(initial=-1)) + 1, d)[self.chosen]
        else:
            words = self.words.get((self.stream + self._calls, d), lambda n: self._words(n, d))[self.chosen]
        return (words >> np.uint64(11)).astype(np.float64) * _CELL + 0.5 * _CELL

    def _words(self, n: int, d: int) -> Array:
        """The random words of the first ``n`` events, uint64 of shape (n, d)."""
        ticks = -(-d // _WORDS)
        generator = np.random.Philox(key=self._key()).advance(self.first_event * ticks)
        return generator.random_raw(n * ticks * _WORDS).reshape(n, ticks * _WORDS)[:, :d]

    def _scattered(self, chosen: Indices, d: int) -> NDArray[np.uint64]:
        """The random words of events far from each other."""
        ticks = -(-d // _WORDS)
        first = (chosen.astype(np.uint64) + np.uint64(self.first_event)) * np.uint64(ticks)
        blocks = (first[:, None] + np.arange(ticks, dtype=np.uint64)).astype(np.uint64)
        return _philox(self._key(), blocks.ravel()).reshape(len(chosen), ticks * _WORDS)[:, :d]

    def _key(self) -> NDArray[np.uint64]:
        return np.frombuffer(stream_key(self.seed, self.stream + self._calls), np.uint64)

    def __call__(self, x: Array) -> Array:
        z = self.normal(*x.shape)
        self._calls += 1
        if isinstance(x, np.ndarray):
            return z.astype(x.dtype)
        import cupy

        return cupy.asarray(z, x.dtype)


def is_scattered(chosen: Indices) -> bool:
    """Whether to draw for these events alone costs less than for all up to the last."""
    return int(chosen.max(initial=-1)) >= _SPARSE * max(len(chosen), 1)


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


def _philox(key: NDArray[np.uint64], blocks: NDArray[np.uint64]) -> NDArray[np.uint64]:
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
