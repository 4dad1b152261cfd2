"""Fitted order of every deterministic solver on two problems, and weak order of the stochastic ones."""

import numpy as np
import pytest

from buff.fields import Framed, GaussianFlow
from buff.grids import TimeGrid, noise_grid
from buff.paths import LINEAR
from buff.solvers import (
    SOLVERS,
    AdamsBashforth,
    Interval,
    NoiseMultistep,
    RungeKutta,
    UniPC,
    describe_samplers,
    get_solver,
    integrate,
)
from tests.problems import P1, P2, VE, fitted_order, moments, nonlinear, nonlinear_solution

RECORDS = {record.name: record for record in describe_samplers()}
DETERMINISTIC = [name for name, s in SOLVERS.items() if not s.adaptive and not s.stochastic]


def error(solver, field, x0, grid, exact, path):
    """Largest error at the end. A multistep method is given exact states for its first steps.

    Its own start, one order after the other, would limit what can be seen of its order.
    """
    multistep = isinstance(solver, AdamsBashforth | NoiseMultistep) or type(solver).__name__ in (
        "ExponentialMultistep",
        "PseudoNumerical",
    )
    x, memory = x0, None
    for i, (t, s) in enumerate(solver.steps(grid, path)):
        x, memory = solver.step(field, x, t, s, memory=memory)
        x = exact(s) if multistep and i < 4 else x
    return abs(x - exact(grid.times[-1])).max()


def two_peaks(solver, n_steps):
    """P2 in reduced coordinates; Dormand-Prince on the linear path, where round-off leaves it more room."""
    x0 = np.array([[-1.7], [-0.6], [0.1], [0.9], [1.9]])
    if solver.order == 5:
        field, grid = P2.field(), TimeGrid.uniform(n_steps)
    else:
        field, grid, x0 = (
            P2.field(VE),
            TimeGrid.of_ratios(VE, noise_grid("karras", n_steps, low=0.05, high=10.0)),
            10 * x0,
        )
    start = field.path.at(grid.times[0])

    def exact(t):
        return np.array([[P2.carried(x, start, field.path.at(t))] for x in x0[:, 0]])

    return error(solver, field, x0, grid, exact, field.path)


def decay(solver, n_steps):
    """dx/dt = -t x^3, taken as a velocity on the linear path."""
    grid = TimeGrid(tuple(0.1 + 0.8 * t for t in TimeGrid.uniform(n_steps).times), partial=True)
    x0 = np.array([[-3.0], [5.0]])
    start = x0 / np.sqrt(1 - (0.1 * x0) ** 2)  # where the solution through x0 at t = 0.1 would be at t = 0
    return error(solver, nonlinear, x0, grid, lambda t: nonlinear_solution(start, t), P1.field().path)


def steps_for(name, problem):
    """Step numbers at which the leading error rules and round-off does not."""
    solver = SOLVERS[name]
    if solver.order == 5:
        return (48, 96) if problem is two_peaks else (144, 192)
    if name == "unipc3":  # its start, of lower order, shows beyond
        return (192, 384) if problem is two_peaks else (24, 48, 96)
    if isinstance(solver, NoiseMultistep) and solver.order > 2:
        return 384, 768
    span = getattr(solver, "span", 1)
    return 96 * span, 192 * span


@pytest.mark.parametrize("problem", [two_peaks, decay])
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_order(name, problem):
    solver, steps = SOLVERS[name], steps_for(name, problem)
    assert fitted_order(steps, [problem(solver, n) for n in steps]) == pytest.approx(solver.order, abs=0.25)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_orders_are_listed_as_they_are_with_the_start_that_rules_have(name):
    """Integrated from the first step on, between finite sigmas, in steps even in lambda."""
    listed = RECORDS[name].order
    field = Framed(P2.field(), GaussianFlow.of(np.zeros(1), np.eye(1)))  # in which "ifab2" differs from "ab2"
    x0, errors, steps = np.linspace(-1.7, 1.9, 9)[:, None], [], (12, 24) if listed == 5 else (192, 384)
    for n in steps:
        grid = TimeGrid.of_ratios(LINEAR, noise_grid("lu", n, low=0.3, high=1.5))
        start, end = field.path.at(grid.times[0]), field.path.at(grid.times[-1])
        exact = np.array([[P2.carried(x, start, end)] for x in x0[:, 0]])
        errors.append(abs(integrate(name, field, x0, grid) - exact).max())
    assert fitted_order(steps, errors) == pytest.approx(listed, abs=0.15)


@pytest.mark.parametrize(("start", "order"), [("euler", 2), ("heun", 3), ("rk4", 4)])
@pytest.mark.parametrize("solver", [AdamsBashforth(4), NoiseMultistep(4)], ids=["ab", "lms"])
def test_start_limits_the_order_of_a_multistep_method(solver, start, order):
    """The very first step has a local error of one order above the start's."""
    started = get_solver(solver, start=start)
    field, x0 = P2.field(VE), np.array([[10.0], [-7.0]])
    # equal steps in sigma, so that the first one matters
    errors = []
    steps = (512, 1024)
    for n in steps:
        grid = TimeGrid.of_ratios(VE, noise_grid("karras", n, low=0.3, high=1.5, rho=1.0))
        start_of, end = VE.at(grid.times[0]), VE.at(grid.times[-1])
        exact = np.array([[P2.carried(x, start_of, end)] for x in x0[:, 0] / 10])
        errors.append(abs(integrate(started, field, x0 / 10, grid) - exact).max())
    assert fitted_order(steps, errors) == pytest.approx(order, abs=0.4)


@pytest.mark.parametrize(
    "name", ["rk4", "bogacki_shampine", "ab3", "lms3", "deis3", "dpm3", "dpmpp_3m", "unipc2", "unipc3"]
)
def test_ends_without_noise_or_signal_leave_rules_in_lambda_order_2(name):
    """From 0 to 1, with the start that rules have; no less than what is listed, and no order more."""
    listed = RECORDS[name].order_at_ends
    field, x0 = P2.field(), np.linspace(-1.7, 1.9, 9)[:, None]
    start, end = field.path.at(0.0), field.path.at(1.0)
    exact, steps = np.array([[P2.carried(x, start, end)] for x in x0[:, 0]]), (192, 384)
    errors = [abs(integrate(name, field, x0, TimeGrid.uniform(n)) - exact).max() for n in steps]
    assert listed - 0.25 < fitted_order(steps, errors) < listed + 0.5


@pytest.mark.parametrize("name", ["dpmpp_2m", "dpmpp_3m", "unipc2", "unipc3", "deis3"])
def test_finite_ends_keep_rules_in_lambda_accurate_at_few_steps(name):
    """Even steps in lambda between finite ends, and one step to each pure end."""
    field, x0 = P2.field(), np.linspace(-1.7, 1.9, 99)[:, None]
    start, end = field.path.at(0.0), field.path.at(1.0)
    exact = np.array([[P2.carried(x, start, end)] for x in x0[:, 0]])
    inner = TimeGrid.of_ratios(LINEAR, noise_grid("lu", 10, append_zero=True, low=0.05, high=20))
    finite, uniform = (
        abs(integrate(name, field, x0, grid) - exact).mean()
        for grid in (TimeGrid((0, *inner.times)), TimeGrid.uniform(12))
    )
    assert finite < 0.85 * uniform


def gaussian_in_sigma(solver, n_steps):
    """Error of mean and variance on P1, exact because every solver is affine there."""
    grid = TimeGrid.of_ratios(VE, noise_grid("karras", n_steps, low=0.05, high=10.0))
    mean, variance = moments(solver, P1.field(VE), grid, 1.3, 0.25 + 100)
    return max(abs(mean - 1.3), abs(variance - 0.2525))


def gaussian_in_time(solver, n_steps):
    mean, variance = moments(solver, P1.field(), TimeGrid.uniform(n_steps), 0.0, 1.0)
    return max(abs(mean - 1.3), abs(variance - 0.25))


WEAK = {
    "ddpm": 1,
    "ddpm_large": 1,
    "euler_ancestral": 1,
    "dpm2_ancestral": 2,
    "dpmpp_2s_ancestral": 2,
    "dpmpp_sde": 2,
    "dpmpp_2m_sde": 2,
    "dpmpp_3m_sde": 2,
    "edm_stochastic": 2,
    "edm_stochastic_nodes": 2,
    "restart_nodes": 2,
    "euler_maruyama": 1,
    "reverse_diffusion": 1,
}


@pytest.mark.parametrize("name", WEAK)
def test_weak_order(name):
    solver = SOLVERS[name]
    assert solver.order == WEAK[name]
    steps = (256, 512) if name.startswith("edm") else (128, 256)
    errors = [gaussian_in_sigma(solver, n) for n in steps]
    assert fitted_order(steps, errors) == pytest.approx(solver.order, abs=0.3)


@pytest.mark.parametrize(
    ("changed", "order"),
    [
        (get_solver("dpmpp_sde", brownian=False), 1),
        (get_solver("edm_stochastic", gamma=0.1), 1),
        (get_solver("euler_maruyama", noise_at_end=True), 1),
        (get_solver("euler_maruyama", diffusion="reverse"), 1),
        (get_solver("dpmpp_2m_sde", eta_sde=0.5), 2),
        (get_solver("ddim", eta_ddim=0.5), 1),
    ],
    ids=str,
)
def test_weak_order_of_variants(changed, order):
    steps = (128, 256)
    assert fitted_order(steps, [gaussian_in_sigma(changed, n) for n in steps]) == pytest.approx(order, abs=0.3)


@pytest.mark.parametrize("name", ["ddpm", "ddim", "euler_maruyama", "reverse_diffusion"])
def test_weak_order_from_pure_noise_to_data(name):
    solver = get_solver(name, noise_at_end=True) if name == "euler_maruyama" else SOLVERS[name]
    steps = (128, 256)
    assert fitted_order(steps, [gaussian_in_time(solver, n) for n in steps]) == pytest.approx(1, abs=0.3)


def test_restart_has_the_order_of_its_solver_once_its_own_steps_shrink_too():
    steps = (64, 128)
    errors = [
        gaussian_in_sigma(get_solver("restart", intervals=(Interval(n // 4 + 1, 2, 0.14, 0.3),)), n) for n in steps
    ]
    assert fitted_order(steps, errors) == pytest.approx(2, abs=0.3)


def test_noise_scale_other_than_one_leaves_a_bias_in_the_variance():
    biased, fair = (get_solver("edm_stochastic", s_noise=s) for s in (1.05, 1.0))
    assert gaussian_in_sigma(biased, 512) > 10 * gaussian_in_sigma(fair, 512)


def test_every_stochastic_solver_is_tested():
    untested = {name for name, s in SOLVERS.items() if s.stochastic} - set(WEAK)
    assert untested == {"restart", "predictor_corrector", "pc_0165_em250", "consistency"}


def test_runge_kutta_from_noise_to_data_keeps_its_order():
    for tableau_solver in (s for s in SOLVERS.values() if isinstance(s, RungeKutta) and s.span == 1 and s.order < 5):
        steps = (64, 128)
        x0 = np.array([[-1.0], [0.5]])
        exact = np.array([[P2.carried(x, P2.field().path.at(0.0), P2.field().path.at(1.0))] for x in x0[:, 0]])
        errors = [abs(integrate(tableau_solver, P2.field(), x0, TimeGrid.uniform(n)) - exact).max() for n in steps]
        assert fitted_order(steps, errors) == pytest.approx(tableau_solver.order, abs=0.25)


def test_unipc_gains_an_order_by_correcting():
    x = {p: (two_peaks(UniPC(p, corrector=False), 192), two_peaks(UniPC(p), 192)) for p in (1, 2, 3)}
    assert all(corrected < predicted / 5 for predicted, corrected in x.values())
