"""A student of a flow: the same events from fewer, larger steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.errors import check_whole
from buff.flows.fit import FlowSettings, calibrate, estimate_cost, train_nodes
from buff.flows.model import FlowModel
from buff.flows.nodes import LinearVelocity
from buff.flows.regression import Problem
from buff.protocols import Array
from buff.randomness import SampleRequest, seed_from, training_seed
from buff.solvers import get_solver
from buff.trees import device_arrays

__all__ = ["METHODS", "StepVelocity", "TeacherTrajectories", "distill", "simulate_teacher", "teaching_seed"]

#: Ways to distill.
METHODS = ("velocity", "reflow")
#: Values of a feature that splits of a student tell apart.
_BINS = 256
#: Trajectories on which a student is validated, at most, and as a share of all.
_HELD_OUT, _SHARE = 20_000, 10
#: Trajectories at a time.
_BATCH = 8192


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
        """False: the teacher's steps are deterministic."""
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
        """A copy whose states are on the device."""
        return self._each(device_arrays(device)[0].asarray, lambda validation: validation.to_device(device))

    def subset(self, n: int, rng: np.random.Generator) -> "TeacherTrajectories":
        """The first ``n`` trajectories: they come in no order."""
        return replace(self._each(lambda part: part[..., :n, :]), validation=self.validation)

    def held_out(self, n: int, rng: np.random.Generator) -> "TeacherTrajectories":
        """At most ``n`` trajectories that nothing was learned from, if there are any."""
        return (self.validation or self).subset(n, rng)

    def split(self, n: int) -> "TeacherTrajectories":
        """A copy without its last ``n`` trajectories, which are held out."""
        validation = self._each(lambda part: part[..., len(self) - n :, :])
        return replace(self.subset(len(self) - n, np.random.default_rng()), validation=validation)

    def has_closed_form(self, t: float) -> bool:
        """Nothing is known of a teacher's steps."""
        return False

    def is_uninformative(self, t: float) -> bool:
        """False: the teacher's step is a function of the state."""
        return False

    def _each(
        self,
        change: Callable[[Array], Array],
        change_held: Callable[["TeacherTrajectories"], "TeacherTrajectories"] | None = None,
    ) -> "TeacherTrajectories":
        condition = None if self.condition is None else change(self.condition)
        validation = change_held(self.validation) if self.validation and change_held else None
        return replace(self, states=change(self.states), condition=condition, validation=validation)


def distill(
    model: FlowModel,
    settings: FlowSettings,
    *,
    method: str = "velocity",
    n_samples: int = 300_000,
    condition: Array | None = None,
    seed: int | None = None,
) -> FlowModel:
    r"""A student of a model that follows its trajectories with Euler steps on the grid of ``settings``.

    With x_t the state of the teacher at time t and h a step of the student, a node learns

    .. math:: v(x_t, t) = E[(x_{t+h} - x_t) / h \mid x_t],

    with which Euler's step is the teacher's map from t to t + h. ``"velocity"`` follows the teacher's curve (Salimans,
    Ho, 2022, arXiv:2202.00512, without their halving). ``"reflow"`` draws the curve straight,
    ``x_t = (1 - t) x_0 + t x_1`` with x_1 where the teacher takes x_0 (Liu, Gong, Liu, 2022, arXiv:2209.03003).

    Parameters
    ----------
    model : FlowModel
        The teacher.
    settings : FlowSettings
        Of the student; its solver is ``"euler"``.
    method : {"velocity", "reflow"}
    n_samples : int
        Trajectories to learn from.
    condition : float32 array of shape (n_samples, c) or (1, c), optional
        Their conditions, where the teacher has some.
    seed : int, optional
        None takes that of the teacher.

    Raises
    ------
    ValueError, TypeError
        Unknown method, too few samples, a solver other than Euler's.

    Examples
    --------
    >>> from buff.flows import fit_flow
    >>> x1 = np.random.default_rng(0).standard_normal((500, 2))
    >>> teacher = fit_flow(x1, FlowSettings(n_steps=8, noise_budget=5_000), seed=0)
    >>> student = distill(teacher, FlowSettings(n_steps=2, solver="euler"), n_samples=2_000)
    >>> student.times
    (0.0, 0.5)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; found {method!r}")
    check_whole("n_samples", n_samples, 10)
    if settings.solver != "euler":
        raise ValueError(f"the steps of a student are Euler's: solver must be 'euler', found {settings.solver!r}")
    settings = replace(settings, trees=replace(settings.trees, max_bin=_BINS), noise_budget=n_samples)
    seed = model.seed if seed is None else seed
    request = SampleRequest(n_samples, teaching_seed(seed), condition=condition)
    data = simulate_teacher(model, (*settings.times, 1.0), method, request)
    cost, base = estimate_cost(data, settings), data.base(np.random.default_rng(seed))
    nodes, records = train_nodes(data, base, settings, cost, seed)
    student = replace(
        model,
        nodes=nodes,
        times=settings.times,
        solver=get_solver(settings.solver),
        grid=settings.time_grid,
        gaussian=None,
        calibration=None,
        device=settings.trees.device,
        seed=seed,
        records=records,
        cost=cost,
    )
    return calibrate(student, model.calibration.smooth, settings.n_jobs) if model.calibration else student


def teaching_seed(seed: int) -> int:
    """Seed of the events that a student of this seed learns from: others than it will draw."""
    return seed_from(training_seed(seed))


def simulate_teacher(
    model: FlowModel, times: tuple[float, ...], method: str, request: SampleRequest
) -> TeacherTrajectories:
    """States of the teacher's trajectories at the nodes of a student.

    ``"velocity"`` takes them from the polygon through all states of the teacher, ``"reflow"`` from the straight line
    between its ends.
    """
    states = np.empty((len(times), request.n, model.n_dims), np.float32)
    for start in range(0, request.n, _BATCH):
        batch = request.batch(start, min(_BATCH, request.n - start))
        curve, nodes = list(model.field_trajectory(batch)), np.array(model.grid.times)
        if method == "reflow":
            curve, nodes = [curve[0], curve[-1]], nodes[[0, -1]]
        for state, t in zip(states, times, strict=True):
            state[start : start + batch.n] = _between(nodes, curve, t)
    return TeacherTrajectories(times, states, request.condition).split(min(_HELD_OUT, request.n // _SHARE))


def _between(nodes: Array, curve: list[Array], t: float) -> Array:
    """The polygon through ``curve`` at time t."""
    i = int(np.clip(np.searchsorted(nodes, t), 1, len(nodes) - 1))
    r = np.float32((t - nodes[i - 1]) / (nodes[i] - nodes[i - 1]))
    return (1 - r) * curve[i - 1] + r * curve[i]
