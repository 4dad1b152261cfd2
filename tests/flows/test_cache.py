import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from buff.flows import FlowMatchingData, NodeCache, NodeRecord, RankIntervals
from buff.flows.cache import fingerprint
from buff.trees import Booster, TreeSettings

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 2)).astype(np.float32)
DATA = FlowMatchingData(RankIntervals(X, X), X[:, :1], np.ones(200, np.float32))
SETTINGS = TreeSettings(n_estimators=2, tree_params={"max_bin": 64})
KEY = fingerprint(DATA, SETTINGS, 5, times=(0.0, 0.5), seed=0)


def changed(array):
    array = array.copy()
    array.flat[-1] = np.nextafter(array.flat[-1], np.float32(np.inf))
    return array


@pytest.mark.parametrize("part", ["low", "high", "condition", "weights"])
def test_any_changed_number_is_another_fit(part):
    if part in ("low", "high"):
        other = replace(DATA, scores=replace(DATA.scores, **{part: changed(getattr(DATA.scores, part))}))
    else:
        other = replace(DATA, **{part: changed(getattr(DATA, part))})
    assert fingerprint(other, SETTINGS, 5, times=(0.0, 0.5), seed=0) != KEY


@pytest.mark.parametrize(
    "change",
    [
        {"n_estimators": 3},
        {"max_depth": 3},
        {"learning_rate": 0.1},
        {"reg_lambda": 2.0},
        {"early_stopping": 4},
        {"layout": "vector"},
        {"device": "cuda"},
        {"tree_params": {"max_bin": 32}},
        {"tree_params": {}},
    ],
)
def test_any_changed_setting_is_another_fit(change):
    assert fingerprint(DATA, replace(SETTINGS, **change), 5, times=(0.0, 0.5), seed=0) != KEY


def test_draws_times_and_seed_are_part_of_the_fit():
    others = [
        fingerprint(DATA, SETTINGS, 6, times=(0.0, 0.5), seed=0),
        fingerprint(DATA, SETTINGS, 5, times=(0.0, 0.6), seed=0),
        fingerprint(DATA, SETTINGS, 5, times=(0.0, 0.5), seed=1),
        fingerprint(replace(DATA, weights=None), SETTINGS, 5, times=(0.0, 0.5), seed=0),
    ]
    assert KEY not in others
    assert fingerprint(replace(DATA), replace(SETTINGS), 5, times=(0.0, 0.5), seed=0) == KEY


@pytest.mark.parametrize("name", ["node_0003.ubj", "node_0003.json"])
@pytest.mark.parametrize("content", [b"", b"xx", b"{}", b"half", b"[" * 100_000, b"\xff\xfe"])
def test_damaged_nodes_are_not_finished(tmp_path, name, content):
    cache = NodeCache(tmp_path / KEY)
    cache.store(3, Booster.fit(X, X, SETTINGS), NodeRecord(0.5, 2, 0.1, 0.1))
    path = cache.folder / name
    path.write_bytes(path.read_bytes()[:-20] if content == b"half" else content)
    assert cache.load(3, 2, "cpu") is None


def test_nodes_come_back_whole_or_not_at_all(tmp_path):
    cache, record = NodeCache(tmp_path / KEY), NodeRecord(0.5, 2, np.nan, 0.1)
    trees = Booster.fit(X, X, SETTINGS)
    assert cache.load(3, 2, "cpu") is None
    cache.store(3, trees, record)
    back, back_record = cache.load(3, 2, "cpu")
    assert np.array_equal(back(X), trees(X))
    assert str(back_record) == str(record)
    assert cache.load(2, 2, "cpu") is None
    (tmp_path / KEY / "node_0003.json").unlink()  # killed between the two files
    assert cache.load(3, 2, "cpu") is None
    assert sorted(p.name for p in cache.folder.iterdir()) == ["node_0003.ubj"]


def test_a_full_disk_leaves_nothing(tmp_path):
    code = (
        "import resource, signal, sys; from tests.flows.test_cache import *; "
        "booster, cache = Booster.fit(X, X, SETTINGS), NodeCache(__import__('pathlib').Path(sys.argv[1])); "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY)); "
        "cache.store(3, booster, NodeRecord(0.5, 2, 0.1, 0.1))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []
