import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from buff.errors import ArchiveError
from buff.trees import Booster, TreeSettings, check_trees
from buff.trees.regressor import decode
from buff.trees.written import encode

ROOT = Path(__file__).parents[2]


def grown(d, layout="auto", n=300, **settings):
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    y = np.column_stack([x[:, 0] * x[:, k % 3] for k in range(d)]).astype(np.float32)
    return Booster.fit(x, y, TreeSettings(n_estimators=3, max_depth=3, layout=layout, **settings), fresh=(x, y, None))


def editable(value):
    """The document with arrays that can be written to."""
    if isinstance(value, dict):
        return {key: editable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [editable(part) for part in value]
    return value.copy() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("layout", ["scalar", "vector", "sketch"])
@pytest.mark.parametrize("settings", [{}, {"min_split_loss": 20.0}, {"tree_params": {"num_parallel_tree": 2}}])
def test_what_xgboost_writes_is_taken(layout, settings):
    check_trees(grown(2, layout, **settings).to_bytes(), 2, 3)


def test_encoding_is_the_inverse_of_decoding():
    raw = grown(2, "vector").to_bytes()
    assert encode(decode(raw)) == raw or check_trees(encode(decode(raw)), 2, 3)


def model(document):
    return document["learner"]["gradient_booster"]["model"]


def put(name, place, value):
    def change(document):
        model(document)["trees"][0][name][place] = value

    return change


def parameter(name, value):
    return lambda document: model(document)["trees"][0]["tree_param"].update({name: value})


FORGERIES = {
    "child out of range": put("left_children", 0, 10**6),
    "child below zero": put("left_children", 0, -7),
    "circle": put("left_children", 1, 0),
    "shared child": put("left_children", 0, 2),
    "feature beyond the input": put("split_indices", 0, 3),
    "feature below zero": put("split_indices", 0, -1),
    "split at nan": put("split_conditions", 0, np.nan),
    "categories": put("split_type", 0, 1),
    "default": put("default_left", 0, 7),
    "other parent": put("parents", 1, 5),
    "leaf size": parameter("size_leaf_vector", "7"),
    "nodes": parameter("num_nodes", "1000"),
    "features": parameter("num_feature", "9"),
    "deleted": parameter("num_deleted", "1"),
    "text as a number": parameter("num_nodes", "x" * 100),
    "tree_info": lambda document: model(document).update(tree_info=[99] * 6),
    "fewer trees": lambda document: model(document).update(trees=model(document)["trees"][:1]),
    "rounds": lambda document: model(document).update(iteration_indptr=[0, 4, 2, 6]),
    "booster": lambda document: document["learner"]["gradient_booster"].update(name="gblinear"),
    "objective": lambda document: document["learner"]["objective"].update(name="rank:ndcg"),
    "outputs": lambda document: document["learner"]["learner_model_param"].update(num_target="5"),
    "base score": lambda document: document["learner"]["learner_model_param"].update(base_score="[nan,0]"),
    "more keys": lambda document: model(document)["trees"][0].update(other=[]),
    "lost keys": lambda document: model(document)["trees"][0].pop("parents"),
    "shorter": lambda document: model(document)["trees"][0].update(parents=np.zeros(2, np.int32)),
    "floats for integers": lambda document: model(document)["trees"][0].update(left_children=np.zeros(7)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_trees_never_reach_xgboost(forgery):
    document = editable(decode(grown(2, "scalar").to_bytes()))
    FORGERIES[forgery](document)
    with pytest.raises(ArchiveError, match="trees"):
        Booster.from_bytes(encode(document), 2)


@pytest.mark.parametrize("place", [0, -1])
def test_leaves_of_vector_trees(place):
    document = editable(decode(grown(2, "vector").to_bytes()))
    tree = model(document)["trees"][0]
    leaves = np.flatnonzero(tree["left_children"] == -1)
    tree["right_children"][leaves[place]] = 10**6
    with pytest.raises(ArchiveError, match="leaves that are not there"):
        Booster.from_bytes(encode(document), 2)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b'{"learner": {}}',
        b"[" * 100_000,
        b"{" + b"i\x01a{" * 100_000,
        b"[$d#L\x7f" + b"\xff" * 7,
        b"[#L\x7f" + b"\xff" * 7,
        b"[$d#l\xff\xff\xff\xff",
        b"{i\x01ai\x01i\x01ai\x02}",
        b"Si\x02\xff\xfe",
        b"N",
        b"[$N#i\x05",
    ],
)
def test_documents_that_are_none(raw):
    with pytest.raises(ArchiveError):
        check_trees(raw, 1)


def test_other_booster_kinds_and_json_are_refused():
    booster = grown(1)
    with pytest.raises(ArchiveError):
        Booster.from_bytes(bytes(booster.model.save_raw("json")), 1)
    with pytest.raises(ArchiveError, match="2 outputs|1 outputs"):
        Booster.from_bytes(booster.to_bytes(), 2)
    with pytest.raises(ArchiveError, match="features"):
        Booster.from_bytes(booster.to_bytes(), 1, n_features=4)


FUZZ = """
import sys
import numpy as np
from tests.trees.test_checked import editable, grown, model
from buff.errors import ArchiveError
from buff.trees import Booster
from buff.trees.regressor import decode
from buff.trees.written import encode

rng, refused = np.random.default_rng(int(sys.argv[1])), 0
raws = [grown(2, layout).to_bytes() for layout in ("scalar", "vector")]
x = rng.normal(size=(50, 3)).astype(np.float32)
for number in range(1000):
    raw = bytearray(raws[number % 2])
    if number % 4 < 2:
        for place in rng.integers(len(raw), size=rng.integers(1, 4)):
            raw[place] = rng.integers(256)
    else:  # whole files with numbers that lie
        document = editable(decode(bytes(raw)))
        tree = model(document)["trees"][rng.integers(len(model(document)["trees"]))]
        name = rng.choice([key for key, part in tree.items() if isinstance(part, np.ndarray) and len(part)])
        tree[name][rng.integers(len(tree[name]))] = rng.choice([-2, -1, 0, 1, 3, 5, 7, 99, 2**31 - 1])
        raw = encode(document)
    try:
        Booster.from_bytes(bytes(raw), 2, n_features=3)(x)
    except ArchiveError:
        refused += 1
    except ValueError as error:
        assert "XGBoost" in type(error).__name__, error
        refused += 1
print(refused)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_thousand_mutations_crash_nothing(seed):
    command = [sys.executable, "-c", FUZZ, str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-1000:]
    assert int(done.stdout) > 300
