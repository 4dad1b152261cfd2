"""Field calls: how many, and where."""

import numpy as np
import pytest

from buff.errors import OffGridError
from buff.fields import Counted, NodeField, Retimed, TimeField
from buff.grids import TimeGrid, get_grid, noise_grid
from buff.paths import REDUCED
from buff.solvers import SOLVERS, describe_samplers, get_solver, integrate
from tests.problems import P2, VE

FIXED = [name for name, s in SOLVERS.items() if not s.adaptive and name != "pc_0165_em250"]
N = 12

#: Field calls over N = 12 steps that touch neither pure noise nor pure data.
NFE = {
    **dict.fromkeys(
        ("euler", "ab1", "ab2", "ab3", "ab4", "ifab1", "ifab2", "ifab3", "ipndm", "consistency", "midpoint_nodes"), N
    ),
    **dict.fromkeys([f"{family}{k}" for family in ("lms", "deis") for k in (1, 2, 3, 4)], N),
    **dict.fromkeys(("unipc1", "unipc2", "unipc3", "ddim", "ddpm", "ddpm_large", "euler_ancestral"), N),
    **dict.fromkeys(("dpm1", "dpmpp_2m", "dpmpp_3m", "dpmpp_3m_published", "dpmpp_2m_sde", "dpmpp_3m_sde"), N),
    **dict.fromkeys(("dpm2_nodes", "dpm3_nodes", "dpmpp_2s_nodes", "dpmpp_3s_nodes"), N),
    **dict.fromkeys(("euler_maruyama", "reverse_diffusion"), N),
    **dict.fromkeys(("midpoint", "ralston", "heun", "dpm2", "dpmpp_2s", "dpmpp_sde", "edm"), 2 * N),
    **dict.fromkeys(("dpm2_ancestral", "dpmpp_2s_ancestral", "edm_stochastic", "predictor_corrector"), 2 * N),
    **dict.fromkeys(("edm_stochastic_nodes", "rk4_nodes"), 2 * N),
    **dict.fromkeys(("bogacki_shampine", "dpm3", "dpmpp_3s"), 3 * N),
    **dict.fromkeys(("rk4", "rk38"), 4 * N),
    "dopri5": 6 * N,
    "pndm": N + 9,
    "ralston_nodes": 2 * N // 3,
    "rk38_nodes": 4 * N // 3,
    "bogacki_shampine_nodes": 3 * N // 4,
    "restart": 2 * N + 2 * 2 * 2,
    "restart_nodes": 2 * N + 2 * 2,
}


def normal(x):
    return np.random.default_rng(0).standard_normal(x.shape)


@pytest.mark.parametrize("name", FIXED)
def test_number_of_calls(name):
    grid = TimeGrid.of_ratios(VE, noise_grid("karras", N, low=0.05, high=10.0))
    field = Counted(P2.field(VE))
    integrate(SOLVERS[name], field, np.ones((3, 1)), grid, noise=normal)
    assert field.nfe == NFE.get(name, field.nfe)
    assert SOLVERS[name].nfe(grid, VE) == field.nfe


def test_heun_in_sigma_saves_the_call_at_the_data():
    grid = TimeGrid.of_ratios(VE, noise_grid("karras", 17, append_zero=True))
    assert get_solver("edm").nfe(grid, VE) == 2 * 18 - 1


@pytest.mark.parametrize(("intervals", "n_steps", "nfe"), [("cifar_edm_18", 18, 43), ("imagenet_36", 36, 203)])
def test_published_cost_of_restart(intervals, n_steps, nfe):
    grid = TimeGrid.of_ratios(REDUCED, noise_grid("karras", n_steps - 1, append_zero=True))
    assert get_solver("restart", intervals=intervals).nfe(grid, REDUCED) == nfe


def test_a_preset_of_250_steps_costs_500():
    assert SOLVERS["pc_0165_em250"].nfe(TimeGrid.uniform(250)) == 500
    with pytest.raises(ValueError, match="asks for a grid of 250 steps: found 20"):
        SOLVERS["pc_0165_em250"].nfe(TimeGrid.uniform(20))


@pytest.mark.parametrize("grid", [TimeGrid.uniform(N), get_grid("dense", N)], ids=["uniform", "dense"])
@pytest.mark.parametrize("name", FIXED)
def test_a_field_with_models_at_the_nodes_is_all_a_solver_needs(name, grid):
    """Train where you evaluate: models at ``nodes(grid)`` give what a field at every time gives."""
    if name == "restart_nodes" and grid != TimeGrid.uniform(N):
        grid = TimeGrid.uniform(N)
    solver, exact = SOLVERS[name], P2.field()
    nodes = solver.nodes(grid)
    field = NodeField(nodes, [lambda x, condition, t=t: exact(x, t) for t in nodes])
    x0 = np.linspace(-1.5, 1.5, 5)[:, None]
    on_nodes = integrate(solver, field, x0, grid, noise=normal)
    np.testing.assert_allclose(on_nodes, integrate(solver, exact, x0, grid, noise=normal), atol=1e-7)


def test_nodes_of_a_field_moved_to_another_path():
    """Models on the linear path serve a solver in sigma whose grid has the same levels."""
    levels = noise_grid("karras", N, low=0.05, high=10.0)
    exact, times = P2.field(), TimeGrid.of_ratios(P2.field().path, levels).times
    field = Retimed(NodeField(times, [lambda x, condition, t=t: exact(x, t) for t in times]), VE)
    grid, x0 = TimeGrid.of_ratios(VE, levels), np.array([[5.0], [-12.0]])
    moved = integrate(get_solver("heun"), field, x0, grid)
    np.testing.assert_allclose(moved, integrate(get_solver("heun"), P2.field(VE), x0, grid), atol=1e-8)


def test_off_grid_times_are_refused_with_the_solvers_that_would_do():
    grid = TimeGrid.uniform(N)
    field = NodeField(grid.times, [lambda x, condition: x] * (N + 1))
    fitting = {record.name for record in describe_samplers() if record.stays_on in ("any grid", "uniform in t")}
    for name, solver in SOLVERS.items():
        if name in fitting - {"pc_0165_em250"}:
            integrate(solver, field, np.ones((2, 1)), grid, noise=normal)
            continue
        if name == "pc_0165_em250":
            continue
        with pytest.raises(OffGridError, match="these solvers stay on the nodes: euler, midpoint_nodes") as caught:
            integrate(solver, field, np.ones((2, 1)), grid, noise=normal)
        listed = set(str(caught.value).rpartition(": ")[2].split(", "))
        assert listed == fitting - {"pc_0165_em250"}


def test_classification_by_grid():
    stays = {record.name: record.stays_on for record in describe_samplers()}
    for name in (
        "euler",
        "heun",
        "ab3",
        "dpmpp_2m",
        "dpmpp_3m_sde",
        "deis3",
        "ipndm",
        "unipc3",
        "euler_maruyama",
    ):
        assert stays[name] == "any grid"
    # at eta = 1 the middle of an ancestral second-order step falls on the end of the step
    assert stays["dpm2_ancestral"] == "any grid"
    for name in ("midpoint", "rk4", "dopri5", "dpm2", "dpmpp_sde", "pndm", "edm_stochastic", "restart"):
        assert stays[name] == "none"
    for name in ("midpoint_nodes", "ralston_nodes", "rk4_nodes", "rk38_nodes", "bogacki_shampine_nodes"):
        assert stays[name] == "uniform in t"
    for name in ("dpm2_nodes", "dpm3_nodes", "dpmpp_2s_nodes", "dpmpp_3s_nodes"):
        assert stays[name] == "uniform in lambda"


@pytest.mark.parametrize(("off_node", "order"), [("nearest", 1), ("interpolate", 2)])
def test_what_reading_between_nodes_costs(off_node, order):
    """Dormand-Prince, of order 5, on a field read off its nodes."""
    exact, x0, errors = P2.field(), np.array([[-1.0], [0.5]]), []
    ends = exact.path.at(0.0), exact.path.at(1.0)
    for n in (64, 128):
        grid = TimeGrid.uniform(n)
        models = [lambda x, condition, t=t: exact(x, t) for t in grid.times]
        x = integrate(get_solver("dopri5"), NodeField(grid.times, models, off_node=off_node), x0, grid)
        errors.append(abs(x - np.array([[P2.carried(v, *ends)] for v in x0[:, 0]])).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


def test_nodes_take_the_exact_times_of_the_grid():
    grid = TimeGrid.uniform(10)
    assert get_solver("heun").nodes(grid) == grid.times
    assert get_solver("ab2").nodes(grid) == grid.times[:-1]
    assert get_solver("rk4_nodes").nodes(grid) == grid.times


def test_an_adaptive_solver_has_no_nodes():
    with pytest.raises(ValueError, match="chooses its times as it goes"):
        get_solver("dopri5_adaptive").nodes(TimeGrid.uniform(4))
    field = NodeField((0.0, 1.0), [lambda x, condition: x] * 2)
    with pytest.raises(OffGridError, match="times of its own choice"):
        integrate(get_solver("dopri5_adaptive"), field, np.ones((1, 1)), TimeGrid.uniform(1))


def test_steps_over_several_intervals_need_a_multiple():
    with pytest.raises(ValueError, match="n_steps = 7 is not a multiple of 2"):
        get_solver("rk4_nodes").nodes(TimeGrid.uniform(7))


def test_time_field_and_plain_function_agree():
    grid, x0 = TimeGrid.uniform(6), np.ones((2, 1))

    def plain(x, t, condition):
        return -t * x**3

    for name in ("heun", "unipc2"):
        assert (
            integrate(get_solver(name), plain, x0, grid) == integrate(get_solver(name), TimeField(plain), x0, grid)
        ).all()
