"""Models in files."""

import pickletools
import zipfile

import numpy as np
import pandas as pd
import pytest

from buff import BUFF, load
from buff.archive import Archive, read_archive, write_archive
from buff.errors import ArchiveError
from buff.grids import TimeGrid


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.buff"


def test_events_survive(model, conditional, path):
    for fitted in (model, conditional):
        fitted.save(path)
        back = load(path)
        assert np.array_equal(back.sample(50), fitted.sample(50))
        assert np.array_equal(back.sample(50, random_state=3), fitted.sample(50, random_state=3))
        assert str(back.nodes_) == str(fitted.nodes_)
        assert str(back.schema_) == str(fitted.schema_)
        assert back.n_features_in_ == 3
        assert len(list(back.trajectory(2))) == 5
        back.save(path)
        assert np.array_equal(load(path).sample(50), fitted.sample(50))
    assert np.array_equal(back.sample(5, condition=1), conditional.sample(5, condition=1))


def test_frames_survive(small, path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"pt": rng.exponential(size=90), "kind": rng.choice(["q", "g"], 90)})
    model = small(schema={"pt": {"lower": 0}}, tree_params={"max_bin": 64}).fit(frame, condition=frame["kind"])
    model.save(path)
    back = load(path)
    pd.testing.assert_frame_equal(back.sample(30), model.sample(30))
    assert back.feature_names_in_.tolist() == ["pt", "kind"]


@pytest.mark.parametrize("layout", ["scalar", "vector", "sketch"])
def test_layouts_survive(small, table, path, layout):
    model = small(layout=layout).fit(table[0])
    model.save(path)
    assert np.array_equal(load(path).sample(50), model.sample(50))
    assert path.stat().st_size < model.plan_.disk + 2**17


def test_parameters_survive_where_they_mean_something(small, table, path, tmp_path):
    model = small(n_steps=np.int64(4), n_jobs=1, max_memory=10**12, cache_dir=tmp_path / "c", n_estimators=2)
    model.set_params(random_state=np.random.default_rng(0)).fit(table[0])
    model.save(path)
    back = load(path).get_params()
    assert (back["n_steps"], back["n_estimators"]) == (4, 2)
    assert (back["n_jobs"], back["max_memory"], back["cache_dir"], back["random_state"]) == (None,) * 4
    assert back["device"] == "auto"


def test_bounds_of_dates_survive(small, path):
    table = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=60), "x": np.arange(60.0)})
    for start in (np.datetime64("2025-12-24"), pd.Timestamp("2025-12-24"), "2025-12-24"):
        model = small(n_estimators=1, schema={"day": {"lower": start}}).fit(table)
        model.save(path)
        back = load(path)
        assert np.datetime64(back.get_params()["schema"]["day"]["lower"]) == np.datetime64("2025-12-24")
        pd.testing.assert_frame_equal(back.fit(table).sample(9), model.sample(9))


def test_no_pickle_inside(conditional, path):
    conditional.save(path)
    with zipfile.ZipFile(path) as zipped:
        for name in zipped.namelist():
            content = zipped.read(name)
            assert not content.startswith(b"\x80")
            if name.endswith(".npy"):
                assert b"'|O'" not in content[:200]
            with pytest.raises(ValueError, match=r"opcode|pickle exhausted|expected"):
                list(pickletools.genops(content))


def test_no_training_value_inside(small, path):
    rng = np.random.default_rng(0)
    planted = np.array([3.14159265358979, -1.41421356237309, 0.57721566490153])
    X, c = rng.normal(size=(5000, 3)), rng.normal(size=5000)
    X[1234], c[1234] = planted, 0.91596559417721
    model = small(n_estimators=8, noise_budget=5000).fit(X, condition=c)
    model.save(path)
    with zipfile.ZipFile(path) as zipped:
        content = b"".join(zipped.read(name) for name in zipped.namelist())
    for value in [*planted, c[1234]]:
        for dtype in ("<f4", "<f8", ">f4", ">f8"):
            assert np.array(value, dtype).tobytes() not in content
        assert repr(float(value)).encode() not in content
    u = model.space_.transform(X)[1234]
    assert not any(np.float32(score).tobytes() in content for score in u)
    # the search finds what is there
    assert model.model_.nodes[0].linear.bias.tobytes() in content


def test_a_place_that_is_none(model, tmp_path):
    for place in (tmp_path / "no" / "m.buff", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{place} cannot be written: name a file in a folder that exists"):
            model.save(place)


def test_bad_files(model, path):
    model.save(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ArchiveError, match="cut short"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(path.parent / "none.buff")
    write_archive(path, Archive("Forest", {}))
    with pytest.raises(ArchiveError, match=r"kind 'Forest', this version knows \['BUFF'"):
        load(path)


def test_files_of_another_buff_that_do_not_fit(model, path):
    model.save(path)
    whole = read_archive(path)
    for lost in ("space", "times", "parameters"):
        record = {key: value for key, value in whole.record.items() if key != lost}
        write_archive(path, Archive("BUFF", record, whole.arrays, whole.blobs))
        with pytest.raises(ArchiveError, match=lost):
            load(path)
    record = whole.record | {"parameters": {"colour": "red"}}
    write_archive(path, Archive("BUFF", record, whole.arrays, whole.blobs))
    with pytest.raises(ArchiveError, match="colour"):
        load(path)
    blobs = dict(whole.blobs) | {next(iter(whole.blobs)): b"no trees"}
    write_archive(path, Archive("BUFF", whole.record, whole.arrays, blobs))
    with pytest.raises(ArchiveError, match="does not hold what a BUFF"):
        load(path)


def test_a_grid_of_ones_own_is_kept(tmp_path):
    grid = TimeGrid((0, 0.2, 0.7, 1))
    settings = {"n_estimators": 2, "noise_budget": 2_000, "random_state": 0}
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = BUFF(n_steps=3, grid=grid, **settings).fit(X)
    model.save(tmp_path / "grid.buff")
    again = load(tmp_path / "grid.buff")
    assert again.grid == model.grid == grid
    np.testing.assert_array_equal(again.sample(20), model.sample(20))
    with pytest.raises(ValueError, match="grid has 3 steps and n_steps is 10: set n_steps=3"):
        BUFF(grid=grid, **settings).fit(X)
