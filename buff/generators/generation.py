"""From a field to events, batch by batch, on any number of threads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import ndtr

from buff.fields import NodeField
from buff.flows import Frame, MarginalCalibration, NodeModel
from buff.flows.devices import device_arrays, to_numpy
from buff.grids import TimeGrid
from buff.protocols import Array
from buff.randomness import EventNoise
from buff.solvers import Solver, integrate, trajectory

__all__ = ["Flow", "batch_rows", "condition_normals", "dequantization_noise", "in_batches"]

#: Streams of an event's random numbers: what it starts from and what a stochastic solver adds, its condition, the
#: place of its values inside the ranks that they own.
_START, _CONDITION, _PLACE = 0, 2**31, 2**31 + 1
#: Events a batch: their states and leaves stay in the cache.
_BATCH = 8192


@dataclass(frozen=True)
class Flow:
    """A trained field with the solver and the grid it is meant for.

    Attributes
    ----------
    models : tuple of NodeModel
    frame : Frame or None
        Coordinates that the field lives in, where there is a condition.
    times : tuple of float
        Node of each model.
    solver : Solver
    grid : TimeGrid
    noise : float
        Standard deviation of the noise that a flow starts from.
    device : {"cpu", "cuda"}
    margins : MarginalCalibration or None
        What becomes of the scores in the end.
    """

    models: tuple[NodeModel, ...]
    frame: Frame | None
    times: tuple[float, ...]
    solver: Solver
    grid: TimeGrid
    noise: float = 1.0
    device: str = "cpu"
    margins: MarginalCalibration | None = None

    @property
    def field(self) -> NodeField:
        """The velocity, at the nodes only."""
        return NodeField(self.times, self.models)

    @property
    def n_dims(self) -> int:
        """Width of unit space."""
        return len(self.models[0].linear.bias)

    def batches(
        self,
        n: int,
        entropy: int,
        first_event: int,
        condition: Array | None,
        batch_size: int | None,
        n_jobs: int | None,
        points: Array | None = None,
    ) -> Iterator[Array]:
        """Scores of ``n`` events, float32, in order; flows start at ``points`` (n, d) or 0, plus noise."""
        return in_batches(self.draw, n, entropy, first_event, (condition, points), batch_size, n_jobs)

    def path(self, noise: EventNoise, n: int, condition: Array | None) -> Iterator[Array]:
        """Scores of ``n`` events at the start and after every step."""
        walk = enumerate(self._walk(noise, n, condition), start=1 - len(self.grid.times))
        for left, (state, own) in walk:
            yield self._scores(state, own, last=not left)

    def states(self, noise: EventNoise, n: int, condition: Array | None) -> Iterator[Array]:
        """The same in the coordinates that the field lives in."""
        return (to_numpy(state) for state, _ in self._walk(noise, n, condition))

    def _walk(self, noise: EventNoise, n: int, condition: Array | None) -> Iterator[tuple[Array, Array | None]]:
        x, condition, noise = self._start(noise, n, condition, None)
        for state in trajectory(self.solver, self.field, x, self.grid, condition, noise):
            yield state, condition

    def draw(self, noise: EventNoise, n: int, condition: Array | None = None, points: Array | None = None) -> Array:
        """Scores of ``n`` events, at once."""
        x, condition, noise = self._start(noise, n, condition, points)
        x = integrate(self.solver, self.field, x, self.grid, condition, noise)
        return self._scores(x, condition, last=True)

    def _scores(self, x: Any, condition: Any, *, last: bool) -> Array:
        scores = to_numpy(x if self.frame is None else self.frame.leave(x, condition))
        return self.margins(scores) if last and self.margins else scores

    def _start(
        self, noise: EventNoise, n: int, condition: Array | None, points: Array | None
    ) -> tuple[Array, Array | None, EventNoise]:
        xp, _ = device_arrays(self.device)
        x = noise(np.empty((n, self.n_dims), np.float32))
        if self.noise != 1:
            x *= np.float32(self.noise)
        if points is not None:
            x += points
        return xp.asarray(x), None if condition is None else xp.asarray(condition), noise


def in_batches(
    draw: Callable[..., Any],
    n: int,
    entropy: int,
    first_event: int,
    parts: tuple[Array | None, ...],
    batch_size: int | None,
    n_jobs: int | None,
) -> Iterator[Any]:
    """``draw(noise, m, *parts)`` of all batches, in order; parts of one row are everybody's."""
    size = batch_size or _BATCH
    jobs = (
        (EventNoise(entropy, first_event + i, _START), m, *(batch_rows(part, i, m) for part in parts))
        for i in range(0, n, size)
        for m in (min(size, n - i),)
    )
    # trees release the interpreter's lock while they predict, so threads are enough
    run = Parallel(n_jobs, backend="threading", return_as="generator", pre_dispatch="2*n_jobs")
    return run(delayed(draw)(*job) for job in jobs)  # type: ignore[no-any-return]


def condition_normals(entropy: int, first_event: int, n: int, d: int) -> Array:
    """The normal numbers that conditions of events are drawn from."""
    return EventNoise(entropy, first_event, _CONDITION).normal(n, d)


def dequantization_noise(entropy: int, first_event: int, n: int, d: int) -> Array:
    """Where the values of events lie inside the ranks that they own, uniform in (0, 1)."""
    return ndtr(EventNoise(entropy, first_event, _PLACE).normal(n, d))


def batch_rows(condition: Array | None, start: int, n: int) -> Array | None:
    """The conditions of a batch; a single one is everybody's."""
    if condition is None:
        return None
    return np.broadcast_to(condition, (n, condition.shape[1])) if len(condition) == 1 else condition[start : start + n]
