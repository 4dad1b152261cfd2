import json
import pickle

import numpy as np
import pytest

import buff.trees.regressor as module
from buff.trees import Booster, TreeSettings
from buff.trees.regressor import LAYOUTS

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (6000, 4)).astype(np.float32)
Y = np.stack([np.sin(3 * X[:, 0]), X[:, 1] ** 2, X[:, 0] * X[:, 2], np.abs(X[:, 3])], axis=1)
NOISY = Y + 0.3 * RNG.standard_normal(Y.shape, dtype=np.float32)
SETTINGS = TreeSettings(n_estimators=60, max_depth=5, learning_rate=0.3, reg_lambda=1.0)


def settings(**changes):
    return TreeSettings(**{**SETTINGS.__dict__, **changes})


def mean_square(a):
    return float(np.mean(a**2))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_find_the_same_function(layout):
    booster = Booster.fit(X[:5000], NOISY[:5000], settings(layout=layout))
    error = mean_square(booster(X[5000:]) - Y[5000:])
    assert booster(X[:7]).shape == (7, 4)
    assert booster(X[:7]).dtype == np.float32
    assert error < 0.15 * mean_square(Y[5000:] - Y.mean(axis=0))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_count_like_copies(layout):
    copies = RNG.integers(1, 4, 1000)
    short = settings(layout=layout, n_estimators=5, tree_params={"max_bin": 4096})
    weighted = Booster.fit(X[:1000], Y[:1000], short, weights=copies.astype(np.float32))
    copied = Booster.fit(np.repeat(X[:1000], copies, 0), np.repeat(Y[:1000], copies, 0), short)
    difference = mean_square(weighted(X) - copied(X))
    assert difference < 0.02 * mean_square(copied(X))
    assert difference < mean_square(Booster.fit(X[:1000], Y[:1000], short)(X) - copied(X))


def test_auto_layout_follows_the_width():
    layouts = [TreeSettings().layout_for(d) for d in (1, 2, 24, 25, 100)]
    assert layouts == ["scalar", "scalar", "scalar", "sketch", "sketch"]
    assert TreeSettings(layout="vector").layout_for(1) == "scalar"


@pytest.mark.parametrize("missing", ["module", "method"])
def test_sketches_fall_back_to_vectors(missing, monkeypatch):
    import xgboost.objective

    if missing == "module":
        monkeypatch.delattr(xgboost.objective, "TreeObjective")
    else:
        monkeypatch.delattr(xgboost.objective.TreeObjective, "split_grad")
    sketch = settings(layout="sketch", n_estimators=5)
    assert sketch.layout_for(4) == "vector"
    assert TreeSettings().layout_for(100) == "vector"
    fallen, vector = (Booster.fit(X, NOISY, s) for s in (sketch, settings(layout="vector", n_estimators=5)))
    assert fallen.to_bytes() == vector.to_bytes()


def test_sketches_differ_from_vectors_and_repeat_themselves():
    sketch = settings(layout="sketch", n_estimators=5)
    one, two, other = (Booster.fit(X, NOISY, sketch, seed=seed).to_bytes() for seed in (1, 1, 2))
    assert one == two != other


@pytest.mark.parametrize("layout", LAYOUTS)
def test_early_stopping_uses_the_best_round_and_no_more(layout):
    few, held = (X[:200], NOISY[:200]), (X[5000:], NOISY[5000:], None)
    stopping = settings(layout=layout, n_estimators=80, early_stopping=3, learning_rate=0.5, max_depth=7)
    booster = Booster.fit(*few, stopping, fresh=held)
    errors = []
    for n in range(1, booster.rounds + 4):
        fixed = Booster.fit(*few, settings(layout=layout, n_estimators=n, learning_rate=0.5, max_depth=7))
        errors.append(mean_square(fixed(held[0]) - held[1]))
    assert booster.rounds < 80
    assert booster.rounds == 1 + int(np.argmin(errors))
    assert mean_square(booster(held[0]) - held[1]) == pytest.approx(min(errors), rel=1e-6)


def test_tree_params_win_and_stay_as_they_are():
    own = {"max_depth": 1, "reg_alpha": 0.1}
    booster = Booster.fit(X, Y, settings(tree_params=own, n_estimators=3))
    assert own == {"max_depth": 1, "reg_alpha": 0.1}
    trees = json.loads(booster.model.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    assert len(trees) == 3 * 4
    assert max(int(tree["tree_param"]["num_nodes"]) for tree in trees) == 3


@pytest.mark.parametrize(
    ("name", "other", "value"),
    [("eta", "learning_rate", 0.01), ("lambda", "reg_lambda", 1e5), ("min_split_loss", "gamma", 50.0)],
)
def test_other_names_of_parameters_win_too(name, other, value):
    named, usual = (Booster.fit(X, Y, settings(tree_params={key: value}, n_estimators=2))(X) for key in (name, other))
    assert np.array_equal(named, usual)
    assert not np.array_equal(named, Booster.fit(X, Y, settings(n_estimators=2))(X))


def test_one_thread_each(monkeypatch):
    import xgboost

    seen = []
    train = xgboost.train
    monkeypatch.setattr(xgboost, "train", lambda p, *args, **options: seen.append(p) or train(p, *args, **options))
    Booster.fit(X, Y, settings(n_estimators=1))
    assert [p["nthread"] for p in seen] == [1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_and_pickles(layout):
    booster = Booster.fit(X, NOISY, settings(layout=layout, n_estimators=4))
    for back in (Booster.from_bytes(booster.to_bytes(), 4), pickle.loads(pickle.dumps(booster))):
        assert np.array_equal(back(X), booster(X))
        assert back.rounds == booster.rounds == 4


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_do_not_depend_on_their_batch(layout):
    booster = Booster.fit(X, NOISY, settings(layout=layout, n_estimators=8))
    whole = booster(X[:300])
    for size in (1, 7, 65):
        parts = [booster(X[i : min(i + size, 300)]) for i in range(0, 300, size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_no_gpu_is_no_error(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cupy", None)
    assert module.cuda_is_available() is False
