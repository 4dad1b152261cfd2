"""PyTorch states give what NumPy states give."""

import numpy as np
import pytest

from buff.grids import TimeGrid
from buff.randomness import EventNoise
from buff.solvers import SOLVERS, integrate
from tests.problems import nonlinear

torch = pytest.importorskip("torch")

GRID = TimeGrid(tuple(0.1 + 0.8 * t for t in TimeGrid.uniform(12).times), partial=True)


@pytest.mark.parametrize("name", [n for n in SOLVERS if n not in ("pc_0165_em250", "scipy_rk45")])
def test_same_states(name):
    x0 = np.linspace(-1, 1, 14).reshape(7, 2)
    noises = [np.random.default_rng(i).standard_normal(x0.shape) for i in range(100)]
    ends = []
    for convert in (np.asarray, torch.asarray):
        draws = iter(noises)
        noise = lambda x, d=draws, c=convert: c(next(d))  # noqa: E731
        ends.append(integrate(SOLVERS[name], nonlinear, convert(x0), GRID, noise=noise))
    assert ends[1].dtype == torch.float64
    np.testing.assert_allclose(ends[0], ends[1].numpy(), atol=1e-12)


@pytest.mark.parametrize("name", [n for n in SOLVERS if n not in ("pc_0165_em250", "scipy_rk45")])
def test_single_precision_stays(name):
    x = integrate(SOLVERS[name], nonlinear, torch.ones(3, 2) / 2, GRID, noise=lambda x: torch.ones_like(x) / 2)
    assert x.dtype == torch.float32


def test_scipy_refuses_tensors():
    with pytest.raises(TypeError, match="NumPy states only: found Tensor"):
        integrate(SOLVERS["scipy_rk45"], nonlinear, torch.ones((2, 1)), GRID)


def test_a_bad_field_is_named():
    def field(x, t, condition):
        return torch.where(torch.arange(4)[:, None] < 1, torch.nan, x)

    with pytest.raises(ValueError, match="non-finite values in 25 % of 4 rows"):
        integrate(SOLVERS["euler"], field, torch.ones(4, 2), GRID)


def test_noise_of_events_is_that_of_tensors_too():
    x0 = np.linspace(-1, 1, 6).reshape(3, 2)
    arrays, tensors = (integrate("ddpm", nonlinear, x, GRID, noise=EventNoise(0)) for x in (x0, torch.asarray(x0)))
    np.testing.assert_allclose(arrays, tensors.numpy(), atol=1e-12)
