"""Events of a seed: the random numbers that belong to each, requests for some of them, and models that answer.

Event i of a seed is the same whoever computes it, and when.

Philox is a counter-based generator (Salmon, Moraes, Dror, Shaw, 2011, doi:10.1145/2063384.2063405): the
words of event i start at a counter that is known without drawing the events before it. Normal numbers come
from the inverse distribution function, which uses one word each whatever its value.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from buff.errors import check_jobs, check_whole
from buff.protocols import Array, Indices, RandomState
from buff.randomness.words import SharedWords, is_scattered, philox

__all__ = [
    "FARTHEST",
    "EventNoise",
    "SampleRequest",
    "ScoreModel",
    "condition_normals",
    "dequantization_noise",
    "jobs_for",
    "sampling_seed",
    "seed_from",
    "stream_key",
    "training_seed",
    "within_range",
]

T = TypeVar("T")

#: 64-bit words that one tick of Philox' counter yields.
_WORDS = 4
#: First word of the spawn keys of training, where events have the number of their stream: far from any.
_TRAINING = 2**32 - 1
#: Streams of an event's random numbers: what it starts from and what a stochastic solver adds, its condition, the
#: place of its values inside the ranks that they own.
_START, _CONDITION, _DEQUANTIZATION = 0, 2**31, 2**31 + 1
#: Events are counted by 64 bits.
_LAST_EVENT = 2**62
#: Events a batch: their states and leaves stay in the cache.
_BATCH = 8192
#: A normal score lies farther out with a probability of 1e-15.
FARTHEST = np.float32(8)
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
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool) and random_state >= 0:
        return int(random_state)
    raise ValueError(f"random_state must be None, a nonnegative integer or a NumPy generator, found {random_state!r}")


def sampling_seed(random_state: RandomState, trained_with: RandomState, seed: int) -> int:
    """Seed of a sample: None is the ``seed`` of the training, unless that was drawn too."""
    return seed if random_state is None and trained_with is not None else seed_from(random_state)


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
            ticks = -(-d // _WORDS)
            first = (self.chosen.astype(np.uint64) + np.uint64(self.first_event)) * np.uint64(ticks)
            blocks = (first[:, None] + np.arange(ticks, dtype=np.uint64)).astype(np.uint64)
            words = philox(self._key(), blocks.ravel()).reshape(len(self.chosen), ticks * _WORDS)[:, :d]
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

    def _key(self) -> NDArray[np.uint64]:
        return np.frombuffer(stream_key(self.seed, self.stream + self._calls), np.uint64)

    def __call__(self, x: Array) -> Array:
        z = self.normal(*x.shape)
        self._calls += 1
        if isinstance(x, np.ndarray):
            return z.astype(x.dtype)
        if hasattr(x, "new_tensor"):
            return x.new_tensor(z)
        import cupy

        return cupy.asarray(z, x.dtype)


@dataclass(frozen=True)
class SampleRequest:
    """Events ``first_event, ..., first_event + n - 1`` of a seed.

    Event i depends on ``seed``, ``stream`` and i, on its condition and its source alone: not on batches, threads or
    the number of events.

    Parameters
    ----------
    n : int
        Number of events.
    seed : int
    first_event : int
        Number of the first event.
    condition : float32 array of shape (n, c) or (1, c), optional
        Conditions; a single row holds for all events.
    source : float32 array of shape (n, d) or (1, d), optional
        What the noise of the source is added to.
    batch_size : int, optional
        Events at a time: bounds memory, changes nothing else.
    n_jobs : int, optional
        Threads; None is 1, -1 all cores.
    stream : int
        First stream of the events' random numbers; models that share events take streams that are far apart.
    chosen : array of n integers, optional
        Only these events, counted from the first; see :meth:`choose`.
    words : SharedWords, optional
        What requests for parts of the same events share; see :meth:`split`.

    Raises
    ------
    ValueError, TypeError
        Naming the parameter: numbers that count nothing, conditions or sources of another number of rows.

    Examples
    --------
    >>> request = SampleRequest(5, seed=7, first_event=10, batch_size=2)
    >>> [(batch.first_event, batch.n) for batch in request.batches()]
    [(10, 2), (12, 2), (14, 1)]
    """

    n: int
    seed: int
    first_event: int = 0
    condition: Array | None = None
    source: Array | None = None
    batch_size: int | None = None
    n_jobs: int | None = None
    stream: int = _START
    chosen: Indices | None = None
    words: SharedWords | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_whole("n", self.n, 0)
        if check_whole("first_event", self.first_event, 0) > _LAST_EVENT:
            raise ValueError(f"first_event must be at most 2^62, found {self.first_event}")
        if self.batch_size is not None:
            check_whole("batch_size", self.batch_size, 1)
        check_jobs(self.n_jobs)
        for name in ("condition", "source"):
            rows = getattr(self, name)
            if rows is not None and (rows.ndim != 2 or len(rows) not in (1, self.n)):
                raise ValueError(f"{name} must have one row, or one for each of {self.n} events: found {rows.shape}")

    def noise(self) -> EventNoise:
        """Standard normal numbers of the events."""
        return EventNoise(self.seed, self.first_event, self.stream, self.chosen, self.words)

    def choose(self, rows: Indices, words: SharedWords | None = None) -> "SampleRequest":
        """Some of the events, by rising numbers counted from the first."""
        condition, source = (None if part is None else part[rows] for part in (self.condition, self.source))
        chosen = rows if self.chosen is None else self.chosen[rows]
        return replace(self, n=len(rows), condition=condition, source=source, chosen=chosen, words=words)

    def split(self, groups: Sequence[Indices]) -> list["SampleRequest"]:
        """Groups of the events, each as :meth:`choose` gives it; random words are generated once for all groups."""
        words = None
        if self.chosen is None or not is_scattered(self.chosen):
            words = SharedWords(self.n if self.chosen is None else int(self.chosen.max(initial=-1)) + 1)
        return [self.choose(rows, words) for rows in groups]

    def batch(self, start: int, n: int) -> "SampleRequest":
        """The ``n`` events from ``start`` on, with a row of condition and source each."""
        condition, source = (_rows(part, start, n) for part in (self.condition, self.source))
        part = replace(self, n=n, condition=condition, source=source)
        if self.chosen is not None:
            return replace(part, chosen=self.chosen[start : start + n])
        return replace(part, first_event=self.first_event + start)

    def batches(self) -> Iterator["SampleRequest"]:
        """The events in batches, in order."""
        size = self.batch_size or _BATCH
        return (self.batch(i, min(size, self.n - i)) for i in range(0, self.n, size))

    def map(self, draw: Callable[["SampleRequest"], T]) -> Iterator[T]:
        """``draw(batch)`` of all batches, in order, on ``n_jobs`` threads."""
        # trees release the interpreter's lock while they predict, so threads are enough
        n_jobs = jobs_for(self.n_jobs, -(-self.n // (self.batch_size or _BATCH)))
        run = Parallel(n_jobs, backend="threading", return_as="generator", pre_dispatch="2*n_jobs")
        return run(delayed(draw)(batch) for batch in self.batches())  # type: ignore[no-any-return]


def within_range(scores: Array) -> tuple[Array, int]:
    """Normal scores (n, d) cut to [-8, 8], beyond which no event of any sample lies, and how many events did.

    Examples
    --------
    >>> within_range(np.array([[9.0, -1.0], [1.0, 2.0]]))[0].tolist()
    [[8.0, -1.0], [1.0, 2.0]]
    """
    beyond = abs(scores) > FARTHEST
    if not beyond.any():
        return scores, 0
    return np.clip(scores, -FARTHEST, FARTHEST), int(np.count_nonzero(beyond.any(axis=1)))


def jobs_for(n_jobs: int | None, n_pieces: int) -> int | None:
    """No more jobs than there are pieces of work."""
    return n_jobs if n_jobs is None or n_jobs < 0 else min(n_jobs, max(n_pieces, 1))


def _rows(part: Array | None, start: int, n: int) -> Array | None:
    if part is None:
        return None
    return np.broadcast_to(part, (n, part.shape[1])) if len(part) == 1 else part[start : start + n]


class ScoreModel(ABC):
    """What draws scores: a :class:`~buff.flows.FlowModel`, a mixture of them, a network with its solver."""

    @property
    @abstractmethod
    def n_dims(self) -> int:
        """Number d of scores."""

    @abstractmethod
    def draw(self, batch: SampleRequest) -> Array:
        """Scores of one batch of events at once, (n, d)."""

    @abstractmethod
    def trajectory(self, request: SampleRequest) -> Iterator[Array]:
        """Scores of all events at once, at the start and after every step."""

    @abstractmethod
    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
        """A JSON-serialisable record, named arrays, named blobs."""

    def sample(self, request: SampleRequest) -> Array:
        """Scores of all events, (n, d), drawn in batches."""
        return np.concatenate([np.empty((0, self.n_dims), np.float32), *request.map(self.draw)])


def dequantization_noise(events: EventNoise, n: int, d: int) -> Array:
    """Where the values of events lie inside the ranks that they own, uniform in (0, 1), of shape (n, d)."""
    return ndtr(replace(events, stream=_DEQUANTIZATION).normal(n, d))


def condition_normals(seed: int, first_event: int, n: int, d: int) -> Array:
    """The normal numbers that conditions of events are drawn from, float32 of shape (n, d)."""
    return EventNoise(seed, first_event, _CONDITION).normal(n, d)
