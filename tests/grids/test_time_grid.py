import math

import numpy as np
import pytest

from buff.errors import OffGridError
from buff.grids import GRIDS, NOISE_GRIDS, TimeGrid, as_grid, get_grid, nearest, noise_grid
from buff.schedules import Linear, Trigonometric, VariancePreserving


def test_steps_and_ends():
    grid = TimeGrid.uniform(3)
    assert grid.n_steps == 3
    assert grid.steps == ((0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0))


def test_times_are_plain_floats():
    """A NumPy scalar would turn float32 states into float64."""
    grid = TimeGrid(tuple(np.linspace(0, 1, 5)))
    assert {type(t) for t in grid.times} == {float}


def test_index_of_a_computed_time():
    grid = TimeGrid.uniform(10)
    assert [grid.index_of(sum([0.1] * i)) for i in range(11)] == list(range(11))
    with pytest.raises(OffGridError, match=r"t = 0.15 is not on the grid; the nearest time is 0.[12]"):
        grid.index_of(0.15)
    assert grid.index_of(0.1004, tol=1e-3) == 1
    assert [grid.has(t) for t in (0.3, 0.31)] == [True, False]


def test_nearest():
    times = (0.0, 0.2, 0.3, 1.0)
    assert [nearest(times, t) for t in (-1.0, 0.09, 0.11, 0.24, 0.26, 0.64, 0.66, 5.0)] == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert nearest((0.5,), 0.1) == 0


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((0.0,), "at least two times"),
        ((0.0, 0.5, 0.5, 1.0), "must increase strictly: found 0.5 after 0.5"),
        ((0.0, 0.7, 0.5, 1.0), "must increase strictly: found 0.5 after 0.7"),
        ((0.0, float("nan"), 1.0), "must increase strictly"),
        ((1.0, 0.0), "must increase strictly"),
        ((-0.1, 1.0), r"lie in \[0, 1\]"),
        ((0.0, 1.1), r"lie in \[0, 1\]"),
        ((0.1, 1.0), "runs from 0 to 1"),
        ((0.0, 0.9), "runs from 0 to 1"),
    ],
)
def test_bad_times(times, message):
    with pytest.raises(ValueError, match=message):
        TimeGrid(times)


def test_partial_grids_are_asked_for():
    assert TimeGrid((0.1, 0.9), partial=True).n_steps == 1


@pytest.mark.parametrize("kind", [list, tuple, np.array, TimeGrid])
def test_times_are_a_grid_in_any_container(kind):
    times = (0, 0.3, 0.6, 0.8, 1)
    assert get_grid(kind(times)) == get_grid(kind(times), 4) == TimeGrid(times)
    with pytest.raises(ValueError, match="grid has 4 steps and n_steps is 10: set n_steps=4"):
        get_grid(kind(times), 10)
    with pytest.raises(ValueError, match=r"to data, t = 1: the grid runs from 0.0 to 0.5; integrate\(solver"):
        get_grid(as_grid([0, 0.5]))


@pytest.mark.parametrize("n", [0, -1, 2.5])
def test_bad_number_of_steps(n):
    with pytest.raises(ValueError, match="n_steps must be a positive integer"):
        TimeGrid.uniform(n)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("n", [1, 2, 7, 50])
def test_exact_ends_and_count(name, n):
    times = get_grid(name, n).times
    assert (times[0], times[-1], len(times)) == (0.0, 1.0, n + 1)


@pytest.mark.parametrize(
    ("name", "parameters", "formula"),
    [
        ("uniform", {}, lambda r: r),
        ("power", {}, lambda r: r**2),
        ("power", {"power": 3}, lambda r: r**3),
        ("dense", {}, lambda r: 1 - (1 - r) ** 2),
        ("dense", {"power": 1.5}, lambda r: 1 - (1 - r) ** 1.5),
        ("cosine", {}, lambda r: np.sin(np.pi * r / 2) ** 2),
        ("shifted", {"shift": 1}, lambda r: r),
        ("shifted", {"shift": 3}, lambda r: 1 - 3 * (1 - r) / (1 + 2 * (1 - r))),
        ("uniform", {"kappa": 2}, lambda r: r**0.5),
    ],
)
def test_formulas(name, parameters, formula):
    r = np.linspace(0, 1, 9)
    np.testing.assert_allclose(get_grid(name, 8, **parameters).times, formula(r), atol=1e-14)


def test_sigmoid_is_uniform_in_logit_before_rescaling():
    raw = 1 / (1 + np.exp(-np.linspace(-4, 4, 11)))
    np.testing.assert_allclose(get_grid("sigmoid", 10, width=4.0).times, (raw - raw[0]) / (raw[-1] - raw[0]))


def test_logit_normal_holds_quantiles():
    times = np.array(get_grid("logit_normal", 4, mean=0.3, width=0.8).times[1:-1])
    np.testing.assert_allclose(np.log(times / (1 - times)), [0.3 + 0.8 * z for z in (-0.6744897502, 0, 0.6744897502)])


def test_shift_moves_log_snr():
    plain, shifted = (get_grid("shifted", 8, shift=k).times[1:-1] for k in (1, 3))
    moved = [math.log(t / (1 - t)) - math.log(s / (1 - s)) for t, s in zip(plain, shifted, strict=True)]
    assert moved == pytest.approx([math.log(3)] * 7)
    assert get_grid("shifted", 2, shift=3).times[1] == pytest.approx(1 - 0.75)


@pytest.mark.parametrize("schedule", [Linear(), Trigonometric(), VariancePreserving()])
def test_noise_grids_are_placed_on_a_schedule(schedule):
    times = get_grid("karras", 8, schedule=schedule).times[1:-1]
    assert [schedule.ratio(t) for t in times] == pytest.approx(noise_grid("karras", 8)[1:-1], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("quadratic", {}, "unknown grid 'quadratic': choose one of uniform, power, dense, dense1.5, cosine"),
        ("power", {"power": 0.5}, r"power must lie in \[1, 4\], found 0.5"),
        ("dense", {"power": 9}, "power must lie in"),
        ("uniform", {"kappa": 0.5}, "kappa must lie in"),
        ("uniform", {"kappa": 4}, "kappa must lie in"),
        ("karras", {"kappa": 2}, "kappa warps grids in t only"),
        ("shifted", {"shift": 7}, "shift must lie in"),
        ("sigmoid", {"width": 0}, "width must lie in"),
        ("cosine", {"power": 2}, "cosine has no parameter 'power': choose from none"),
        ("dense", {"rho": 2}, "dense has no parameter 'rho': choose from power"),
        ("karras", {"sigma": 2}, "karras has no parameter 'sigma': choose from low, high, rho"),
    ],
)
def test_bad_grids(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        get_grid(name, 5, **parameters)


def test_names_do_not_clash():
    assert len(set(GRIDS)) == len(GRIDS) == 8 + len(NOISE_GRIDS)


def test_a_schedule_is_no_name():
    with pytest.raises(TypeError, match="schedule must be a Schedule, as get_schedule gives: found 'vp'"):
        get_grid("karras", 5, schedule="vp")
