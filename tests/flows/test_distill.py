"""Students of flows: the teacher's map in fewer steps, from other events than they draw."""

from dataclasses import replace

import numpy as np
import pytest

from buff.flows import FlowSettings, SampleRequest, distill, fit_flow
from buff.flows.distill import TeacherTrajectories, simulate_teacher
from buff.trees import TreeSettings

RNG = np.random.default_rng(0)
C = RNG.standard_normal((1500, 1)).astype(np.float32)
X = np.hstack([np.sign(C) * 1.5, 0 * C]).astype(np.float32) + 0.5 * RNG.standard_normal((1500, 2)).astype(np.float32)
TREES = TreeSettings(n_estimators=6, max_depth=4)
TEACHER = FlowSettings(n_steps=8, trees=TREES, noise_budget=15_000)
STUDENT = FlowSettings(
    n_steps=2, solver="euler", trees=replace(TREES, n_estimators=40, learning_rate=0.3, reg_lambda=1.0)
)


@pytest.fixture(scope="module")
def teacher():
    return fit_flow(X, TEACHER, condition=C, seed=0)


@pytest.mark.parametrize("method", ["velocity", "reflow"])
def test_a_student_takes_the_same_events_to_the_same_places(teacher, method):
    c = np.repeat(C[:100], 60, axis=0)
    student = distill(teacher, STUDENT, method=method, n_samples=len(c), condition=c)
    asked = SampleRequest(500, 3, condition=C[:500])
    own, taught = teacher.sample(asked), student.sample(asked)
    assert student.times == (0.0, 0.5)
    assert student.seed == teacher.seed
    assert np.corrcoef(own[:, 0], taught[:, 0])[0, 1] > 0.95


def test_students_learn_from_the_states_of_their_teacher(teacher):
    asked = SampleRequest(40, 5, condition=C[:40])
    curve = list(teacher.field_trajectory(asked))
    data = simulate_teacher(teacher, (0.0, 0.5, 1.0), "velocity", asked)
    held_out = data.held_out(100, None)
    states = np.concatenate([data.states, held_out.states], axis=1)
    assert np.array_equal(states, np.stack([curve[0], curve[4], curve[8]]))
    straight = simulate_teacher(teacher, (0.0, 0.5, 1.0), "reflow", asked)
    assert np.allclose(straight.states[1], (curve[0] + curve[8])[: len(straight)] / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"method": "map"}, "method must be one of velocity, reflow; found 'map'"),
        ({"n_samples": 3}, "n_samples must be at least 10"),
        ({"settings": TEACHER}, "solver must be 'euler', found 'ab2'"),
    ],
)
def test_bad_lessons(teacher, parts, message):
    given = {"settings": STUDENT, "n_samples": 1500, "condition": C} | parts
    with pytest.raises(ValueError, match=message):
        distill(teacher, **given)


def test_the_base_of_a_student_is_the_step_itself():
    x = RNG.standard_normal((3, 500, 2)).astype(np.float32)
    x[1], x[2] = x[0] + 0.5 * x[0] @ np.float32([[1, 2], [0, 1]]), x[0]
    base = TeacherTrajectories((0.0, 0.5, 1.0), x).base(np.random.default_rng(0))
    weights, bias = base.at(0.0)
    assert np.allclose(weights, [[1, 2], [0, 1]], atol=1e-4)
    assert np.allclose(bias, 0, atol=1e-4)
