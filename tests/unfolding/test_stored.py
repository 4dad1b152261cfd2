"""An Unfolder's file: the same unfolding bit by bit, and nothing else than what was written."""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest

import buff
from buff.errors import ArchiveError
from buff.generators import BUFFTransport
from tests.archive.members import members_of, pack
from tests.unfolding.toys import Detector, quick

MEASURED = Detector(mean=0.3).events(200, 1)[1]
MEASURED = MEASURED[~np.isnan(MEASURED[:, 0])]
REPLICAS = {"data": 2, "simulation": 2, "model": 2}
BRIDGE = BUFFTransport(noise="auto", n_steps=3, n_estimators=3, noise_budget=3000)


def fitted(method="iterated", n=400, **options):
    truth, reco, pass_truth, pass_reco = Detector().events(n, 0)
    unfolder = quick(method, n_iterations=2, **options)
    return unfolder.fit(truth, reco, pass_truth=pass_truth, pass_reco=pass_reco)


def saved(unfolder, path):
    unfolder.save(path / "model.buff")
    return buff.load(path / "model.buff")


def assert_equal(one, other):
    np.testing.assert_array_equal(one.events, other.events)
    np.testing.assert_array_equal(one.weights, other.weights)
    assert [r.source for r in one.replicas] == [r.source for r in other.replicas]
    for mine, yours in zip(one.replicas, other.replicas, strict=True):
        np.testing.assert_array_equal(mine.weights, yours.weights)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("iterated", {"n_replicas": REPLICAS, "classifier": {"n_estimators": 20}}),
        ("conditional", {}),
        ("bridge", {"generator": BRIDGE}),
        ("reweight", {"n_replicas": REPLICAS}),
    ],
)
def test_what_is_read_unfolds_to_the_same_bits(method, options, tmp_path):
    unfolder = fitted(method, **options)
    back = saved(unfolder, tmp_path)
    assert_equal(unfolder.unfold(MEASURED), back.unfold(MEASURED))
    known, found = unfolder.get_params(deep=False), back.get_params(deep=False)
    assert {k: v for k, v in known.items() if k != "generator"} == {k: v for k, v in found.items() if k != "generator"}
    assert type(found["generator"]) is type(known["generator"])
    if method != "reweight":
        np.testing.assert_array_equal(unfolder.sample(MEASURED, 2), back.sample(MEASURED, 2))


def test_files_of_equal_unfolders_are_equal(tmp_path):
    saved(fitted("reweight"), tmp_path).save(tmp_path / "again.buff")
    assert (tmp_path / "again.buff").read_bytes() == (tmp_path / "model.buff").read_bytes()


def test_frames_with_text_and_weights_of_both_signs(tmp_path):
    rng = np.random.default_rng(0)
    n = 600
    truth = pd.DataFrame({"x": rng.normal(size=n), "kind": rng.choice(["b", "light"], n)})
    reco = pd.DataFrame({"x": truth.x + 0.2 * rng.normal(size=n), "n": rng.poisson(3, n)})
    weights = np.where(rng.random(n) < 0.1, -1.0, 1.0)
    unfolder = quick("reweight", n_iterations=1, negative_weights="cancel", n_replicas={"simulation": 2})
    unfolder.fit(truth, reco, sample_weight=weights)
    back = saved(unfolder, tmp_path)
    one, other = unfolder.unfold(reco[:100]), back.unfold(reco[:100])
    pd.testing.assert_frame_equal(one.events, other.events)
    np.testing.assert_array_equal(one.weights, other.weights)
    assert back.simulation_.of_kind[0].inflation == unfolder.simulation_.of_kind[0].inflation > 1


def test_nothing_is_saved_before_the_fit(tmp_path):
    with pytest.raises(Exception, match="not fitted"):
        quick().save(tmp_path / "model.buff")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    path = tmp_path_factory.mktemp("members") / "model.buff"
    fitted(n=200).save(path)
    return members_of(path)


def saying(members, place, value):
    """Members whose record says something else at a place."""
    record = json.loads(members["record.json"])
    part = record
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return members | {"record.json": json.dumps(record).encode()}


def one_of_each(members, suffix=""):
    """Names of members that are not numbered otherwise only."""
    first = {re.sub(r"\d+", "0", name): name for name in sorted(members, reverse=True) if name.endswith(suffix)}
    return set(first.values()) - {"manifest.json", "record.json"}


def test_what_lacks_a_part_is_refused(members, tmp_path):
    for name in one_of_each(members):
        pack(tmp_path / "model.buff", {key: content for key, content in members.items() if key != name})
        with pytest.raises(ArchiveError):
            buff.load(tmp_path / "model.buff")


def test_arrays_of_other_shapes_are_refused(members, tmp_path):
    for name in one_of_each(members, ".npy"):
        array = np.load(io.BytesIO(members[name]))
        buffer = io.BytesIO()
        np.save(buffer, np.concatenate([array, array[:1]]) if len(array) else np.zeros(1, array.dtype))
        pack(tmp_path / "model.buff", members | {name: buffer.getvalue()})
        with pytest.raises(ArchiveError):
            buff.load(tmp_path / "model.buff")


@pytest.mark.parametrize("key", ["parameters", "entropy", "classifier", "truth", "reco", "weights", "members"])
def test_records_that_lack_a_part_are_refused(key, members, tmp_path):
    record = json.loads(members["record.json"])
    del record[key]
    pack(tmp_path / "model.buff", members | {"record.json": json.dumps(record).encode()})
    with pytest.raises(ArchiveError, match=key):
        buff.load(tmp_path / "model.buff")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("parameters", "method"), "other"),
        (("parameters", "generator", "kind"), "os.system"),
        (("members", "nominal", "0", "kind"), "Other"),
        (("members", "nominal", "0", "seed"), -1),
        (("weights", "matched", "n"), 10**9),
        (("weights", "matched", "n"), 1),
        (("classifier", "n_folds"), 1),
        (("truth", "columns", "levels"), [["a"]]),
    ],
)
def test_records_that_say_something_else_are_refused(place, value, members, tmp_path):
    pack(tmp_path / "model.buff", saying(members, place, value))
    with pytest.raises(ArchiveError):
        buff.load(tmp_path / "model.buff")
