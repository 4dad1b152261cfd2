"""Files of other machines and of later versions: what means nothing here is not taken, and what is new is told."""

import hashlib
import json
import os
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from buff import BUFF, TreeDensity, load
from buff.archive import FORMAT
from buff.errors import ArchiveError, Notice
from buff.solvers import HEUN, SOLVERS, RungeKutta
from tests.archive.fuzz import KINDS, events


@pytest.fixture(scope="module", params=[kind for kind in KINDS if kind != "network"])
def saved(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.buff"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ids
        KINDS[request.param]().save(path)
    return path


def changed(path, change):
    """The file with another record, and digests that agree."""
    with zipfile.ZipFile(path) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    manifest, record = json.loads(members["manifest.json"]), json.loads(members["record.json"])
    change(record, manifest)
    members["record.json"] = json.dumps(record).encode()
    manifest["members"]["record.json"] = [
        len(members["record.json"]),
        hashlib.sha256(members["record.json"]).hexdigest(),
    ]
    members["manifest.json"] = json.dumps(manifest).encode()
    other = path.with_name("other.buff")
    with zipfile.ZipFile(other, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return other


def parts(record, key):
    """Every mapping in a record that is there under this name, or in a list of this name."""
    for name, value in record.items() if isinstance(record, dict) else enumerate(record):
        if name == key:
            found = value if isinstance(value, list) else [value] if key == "parameters" else []
            yield from (part for part in found if isinstance(part, dict))
        if isinstance(value, dict | list):
            yield from parts(value, key)


@pytest.mark.parametrize("key", ["parameters", "schema", "encoders"])
def test_keys_of_later_versions_are_told_and_change_no_event(saved, key):
    if not list(parts(json.loads(zipfile.ZipFile(saved).read("record.json")), key)):
        pytest.skip("this kind of model has no such part")

    def change(record, manifest):
        for part in [record, *parts(record, key)]:
            part["future"] = {"of": 0.3}
        manifest["future"] = True

    with pytest.warns(Notice, match="'future'"):
        model = load(changed(saved, change))
    assert events(model) == events(load(saved))


def test_formats_of_later_versions_are_refused(saved):
    with pytest.raises(ArchiveError, match=f"format {FORMAT + 1}"):
        load(changed(saved, lambda record, manifest: manifest.update(format=FORMAT + 1)))


def test_what_means_something_on_the_writers_machine_is_not_taken(saved):
    theirs = {"n_jobs": 100_000, "cache_dir": "/etc", "max_memory": 1, "device": "cuda:7"}

    def change(record, manifest):
        for part in parts(record, "parameters"):
            part.update(theirs if "random_state" in part else {})

    model = load(changed(saved, change))
    for own in (value for value in (model, *vars(model).values()) if isinstance(value, BaseEstimator)):
        found = {name: value for name, value in own.get_params(deep=False).items() if name in theirs}
        assert all(value in (None, "auto") for value in found.values()), found


def test_no_more_threads_than_batches():
    model = KINDS["table"]()
    before = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else None
    model.set_params(n_jobs=5_000)
    assert np.array_equal(model.sample(10, random_state=1), KINDS["table"]().sample(10, random_state=1))
    assert before is None or len(os.listdir("/proc/self/task")) < before + 100


def test_solvers_of_ones_own_are_kept_by_name(tmp_path, monkeypatch):
    rule = RungeKutta(HEUN, span=1)
    mine = replace(rule, span=3) if rule in SOLVERS.values() else rule
    model = BUFF(n_steps=3, grid="uniform", n_estimators=2, solver=mine, noise_budget=1000, random_state=0)
    model.fit(np.random.default_rng(0).normal(size=(300, 2)))
    with pytest.raises(ValueError, match=r'has none: give it one by buff.solvers.SOLVERS\["my_solver"\]'):
        model.save(tmp_path / "m.buff")
    monkeypatch.setitem(SOLVERS, "mine", mine)
    model.save(tmp_path / "m.buff")
    again = load(tmp_path / "m.buff", BUFF)
    assert again.solver == "mine"
    assert np.array_equal(again.sample(20), model.sample(20))
    with pytest.raises(ArchiveError, match="holds a BUFF, not a TreeDensity"):
        load(tmp_path / "m.buff", TreeDensity)
