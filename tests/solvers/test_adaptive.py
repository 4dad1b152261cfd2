"""Error control, row by row."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from buff.fields import Counted
from buff.grids import TimeGrid
from buff.solvers import (
    HEUN,
    SOLVERS,
    Adaptive,
    AdaptiveExponential,
    ExponentialSinglestep,
    ScipyAdaptive,
    get_solver,
    integrate,
)
from tests.problems import P2, nonlinear, nonlinear_solution

ONE_STEP = TimeGrid.uniform(1)
NAMES = ("dopri5_adaptive", "bogacki_shampine_adaptive", "scipy_rk45")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tolerance", [1e-4, 1e-7])
def test_error_follows_the_tolerance(name, tolerance):
    x0 = np.array([[-2.0], [0.1], [1.0], [9.0]])
    x = integrate(get_solver(name, rtol=tolerance, atol=tolerance), nonlinear, x0, ONE_STEP)
    error = abs(x - nonlinear_solution(x0, 1.0)).max()
    assert error < 20 * tolerance
    finer = integrate(get_solver(name, rtol=tolerance / 100, atol=tolerance / 100), nonlinear, x0, ONE_STEP)
    assert abs(finer - nonlinear_solution(x0, 1.0)).max() < error / 5


@pytest.mark.parametrize("name", NAMES)
def test_two_peaks_from_noise_to_data(name):
    x0 = np.array([[-1.5], [0.2], [1.0]])
    ends = P2.field().path.at(0.0), P2.field().path.at(1.0)
    exact = np.array([[P2.carried(x, *ends)] for x in x0[:, 0]])
    x = integrate(get_solver(name, rtol=1e-8, atol=1e-8), P2.field(), x0, ONE_STEP)
    np.testing.assert_allclose(x, exact, atol=1e-6)


def test_a_row_does_not_depend_on_its_batch():
    """Rows that need a hundred steps beside rows that need one."""
    x0 = np.array([[1e-3, 2.0], [30.0, -8.0], [0.5, 0.5]])
    solver = get_solver("dopri5_adaptive")
    condition = np.array([[1.0], [5.0], [0.1]])

    def field(x, t, condition):
        return -condition * t * x**3

    together = integrate(solver, field, x0, ONE_STEP, condition)
    alone = [integrate(solver, field, x0[i : i + 1], ONE_STEP, condition[i : i + 1]) for i in range(3)]
    assert (together == np.concatenate(alone)).all()


def test_rows_share_calls():
    counted = Counted(P2.field())
    x0 = np.random.default_rng(0).standard_normal((60, 1))
    integrate(get_solver("dopri5_adaptive"), counted, x0, ONE_STEP)
    alone = []
    for i in range(60):
        single = Counted(P2.field())
        integrate(get_solver("dopri5_adaptive"), single, x0[i : i + 1], ONE_STEP)
        alone.append(single.nfe)
    assert counted.nfe < 3 * max(alone)


def test_no_more_calls_than_twice_those_of_scipy():
    """Halving costs at most the rejected steps above the accepted ones."""
    calls = 0

    def slope(t, x):
        nonlocal calls
        calls += 1
        return nonlinear(x, t)

    solve_ivp(slope, (0, 1), [5.0], rtol=1e-6, atol=1e-6)
    counted = Counted(P2.field())
    counted.field = nonlinear
    integrate(get_solver("dopri5_adaptive", rtol=1e-6, atol=1e-6), counted, np.array([[5.0]]), ONE_STEP)
    assert counted.nfe < 2 * calls


def test_smooth_intervals_cost_six_calls_each_and_one():
    """First slope of a step is the last of the one before."""
    counted = Counted(P2.field())
    counted.field = lambda x, t, condition: -x
    integrate(get_solver("dopri5_adaptive", rtol=0.1, atol=0.1), counted, np.ones((4, 1)), TimeGrid.uniform(5))
    assert counted.nfe == 6 * 5 + 1


def test_field_is_not_written_to():
    constant = np.array([[1.0], [np.e]])

    def field(x, t, condition):
        return constant if len(x) == 2 else 50 * np.sin(50 * t) * x

    integrate(get_solver("dopri5_adaptive", rtol=0.5, atol=0.5), field, np.ones((2, 1)), ONE_STEP)
    assert (constant == [[1.0], [np.e]]).all()


def test_values_that_are_not_finite_are_named():
    def field(x, t, condition):
        return x * np.where(t < 0.5, 1, np.nan)

    with pytest.raises(ValueError, match=r"at t = 0.5\d* the field returned non-finite values in 100 % of 3 rows"):
        integrate(get_solver("dopri5_adaptive"), field, np.ones((3, 1)), ONE_STEP)


def jumps(x, t, condition):
    return np.where(x > 0.3337, -40.0, 40.0)


def test_a_field_with_jumps_is_given_up_with_a_clear_message():
    x0 = np.linspace(-1, 1, 10)[:, None]
    with pytest.raises(ValueError, match=r"cannot be met in \[.*smallest step 0.001, for .* constant by pieces"):
        integrate(Adaptive(min_step=1e-3), jumps, x0, ONE_STEP)
    with pytest.raises(ValueError, match=r"cannot be met in \[.*after 50 field calls"):
        integrate(Adaptive(max_nfe=50), jumps, x0, ONE_STEP)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rtol": 0.0}, "tolerances need"),
        ({"rtol": 1.0}, "tolerances need"),
        ({"atol": -1.0}, "tolerances need"),
        ({"min_step": 0.0}, "0 < min_step < 1"),
        ({"max_nfe": 0}, "max_nfe >= 1"),
        ({"tableau": HEUN}, "Heun has no embedded method"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        get_solver("dopri5_adaptive", **change)


def test_scipy_methods():
    for method in ("RK23", "DOP853", "LSODA", "Radau", "BDF"):
        x = integrate(ScipyAdaptive(method, rtol=1e-8, atol=1e-8), nonlinear, np.array([[2.0]]), ONE_STEP)
        assert abs(x - nonlinear_solution(2.0, 1.0)) < 1e-5
    with pytest.raises(ValueError, match="unknown method 'euler': choose one of RK45"):
        ScipyAdaptive("euler")


@pytest.mark.parametrize("basis", ["noise", "denoised"])
@pytest.mark.parametrize(("name", "order"), [("dpm12_adaptive", 2), ("dpm23_adaptive", 3)])
def test_exponential_pairs_cost_what_their_order_says(name, order, basis):
    """A step's error grows with its order's power, and the tolerance sets that of the rule below."""
    x0 = np.array([[-1.7], [-0.6], [0.1], [0.9], [1.9]])
    ends = P2.field().path.at(0.0), P2.field().path.at(1.0)
    exact = np.array([[P2.carried(x, *ends)] for x in x0[:, 0]])
    fractions = SOLVERS[name].inner.fractions
    nfe = []
    for tolerance in (1e-3, 1e-5):
        counted = Counted(P2.field())
        solver = AdaptiveExponential(ExponentialSinglestep(fractions, basis), rtol=tolerance, atol=tolerance)
        x = integrate(solver, counted, x0, ONE_STEP)
        assert abs(x - exact).max() < 20 * tolerance
        nfe.append(counted.nfe)
    assert 0.6 * 100 ** (1 / order) < nfe[1] / nfe[0] < 1.4 * 100 ** (1 / order)


def test_exponential_rows_do_not_depend_on_their_batch():
    x0 = np.random.default_rng(0).normal(size=(20, 3))
    solver = get_solver("dpm23_adaptive", rtol=1e-3, atol=1e-3)
    field = P2.field()
    together = integrate(solver, field, x0, ONE_STEP)
    alone = np.concatenate([integrate(solver, field, row[None], ONE_STEP) for row in x0])
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-12)


def test_pure_ends_are_parted_from_what_is_controlled():
    steps = get_solver("dpm12_adaptive", high=9.0, low=0.25).steps(TimeGrid.uniform(2))
    np.testing.assert_allclose(steps, [(0, 0.1), (0.1, 0.5), (0.5, 0.8), (0.8, 1)])
    inner = TimeGrid((0.1, 0.9), partial=True)
    assert get_solver("dpm12_adaptive").steps(inner) == inner.steps


def test_exponential_pairs_give_up_on_jumps():
    with pytest.raises(ValueError, match=r"cannot be met in \[.*constant by pieces"):
        integrate(get_solver("dpm23_adaptive", rtol=1e-3), jumps, np.linspace(-1, 1, 10)[:, None], ONE_STEP)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rtol": 0.0}, "tolerances need"),
        ({"inner": ExponentialSinglestep()}, "steps of order 2 or 3: found order 1"),
        ({"high": 1e-5}, "0 < low < high"),
        ({"min_step": 0.0}, "min_step > 0"),
        ({"max_nfe": 0}, "max_nfe >= 1"),
    ],
)
def test_bad_settings_of_exponential_pairs(change, message):
    with pytest.raises(ValueError, match=message):
        get_solver("dpm23_adaptive", **change)
