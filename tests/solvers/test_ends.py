"""From pure noise to pure data without a division by zero, on every path and in every precision."""

import numpy as np
import pytest

from buff.fields import Reversed
from buff.grids import TimeGrid
from buff.paths import LINEAR, get_path
from buff.solvers import SOLVERS, DenoisedEnd, get_solver, integrate
from tests.problems import P1, P2, P3, nonlinear

ALL = [name for name in SOLVERS if name != "pc_0165_em250"]
IN_TIME = (
    "euler",
    "heun",
    "midpoint",
    "ralston",
    "bogacki",
    "rk4",
    "rk38",
    "dopri5",
    "ab",
    "scipy",
    "predictor",
)
IN_NOISE = [name for name in ALL if not name.startswith(IN_TIME) or name == "euler_ancestral"]
GRID = TimeGrid.uniform(12)


def noise_of(seed):
    rng = np.random.default_rng(seed)
    return lambda x: rng.standard_normal(x.shape).astype(x.dtype)


@pytest.mark.parametrize(
    "path", [LINEAR, get_path("trigonometric"), get_path("subvp")], ids=["lin", "trig", "subvp"]
)
@pytest.mark.parametrize("name", ALL)
def test_finite_and_near_the_data(name, path):
    x0 = np.random.default_rng(1).standard_normal((400, 1))
    x = integrate(SOLVERS[name], P2.field(path), x0, GRID, noise=noise_of(2))
    assert np.isfinite(x).all()
    assert abs(x.mean() - P2.mean) < 0.35
    assert 0.3 < x.std() / P2.variance**0.5 < 2


@pytest.mark.parametrize("name", IN_NOISE)
def test_paths_without_a_velocity_at_the_data(name):
    """VP: nothing that works in lambda or sigma asks for the velocity at t = 1."""
    x0 = np.random.default_rng(1).standard_normal((50, 1))
    assert np.isfinite(integrate(SOLVERS[name], P2.field(get_path("vp")), x0, GRID, noise=noise_of(2))).all()


def test_a_velocity_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no velocity at t = 1: end the grid"):
        integrate(get_solver("heun"), P2.field(get_path("vp")), np.ones((1, 1)), GRID)


@pytest.mark.parametrize("name", ["heun", "rk4", "dopri5_adaptive", "scipy_rk45", "euler_maruyama"])
def test_a_denoised_end_needs_no_velocity_there(name):
    vp, x0 = get_path("vp"), np.array([[-1.0], [0.2]])
    grid = TimeGrid.of_ratios(vp, [*np.geomspace(vp.at(0.0).ratio, 1e-3, 100), 0.0])
    x = integrate(DenoisedEnd(get_solver(name)), P2.field(vp), x0, grid, noise=noise_of(2))
    if name != "euler_maruyama":
        exact = [[P2.carried(v, vp.at(0.0), vp.at(1.0))] for v in x0[:, 0]]
        np.testing.assert_allclose(x, exact, atol=2e-3)


@pytest.mark.parametrize("name", IN_NOISE)
def test_a_point_is_reached_from_pure_noise(name):
    """Exact to rounding: x = D at the end."""
    x0 = np.random.default_rng(1).standard_normal((20, 1))
    x = integrate(SOLVERS[name], P3.field(), x0, GRID, noise=noise_of(2))
    np.testing.assert_allclose(x, 0.7, atol=1e-10)


def test_velocity_at_both_ends():
    x = np.array([[-1.0], [2.0]])
    np.testing.assert_allclose(P2.field()(x, 0.0), P2.mean - x)
    np.testing.assert_allclose(P2.field()(x, 1.0), x, atol=1e-12)


@pytest.mark.parametrize(
    "name", [n for n in ALL if n != "consistency"]
)  # which does not damp rounding errors
def test_float32_stays_float32(name):
    x0 = np.linspace(-1, 1, 7)[:, None]
    noises = [np.random.default_rng(i).standard_normal(x0.shape) for i in range(100)]
    grid = TimeGrid(tuple(0.1 + 0.8 * t for t in GRID.times), partial=True)
    ends = []
    for dtype in (np.float32, np.float64):
        draws = iter(noises)
        x = integrate(
            SOLVERS[name],
            nonlinear,
            x0.astype(dtype),
            grid,
            noise=lambda x, d=draws, t=dtype: next(d).astype(t),
        )
        assert x.dtype == dtype
        ends.append(x)
    np.testing.assert_allclose(ends[0], ends[1], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", [n for n in ALL if n != "scipy_rk45"])  # one step size for all rows
def test_a_row_does_not_depend_on_its_batch(name):
    x0 = np.random.default_rng(3).standard_normal((9, 1))
    noises = [np.random.default_rng(i).standard_normal(x0.shape) for i in range(200)]

    def run(rows):
        draws = iter(noises)
        return integrate(SOLVERS[name], P2.field(), x0[rows], GRID, noise=lambda x: next(draws)[rows])

    together = run(slice(None))
    assert (together == np.concatenate([run(slice(0, 1)), run(slice(1, 5)), run(slice(5, 9))])).all()


@pytest.mark.parametrize("name", [n for n in ALL if SOLVERS[n].stochastic])
def test_same_seed_same_sample(name):
    x0 = np.zeros((5, 2))
    one, same, other = (
        integrate(SOLVERS[name], P1.field(), x0, GRID, noise=noise_of(seed)) for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).all()


@pytest.mark.parametrize(
    "name", ["heun", "rk4", "ab3", "ddim", "dpmpp_2m", "dpmpp_3m", "unipc2", "edm", "lms3", "deis3"]
)
def test_there_and_back(name):
    """Data to noise along the reversed field returns where noise to data started."""
    x0, grid = np.array([[-0.9], [0.3], [1.1]]), TimeGrid.uniform(200)
    x1 = integrate(get_solver(name), P1.field(), x0, grid)
    back = integrate(get_solver(name), Reversed(P1.field()), x1, grid)
    np.testing.assert_allclose(back, x0, atol=0.02)
