import io

import numpy as np
import pytest

from buff import kernels
from buff.errors import ArchiveError
from buff.trees import Booster, FlatForest, TreeSettings, restored_trees, stored_trees

BACKENDS = ["xgboost", *(name for name, _ in kernels.native().backends())] if kernels.native() else ["xgboost"]
MAGIC = b"{forest1}"
ORDER = ("rounds", "base", "n_cuts", "cuts", "group", "feature", "code", "leaf")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((1500, 5)).astype(np.float32)
Y = np.stack([np.sin(X[:, 0] * 3) + X[:, 1] ** 2, X[:, 2] * X[:, 3], X[:, 4]], axis=1)


def grown(layout="scalar", **settings):
    return Booster.fit(X, Y, TreeSettings(**{"n_estimators": 4, "reg_lambda": 1.0, "layout": layout} | settings))


def written(arrays):
    file = io.BytesIO()
    file.write(MAGIC)
    for name in ORDER:
        np.save(file, arrays[name])
    return file.getvalue()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", ["scalar", "vector", "sketch"])
def test_files_bring_the_same_predictions_back_to_the_last_bit(monkeypatch, backend, layout):
    booster = grown(layout, tree_params={"base_score": 0.25, "gamma": 5.0})
    monkeypatch.setenv("BUFF_BACKEND", backend)
    raw = stored_trees(booster)
    again = restored_trees(raw, 3, n_features=5)
    assert isinstance(again, FlatForest)
    assert again.rounds == booster.rounds
    assert np.array_equal(again(X), booster(X))
    assert np.array_equal(again.to_xgboost()(X), booster(X))
    assert stored_trees(again) == raw == written(again.to_arrays())


@pytest.mark.parametrize("settings", [{"max_depth": 9}, {"max_bin": 600}])
def test_trees_that_bytes_cannot_hold_stay_ubjson(settings):
    booster = grown(reg_lambda=0.0, **settings)
    assert stored_trees(booster) == booster.to_bytes()
    again = restored_trees(stored_trees(booster), 3, n_features=5)
    assert isinstance(again, Booster)
    assert np.array_equal(again(X), booster(X))


def test_ubjson_of_trees_that_fit_is_read_as_arrays():
    booster = grown()
    again = restored_trees(booster.to_bytes(), 3)
    assert isinstance(again, FlatForest)
    assert np.array_equal(again(X), booster(X))


def test_probabilities_stay_with_xgboost():
    booster = Booster.fit(
        X,
        (Y[:, :1] > 0).astype(np.float32),
        TreeSettings(n_estimators=2, tree_params={"objective": "binary:logistic", "base_score": 0.5}),
    )
    again = restored_trees(stored_trees(booster), 1)
    assert np.array_equal(again(X), booster(X))


@pytest.mark.parametrize("raw", [stored_trees(grown()), grown().to_bytes()], ids=["arrays", "ubjson"])
def test_trees_of_another_flow_are_refused(raw):
    with pytest.raises(ArchiveError, match="outputs, not 2"):
        restored_trees(raw, 2)
    with pytest.raises(ArchiveError, match="5 features, not 6"):
        restored_trees(raw, 3, n_features=6)


FORGED = {
    "features beyond the input": ("feature", lambda a: a + np.uint8(5)),
    "cuts that are not there": ("code", lambda a: np.full_like(a, 200)),
    "cuts that fall": ("cuts", lambda a: a[::-1].copy()),
    "cuts that are no number": ("cuts", lambda a: np.full_like(a, np.nan)),
    "more cuts than there are": ("n_cuts", lambda a: a + np.int32(1)),
    "fewer cuts than none": ("n_cuts", lambda a: np.concatenate([a[:-2], a[-2:-1] + a[-1] + 1, [-1]]).astype(np.int32)),
    "leaves that are no number": ("leaf", lambda a: np.full_like(a, np.inf)),
    "half of the leaves": ("leaf", lambda a: a[:, : a.shape[1] // 2]),
    "leaves of two numbers": ("leaf", lambda a: np.concatenate([a, a], axis=2)),
    "leaves of no number": ("leaf", lambda a: a[:, :, :0]),
    "a tree less": ("leaf", lambda a: a[1:]),
    "outputs that are not there": ("group", lambda a: a + np.int32(2)),
    "groups in rows": ("group", lambda a: a[:, None]),
    "a base in rows": ("base", lambda a: a[:, None]),
    "double precision": ("leaf", lambda a: a.astype(float)),
    "many rounds": ("rounds", lambda a: np.array([a, a])),
    "rounds below none": ("rounds", lambda a: np.array(-1, np.int32)),
    "rounds beyond the trees": ("rounds", lambda a: np.array(2**31 - 1, np.int32)),
    "text": ("cuts", lambda a: np.array(["a"] * len(a))),
}


def test_trees_of_all_outputs_are_of_no_single_one():
    arrays = FlatForest.of(grown("vector")).to_arrays()
    with pytest.raises(ArchiveError):
        restored_trees(written(arrays | {"group": arrays["group"] + np.int32(1)}), 3)


@pytest.mark.parametrize("what", FORGED)
def test_forged_arrays_are_refused(what):
    name, forge = FORGED[what]
    arrays = FlatForest.of(grown()).to_arrays()
    with pytest.raises(ArchiveError):
        restored_trees(written(arrays | {name: forge(arrays[name])}), 3)


def test_arrays_that_are_cut_short_or_go_on_are_refused():
    raw = stored_trees(grown())
    for broken in (raw[:-1], raw[: len(raw) // 2], raw[: len(MAGIC)], raw + b"\0", MAGIC + b"x" * 100):
        with pytest.raises(ArchiveError):
            restored_trees(broken, 3)


@pytest.mark.parametrize("layout", ["scalar", "vector"])
def test_changed_bytes_are_refused_or_predict_numbers(layout):
    raw, rng, refused = stored_trees(grown(layout, max_depth=4)), np.random.default_rng(1), 0
    for _ in range(400):
        changed = bytearray(raw)
        for place in rng.integers(len(raw), size=rng.integers(1, 4)):
            changed[place] = rng.integers(256)
        try:
            trees = restored_trees(bytes(changed), 3, n_features=5)
        except ArchiveError:
            refused += 1
            continue
        assert trees(X[:70]).shape == (70, 3)
    assert 0 < refused < 400
