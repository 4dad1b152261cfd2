import json
import stat
import zipfile

import numpy as np
import pytest

import buff.archive
from buff.archive import FORMAT, Archive, nested, read_archive, write_archive
from buff.errors import ArchiveError

RNG = np.random.default_rng(0)
ARCHIVE = Archive(
    "Thing",
    {"numbers": [1, 2.5, None], "name": "ü"},
    {"a/b": RNG.normal(size=(50, 3)), "c": np.array(["x", "yy"]), "empty": np.empty((0, 2), np.float32)},
    {"0.ubj": RNG.bytes(1000), "1.ubj": b""},
)


@pytest.fixture
def path(tmp_path):
    write_archive(tmp_path / "model.buff", ARCHIVE)
    return tmp_path / "model.buff"


def rewrite(path, change):
    """The same file with its manifest changed."""
    with zipfile.ZipFile(path) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    manifest = json.loads(members["manifest.json"])
    members["manifest.json"] = json.dumps(change(manifest))
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)


def test_round_trip(path):
    back = read_archive(str(path))
    assert (back.kind, back.record, dict(back.blobs)) == (ARCHIVE.kind, ARCHIVE.record, dict(ARCHIVE.blobs))
    assert list(back.arrays) == list(ARCHIVE.arrays)
    for key, array in ARCHIVE.arrays.items():
        assert back.arrays[key].dtype == array.dtype
        assert np.array_equal(back.arrays[key], array)


def test_numpy_numbers_become_plain_ones(tmp_path):
    write_archive(tmp_path / "m", Archive("Thing", {"n": np.int64(3), "x": np.float32(0.5), "flag": np.True_}))
    assert read_archive(tmp_path / "m").record == {"n": 3, "x": 0.5, "flag": True}


def test_objects_are_never_pickled(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        write_archive(tmp_path / "m", Archive("Thing", {}, {"a": np.array([{}], dtype=object)}))
    with pytest.raises(TypeError, match="cannot hold <object"):
        write_archive(tmp_path / "m", Archive("Thing", {"a": object()}))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(buff.archive.np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_archive(path, ARCHIVE)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_permissions_are_those_of_any_new_file(path):
    (path.parent / "other").write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((path.parent / "other").stat().st_mode)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_cut_short(path, share):
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(ArchiveError, match="cut short or damaged"):
        read_archive(path)


def test_damage_is_noticed_or_harmless(path):
    raw, failures = path.read_bytes(), 0
    for position in range(0, len(raw), 37):
        damaged = bytearray(raw)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            back = read_archive(path)
        except ArchiveError:
            failures += 1
        else:
            same = [np.array_equal(back.arrays.get(k), a) for k, a in ARCHIVE.arrays.items() if k in back.arrays]
            assert all(same)
    assert failures > 10


def test_other_versions_are_refused(path):
    rewrite(path, lambda manifest: manifest | {"format": FORMAT + 1, "buff": "9.9"})
    with pytest.raises(ArchiveError, match=rf"format {FORMAT + 1} of buff 9.9.*reads format {FORMAT}"):
        read_archive(path)


@pytest.mark.parametrize("manifest", [{}, [], 3, {"format": FORMAT}])
def test_manifests_of_something_else(path, manifest):
    rewrite(path, lambda _: manifest)
    with pytest.raises(ArchiveError, match="not a buff model"):
        read_archive(path)


def test_zip_that_is_no_model(tmp_path):
    with zipfile.ZipFile(tmp_path / "m", "w") as zipped:
        zipped.writestr("a.txt", "hello")
    with pytest.raises(ArchiveError, match=r"no manifest\.json"):
        read_archive(tmp_path / "m")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "none")


def test_nested_is_by_whole_names():
    assert nested({"a/b/c": 1, "ab/c": 2, "a": 3}, "a") == {"b/c": 1}
