"""Solvers that integrate only what a Gaussian does not have."""

import numpy as np
import pytest

from buff.errors import Notice
from buff.fields import Framed, GaussianFlow, NodeField, TimeField
from buff.grids import TimeGrid, get_grid
from buff.solvers import IntegratingFactor, get_solver, integrate
from tests.problems import P2, fitted_order

RNG = np.random.default_rng(1)
MIXING = RNG.normal(size=(3, 3))
GAUSS = GaussianFlow.of(np.array([1.0, -2.0, 0.5]), MIXING @ np.diag([2.0, 0.3, 0.001]) @ MIXING.T)
NAMES = ("ifab1", "ifab2", "ifab3")


@pytest.mark.parametrize("n_steps", [1, 3, 10])
@pytest.mark.parametrize("name", NAMES)
def test_exact_on_gaussians(name, n_steps):
    field = Framed(TimeField(lambda x, t, condition: GAUSS.velocity(x, t)), GAUSS)
    x0 = RNG.normal(size=(20, 3))
    x1 = integrate(name, field, x0, get_grid("dense1.5", n_steps))
    exact = GAUSS.from_frame(GAUSS.to_frame(x0, 0.0), 1.0)
    np.testing.assert_allclose(x1, exact, rtol=1e-9, atol=1e-9)
    assert abs(integrate("ab2", field, x0, get_grid("dense1.5", n_steps)) - exact).max() > 1e-3


@pytest.mark.parametrize("order", [1, 2, 3])
def test_order(order):
    """On two peaks, in the frame of the Gaussian of the same moments."""
    gauss = GaussianFlow.of(np.array([P2.mean]), np.array([[P2.variance]]))
    field, solver = Framed(P2.field(), gauss), IntegratingFactor(order, start="rk4")
    x0 = np.array([[-1.7], [-0.6], [0.1], [0.9], [1.9]])
    start, end = field.path.at(0.0), field.path.at(0.9)
    exact = np.array([[P2.carried(x, start, end)] for x in x0[:, 0]])
    steps = (96, 192)
    grids = [TimeGrid(tuple(0.9 * t for t in TimeGrid.uniform(n).times), partial=True) for n in steps]
    errors = [abs(integrate(solver, field, x0, grid) - exact).max() for grid in grids]
    assert fitted_order(steps, errors) == pytest.approx(order, abs=0.3)


def test_few_steps_are_better_in_the_frame():
    gauss = GaussianFlow.of(np.array([P2.mean]), np.array([[P2.variance]]))
    x0 = np.linspace(-2, 2, 21)[:, None]
    here, there = P2.field().path.at(0.0), P2.field().path.at(1.0)
    exact = np.array([[P2.carried(x, here, there)] for x in x0[:, 0]])
    grid = get_grid("dense1.5", 10)
    framed, plain = (
        abs(integrate(name, Framed(P2.field(), gauss), x0, grid) - exact).mean() for name in ("ifab2", "ab2")
    )
    assert framed < plain


@pytest.mark.parametrize("order", [1, 2, 3])
def test_without_a_gaussian_part_it_is_adams_bashforth(order):
    x0, grid = RNG.normal(size=(5, 1)), TimeGrid.uniform(8)
    with pytest.warns(Notice, match=rf"no Gaussian part, .* is AdamsBashforth\({order}\): buff.fields.Framed"):
        one = integrate(f"ifab{order}", P2.field(), x0, grid)
    np.testing.assert_array_equal(one, integrate(f"ab{order}", P2.field(), x0, grid))


def test_nodes_may_answer_in_the_frame_alone():
    class Node:
        """A velocity whose rest is 0."""

        def __call__(self, x, condition=None):
            raise AssertionError("asked for more than the rest")

        def frame_velocity(self, x, y, condition=None):
            assert condition.shape == (4, 1)
            return 0 * y

    grid = TimeGrid.uniform(4)
    field, x0 = NodeField(grid.times, [Node()] * 5, gaussian=GAUSS), RNG.normal(size=(4, 3))
    x1 = integrate("ifab2", field, x0, grid, np.zeros((4, 1)))
    np.testing.assert_allclose(x1, GAUSS.from_frame(GAUSS.to_frame(x0, 0.0), 1.0))


def test_nodes_and_hyperparameters():
    assert get_solver("ifab3") == IntegratingFactor(3)
    assert get_solver("ifab2").nodes(TimeGrid.uniform(4)) == (0.0, 0.25, 0.5, 0.75)
    with pytest.raises(ValueError, match="takes 1 to 4 values"):
        IntegratingFactor(5)
