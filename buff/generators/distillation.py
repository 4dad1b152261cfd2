"""A student of a fitted model: the same events from fewer, larger steps."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from buff.fields import NodeField
from buff.flows import (
    CostEstimate,
    FlowModel,
    SampleRequest,
    TeacherTrajectories,
    calibrate,
    estimate_cost,
    train_nodes,
)
from buff.flows.request import condition_normals
from buff.generators.checks import check_parameters, check_whole
from buff.grids import TimeGrid
from buff.protocols import Array
from buff.randomness import seed_from, training_seed
from buff.solvers import get_solver

__all__ = ["METHODS", "Teacher"]

#: Ways to distill.
METHODS = ("velocity", "reflow")
#: Parameters of a student unless told otherwise: its targets carry no noise that leaves would have to average.
_STUDENT: dict[str, Any] = {
    "solver": "euler",
    "coupling": "independent",
    "n_estimators": 100,
    "max_depth": 9,
    "learning_rate": 0.3,
    "reg_lambda": 1.0,
    "cache_dir": None,
}
#: Values of a feature that its splits tell apart.
_BINS = 256
#: Trajectories on which a student is judged, at most, and as a share of all.
_HELD, _SHARE = 20_000, 10
#: Trajectories at a time.
_BATCH = 8192


class Teacher:
    """A fitted model with a field that others can follow: solvers, views of fields, students."""

    _flow: Any
    _class_models: Any

    @property
    def field_(self) -> NodeField:
        """The velocity at the nodes of the solver, for :func:`buff.solvers.integrate` and views (:mod:`buff.fields`).

        It lives where ``space_.transform`` leads to and ``space_.inverse_transform`` leads back from, on the linear
        path: counted, scaled, run backwards, or followed by other solvers that stay on its nodes. The corrections of
        margins of small tables come after it. Models with a condition have coordinates of their own for each.

        Raises
        ------
        AttributeError
            The model has a condition, or is not fitted.

        Examples
        --------
        >>> from buff import BUFF
        >>> from buff.fields import Counted
        >>> from buff.solvers import integrate
        >>> X = np.random.default_rng(0).exponential(size=(500, 2))
        >>> gen = BUFF(n_steps=4, solver="heun", noise_budget=5_000, random_state=0).fit(X)
        >>> field, x0 = Counted(gen.field_), np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
        >>> events = gen.space_.inverse_transform(integrate("unipc2", field, x0, gen.grid_))
        >>> field.nfe, events.shape
        (4, (3, 2))
        """
        return self._shown().field

    @property
    def grid_(self) -> TimeGrid:
        """The times where the solver stops; those of ``field_`` are its nodes."""
        return self._shown().grid

    def _shown(self) -> FlowModel:
        if not hasattr(self, "space_"):
            raise AttributeError(f"this {type(self).__name__} is not fitted: call fit first")
        if self._class_models or self._flow.standardizer:
            raise AttributeError("a model with a condition has coordinates of its own for each: fit one without")
        flow: FlowModel = self._flow
        return flow

    def distill(
        self,
        n_steps: int = 2,
        *,
        method: str = "velocity",
        n_samples: int = 300_000,
        random_state: Any = None,
        **parameters: Any,
    ) -> Any:
        r"""A student that draws like this model in ``n_steps`` field evaluations, trained on its trajectories.

        With x_t the state of the teacher at time t and h a step of the student, a node learns

        .. math:: v(x_t, t) = E[(x_{t+h} - x_t) / h \mid x_t],

        with which Euler's step is the teacher's map from t to t + h. ``"velocity"`` follows the teacher's curve: the
        student's steps are flow maps that compose (Salimans, Ho, 2022, arXiv:2202.00512, without their halving).
        ``"reflow"`` draws the curve straight, ``x_t = (1 - t) x_0 + t x_1`` with x_1 where the teacher takes x_0 (Liu,
        Gong, Liu, 2022, arXiv:2209.03003). In one step they are the same.

        The teacher's map is a function, so that targets carry no noise: students take large trees and learn from as
        many trajectories as wished. They save evaluations, not time: two evaluations of a student cost more than the
        ten of its teacher, whose trees are small. They are for where an evaluation is what counts; to draw faster,
        ``coupling="transport"`` with four steps halves the time. On nine observables of top jets (three seeds; teacher
        with an AUC of 0.548), students of 2 and 1 steps come to 0.549 and 0.603.

        Parameters
        ----------
        n_steps : int
            Field evaluations of the student.
        method : {"velocity", "reflow"}
        n_samples : int
            Trajectories to learn from, for each class that has a model of its own; conditional models draw conditions
            like those of their training.
        random_state : None, int or NumPy generator
            Of the trajectories and of the student; None takes that of the teacher.
        **parameters
            In which the student differs from its default: ``n_estimators=100``, ``max_depth=9``,
            ``learning_rate=0.3``, ``reg_lambda=1.0`` and what else the teacher has.

        Returns
        -------
        BUFF
            Fitted: same schema, conditions, ``sample`` and ``save``.

        Raises
        ------
        ValueError, TypeError
            Unknown method or parameter, too few samples, a solver other than Euler's.

        Examples
        --------
        >>> from buff import BUFF
        >>> X = np.random.default_rng(0).exponential(size=(500, 2))
        >>> teacher = BUFF(noise_budget=5_000, random_state=0).fit(X)
        >>> student = teacher.distill(1, n_samples=2_000, n_estimators=20)
        >>> len(student.nodes_), student.sample(3).shape
        (1, (3, 2))
        """
        check_is_fitted(self)
        return _distilled(self, method, n_samples, random_state, {"n_steps": n_steps} | parameters)


def _distilled(teacher: Any, method: str, n_samples: int, random_state: Any, parameters: dict[str, Any]) -> Any:
    """A student of a fitted BUFF, with these parameters in place of its default.

    The student shares the teacher's seed, so that its event i is that of the teacher, as well as it has learned; it
    learns from other events.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; found {method!r}")
    check_whole("n_samples", n_samples, 10)
    student = clone(teacher).set_params(**_STUDENT | parameters, noise_budget=n_samples)
    if random_state is not None:
        student.set_params(random_state=random_state)
    if student.solver != "euler":
        raise ValueError(f"the steps of a student are Euler's: solver must be 'euler', found {student.solver!r}")
    check_parameters(student)
    settings = student._settings
    settings = replace(settings, trees=replace(settings.trees, max_bin=_BINS))
    student.space_, student._encoder = teacher.space_, teacher._encoder
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(teacher, name):
            setattr(student, name, getattr(teacher, name))
    if teacher._class_models:
        own = [_distilled(m, method, n_samples, random_state, parameters) for m in teacher._class_models.models]
        student._seed, student.plan_ = teacher._seed, CostEstimate.combined([m.plan_ for m in own])
        student._set_classes(replace(teacher._class_models, models=tuple(own)))
        return student
    flow, seed = teacher._flow, teacher._sampling_seed(random_state)
    elsewhere = seed_from(training_seed(seed))
    condition = _conditions(teacher._encoder, elsewhere, n_samples)
    request = SampleRequest(n_samples, elsewhere, condition=condition)
    data = simulate_teacher(flow, (*settings.times, 1.0), method, request)
    cost, base = estimate_cost(data, settings), data.base(np.random.default_rng(seed))
    nodes, records = train_nodes(data, base, settings, cost, seed)
    model = replace(
        flow,
        nodes=nodes,
        times=settings.times,
        solver=get_solver(settings.solver),
        grid=settings.time_grid,
        calibration=None,
        device=settings.trees.device,
        seed=seed,
        records=records,
        cost=cost,
    )
    student.plan_ = cost
    student._set_flow(calibrate(model, flow.calibration.smooth, settings.n_jobs) if flow.calibration else model)
    return student


def _conditions(encoder: Any, seed: int, n: int) -> Array | None:
    """Features of conditions like those of the training."""
    return None if encoder is None else encoder.transform(
        encoder.draw(condition_normals(seed, 0, n, encoder.n_normals))
    )


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
    return TeacherTrajectories(times, states, request.condition).split(min(_HELD, request.n // _SHARE))


def _between(nodes: Array, curve: list[Array], t: float) -> Array:
    """The polygon through ``curve`` at time t."""
    i = int(np.clip(np.searchsorted(nodes, t), 1, len(nodes) - 1))
    r = np.float32((t - nodes[i - 1]) / (nodes[i] - nodes[i - 1]))
    return (1 - r) * curve[i - 1] + r * curve[i]
