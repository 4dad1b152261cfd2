"""Students: the teacher's events from fewer steps."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

import buff
from buff.errors import OffGridError
from buff.fields import Counted, Reversed, Scaled
from buff.flows import SampleRequest, TeacherTrajectories
from buff.grids import TimeGrid, get_grid
from buff.randomness import EventNoise
from buff.solvers import integrate

RNG = np.random.default_rng(0)
QUICK = {"n_samples": 3000, "n_estimators": 15, "max_depth": 5}
BENT = RNG.normal(size=(3000, 1))
BENT = np.hstack([BENT, BENT**2 + 0.3 * RNG.normal(size=(3000, 1))])


@pytest.fixture(scope="module")
def teacher():
    return buff.BUFF(noise_budget=20_000, max_depth=5, random_state=0, device="cpu").fit(BENT)


@pytest.mark.parametrize("method", ["velocity", "reflow"])
@pytest.mark.parametrize("n_steps", [1, 2])
def test_students_draw_the_events_of_their_teacher(teacher, method, n_steps):
    student = teacher.distill(n_steps, method=method, n_samples=30_000, n_estimators=40)
    assert [node.t for node in student.nodes_] == list(get_grid("dense1.5", n_steps).times[:-1])
    own, taught = teacher.sample(3000), student.sample(3000)
    scores = [teacher.space_.transform(x) for x in (own, taught)]
    assert np.mean((scores[1] - scores[0]) ** 2) < 0.03
    assert all(ks_2samp(own[:, k], taught[:, k]).pvalue > 1e-3 for k in range(2))
    bent = [np.corrcoef(x[:, 0] ** 2, x[:, 1])[0, 1] for x in (own, taught)]
    assert bent[1] == pytest.approx(bent[0], abs=0.03)


def test_a_budget_of_noise_is_no_parameter_of_a_student(teacher):
    with pytest.raises(ValueError, match="noise_budget is none of a student's parameters: n_samples says"):
        teacher.distill(2, noise_budget=3000)


def test_a_teacher_without_trees_is_learned_exactly():
    """The flow of a Gaussian is linear: the base of a single step is all of it."""
    teacher = buff.BUFF(n_estimators=0, random_state=0).fit(RNG.multivariate_normal([0, 1], [[1, 0.8], [0.8, 1]], 2000))
    student = teacher.distill(1, n_samples=2000, n_estimators=0)
    scores = [teacher.space_.transform(m.sample(500)) for m in (teacher, student)]
    assert np.allclose(*scores, atol=2e-3)


def test_one_step_has_one_method(teacher):
    curve, chord = (teacher.distill(1, method=m, **QUICK).sample(50) for m in ("velocity", "reflow"))
    assert np.array_equal(curve, chord)
    curve, chord = (teacher.distill(3, method=m, **QUICK).sample(50) for m in ("velocity", "reflow"))
    assert not np.array_equal(curve, chord)


def test_students_of_conditional_models(tmp_path):
    c = pd.DataFrame({"kind": RNG.choice(["q", "t"], 600), "pt": RNG.normal(size=600)})
    frame = pd.DataFrame({"mass": np.where(c["kind"] == "t", 5.0, 0.0) + c["pt"] + RNG.normal(size=600)})
    teacher = buff.BUFF(noise_budget=6000, max_depth=4, random_state=0).fit(frame, condition=c)
    student = teacher.distill(2, **QUICK)
    asked = pd.DataFrame({"kind": ["q", "t"] * 500, "pt": np.repeat([-1.0, 1.0], 500)})
    own, taught = (m.sample(condition=asked)["mass"].to_numpy() for m in (teacher, student))
    for kind in ("q", "t"):
        for pt in (-1.0, 1.0):
            rows = ((asked["kind"] == kind) & (asked["pt"] == pt)).to_numpy()
            assert taught[rows].mean() == pytest.approx(own[rows].mean(), abs=0.3)
    student.save(tmp_path / "s.buff")
    back = buff.load(tmp_path / "s.buff")
    pd.testing.assert_frame_equal(back.sample(20), student.sample(20))
    assert back.get_params()["n_steps"] == 2
    assert [*back.feature_names_in_] == ["mass"]
    assert [column.name for column in back.condition_schema_] == ["kind", "pt"]


def test_seeds_decide(teacher):
    one, two, other = (teacher.distill(2, random_state=seed, **QUICK) for seed in (1, 1, 2))
    assert np.array_equal(one.sample(20), two.sample(20))
    assert not np.array_equal(one.sample(20, random_state=3), other.sample(20, random_state=3))
    assert teacher.get_params()["solver"] == "ifab2"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "flow_map"}, ValueError, "method must be one of velocity, reflow; found 'flow_map'"),
        ({"n_samples": 3}, ValueError, "n_samples must be at least 10"),
        ({"n_samples": 1e5}, TypeError, "n_samples must be an integer"),
        ({"n_steps": 0}, ValueError, "n_steps must be at least 1"),
        ({"solver": "heun"}, ValueError, "steps of a student are Euler's.*'heun'"),
        ({"rounds": 3}, ValueError, "Invalid parameter 'rounds'"),
    ],
)
def test_bad_lessons(teacher, options, error, message):
    with pytest.raises(error, match=message):
        teacher.distill(**options)


def test_only_fitted_models_teach():
    with pytest.raises(ValueError, match="not fitted"):
        buff.BUFF().distill()


def test_steps_are_the_way_between_nodes():
    states = RNG.normal(size=(3, 100, 2)).astype(np.float32)
    condition = RNG.normal(size=(100, 1)).astype(np.float32)
    steps = TeacherTrajectories((0.0, 0.25, 1.0), states, condition).split(20)
    features, targets, weights = steps.problem(0.25, 1, None)
    assert weights is None
    assert np.array_equal(features, np.hstack([states[1, :80], condition[:80]]))
    assert np.allclose(features[:, :2] + 0.75 * targets, states[2, :80], atol=1e-6)
    assert np.array_equal(steps.held_out(10, None).states, states[:, 80:90])
    weights, bias = steps.base(None).at(0.25)
    solution = np.linalg.lstsq(np.hstack([features, np.ones((80, 1))]), targets, rcond=None)[0]
    assert np.allclose(np.vstack([weights, bias]), solution, atol=1e-4)


def test_the_field_of_a_model_is_what_it_samples_with(teacher):
    x0 = EventNoise(7)(np.empty((5, 2), np.float32))
    counted = Counted(teacher.field_)
    x1 = integrate(teacher.solver, counted, x0, teacher.grid_)
    assert counted.nfe == teacher.n_steps
    *_, end = teacher.model_.field_trajectory(SampleRequest(5, 7))
    assert np.array_equal(x1, end)
    stopped = integrate("ab2", Scaled(teacher.field_, (0.0,) * len(teacher.field_.times)), x0, teacher.grid_)
    assert np.array_equal(stopped, x0)


def test_views_and_diffusions_on_the_field_of_trees():
    """Data go back to noise, noise goes to data along an SDE, and what needs other times is told what does not."""
    model = buff.BUFF(20, "heun", noise_budget=20_000, max_depth=5, random_state=0, device="cpu").fit(BENT)
    field, grid = model.field_, model.grid_
    scores = model.space_.transform(BENT).astype(np.float32)
    back = integrate("heun", Reversed(field), scores, TimeGrid(tuple(1 - t for t in reversed(grid.times))))
    assert np.allclose(np.cov(back.T), np.eye(2), atol=0.12)
    rng = np.random.default_rng(1)
    x0 = rng.standard_normal((3000, 2)).astype(np.float32)
    noise = lambda x: rng.standard_normal(x.shape).astype(x.dtype)  # noqa: E731
    drawn = model.space_.inverse_transform(integrate("dpmpp_2m_sde", field, x0, grid, noise=noise))
    assert np.corrcoef(drawn[:, 0] ** 2, drawn[:, 1])[0, 1] > 0.8
    with pytest.raises(OffGridError, match="these solvers stay on the nodes: euler, heun, ab1"):
        integrate("rk4", field, x0, grid)


def test_models_without_one_field_say_so():
    with pytest.raises(AttributeError, match="this BUFF is not fitted"):
        _ = buff.BUFF().field_
    conditional = buff.BUFF(n_estimators=0).fit(BENT[:200, 1:], condition=BENT[:200, 0])
    with pytest.raises(AttributeError, match="a model with a condition has coordinates of its own"):
        _ = conditional.field_
