import numpy as np
import pytest

from buff.errors import OffGridError
from buff.grids import TimeGrid, nearest


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


@pytest.mark.parametrize("n", [0, -1, 2.5])
def test_bad_number_of_steps(n):
    with pytest.raises(ValueError, match="n_steps must be a positive integer"):
        TimeGrid.uniform(n)
