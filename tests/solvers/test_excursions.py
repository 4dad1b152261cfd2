"""Going back to more noise: churn and Restart."""

import numpy as np
import pytest

from buff.grids import TimeGrid, noise_grid
from buff.paths import LINEAR, REDUCED
from buff.solvers import RESTARTS, Churned, Interval, Restart, get_solver
from tests.problems import VE

GRID = TimeGrid.of_ratios(VE, noise_grid("karras", 18, append_zero=True))


def back(solver, grid, path):
    """Ratios (from, to) of the steps that add noise."""
    return [(path.at(t).ratio, path.at(s).ratio) for t, s in solver.steps(grid, path) if s < t]


@pytest.mark.parametrize("path", [LINEAR, VE], ids=["linear", "reduced"])
def test_churn_raises_the_ratio_by_gamma_inside_its_range(path):
    grid = TimeGrid.of_ratios(path, noise_grid("karras", 18, append_zero=True, high=40.0))
    churned = back(Churned(s_churn=3.8, s_min=0.1, s_max=30.0), grid, path)
    inside = [path.at(t).ratio for t in grid.times if 0.1 <= path.at(t).ratio <= 30]
    assert [low for low, _ in churned] == pytest.approx(inside)
    assert [high / low for low, high in churned] == pytest.approx([1 + 3.8 / 19] * len(inside))


def test_churn_is_limited():
    assert [high / low for low, high in back(Churned(s_churn=1e6), GRID, VE)] == pytest.approx(
        [np.sqrt(2)] * len(back(Churned(), GRID, VE))
    )


def test_snapped_churn_stays_on_the_grid():
    grid = TimeGrid.uniform(40)
    steps = Churned(snap=True).steps(grid)
    assert {t for step in steps for t in step} == set(grid.times)
    assert any(s < t for t, s in steps)


def test_restart_goes_where_it_is_told():
    (low, high), again = back(Restart(), GRID, VE)
    assert (low, high) == again
    assert high == pytest.approx(0.3)
    levels = [VE.at(t).ratio for t in GRID.times]
    assert low == min(levels, key=lambda level: abs(level - 0.14))


@pytest.mark.parametrize("name", RESTARTS)
def test_published_configurations_fit_their_grids(name):
    n_steps = max(int(part) for part in name.split("_") if part.isdigit())
    grid = TimeGrid.of_ratios(REDUCED, noise_grid("karras", n_steps - 1, append_zero=True))
    expected = 2 * n_steps - 1 + 2 * sum(i.repeats * (i.nodes - 1) for i in RESTARTS[name])
    assert Restart(intervals=name).nfe(grid, REDUCED) == expected


def test_restart_on_the_nodes_of_a_grid():
    grid = TimeGrid.uniform(20)
    steps = get_solver("restart_nodes").steps(grid)
    assert {t for step in steps for t in step} == set(grid.times)
    assert len([1 for t, s in steps if s < t]) == 2


def test_colliding_intervals_are_refused():
    close = (Interval(3, 1, 0.140, 0.3), Interval(3, 1, 0.141, 0.4))
    with pytest.raises(ValueError, match="several restart intervals end at the grid time"):
        Restart(intervals=close).steps(GRID, VE)


def test_no_room_for_a_restart():
    with pytest.raises(ValueError, match=r"no room for a restart from 0.3 to 0.14: .* take a finer grid"):
        Restart().steps(TimeGrid((0.0, 0.5, 1.0)))


@pytest.mark.parametrize(
    ("solver", "change", "message"),
    [
        ("edm_stochastic", {"s_churn": -1.0}, "s_churn must not be negative"),
        ("edm_stochastic", {"s_churn": np.inf}, "s_churn must not be negative, nor infinite"),
        ("edm_stochastic", {"s_min": 2.0, "s_max": 1.0}, "0 <= s_min <= s_max"),
        ("edm_stochastic", {"s_noise": 3.0}, "s_noise must lie"),
        ("edm_stochastic", {"gamma": 0.5}, "gamma must lie"),
        ("edm_stochastic", {"inner": get_solver("dopri5_adaptive")}, "must not be adaptive"),
        ("restart", {"intervals": "mnist"}, "unknown intervals 'mnist': choose one of cifar_edm_18"),
    ],
)
def test_bad_settings(solver, change, message):
    with pytest.raises(ValueError, match=message):
        get_solver(solver, **change)


@pytest.mark.parametrize("bad", [(1, 1, 0.1, 0.2), (3, -1, 0.1, 0.2), (3, 1, 0.2, 0.1), (3, 1, 0.0, 0.1)])
def test_bad_intervals(bad):
    with pytest.raises(ValueError, match="an interval needs"):
        Interval(*bad)


def test_intervals_are_intervals():
    with pytest.raises(TypeError, match=r"Interval\(nodes, repeats, low, high\): found \(3, 2, 0.14, 0.3\)"):
        get_solver("restart", intervals=((3, 2, 0.14, 0.3),))
