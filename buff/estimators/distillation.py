"""A student of a fitted model: the same events from fewer, larger steps."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from buff.estimators.checks import booster_settings, check_whole
from buff.estimators.generation import Flow, condition_normals
from buff.protocols import Array
from buff.randomness import EventNoise, entropy_of, training_seed
from buff.training import Steps

__all__ = ["METHODS", "distilled"]

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


def distilled(teacher: Any, method: str, n_samples: int, random_state: Any, parameters: dict[str, Any]) -> Any:
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
    times, settings = (*student._times(), 1.0), replace(booster_settings(student), max_bin=_BINS)
    student.space_, student._encoder = teacher.space_, teacher._encoder
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(teacher, name):
            setattr(student, name, getattr(teacher, name))
    flow, entropy = teacher._flow, teacher._sampling_entropy(random_state)
    elsewhere = entropy_of(training_seed(entropy))
    condition = _conditions(teacher._encoder, elsewhere, n_samples)
    problem = _lessons(flow, times, method, n_samples, elsewhere, condition)
    plan, base = student._plan(problem, trial=False), problem.base(np.random.default_rng(entropy))
    models = student._grow(problem, base, settings, plan, entropy)
    student._set_flow(models, flow.frame, flow.noise, settings.device)
    return student


def _conditions(encoder: Any, entropy: int, n: int) -> Array | None:
    """Features of conditions like those of the training."""
    return None if encoder is None else encoder.transform(
        encoder.draw(condition_normals(entropy, 0, n, encoder.n_normals))
    )


def _lessons(
    flow: Flow, times: tuple[float, ...], method: str, n: int, entropy: int, condition: Array | None
) -> Steps:
    """States of ``n`` of the teacher's trajectories at the nodes of a student, one condition each.

    ``"velocity"`` takes them from the polygon through all states of the teacher, ``"reflow"`` from the straight line
    between its ends.
    """
    d = flow.n_dims
    states = np.empty((len(times), n, d), np.float32)
    for start in range(0, n, _BATCH):
        m = min(_BATCH, n - start)
        own = None if condition is None else condition[start : start + m]
        path = list(flow.states(EventNoise(entropy, start), m, own))
        nodes = np.array(flow.grid.times)
        if method == "reflow":
            path, nodes = [path[0], path[-1]], nodes[[0, -1]]
        for state, t in zip(states, times, strict=True):
            state[start : start + m] = _between(nodes, path, t)
    return Steps(times, states, condition).split(min(_HELD, n // _SHARE))


def _between(nodes: Array, path: list[Array], t: float) -> Array:
    """The polygon through ``path`` at time t."""
    i = int(np.clip(np.searchsorted(nodes, t), 1, len(nodes) - 1))
    r = np.float32((t - nodes[i - 1]) / (nodes[i] - nodes[i - 1]))
    return (1 - r) * path[i - 1] + r * path[i]
