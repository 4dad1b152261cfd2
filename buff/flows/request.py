"""What is asked of a model: how many events, of which seed, from what and given what."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed
from scipy.special import ndtr

from buff.errors import check_jobs, check_whole, warn
from buff.protocols import Array, Indices
from buff.randomness import EventNoise, SharedWords, is_scattered

__all__ = [
    "FARTHEST",
    "SampleRequest",
    "ScoreModel",
    "checked_number",
    "condition_normals",
    "dequantization_noise",
    "jobs_for",
]

T = TypeVar("T")

#: Streams of an event's random numbers: what it starts from and what a stochastic solver adds, its condition, the
#: place of its values inside the ranks that they own.
_START, _CONDITION, _DEQUANTIZATION = 0, 2**31, 2**31 + 1
#: Events are counted by 64 bits.
_LAST_EVENT = 2**62
#: Events a batch: their states and leaves stay in the cache.
_BATCH = 8192
#: Bytes of a value: in the pieces that are drawn, and in the table that they are joined to.
_VALUE = 16
#: A normal score lies farther out with a probability of 1e-15.
FARTHEST = np.float32(8)


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
    #: Numbers of events of finished batches that left the range of normal scores: see :meth:`within`.
    clipped: list[int] = field(default_factory=list, repr=False, compare=False)

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

    def within(self, scores: Array) -> Array:
        """Normal scores (n, d) cut to [-8, 8], beyond which no event of any sample lies; those that did are counted."""
        beyond = abs(scores) > FARTHEST
        if not beyond.any():
            return scores
        self.clipped.append(int(np.count_nonzero(beyond.any(axis=1))))
        return np.clip(scores, -FARTHEST, FARTHEST)

    def tell_clipped(self) -> int:
        """Number of events that :meth:`within` has cut, of which the user is warned."""
        n = sum(self.clipped)
        if n:
            warn(
                f"{n} of {self.n} events left the range of normal scores, [-8, 8]: they ran beyond all values of the "
                "training and got the outermost ones. Do not trust these; a few in a hundred thousand do no harm, for "
                "more take more n_steps, or conditions like those of the training"
            )
        return n

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


def jobs_for(n_jobs: int | None, n_pieces: int) -> int | None:
    """No more jobs than there are pieces of work."""
    return n_jobs if n_jobs is None or n_jobs < 0 else min(n_jobs, max(n_pieces, 1))


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


def condition_normals(seed: int, first_event: int, n: int, d: int) -> Array:
    """The normal numbers that conditions of events are drawn from, float32 of shape (n, d)."""
    return EventNoise(seed, first_event, _CONDITION).normal(n, d)


def dequantization_noise(events: EventNoise, n: int, d: int) -> Array:
    """Where the values of events lie inside the ranks that they own, uniform in (0, 1), of shape (n, d)."""
    return ndtr(replace(events, stream=_DEQUANTIZATION).normal(n, d))


def _rows(part: Array | None, start: int, n: int) -> Array | None:
    if part is None:
        return None
    return np.broadcast_to(part, (n, part.shape[1])) if len(part) == 1 else part[start : start + n]


def _machine_memory() -> int | None:
    """Bytes of main memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not POSIX
        return None


def checked_number(n_samples: object, n_values: int) -> int:
    """The number of events of a sample whose events have ``n_values`` values each.

    Raises
    ------
    TypeError, ValueError
        It is no number of events.
    MemoryError
        The events need more than the main memory of the machine.

    Examples
    --------
    >>> checked_number(1000, 5)
    1000
    """
    n, limit = check_whole("n_samples", n_samples, 0), _machine_memory()
    needed = _VALUE * n * n_values
    if limit is not None and needed > limit:
        raise MemoryError(
            f"n_samples={n:,} events of {n_values} values need {_size(needed)} and this machine has {_size(limit)}: "
            f"draw some at a time, such as sample(100_000, first_event=0), or into a file with `buff sample`"
        )
    return n


def _size(n_bytes: float) -> str:
    unit, factor = ("TB", 1e12) if n_bytes >= 1e12 else ("GB", 1e9)
    return f"{n_bytes / factor:,.3g} {unit}" if n_bytes < 1e3 * factor else f"{n_bytes / factor:,.0f} {unit}"
