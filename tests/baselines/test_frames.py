"""Networks in the frame of the Gaussian part: closed forms, units, files, bad input."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from buff_baselines import NeuralFlow  # noqa: E402
from buff_baselines.fields import TorchField  # noqa: E402
from buff_baselines.frames import FrameMatching, FrameNetwork  # noqa: E402
from buff_baselines.parametrisations import Parametrisation  # noqa: E402

from buff import load  # noqa: E402
from buff.datasets import TOYS  # noqa: E402
from buff.errors import Notice  # noqa: E402
from buff.fields import GaussianFlow  # noqa: E402
from buff.grids import TimeGrid  # noqa: E402
from buff.solvers import integrate  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.multivariate_normal([1, -2, 0], [[1, 0.9, 0], [0.9, 1, 0.3], [0, 0.3, 0.5]], 4000).astype(np.float32)
TINY = {"hidden": (8,), "n_iterations": 3, "batch_size": 8, "n_steps": 2, "random_state": 0}


class Nothing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.place = torch.nn.Parameter(torch.zeros(1))

    def forward(self, y, t, condition=None):
        return torch.zeros_like(y)


@pytest.fixture
def silent():
    network = FrameNetwork(Nothing(), 3)
    network.set_moments(torch.from_numpy(X))
    return network


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_without_a_network_it_is_the_flow_of_the_gaussian(silent, t):
    exact = GaussianFlow.of(X.astype(float).mean(axis=0), np.cov(X.T.astype(float), bias=True))
    x, times = torch.from_numpy(X[:50]), torch.full((50, 1), t)
    u = Parametrisation("velocity").raw(silent, x, times, None)
    np.testing.assert_allclose(u, exact.velocity(X[:50].astype(float), t), atol=2e-5)


@pytest.mark.parametrize("t", [0.0, 0.4, 0.9])
def test_to_the_end_a_gaussian_takes_one_step(silent, t):
    exact = GaussianFlow.of(X.astype(float).mean(axis=0), np.cov(X.T.astype(float), bias=True))
    x = X[:50].astype(float)
    silent.to_end()
    u = Parametrisation("velocity").raw(silent, torch.from_numpy(X[:50]), torch.full((50, 1), t), None).numpy()
    np.testing.assert_allclose(x + (1 - t) * u, exact.from_frame(exact.to_frame(x, t), 1.0), atol=2e-5)


def test_targets_of_gaussian_data_have_unit_width_in_all_directions(silent):
    x1 = torch.from_numpy(X)
    x0 = torch.from_numpy(RNG.standard_normal(X.shape).astype(np.float32))
    for t in (0.1, 0.5, 0.9):
        times = torch.full((len(X), 1), t)
        error = silent.residual(t * x1 + (1 - t) * x0, times, x1 - x0)
        np.testing.assert_allclose(error.std(0), 1, atol=0.05)
    losses = FrameMatching().loss(silent, x0, x1, None, torch.Generator().manual_seed(0))
    assert losses.shape == (len(X),)


def test_weights_count_rows(silent):
    other = FrameNetwork(Nothing(), 3)
    other.set_moments(torch.from_numpy(X[:100]), torch.tensor([2.0] * 40 + [1.0] * 60))
    silent.set_moments(torch.from_numpy(np.concatenate([X[:40], X[:100]])))
    np.testing.assert_allclose(other.variances, silent.variances, rtol=1e-5)
    np.testing.assert_allclose(other.mean, silent.mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("conditional", [False, True])
def test_files_keep_the_frame(conditional, tmp_path):
    c = X[:, 0] if conditional else None
    flow = NeuralFlow(**TINY).fit(X[:, 1:] if conditional else X, condition=c)
    assert isinstance(flow.network_, FrameNetwork)
    flow.save(tmp_path / "m.buff")
    drawn = [model.sample(20, condition=None if c is None else c[:20]) for model in (flow, load(tmp_path / "m.buff"))]
    np.testing.assert_array_equal(*drawn)


def test_the_frame_of_the_network_is_that_of_solvers(tmp_path):
    flow = NeuralFlow(**TINY | {"n_iterations": 30}).fit(X)
    flow.save(tmp_path / "m.buff")
    field, x0 = load(tmp_path / "m.buff").field_, RNG.standard_normal((50, 3))
    y = field.gaussian.to_frame(x0, 0.7)
    given = super(type(field), field).frame_velocity(x0, y, 0.7)  # what a Gaussian leaves of the velocity
    np.testing.assert_allclose(field.frame_velocity(x0, y, 0.7), given, atol=2e-5)
    grid = TimeGrid.uniform(4)
    np.testing.assert_array_equal(integrate("ifab2", flow.field_, x0, grid), integrate("ifab2", field, x0, grid))
    assert abs(integrate("ifab2", field, x0, grid) - integrate("ab2", field, x0, grid)).max() > 0.01


def test_a_gaussian_takes_one_step_in_the_frame(silent):
    field, x0 = TorchField(silent, Parametrisation("velocity")), X[:50]
    exact = GaussianFlow.of(X.astype(float).mean(axis=0), np.cov(X.T.astype(float), bias=True))
    x1 = integrate("ifab2", field, x0, TimeGrid.uniform(1))
    np.testing.assert_allclose(x1, exact.from_frame(exact.to_frame(x0, 0.0), 1.0), atol=2e-5)
    silent.to_end()
    assert TorchField(silent, Parametrisation("velocity")).gaussian is None


def test_networks_of_states_have_no_frame_and_solvers_tell():
    flow = NeuralFlow(frame="none", **TINY).fit(X)
    assert flow.field_.gaussian is None
    with pytest.warns(Notice, match="the field has no Gaussian part"):
        np.testing.assert_array_equal(flow.sample(20, solver="ifab2"), flow.sample(20, solver="ab2"))


def test_a_column_that_repeats_another_stays_finite():
    flow = NeuralFlow(**TINY).fit(np.hstack([X, X[:, :1]]))
    assert np.isfinite(flow.sample(50)).all()


def test_files_that_know_no_frame_hold_networks_of_states():
    flow = NeuralFlow(frame="none", **TINY).fit(X)
    archive = flow.to_archive()
    parameters = {name: value for name, value in archive.record["parameters"].items() if name != "frame"}
    again = NeuralFlow.from_archive(replace(archive, record=archive.record | {"parameters": parameters}))
    assert again.frame == "none"
    np.testing.assert_array_equal(flow.sample(20), again.sample(20))


def test_other_methods_see_states():
    assert not isinstance(NeuralFlow("otcfm", **TINY).fit(X).network_, FrameNetwork)


def test_bad_frames():
    with pytest.raises(ValueError, match="frame must be 'gaussian', 'none' or None, found 'principal'"):
        NeuralFlow(frame="principal", **TINY).fit(X)
    with pytest.raises(ValueError, match="frame belongs to the method icfm"):
        NeuralFlow("otcfm", frame="gaussian", **TINY).fit(X)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_times_of_any_container_are_a_grid(kind, tmp_path):
    times = kind((0.0, 0.3, 0.6, 1.0))
    flow = NeuralFlow(**TINY | {"n_steps": 3}, grid=times).fit(X)
    own = flow.sample(9)
    np.testing.assert_array_equal(NeuralFlow(**TINY).fit(X).sample(9, grid=times), own)
    *_, last = flow.trajectory(9, solver="ifab2", grid=times)
    np.testing.assert_array_equal(last, flow.sample(9, solver="ifab2"))
    flow.save(tmp_path / "m.buff")
    np.testing.assert_array_equal(load(tmp_path / "m.buff").sample(9), own)
    with pytest.raises(ValueError, match="models go from noise, t = 0, to data, t = 1: the grid runs from 0.3 to 1.0"):
        flow.sample(9, grid=times[1:])


def moons(n, seed):
    return TOYS["moons"]().sample(n, random_state=seed)


def test_perceptrons_learn_what_a_gaussian_leaves():
    flow = NeuralFlow(hidden=(64,) * 3, n_iterations=600, batch_size=512, random_state=0).fit(moons(2000, 0))
    assert flow.history_[-1].loss < 0.985
    y = np.random.default_rng(1).normal(size=(2000, 2)).astype(np.float32)
    left = flow.field_(y, 0.6) - flow.field_.gaussian.velocity(y, 0.6)
    assert np.sqrt((left**2).mean()) > 0.15  # of trees that learned it, about 0.4


def test_a_network_that_learns_nothing_is_told_of():
    linear = torch.nn.Linear(3, 2)

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear

        def forward(self, x, level, condition=None):
            return self.layer(torch.cat([x, level], 1))

    flow = NeuralFlow(network=Linear(), n_iterations=100, batch_size=256, random_state=0)
    with pytest.warns(Notice, match="off the loss of a Gaussian"):
        flow.fit(moons(1000, 0))
