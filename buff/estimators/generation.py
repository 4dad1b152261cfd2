"""From a field to events, batch by batch, on any number of threads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from buff.fields import NodeField
from buff.grids import TimeGrid
from buff.protocols import Array
from buff.randomness import EventNoise
from buff.solvers import Solver, integrate, trajectory
from buff.training import Frame, LinearBase, NodeModel
from buff.training.devices import device_arrays

__all__ = ["Flow"]

#: Streams of an event's random numbers: what it starts from and what a stochastic solver adds, its condition.
_START, _CONDITION = 0, 2**31
#: Events a batch: their states and leaves stay in the cache.
_BATCH = 8192


@dataclass(frozen=True)
class Flow:
    """A trained field with the solver and the grid it is meant for.

    Attributes
    ----------
    models : tuple of NodeModel
    base : LinearBase
    frame : Frame or None
        Coordinates that the field lives in, where there is a condition.
    times : tuple of float
        Node of each model.
    solver : Solver
    grid : TimeGrid
    device : {"cpu", "cuda"}
    """

    models: tuple[NodeModel, ...]
    base: LinearBase
    frame: Frame | None
    times: tuple[float, ...]
    solver: Solver
    grid: TimeGrid
    device: str = "cpu"

    @property
    def field(self) -> NodeField:
        """The velocity, at the nodes only."""
        return NodeField(self.times, self.models)

    @property
    def n_dims(self) -> int:
        """Width of unit space."""
        return self.base.n_dims

    def batches(
        self,
        n: int,
        entropy: int,
        first_event: int,
        condition: Array | None,
        batch_size: int | None,
        n_jobs: int | None,
    ) -> Iterator[Array]:
        """Scores of ``n`` events, float32, in order."""
        size = batch_size or _BATCH
        starts = range(0, n, size)
        jobs = (
            (EventNoise(entropy, first_event + i, _START), _rows(condition, i, min(size, n - i)), min(size, n - i))
            for i in starts
        )
        # trees release the interpreter's lock while they predict, so threads are enough
        run = Parallel(n_jobs, backend="threading", return_as="generator", pre_dispatch="2*n_jobs")
        return run(delayed(self._batch)(*job) for job in jobs)  # type: ignore[no-any-return]

    def path(self, n: int, entropy: int, condition: Array | None) -> Iterator[Array]:
        """States of ``n`` events at the start and after every step."""
        x, condition, noise = self._start(EventNoise(entropy), _rows(condition, 0, n), n)
        for state in trajectory(self.solver, self.field, x, self.grid, condition, noise):
            yield self._scores(state, condition)

    def _batch(self, noise: EventNoise, condition: Array | None, n: int) -> Array:
        x, condition, noise = self._start(noise, condition, n)
        return self._scores(integrate(self.solver, self.field, x, self.grid, condition, noise), condition)

    def _scores(self, x: Any, condition: Any) -> Array:
        return _to_numpy(x if self.frame is None else self.frame.leave(x, condition))

    def _start(
        self, noise: EventNoise, condition: Array | None, n: int
    ) -> tuple[Array, Array | None, EventNoise]:
        xp, _ = device_arrays(self.device)
        x = noise(np.empty((n, self.n_dims), np.float32))
        return xp.asarray(x), None if condition is None else xp.asarray(condition), noise


def condition_normals(entropy: int, first_event: int, n: int, d: int) -> Array:
    """The normal numbers that conditions of events are drawn from."""
    return EventNoise(entropy, first_event, _CONDITION).normal(n, d)


def _rows(condition: Array | None, start: int, n: int) -> Array | None:
    """The conditions of a batch; a single one is everybody's."""
    if condition is None:
        return None
    return np.broadcast_to(condition, (n, condition.shape[1])) if len(condition) == 1 else condition[start : start + n]


def _to_numpy(x: Any) -> Array:
    return x if isinstance(x, np.ndarray) else x.get()
