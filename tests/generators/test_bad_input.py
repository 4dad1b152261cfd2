"""Tables that leave little to learn, and flows that run away: nothing diverges, and what was exact stays exact."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp

from buff import BUFF, BUFFTransport
from buff.flows import SampleRequest
from buff.kernels import ReproducibleLinear

SMALL = {"n_steps": 5, "n_estimators": 4, "max_depth": 4, "noise_budget": 8000, "random_state": 0, "device": "cpu"}
#: Solver, trees and quantile functions as they were at first.
FIRST = {"solver": "ab2", "grid": "uniform", "tree_features": "scores", "smooth_degree": 0, "bandwidth": 0.0}
PLAIN = {"relations": None, "atoms": "apart"}


def _table(name):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 1))
    return {
        "constant": np.hstack([x, np.full((400, 1), 7.0), rng.normal(size=(400, 1))]),
        "all constant": np.full((50, 2), 3.0),
        "duplicated": np.hstack([x, x, x + rng.normal(size=(400, 1)), 2 * x]),
        "nearly duplicated": x + [[0.0, 0.0, 0.0]] + 1e-5 * rng.normal(size=(400, 3)),
        "collinear": rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6)),
        "wider than long": rng.normal(size=(12, 30)),
        "single column": np.exp(x),
        "atoms only": np.hstack([rng.integers(0, 3, (400, 2)), (x > 0).astype(int)]).astype(float),
        "heavy tails": rng.standard_t(1, size=(400, 3)),
        "two rows": np.array([[0.0, 1.0], [2.0, 3.0]]),
        "outlier": np.vstack([rng.normal(size=(399, 2)), [[1e12, -1e12]]]),
    }[name]


TABLES = ["constant", "all constant", "duplicated", "nearly duplicated", "collinear", "wider than long"]
TABLES += ["single column", "atoms only", "heavy tails", "two rows", "outlier"]


@pytest.mark.parametrize("settings", [{}, PLAIN, FIRST | PLAIN], ids=["defaults", "columns apart", "first defaults"])
@pytest.mark.parametrize("name", TABLES)
def test_poor_tables(name, settings):
    x = _table(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BUFF(**SMALL | settings).fit(x)
        drawn = model.sample(600)
    assert model.n_clipped_ == 0
    assert np.isfinite(drawn).all()
    assert (drawn >= x.min(axis=0)).all()
    assert (drawn <= x.max(axis=0)).all()
    if name == "constant":
        assert (drawn[:, 1] == 7).all()
    if name == "duplicated" and settings != FIRST | PLAIN:
        far = abs(drawn[:, 1] - drawn[:, 0])
        assert (far.max() == 0) if not settings else (np.quantile(far, 0.99) < 0.1)
    if name == "atoms only":
        assert {*map(tuple, drawn[:, [2]])} == {(0.0,), (1.0,)}


@pytest.mark.parametrize("name", ["constant", "duplicated", "collinear", "single column", "heavy tails"])
def test_without_trees_old_and_new_solver_are_the_same_gaussian(name):
    """A Gaussian in closed form is what the first solver came to with many steps."""
    x = _table(name)
    how = SMALL | PLAIN | {"n_estimators": 0, "bandwidth": 0.0}
    new = BUFF(**how).fit(x)
    old = BUFF(**how | FIRST | {"solver": "rk4", "n_steps": 60}).fit(x)
    a, b = (model.model_.sample(SampleRequest(500, 4)) for model in (new, old))
    np.testing.assert_allclose(a, b, atol=0.02)


def test_marginals_of_smooth_columns_are_those_of_the_training():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.standard_t(2, 4000), rng.exponential(size=4000)])
    drawn = BUFF(**SMALL | {"n_estimators": 0}).fit(x).sample(4000)
    assert min(ks_2samp(drawn[:, j], x[:, j]).pvalue for j in range(2)) > 1e-3


def test_weights_count_rows():
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(500, 2)), rng.integers(0, 4, 500)
    x[:, 1] += x[:, 0]
    weighted = BUFF(**SMALL | {"n_estimators": 0}).fit(x, sample_weight=w).sample(3000)
    np.testing.assert_allclose(weighted.mean(axis=0), np.average(x, axis=0, weights=w), atol=0.1)
    expected = np.cov(x.T, fweights=w)
    np.testing.assert_allclose(np.cov(weighted.T), expected, atol=0.25)


def _runaway(model, factor=1e3, beyond=1.0):
    """The model with a last velocity that carries away events right of a place."""
    flow = model.model_
    last = flow.nodes[-1].linear

    class Steep(ReproducibleLinear):
        def __call__(self, x):
            return np.where(x[:, :1] > beyond, np.float32(factor), np.float32(0)) + super().__call__(x)

    steep = Steep(**vars(last))
    model.model_ = replace(flow, nodes=(*flow.nodes[:-1], replace(flow.nodes[-1], linear=steep)))
    vars(model.model_)["compiled"] = "kernels do not know this velocity"
    return model


@pytest.mark.parametrize("batch_size", [None, 64])
def test_events_that_run_away_are_clipped_and_counted(batch_size):
    x = np.random.default_rng(0).normal(size=(500, 2))
    x[:, 1] += x[:, 0]
    sound = BUFF(**SMALL | FIRST | PLAIN).fit(x)
    assert len(sound.sample(400)) == 400
    assert sound.n_clipped_ == 0
    model = _runaway(sound)
    with pytest.warns(UserWarning, match=r"(\d+) of 400 events left the range of normal scores, \[-8, 8\]") as told:
        drawn = model.sample(400, batch_size=batch_size)
    n = int(str(told[0].message).split()[0])
    assert len(told) == 1
    assert told[0].filename == __file__
    assert 20 < n < 200
    assert model.n_clipped_ == n
    assert (drawn <= x.max(axis=0)).all()
    assert np.isfinite(drawn).all()


def test_fields_that_are_not_finite_are_refused():
    x = np.random.default_rng(0).normal(size=(500, 2))
    model = _runaway(BUFF(**SMALL | FIRST | PLAIN).fit(x), np.nan)
    with pytest.raises(ValueError, match="not finite|non-finite"):
        model.sample(400)


def test_transported_rows_that_run_away_are_counted_too():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    model = BUFFTransport(**SMALL | FIRST | {"noise": 0.1}).fit(x, x + 0.1 * rng.normal(size=(500, 2)))
    with pytest.warns(UserWarning, match="of 500 events left the range") as told:
        _runaway(model, beyond=-9.0).transform(x)
    assert told[0].filename == __file__


@pytest.mark.parametrize("atoms", ["together", "apart"])
def test_trees_see_principal_axes_where_most_columns_are_smooth(atoms):
    rng = np.random.default_rng(0)
    smooth, steps = rng.normal(size=(500, 2)), rng.integers(0, 30, (500, 3)).astype(float)
    seen = {}
    for name, x in (
        ("smooth", smooth),
        ("both", np.hstack([smooth, steps[:, :1]])),
        ("steps", np.hstack([smooth[:, :1], steps])),
    ):
        model = BUFF(**SMALL | {"relations": None, "atoms": atoms}).fit(x).model_
        flow = getattr(model, "flow", model)
        seen[name] = any(node.frame is not None for node in flow.nodes)
    assert seen == {"smooth": True, "both": True, "steps": False}
    asked = BUFF(**SMALL | {"relations": None, "atoms": "apart", "tree_features": "both"}).fit(steps).model_
    assert any(node.frame is not None for node in asked.nodes)
