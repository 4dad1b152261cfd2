"""The loop, and what it refuses."""

import numpy as np
import pytest

from buff.errors import OffGridError
from buff.fields import NodeField, Reversed, TimeField
from buff.grids import TimeGrid
from buff.solvers import SOLVERS, Solver, get_solver, integrate, trajectory
from tests.problems import nonlinear, nonlinear_solution

GRID = TimeGrid.uniform(4)


def test_trajectory_passes_through_every_time_of_the_grid():
    x0 = np.array([[1.0], [2.0]])
    grid = TimeGrid.uniform(40)
    states = list(trajectory(get_solver("rk4"), nonlinear, x0, grid))
    assert len(states) == 41
    assert states[0] is x0
    for t, x in zip(grid.times, states, strict=True):
        np.testing.assert_allclose(x, nonlinear_solution(x0, t), atol=1e-6)
    assert (integrate(get_solver("rk4"), nonlinear, x0, grid) == states[-1]).all()


def test_the_start_is_left_as_it_was():
    for solver in SOLVERS.values():
        if solver is SOLVERS["pc_0165_em250"]:
            continue
        x0 = np.full((3, 2), 0.5)
        integrate(solver, nonlinear, x0, TimeGrid.uniform(12), noise=np.ones_like)
        assert (x0 == 0.5).all()


def test_condition_reaches_the_field():
    def pull(x, t, condition):
        return condition - x

    condition = np.array([[0.0], [4.0]])
    for name in ("euler", "dpmpp_2m", "unipc3", "dopri5_adaptive", "scipy_rk45"):
        x = integrate(get_solver(name), pull, np.zeros((2, 1)), TimeGrid.uniform(300), condition)
        np.testing.assert_allclose(x, condition * (1 - np.exp(-1)), rtol=4e-3)


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"at t = 0 the field returned shape \(3,\) for states of shape \(3, 2\)"):
        integrate(get_solver("euler"), lambda x, t, c: x[:, 0], np.ones((3, 2)), GRID)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_by_time_and_rows(bad):
    def field(x, t, condition):
        u = x.copy()
        u[:1] = bad if t >= 0.5 else 0
        return u

    with pytest.raises(ValueError, match=r"at t = 0.5 the field returned non-finite values in 12.5 % of 8 rows"):
        integrate(get_solver("heun"), field, np.ones((8, 2)), GRID)


def test_a_start_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match=r"the states to start from have non-finite values in 50 % of 2 rows"):
        integrate(get_solver("euler"), nonlinear, np.array([[1.0], [np.nan]]), GRID)


@pytest.mark.parametrize("name", [n for n, s in SOLVERS.items() if s.stochastic])
def test_missing_noise_is_refused(name):
    with pytest.raises(ValueError, match=r"draws noise: pass noise=\.\.\."):
        integrate(SOLVERS[name], nonlinear, np.ones((1, 1)), TimeGrid.uniform(12))


def test_step_alone_asks_for_noise_too():
    with pytest.raises(ValueError, match="this solver draws noise"):
        get_solver("ddpm").step(nonlinear, np.ones((1, 1)), 0.2, 0.5)


def test_a_tolerance_that_trees_cannot_meet():
    steps = TimeField(lambda x, t, c: np.round(4 * x) / 4, piecewise_constant=True)
    nearest = NodeField((0.0, 1.0), [lambda x, c: x] * 2, off_node="nearest")
    for field in (steps, nearest):
        with pytest.raises(ValueError, match="rtol = 1e-05 cannot be met on a field that is constant by pieces"):
            integrate(get_solver("dopri5_adaptive"), field, np.ones((3, 1)), GRID)
    x = integrate(get_solver("dopri5_adaptive", rtol=0.1, atol=0.1), steps, np.ones((3, 1)), GRID)
    assert np.isfinite(x).all()


def test_no_state_is_kept_between_runs():
    """One solver serves two fields in turn, step by step."""
    solver = get_solver("unipc3")
    one = trajectory(solver, nonlinear, np.ones((1, 1)), GRID)
    two = trajectory(solver, lambda x, t, c: -x, np.ones((1, 1)), GRID)
    mixed = [(next(one), next(two)) for _ in range(5)][-1]
    assert mixed[0] == integrate(solver, nonlinear, np.ones((1, 1)), GRID)
    assert mixed[1] == integrate(solver, lambda x, t, c: -x, np.ones((1, 1)), GRID)


def test_a_solver_of_ones_own():
    class Leap(Solver):
        order = 0

        def advance(self, flow, x, t, s, memory):
            return x + (s - t) * flow.velocity(x, (t + s) / 2), None

    assert Leap().nodes(TimeGrid.uniform(2)) == (0.25, 0.75)
    assert integrate(Leap(), lambda x, t, c: 0 * x + 2 * t, np.zeros((1, 1)), GRID) == 1


def test_solvers_go_by_name():
    x0 = np.ones((2, 1))
    assert (integrate("unipc3", nonlinear, x0, GRID) == integrate(get_solver("unipc3"), nonlinear, x0, GRID)).all()
    with pytest.raises(ValueError, match="unknown solver 'unipc9': did you mean 'unipc3'[?] choose one of euler"):
        integrate("unipc9", nonlinear, x0, GRID)
    with pytest.raises(ValueError, match="did you mean 'dpmpp_2m'"):
        integrate("dpmpp2m", nonlinear, x0, GRID)
    euler = type(get_solver("ab1"))
    with pytest.raises(TypeError, match="not its class: found AdamsBashforth"):
        integrate(euler, nonlinear, x0, GRID)


@pytest.mark.parametrize(("answer", "kind"), [([1.0], "list"), (None, "NoneType")])
def test_what_is_no_array_is_named(answer, kind):
    with pytest.raises(TypeError, match=f"at t = 0 the field returned {kind}: an array like the states"):
        integrate("euler", lambda x, t, c: answer, np.ones((1, 1)), GRID)


def test_adaptive_solvers_name_a_wrong_shape_wherever_it_appears():
    with pytest.raises(ValueError, match=r"at t = 0\.\d+ the field returned shape \(3,\) for states of shape \(3, 2\)"):
        integrate("dopri5_adaptive", lambda x, t, c: x[:, 0] if t > 0.01 else x, np.ones((3, 2)), GRID)


def test_noise_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"noise returned shape \(3,\) for states of shape \(4, 2\)"):
        integrate("ddpm", nonlinear, np.ones((4, 2)), GRID, noise=lambda x: np.ones(3))


def test_times_in_a_list_are_a_grid_and_a_name_alone_is_none():
    x = integrate("euler", nonlinear, np.ones((1, 1)), [0.0, 0.5, 1.0])
    assert (x == integrate("euler", nonlinear, np.ones((1, 1)), TimeGrid.uniform(2))).all()
    with pytest.raises(
        TypeError, match="grid must be increasing times or a TimeGrid, as get_grid makes of a name: found 'dense'"
    ):
        integrate("euler", nonlinear, np.ones((1, 1)), "dense")


class Forgetful(Solver):
    """Returns states alone."""

    order = 1

    def advance(self, flow, x, t, s, memory):
        return x + (s - t) * flow.velocity(x, t)


def test_a_step_that_returns_no_memory_is_told_what_to_return():
    match = r"Forgetful.advance must return \(x, memory\), memory None if there is none: it returned ndarray"
    with pytest.raises(TypeError, match=match):
        integrate(Forgetful(), nonlinear, np.ones((1, 1)), GRID)
    with pytest.raises(TypeError, match=match):
        Forgetful().nodes(GRID)


@pytest.mark.parametrize("name", [name for name, solver in SOLVERS.items() if solver.stochastic])
def test_solvers_that_draw_noise_are_refused_from_data_to_noise(name):
    with pytest.raises(ValueError, match="run fields backwards without noise"):
        integrate(name, Reversed(TimeField(nonlinear)), np.ones((2, 1)), GRID, noise=np.ones_like)


def test_a_reversed_field_off_its_nodes_is_told_so():
    field = Reversed(NodeField((0.0, 0.3, 1.0), [lambda x, condition: x] * 3))
    match = r"t = 0.25, but it exists only at 3 nodes \(t = 0, 0.7, 1\); no solver stays on the nodes of this grid"
    with pytest.raises(OffGridError, match=match):
        integrate("ab2", field, np.ones((2, 1)), TimeGrid.uniform(4))
    assert integrate("ab2", field, np.ones((2, 1)), TimeGrid((0, 0.3, 1)).backwards()).shape == (2, 1)


class Sideways(Solver):
    """Returns a column of the states."""

    order = 1

    def advance(self, flow, x, t, s, memory):
        return (x + (s - t) * flow.velocity(x, t))[:, 0], None


class Quiet(Solver):
    """Draws noise and does not say so."""

    order = 1

    def advance(self, flow, x, t, s, memory):
        return x + flow.normal(x), None


def test_states_of_another_shape_are_named():
    match = r"Sideways.advance must return states like x, of shape \({}\): it returned shape \({}\)"
    with pytest.raises(ValueError, match=match.format("5, 2", "5,")):
        integrate(Sideways(), nonlinear, np.ones((5, 2)), GRID)
    with pytest.raises(ValueError, match=match.format("1, 1", "1,")):
        Sideways().nfe(GRID)


def test_a_field_of_other_arguments_is_told_how_it_is_called():
    x = np.ones((5, 2))
    expected = integrate("heun", lambda x, t, condition: -t * x, x, GRID)
    np.testing.assert_array_equal(integrate("heun", lambda x, t: -t * x, x, GRID), expected)
    with pytest.raises(ValueError, match="takes x and t alone: let it take the condition as a third"):
        integrate("euler", lambda x, t: -x, x, GRID, np.ones((5, 1)))
    for wrong in (lambda x: -x, lambda x, t, condition, more: -x):
        with pytest.raises(
            TypeError, match=r"called as field\(x, t, condition\), or as field\(x, t\): found <lambda>\(x"
        ):
            integrate("euler", wrong, x, GRID)
    with pytest.raises(TypeError, match=r"an object that is called, found the class itself: Falls\(\.\.\.\)"):
        integrate("euler", Falls, x, GRID)


class Falls:
    """No function, but called as one."""

    def __call__(self, x, t, condition):
        return -x


def test_noise_that_is_not_called_is_told_what_it_is():
    with pytest.raises(
        TypeError, match=r"draws noise: pass noise=\.\.\., called as noise\(x\).*; found Generator\(PCG64\)"
    ):
        integrate("ddpm", nonlinear, np.ones((5, 2)), GRID, noise=np.random.default_rng(0))


def test_solvers_say_that_they_draw_noise():
    with pytest.raises(ValueError, match="this solver draws noise: its class says stochastic = True"):
        integrate(Quiet(), nonlinear, np.ones((5, 2)), GRID, noise=np.zeros_like)


def test_states_and_noise_are_arrays_and_functions():
    with pytest.raises(TypeError, match=r"an array of shape \(n, d\), found list"):
        integrate("euler", lambda x, t: -x, [[1.0]], GRID)
    with pytest.raises(TypeError, match=r"noise is called as noise\(x\), such as lambda x: rng.standard_normal"):
        integrate("ddpm", lambda x, t: -x, np.ones((5, 2)), GRID, noise=np.random.default_rng(0).standard_normal)
