"""What is under a generator: its field at the ends, other solvers on it, latents."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from buff import BUFF, TreeDensity, load
from buff.errors import OffGridError
from buff.fields import Reversed
from buff.grids import TimeGrid
from buff.solvers import integrate

RNG = np.random.default_rng(0)
X = RNG.multivariate_normal([0, 1], [[1, 0.8], [0.8, 1]], size=800)


@pytest.fixture(scope="module")
def default():
    """All defaults but the effort."""
    return BUFF(noise_budget=8000, random_state=0).fit(X)


def test_field_knows_both_ends_and_trees_are_those_trained(default):
    field, z = default.field_, RNG.normal(size=(50, 2)).astype(np.float32)
    assert field.times == (*(node.t for node in default.nodes_), 1.0)
    assert np.allclose(field(z, 1.0), z, atol=1e-5)
    assert repr(field) == "NodeField(11 nodes, 2 dimensions, linear path)"
    assert integrate("heun", field, z, default.grid_).shape == (50, 2)
    with pytest.raises(ValueError, match="the field has 2 dimensions, the states to start from have shape"):
        integrate("heun", field, z[:, :1], default.grid_)


def test_coupled_noise_has_no_closed_form_at_the_ends(small):
    coupled = small(coupling="transport", atoms="together").fit(X)
    assert coupled.field_.times == coupled.model_.times
    with pytest.raises(ValueError, match="noise that is coupled with the data"):
        coupled.encode(X)


def test_there_and_back_again(default):
    z = default.encode(X)
    assert z.dtype == np.float32
    assert z.shape == (800, 2)
    assert abs(z.mean(axis=0)).max() < 0.15
    assert abs(np.corrcoef(z.T) - np.eye(2)).max() < 0.15
    assert np.median(abs(default.decode(z) - X)) < 0.1
    latents = RNG.normal(size=(500, 2)).astype(np.float32)
    assert np.median(abs(default.encode(default.decode(latents)) - latents)) < 0.1
    assert (default.decode(latents[:0]).shape) == (0, 2)


def test_decoding_is_sampling_from_states_at_hand(default):
    request, _ = default._request(30, None, 5)
    assert (default.decode(default.model_.source_samples(request)) == default.sample(30, random_state=5)).all()


def test_latents_given_conditions():
    table = pd.DataFrame({"pt": X[:, 0] + 3 * (X[:, 1] > 1), "flavour": np.where(X[:, 1] > 1, "b", "c")})
    model = BUFF(noise_budget=8000, random_state=0).fit(table, condition="flavour")
    z = model.encode(table, condition="flavour")
    back = model.decode(z, condition=table[["flavour"]])
    assert list(back.columns) == ["pt"]
    assert np.median(abs(back["pt"] - table["pt"])) < 0.1
    with pytest.raises(ValueError, match="one for each of 800 rows, found none|pass condition"):
        model.decode(z)


def test_models_without_a_single_flow_are_refused(small):
    spiked = np.column_stack([X[:, 0], np.where(RNG.random(800) < 0.4, 0.0, X[:, 1])])
    with pytest.raises(ValueError, match="fit with atoms='apart' for latents"):
        small(atoms="together").fit(spiked).encode(spiked)
    labels = (X[:, 0] > 0).astype(int)
    with pytest.raises(ValueError, match="fit with classes='together' for latents"):
        small(classes="apart").fit(X, condition=labels).encode(X, condition=labels)
    with pytest.raises(ValueError, match="a TreeDensity has no flow from noise"):
        TreeDensity(n_estimators=2, random_state=0).fit(X).encode(X)
    model = small().fit(X)
    with pytest.raises(ValueError, match=r"z must have shape \(n, 2\), found \(5, 3\)"):
        model.decode(np.zeros((5, 3)))


def test_other_solvers_draw_from_the_same_trees(default):
    own = default.sample(200)
    assert (default.sample(200, solver="ifab2", grid=default.grid_) == own).all()
    heun = default.sample(200, solver="heun")
    assert 0 < abs(heun - own).mean() < 0.2
    assert (default.sample(50, solver="heun", first_event=150) == heun[150:]).all()
    coarse = default.sample(200, solver="ab2", grid=default.grid_.times[::2])
    assert abs(coarse - own).mean() < 0.5
    with pytest.raises(OffGridError, match=r"exists only at 11 nodes \(t = 0, 0.1462, .* 1\); .*: euler, heun, ab1"):
        default.sample(5, solver="rk4")
    with pytest.raises(OffGridError, match="no solver stays on the nodes of this grid"):
        default.sample(5, grid="uniform")


def test_other_solvers_where_atoms_or_classes_come_first(small):
    spiked = np.column_stack([X[:, 0], np.where(RNG.random(800) < 0.4, 0.0, X[:, 1])])
    model = small(atoms="together").fit(spiked)
    events = model.sample(300, solver="heun")
    assert ((events[:, 1] == 0) == (model.sample(300)[:, 1] == 0)).all()
    labels = (X[:, 0] > 0).astype(int)
    apart = small(classes="apart").fit(X, condition=labels)
    assert apart.sample(5, condition=np.ones((1, 1)), solver="heun").shape == (5, 2)


def test_a_reversed_field_follows_the_mirrored_grid(default):
    z = default.encode(X)
    scores = default.space_.transform(X)
    field, grid = Reversed(default.field_), default.grid_.backwards()
    assert np.median(abs(integrate("heun", field, scores, grid) - z)) < 0.1  # but for the calibration
    with pytest.raises(ValueError, match="run fields backwards without noise"):
        integrate("ddpm", field, z, grid, noise=np.ones_like)


def test_a_part_of_the_way_is_no_sample_and_trajectories_take_solvers(default):
    with pytest.raises(ValueError, match="the grid runs from 0.0 to .*; integrate.* goes a part of the way"):
        default.sample(5, grid=TimeGrid(default.grid_.times[:5], partial=True))
    with pytest.raises(ValueError, match="the grid runs from 0.0 to"):
        default.sample(5, grid=default.grid_.times[:5])
    states = list(default.trajectory(20, solver="heun", n_steps=5, random_state=3))
    assert len(states) == 6
    assert (states[-1] == default.sample(20, solver="heun", n_steps=5, random_state=3)).all()
    assert (states[-1] == default.sample(20, solver="heun", grid=default.grid_.coarser(5), random_state=3)).all()
    with pytest.raises(ValueError, match="the grid has 10 steps, found n_steps = 20: trees need a fit with more"):
        default.sample(2, n_steps=20)
    *_, last = default.trajectory(20, solver="heun", grid=list(default.grid_.times[::2]), random_state=3)
    assert (last == default.sample(20, solver="heun", grid=default.grid_.times[::2], random_state=3)).all()


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_times_of_any_container_are_a_grid_of_the_fit(kind, small, tmp_path):
    times = kind((0, 0.3, 0.6, 0.8, 1))
    model = clone(small(n_steps=4, grid=times)).fit(X)
    assert type(model.get_params()["grid"]) is type(times)
    assert model.grid_ == TimeGrid(tuple(times))
    model.save(tmp_path / "m.buff")
    assert (load(tmp_path / "m.buff").sample(9) == model.sample(9)).all()
