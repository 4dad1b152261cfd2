import json
import pickle

import numpy as np
import pytest

from buff import kernels
from buff.trees import Booster, FlatForest, TreeSettings, UnfitForest, check_trees
from buff.trees.regressor import decode

HERE = [name for name, _ in kernels.native().backends()] if kernels.native() else []
ALL = ["xgboost", *HERE]


def problem(f, d, n=1500, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, f)).astype(np.float32)
    y = np.stack([np.sin((k + 1) * x[:, k % f]) + x[:, (k + 1) % f] ** 2 + 0.1 * x[:, -1] for k in range(d)], axis=1)
    return x, y.astype(np.float32)


def grown(f, d, depth, layout="scalar", **settings):
    x, y = problem(f, d)
    settings = {"n_estimators": 4, "reg_lambda": 1.0, "max_bin": 64} | settings
    return Booster.fit(x, y, TreeSettings(max_depth=depth, layout=layout, **settings)), x


MODELS = [
    (1, 1, 1, "scalar", 64),
    (3, 2, 2, "scalar", 64),
    (9, 9, 8, "scalar", 64),
    (16, 3, 8, "scalar", 256),
    (17, 2, 5, "scalar", 16),
    (40, 5, 7, "scalar", 64),
    (5, 4, 3, "vector", 64),
    (20, 7, 8, "vector", 256),
    (70, 30, 6, "sketch", 128),
    (255, 2, 4, "scalar", 32),
]


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize(("f", "d", "depth", "layout", "max_bin"), MODELS)
def test_predictions_are_xgboosts_to_the_last_bit(monkeypatch, backend, f, d, depth, layout, max_bin):
    booster, x = grown(f, d, depth, layout, max_bin=max_bin)
    expected = booster(x)
    monkeypatch.setenv("BUFF_BACKEND", backend)
    forest = FlatForest.of(booster)
    assert forest.depth == depth
    assert forest.rounds == booster.rounds
    for n in (0, 1, 6, 7, 33, 64, 65, 130):
        assert np.array_equal(forest(x[:n]), expected[:n])


@pytest.mark.parametrize("backend", ALL)
def test_values_at_and_beyond_the_cuts_fall_where_xgboost_puts_them(monkeypatch, backend):
    booster, _ = grown(3, 2, 4)
    forest = FlatForest.of(booster)
    own = np.concatenate([forest.cuts, np.nextafter(forest.cuts, -np.inf), [-np.inf, np.inf, 0.0, -0.0, 1e30]])
    x = np.random.default_rng(0).choice(own, (400, 3)).astype(np.float32)
    monkeypatch.setenv("BUFF_BACKEND", backend)
    assert np.array_equal(forest(x), booster(x))


def test_trees_that_stopped_early_or_start_elsewhere_are_the_same():
    params = {"base_score": 0.3, "num_parallel_tree": 2, "gamma": 40.0}
    booster, x = grown(4, 2, 6, tree_params=params)
    forest = FlatForest.of(booster)
    assert (forest.code == 255).any()
    assert np.array_equal(forest(x), booster(x))
    assert np.array_equal(forest.to_xgboost()(x), booster(x))


def test_rows_may_be_strided_and_double():
    booster, x = grown(4, 2, 3)
    forest = FlatForest.of(booster)
    assert np.array_equal(forest(np.broadcast_to(x[:1], (5, 4))), booster(np.repeat(x[:1], 5, axis=0)))
    assert np.array_equal(forest(x[::2].astype(float)), booster(x)[::2])
    with pytest.raises(ValueError, match=r"shape \(n, 4\)"):
        FlatForest.of(booster)(x[:, :3]) if HERE else pytest.skip("XGBoost says it in its own words")


def test_arrays_bytes_and_pickles_bring_the_forest_back():
    booster, x = grown(5, 3, 5, "vector")
    forest = FlatForest.of(booster)
    arrays = forest.to_arrays()
    for other in (
        FlatForest.from_arrays(arrays),
        pickle.loads(pickle.dumps(forest)),
        FlatForest.from_document(check_trees(booster.to_bytes())),
    ):
        assert np.array_equal(other(x), booster(x))
    assert sum(a.nbytes for a in arrays.values()) < len(booster.to_bytes())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_depth": 9}, "8 levels"),
        ({"tree_params": {"max_bin": 600}}, "255: lower max_bin"),
        ({"tree_params": {"booster": "dart"}}, "dart"),
    ],
)
def test_what_bytes_cannot_hold_is_said(settings, words):
    x, y = problem(2, 1, n=4000)
    settings = {"n_estimators": 8, "reg_lambda": 0.0} | settings
    booster = Booster.fit(x, y, TreeSettings(**settings))
    own = json.loads(booster.model.save_config())["learner"]["gradient_booster"]["name"]
    if words == "dart" != own:
        pytest.skip("XGBoost 3.4 has no booster of its own for dart")
    with pytest.raises(UnfitForest, match=words):
        FlatForest.of(booster)


def test_too_many_features_are_said():
    booster, _ = grown(256, 1, 2)
    with pytest.raises(UnfitForest, match="256 features"):
        FlatForest.of(booster)


FORGED = {
    "feature": lambda a: a["feature"] + np.uint8(4),
    "code": lambda a: np.full_like(a["code"], 200),
    "leaf": lambda a: np.full_like(a["leaf"], np.nan),
    "group": lambda a: a["group"] + np.int32(2),
    "cuts": lambda a: a["cuts"][::-1],
    "n_cuts": lambda a: a["n_cuts"] + np.int32(1),
    "base": lambda a: a["base"].astype(float),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_forests_are_refused(name):
    booster, _ = grown(4, 2, 3)
    arrays = FlatForest.of(booster).to_arrays()
    with pytest.raises(ValueError, match="forest"):
        FlatForest.from_arrays(arrays | {name: FORGED[name](arrays)})
    with pytest.raises(ValueError, match=f"{name} are missing"):
        FlatForest.from_arrays({key: a for key, a in arrays.items() if key != name})


def test_ubjson_that_is_none_is_refused():
    booster, _ = grown(2, 1, 2)
    raw = booster.to_bytes()
    for broken in (raw[: len(raw) // 2], b"", b"{x", b"PK\x03\x04"):
        with pytest.raises(ValueError, match="cut short"):
            decode(broken)
