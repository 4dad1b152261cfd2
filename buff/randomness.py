"""Random numbers that belong to an event: event i of a seed is the same whoever computes it, and when.

Philox is a counter-based generator (Salmon, Moraes, Dror, Shaw, 2011, doi:10.1145/2063384.2063405): the
words of event i start at a counter that is known without drawing the events before it. Normal numbers come
from the inverse distribution function, which uses one word each whatever its value.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri

from buff.protocols import Array, Indices, RandomState

__all__ = ["EventNoise", "SharedWords", "seed_from", "training_seed"]

#: 64-bit words that one tick of Philox' counter yields.
_WORDS = 4
#: First word of the spawn keys of training, where events have the number of their stream: far from any.
_TRAINING = 2**32 - 1
#: A midpoint of 2^53 equal cells, so that 0 and 1 never occur.
_CELL = 2.0**-53


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
    raise ValueError(
        f"random_state must be None, a nonnegative integer or a NumPy generator, found {random_state!r}"
    )


def training_seed(seed: int, i: int | None = None) -> np.random.SeedSequence:
    """Seed of node ``i``, or of what is drawn before all nodes; never that of an event.

    Examples
    --------
    >>> bool(training_seed(7, 0).generate_state(1) == training_seed(7).generate_state(1))
    False
    """
    # NumPy pads with zeros, so that a trailing 0 would not always tell two keys apart
    return np.random.SeedSequence(seed, spawn_key=(_TRAINING, 0 if i is None else i + 1))


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
    chosen : array of rising integers, optional
        Only these events, counted from the first.
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
        elif self.words is None:
            words = self._words(int(self.chosen.max(initial=-1)) + 1, d)[self.chosen]
        else:
            words = self.words.get((self.stream + self._calls, d), lambda n: self._words(n, d))[self.chosen]
        return (words >> np.uint64(11)).astype(np.float64) * _CELL + 0.5 * _CELL

    def _words(self, n: int, d: int) -> Array:
        """The random words of the first ``n`` events, uint64 of shape (n, d)."""
        ticks = -(-d // _WORDS)
        stream = np.random.SeedSequence(self.seed, spawn_key=(self.stream + self._calls,))
        generator = np.random.Philox(key=stream.generate_state(2, np.uint64)).advance(self.first_event * ticks)
        return generator.random_raw(n * ticks * _WORDS).reshape(n, ticks * _WORDS)[:, :d]

    def __call__(self, x: Array) -> Array:
        z = self.normal(*x.shape)
        self._calls += 1
        if isinstance(x, np.ndarray):
            return z.astype(x.dtype)
        import cupy

        return cupy.asarray(z, x.dtype)
