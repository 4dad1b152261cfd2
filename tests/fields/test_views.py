import math

import numpy as np
import pytest

from buff.fields import Clipped, Counted, Framed, GaussianFlow, Guided, NodeField, Retimed, Reversed, Scaled, TimeField
from buff.grids import TimeGrid, get_grid
from buff.paths import LINEAR, REDUCED, Path, get_path
from buff.schedules import Schedule, functions
from buff.solvers import get_solver, integrate
from tests.problems import P1, P2

X = np.array([[-0.5], [0.3], [1.4]])
NODES = NodeField((0.0, 0.25, 1.0), [lambda x, condition, k=k: k * x for k in (1, 2, 4)], off_node="nearest")


def test_views_keep_path_and_nodes():
    for view in (Counted(NODES), Scaled(NODES, (1, 1, 1)), Guided(NODES, 2.0), Clipped(NODES, -1, 1)):
        assert view.path == NODES.path
        assert view.times == NODES.times
        assert view.at_every_time
        assert view.piecewise_constant
    assert not Counted(P1.field()).piecewise_constant


class Moves:
    """No function, but called as one, on a path of its own."""

    path = get_path("trigonometric")

    def __call__(self, x, t, condition):
        return t - x


PLAIN = {"two": lambda x, t: t - x, "three": lambda x, t, condition=None: t - x, "object": Moves()}
VIEWS = {
    "counted": Counted,
    "framed": lambda field: Framed(field, GaussianFlow.of(np.zeros(1), np.eye(1))),
    "guided": lambda field: Guided(field, 2.0),
    "guided by two": lambda field: Guided(TimeField(lambda x, t, condition: t - x), 2.0, unconditional=field),
    "clipped": lambda field: Clipped(field, -1.0, 1.0),
    "reversed": Reversed,
    "retimed": lambda field: Retimed(field, get_path("linear")),
    "time": TimeField,
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("name", VIEWS)
def test_views_take_functions(name, kind):
    path = getattr(PLAIN[kind], "path", LINEAR)
    whole = TimeField(lambda x, t, condition: t - x, path=path if name != "time" else LINEAR)
    view, same = VIEWS[name](PLAIN[kind]), VIEWS[name](whole)
    assert view.path == same.path
    assert view.at_every_time
    np.testing.assert_array_equal(view(X, 0.3), same(X, 0.3))
    np.testing.assert_array_equal(
        integrate("heun", view, X, [0.1, 0.5, 0.9]), integrate("heun", same, X, [0.1, 0.5, 0.9])
    )


@pytest.mark.parametrize("name", VIEWS)
def test_views_say_how_a_field_is_called(name):
    with pytest.raises(
        TypeError, match=r"called as field\(x, t, condition\), or as field\(x, t\): found <lambda>\(x\)"
    ):
        VIEWS[name](lambda x: x)
    with pytest.raises(TypeError, match=r"found the class itself: Moves"):
        VIEWS[name](Moves)


def test_counting():
    counted = Counted(P1.field())
    integrate(get_solver("rk4"), counted, X, TimeGrid.uniform(5))
    assert counted.nfe == 20
    integrate(get_solver("euler"), counted, X, TimeGrid.uniform(5))
    assert counted.nfe == 25


def test_scale_of_each_node():
    scaled = Scaled(NODES, (1.0, 0.5, 2.0))
    for t, factor in ((0.0, 1.0), (0.25, 1.0), (1.0, 8.0)):
        assert (scaled(X, t) == factor * X).all()
    with pytest.raises(ValueError, match="one scale a node: found 2 scales for 3 nodes"):
        Scaled(NODES, (1.0, 2.0))
    for field in (P1.field(), lambda x, t: x):
        with pytest.raises(ValueError, match="needs a field with nodes"):
            Scaled(field, (1.0,))


def test_guidance():
    def field(x, t, condition):
        return 0 * x if condition is None else condition - x

    guided = [Guided(TimeField(field), w)(X, 0.5, np.ones((3, 1))) for w in (0, 1, 3)]
    np.testing.assert_allclose(guided[0], 0)
    np.testing.assert_allclose(guided[1], 1 - X)
    np.testing.assert_allclose(guided[2], 3 * (1 - X))
    free = TimeField(lambda x, t, condition: x)
    np.testing.assert_allclose(Guided(TimeField(field), 2.0, free)(X, 0.5, np.ones((3, 1))), 2 * (1 - X) - X)


def test_guidance_within_limits():
    """Outside of them the field is that of the condition, bit by bit, at one call."""
    asked = Counted(TimeField(lambda x, t, condition: -x if condition is None else condition - x))
    guided, c = Guided(asked, lambda t: 3.0 if 0.2 < t < 0.8 else 1.0), np.ones((3, 1))
    for t, weight, calls in ((0.1, 1, 1), (0.5, 3, 3), (0.9, 1, 4)):
        np.testing.assert_array_equal(guided(X, t, c), weight - X)
        assert asked.nfe == calls
    np.testing.assert_array_equal(Guided(asked, 0)(X, 0.5, c), -X)
    with pytest.raises(TypeError, match="weight of the guidance must be a number, or a function of t .*: found 'two'"):
        Guided(asked, "two")
    with pytest.raises(TypeError, match=r"weight\(0.25\) of the guidance must be a number, .*: found None"):
        Guided(asked, lambda t: None)(X, 0.25, c)


def test_guidance_of_gaussians_tilts_the_score():
    """On densities p and p_c the guided score is that of p^(1 - w) p_c^w."""
    w, t = 2.5, 0.6
    now = LINEAR.at(t)
    conditional, free = P1.field(), P2.field()
    u = Guided(conditional, w, free)(X, t)
    tilted = w * now.score(X, conditional(X, t)) + (1 - w) * now.score(X, free(X, t))
    np.testing.assert_allclose(now.score(X, u), tilted)


def test_clipping_acts_on_the_data_that_is_seen():
    t, low, high = 0.4, -0.8, 0.5
    now = LINEAR.at(t)
    u = P2.field()(X, t)
    clipped = Clipped(P2.field(), low, high)
    np.testing.assert_allclose(now.denoised(X, clipped(X, t)), np.clip(now.denoised(X, u), low, high))
    wide = Clipped(P2.field(), -10, 10)
    np.testing.assert_allclose(wide(X, t), u, atol=1e-12)
    assert (wide(X, 1.0) == P2.field()(X, 1.0)).all()
    x = integrate(get_solver("dpmpp_2m"), clipped, 3 * X, TimeGrid.uniform(10))
    assert low <= x.min() <= x.max() <= high


def test_reversed_flow_goes_back():
    field, grid = P2.field(), TimeGrid.uniform(200)
    there = integrate(get_solver("rk4"), field, X, grid)
    np.testing.assert_allclose(integrate(get_solver("rk4"), Reversed(field), there, grid), X, atol=1e-6)
    assert Reversed(NODES).times == (0.0, 0.75, 1.0)
    assert (Reversed(NODES)(X, 0.75) == -2 * X).all()


def test_reversed_path_reads_data_and_noise_right():
    t, field = 0.3, P2.field()
    back = Reversed(field)
    now, then = back.path.at(t), field.path.at(1 - t)
    assert (now.alpha, now.sigma) == (then.alpha, then.sigma)
    np.testing.assert_allclose(now.denoised(X, back(X, t)), then.denoised(X, field(X, 1 - t)))
    np.testing.assert_allclose(now.noise(X, back(X, t)), then.noise(X, field(X, 1 - t)))


def test_reversed_frame_stands_still_backwards():
    gauss = GaussianFlow.of(np.array([0.5, -1.0]), np.array([[2.0, 0.3], [0.3, 0.1]]))
    field = Framed(TimeField(lambda x, t, condition: gauss.velocity(x, t)), gauss)
    x0 = np.random.default_rng(0).normal(size=(10, 2))
    grid = get_grid("dense1.5", 3)
    x1 = integrate("ifab2", field, x0, grid)
    np.testing.assert_allclose(integrate("ifab2", Reversed(field), x1, grid.backwards()), x0, atol=1e-9)


class Quarter(Schedule):
    """Its ends miss 0 by round-off."""

    def alpha(self, t):
        return functions(t).sin(math.pi / 2 * t) if t else 1e-17

    def sigma(self, t):
        return functions(t).cos(math.pi / 2 * t)

    def alpha_dot(self, t):
        return math.pi / 2 * self.sigma(t)

    def sigma_dot(self, t):
        return -math.pi / 2 * self.alpha(t)

    def time(self, ratio):
        return 1 - 2 / math.pi * math.atan(ratio)


def test_ends_of_a_schedule_may_be_missed_by_round_off():
    moved = Retimed(NODES, Path(Quarter()))
    np.testing.assert_allclose(moved.times, (0, Quarter().time(3.0), 1), atol=1e-12)
    assert len(Retimed(NODES, get_path("trigonometric", data_angle=0.1)).times) == 2
    with np.errstate(all="raise"):
        assert np.isfinite(moved(X, 1.0)).all()
    assert Path(Quarter()).at(1.0).pure
    smooth, x0 = P2.field(LINEAR), np.random.default_rng(0).normal(size=(50, 2))
    own, known = (
        integrate("dpmpp_3m", Retimed(smooth, path), x0, get_grid("uniform", 20))
        for path in (Path(Quarter()), get_path("trigonometric"))
    )
    np.testing.assert_allclose(own, known, atol=1e-9)


@pytest.mark.parametrize("path", [LINEAR, REDUCED, get_path("vp"), get_path("trigonometric")], ids=str)
def test_a_field_on_another_path_is_the_field_of_that_path(path):
    for source in (LINEAR, get_path("vp"), REDUCED):
        moved = Retimed(P2.field(source), path)
        for ratio in (5.0, 0.7, 0.01):
            t = path.time(ratio)
            np.testing.assert_allclose(moved(X, t), P2.field(path)(X, t), rtol=1e-7, atol=1e-9)
        assert moved.at_every_time


def test_nodes_move_with_the_path():
    nodes = NodeField((0.1, 0.5, 0.9), [lambda x, condition: x] * 3)
    moved = Retimed(nodes, REDUCED)
    assert moved.times == pytest.approx((1 - 9 / 80, 1 - 1 / 80, 1 - (1 / 9) / 80))
    assert not moved.at_every_time


def test_from_pure_noise_to_data_on_another_path():
    """Both ends, where one of alpha and sigma is zero."""
    trigonometric = get_path("trigonometric")
    moved, exact = Retimed(P2.field(), trigonometric), P2.field(trigonometric)
    for t in (0.0, 1.0):
        np.testing.assert_allclose(moved(X, t), exact(X, t), atol=1e-12)


def test_nodes_that_a_path_never_reaches_stay_behind():
    nodes = NodeField((0.0, 0.005, 0.5, 1.0), [lambda x, condition: x] * 4)
    assert Retimed(nodes, REDUCED).times == pytest.approx((1 - 1 / 80, 1.0))


def test_a_field_on_another_path_is_read_between_nodes_as_before():
    moved = Retimed(NODES, get_path("trigonometric"))
    assert moved.at_every_time
    assert moved.piecewise_constant
    assert np.isfinite(integrate("rk4", moved, X, TimeGrid.uniform(3))).all()
    with pytest.raises(ValueError, match="constant by pieces"):
        integrate("dopri5_adaptive", moved, X, TimeGrid.uniform(3))


def test_paths_go_by_name_or_schedule():
    field = P1.field()
    for path in ("trigonometric", get_path("trigonometric").schedule):
        moved, same = Retimed(field, path), Retimed(field, get_path("trigonometric"))
        assert moved.path == same.path
        np.testing.assert_array_equal(moved(X, 0.4), same(X, 0.4))
    assert TimeField(lambda x, t: x, path="vp").path == get_path("vp")
    with pytest.raises(TypeError, match="path must be a name, a Schedule or a Path, found 3"):
        Retimed(field, 3)
