"""The regression problems of a student: from node to node along a teacher's trajectories."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.flows.data import Problem
from buff.flows.devices import device_arrays
from buff.flows.linear_velocity import LinearVelocity
from buff.protocols import Array

__all__ = ["StepVelocity", "TeacherTrajectories"]


@dataclass(frozen=True)
class StepVelocity:
    """Linear part of the mean velocity of each step.

    Attributes
    ----------
    steps : mapping from time to weights (d + c, d) and bias (d,)
    """

    steps: dict[float, tuple[Array, Array]]

    def at(self, t: float) -> tuple[Array, Array]:
        """Weights and bias of the step that starts at t."""
        return self.steps[t]


@dataclass(frozen=True)
class TeacherTrajectories:
    """States of a teacher at the nodes of its student.

    Attributes
    ----------
    times : tuple of k + 1 floats
        From 0 to 1.
    states : float32 array of shape (k + 1, n, d)
    condition : float32 array of shape (n, c) or None
    validation : TeacherTrajectories, optional
        Trajectories on which students are validated.
    """

    times: tuple[float, ...]
    states: Array
    condition: Array | None = None
    validation: "TeacherTrajectories | None" = None

    def __len__(self) -> int:
        return int(self.states.shape[1])

    @property
    def n_dims(self) -> int:
        """Number d of scores."""
        return int(self.states.shape[2])

    @property
    def n_conditions(self) -> int:
        """Width c of the condition."""
        return 0 if self.condition is None else int(self.condition.shape[1])

    @property
    def random(self) -> bool:
        """A teacher's steps are what they are."""
        return False

    def base(self, rng: np.random.Generator) -> StepVelocity:
        """Least squares of every step."""
        steps = {}
        for i, t in enumerate(self.times[:-1]):
            weights, bias = LinearVelocity.of_pairs(self.states[i], self.states[i + 1], self.condition).at(0.0)
            h = self.times[i + 1] - t
            steps[t] = weights / h, bias / h
        return StepVelocity(steps)

    def problem(self, t: float, n_draws: int, rng: Any, device: str = "cpu") -> Problem:
        """Features ``[x_t, condition]`` and targets ``(x_{t+h} - x_t) / h``, Euler's way to the teacher's state."""
        xp, _ = device_arrays(device)
        i = self.times.index(t)
        x = self.states[i]
        targets = (self.states[i + 1] - x) / xp.float32(self.times[i + 1] - t)
        return (x.copy() if self.condition is None else xp.hstack([x, self.condition])), targets, None

    def to_device(self, device: str) -> "TeacherTrajectories":
        """The same states where the arithmetic is done."""
        return self._each(device_arrays(device)[0].asarray, lambda validation: validation.to_device(device))

    def subset(self, n: int, rng: np.random.Generator) -> "TeacherTrajectories":
        """The first ``n`` trajectories: they come in no order."""
        return replace(self._each(lambda part: part[..., :n, :]), validation=self.validation)

    def held_out(self, n: int, rng: np.random.Generator) -> "TeacherTrajectories":
        """At most ``n`` trajectories that nothing was learned from, if there are any."""
        return (self.validation or self).subset(n, rng)

    def split(self, n: int) -> "TeacherTrajectories":
        """The same without its last ``n`` trajectories, which are held out."""
        validation = self._each(lambda part: part[..., len(self) - n :, :])
        return replace(self.subset(len(self) - n, np.random.default_rng()), validation=validation)

    def has_closed_form(self, t: float) -> bool:
        """Nothing is known of a teacher's steps."""
        return False

    def is_uninformative(self, t: float) -> bool:
        """Every state tells where it goes."""
        return False

    def _each(
        self,
        change: Callable[[Array], Array],
        change_held: Callable[["TeacherTrajectories"], "TeacherTrajectories"] | None = None,
    ) -> "TeacherTrajectories":
        condition = None if self.condition is None else change(self.condition)
        validation = change_held(self.validation) if self.validation and change_held else None
        return replace(self, states=change(self.states), condition=condition, validation=validation)
