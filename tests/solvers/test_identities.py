"""Solvers that must agree, to 1e-10."""

from itertools import pairwise

import numpy as np
import pytest

from buff.fields import Retimed
from buff.grids import TimeGrid, noise_grid
from buff.paths import LINEAR, get_path
from buff.solvers import SOLVERS, ExponentialMultistep, Interval, get_solver, integrate, trajectory
from tests.problems import P2, P3, VE, ratios_path

RATIOS = noise_grid("karras", 12, low=0.05, high=10.0)
X0 = np.array([[-17.0], [-6.0], [1.0], [9.0]])
PATHS = {"linear": LINEAR, "trigonometric": get_path("trigonometric"), "vp": get_path("vp")}

#: Solvers that work in sigma / alpha or its logarithm: the same on every path. A tolerance is one on the states.
PATHLESS = [
    name
    for name in SOLVERS
    if name.startswith(("dpm", "dpmpp", "lms", "deis", "unipc", "ddim", "ddpm", "edm", "restart", "reverse"))
    or name in ("ipndm", "euler_ancestral", "consistency")
    if "nodes" not in name and "adaptive" not in name
]


def run(solver, field, x0, grid):
    rng = np.random.default_rng(5)
    return integrate(solver, field, x0, grid, noise=lambda x: rng.standard_normal(x.shape))


def on_path(name, path, **changes):
    """The end of a run on a path, in reduced coordinates."""
    grid = TimeGrid.of_ratios(path, RATIOS)
    start, end = path.at(grid.times[0]), path.at(grid.times[-1])
    return run(get_solver(name, **changes), P2.field(path), start.alpha * X0, grid) / end.alpha


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", PATHLESS)
def test_path_does_not_matter_in_reduced_coordinates(name, path):
    np.testing.assert_allclose(on_path(name, PATHS[path]), on_path(name, VE), atol=1e-10)


@pytest.mark.parametrize("basis", ["noise", "denoised"])
def test_path_does_not_matter_for_both_bases_of_unipc(basis):
    for path in PATHS.values():
        np.testing.assert_allclose(on_path("unipc3", path, basis=basis), on_path("unipc3", VE, basis=basis), atol=1e-10)


@pytest.mark.parametrize("name", ["euler", "heun", "rk4", "ab3", "unipc3", "dpmpp_2m_sde"])
def test_any_field_drives_a_solver_on_another_path(name):
    """The reduced-coordinate solver through linear, VP and VE adapters."""
    grid = TimeGrid.of_ratios(VE, RATIOS)
    expected = run(get_solver(name), P2.field(VE), X0, grid)
    for path in PATHS.values():
        moved = run(get_solver(name), Retimed(P2.field(path), VE), X0, grid)
        np.testing.assert_allclose(moved, expected, atol=1e-10)


@pytest.mark.parametrize("predicts", ["denoised", "noise", "score", "v"])
@pytest.mark.parametrize("path", PATHS)
def test_what_the_model_predicts_does_not_matter(predicts, path):
    path = PATHS[path]
    grid = TimeGrid.of_ratios(path, RATIOS)
    expected = run(get_solver("unipc3"), P2.field(path), X0, grid)
    np.testing.assert_allclose(run(get_solver("unipc3"), P2.field(path, predicts), X0, grid), expected, atol=1e-10)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dpm1", "ddim"),
        ("deis1", "ddim"),
        ("lms1", "ddim"),
        (ExponentialMultistep(1), "ddim"),
        (get_solver("unipc1", corrector=False), "ddim"),
        ("ddpm", "euler_ancestral"),
        ("ddpm", ExponentialMultistep(1, eta_sde=1.0)),
        (get_solver("unipc2", corrector=False), "dpmpp_2m"),
        (get_solver("edm_stochastic", s_churn=0.0), "edm"),
        (get_solver("restart", intervals=(Interval(3, 0, 0.14, 0.3),)), "edm"),
        (get_solver("dpmpp_2m_sde", eta_sde=0.0), "dpmpp_2m"),
        (get_solver("dpmpp_3m_sde", eta_sde=0.0), "dpmpp_3m"),
        (get_solver("dpmpp_sde", eta_ddim=0.0), "dpmpp_2s"),
        (get_solver("dpm2_ancestral", eta_ddim=0.0), "dpm2"),
        (get_solver("predictor_corrector", n_corrector=0), "euler_maruyama"),
    ],
    ids=str,
)
def test_twins(one, other):
    for field, x0, grid in (
        (P2.field(VE), X0, TimeGrid.of_ratios(VE, RATIOS)),
        (P2.field(), X0 / 10, TimeGrid.uniform(9)),
    ):
        np.testing.assert_allclose(
            run(get_solver(one), field, x0, grid), run(get_solver(other), field, x0, grid), atol=1e-10
        )


@pytest.mark.parametrize(
    ("one", "other"), [("lms1", "ab1"), ("lms2", "ab2"), ("lms3", "ab3"), ("lms4", "ab4"), ("edm", "heun")]
)
def test_solvers_in_t_are_solvers_in_sigma_on_the_reduced_path(one, other):
    field, grid = P2.field(VE), TimeGrid.of_ratios(VE, RATIOS)
    np.testing.assert_allclose(
        run(get_solver(one), field, X0, grid), run(get_solver(other), field, X0, grid), atol=1e-10
    )


def test_euler_on_the_linear_path_is_ddim():
    x0, grid = X0 / 10, TimeGrid.uniform(9)
    np.testing.assert_allclose(
        run(get_solver("euler"), P2.field(), x0, grid),
        run(get_solver("ddim"), P2.field(), x0, grid),
        atol=1e-10,
    )


def test_log_midpoint_is_dpm_solver_2():
    """``y' = e`` with the midpoint rule at the geometric mean of the ratios."""
    field, grid, x = P2.field(VE), TimeGrid.of_ratios(VE, RATIOS), X0

    def noise(y, ratio):
        return P2.split(y, 1.0, ratio)[1]

    for f, g in pairwise(RATIOS):
        middle = np.sqrt(f * g)
        x = x + (g - f) * noise(x + (middle - f) * noise(x, f), middle)
    np.testing.assert_allclose(run(get_solver("dpm2"), field, X0, grid), x, atol=1e-10)


@pytest.mark.parametrize(
    "name",
    [name for name, s in SOLVERS.items() if not s.adaptive and not s.stochastic],
)
def test_a_point_is_reached_exactly(name):
    """With D constant every solver in reduced coordinates is exact to rounding."""
    span = 12
    grid = TimeGrid.of_ratios(VE, noise_grid("karras", span, low=0.05, high=10.0))
    x = run(get_solver(name), P3.field(VE), X0, grid)
    np.testing.assert_allclose(x, 0.7 + (X0 - 0.7) * 0.05 / 10, atol=1e-10)


def test_sigma_max_of_the_reduced_path_does_not_matter():
    one, other = VE, ratios_path(10.0)
    for name in ("heun", "ab3", "unipc3"):
        np.testing.assert_allclose(
            run(get_solver(name), P2.field(one), X0, TimeGrid.of_ratios(one, RATIOS)),
            run(get_solver(name), P2.field(other), X0, TimeGrid.of_ratios(other, RATIOS)),
            atol=1e-10,
        )


@pytest.mark.parametrize("name", ["dpmpp_2m", "dpmpp_3m", "unipc2", "unipc3", "lms3", "deis3"])
def test_lower_order_final_ends_with_fewer_values(name):
    """Only the last steps change, and the very last is that of first order."""
    grid = TimeGrid((0.05, 0.2, 0.4, 0.55, 0.7, 0.9), partial=True)
    x0, field = np.array([[-1.0], [0.3], [1.2]]), P2.field()
    usual, lowered = (
        list(trajectory(get_solver(name, lower_order_final=lower), field, x0, grid)) for lower in (False, True)
    )
    for before, after in zip(usual[:-2], lowered[:-2], strict=True):
        np.testing.assert_array_equal(before, after)
    assert abs(usual[-1] - lowered[-1]).max() > 1e-6
    if "unipc" not in name:  # its last step starts from a corrected state
        last, _ = get_solver("ddim").step(field, lowered[-2], *grid.times[-2:])
        np.testing.assert_allclose(lowered[-1], last, rtol=1e-12)
