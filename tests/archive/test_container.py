import json
import stat
import tracemalloc
import zipfile

import numpy as np
import pytest

from buff.archive import FORMAT, Archive, read_archive, write_archive
from buff.errors import ArchiveError
from buff.records import nested
from tests.archive.members import members_of, pack

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
    members = members_of(path)
    manifest = change(json.loads(members["manifest.json"]))
    pack(path, members | {"manifest.json": json.dumps(manifest).encode()}, repair=False)


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

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
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
    with pytest.raises(ArchiveError, match=rf"format {FORMAT + 1} of buff 9.9.*reads formats 1 to {FORMAT}"):
        read_archive(path)


@pytest.mark.parametrize("number", [0, -1, FORMAT + 1, 1.0, "1", True, None, 10**400])
def test_numbers_of_no_format(path, number):
    rewrite(path, lambda manifest: manifest | {"format": number})
    with pytest.raises(ArchiveError, match=f"reads formats 1 to {FORMAT}|not readable"):
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


@pytest.mark.parametrize("name", ["arrays/a/b.npy", "blobs/0.ubj", "record.json"])
def test_members_lost_changed_renamed_or_exchanged(path, name):
    whole = members_of(path)
    pack(path, {key: content for key, content in whole.items() if key != name}, repair=False)
    with pytest.raises(ArchiveError, match="lost"):
        read_archive(path)
    pack(path, whole | {name: whole[name][:-1] + b"!"}, repair=False)
    with pytest.raises(ArchiveError, match="changed"):
        read_archive(path)
    pack(path, whole | {name: whole[name] + b"?"}, repair=False)
    with pytest.raises(ArchiveError, match="in the manifest"):
        read_archive(path)
    pack(path, whole | {"blobs/2.ubj": b"more"}, repair=False)
    with pytest.raises(ArchiveError, match="not listed"):
        read_archive(path)
    pack(path, whole | {"blobs/0.ubj": whole["blobs/1.ubj"], "blobs/1.ubj": whole["blobs/0.ubj"]}, repair=False)
    with pytest.raises(ArchiveError, match="in the manifest"):
        read_archive(path)


def test_members_of_no_model(path):
    pack(path, members_of(path) | {"evil.sh": b"rm"})
    with pytest.raises(ArchiveError, match=r"'evil.sh' is of no model"):
        read_archive(path)


def test_names_twice(path):
    with zipfile.ZipFile(path, "a") as zipped, pytest.warns(UserWarning, match="Duplicate name"):
        zipped.writestr("blobs/0.ubj", b"other")
    with pytest.raises(ArchiveError, match="twice"):
        read_archive(path)


def header(shape, descr="<f8", more=""):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, {more}}}".encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "array",
    [
        header((10**12,)) + bytes(8),
        header((10**12, 0)),
        header((2**63, 2**63)),
        header((-1,)),
        header((1,), "|O") + bytes(8),
        header((1,), [("a", "<f8")]) + bytes(8),
        header((True,)) + bytes(8),
        header("(" * 90) + bytes(8),
        header((1,), more="'x': 1") + bytes(8),
        b"\x93NUMPY\x03\x00" + bytes(100),
        b"\x93NUMPY\x01\x00\xff\xff",
        b"\x80\x04K\x01.",
        b"",
    ],
)
def test_arrays_that_are_none(path, array):
    pack(path, members_of(path) | {"arrays/c.npy": array})
    with pytest.raises(ArchiveError, match="cut short or damaged"):
        read_archive(path)


@pytest.mark.parametrize(
    "record",
    [
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"a": ' + b"9" * 10_000 + b"}",
        b"[]",
        b"\xff\xfe",
        b"",
    ],
)
def test_records_that_are_none(path, record):
    pack(path, members_of(path) | {"record.json": record})
    with pytest.raises(ArchiveError, match="cut short or damaged"):
        read_archive(path)


@pytest.mark.parametrize("entry", [3, [1], [1, 2], [-1, "0" * 64], [1, "x" * 64], [True, "0" * 64], [1.0, "0" * 64]])
def test_entries_of_the_manifest_that_are_none(path, entry):
    whole = members_of(path)
    manifest = json.loads(whole["manifest.json"])
    manifest["members"]["blobs/0.ubj"] = entry
    pack(path, whole | {"manifest.json": json.dumps(manifest).encode()}, repair=False)
    with pytest.raises(ArchiveError, match="blobs/0.ubj"):
        read_archive(path)


def test_bombs_are_refused_before_they_are_unpacked(path):
    pack(path, members_of(path) | {"blobs/0.ubj": bytes(2**28)})
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="would unpack"):
        read_archive(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_sizes_that_the_directory_understates(path):
    pack(path, members_of(path) | {"blobs/0.ubj": bytes(2**20)})
    raw = path.read_bytes()
    for size in (10, 2**19):
        path.write_bytes(raw.replace((2**20).to_bytes(4, "little"), size.to_bytes(4, "little")))
        with pytest.raises(ArchiveError):
            read_archive(path)


def test_members_that_pack_well_are_read_again(tmp_path):
    arrays = {"zeros": np.zeros(2**23), "numbers": RNG.normal(size=100)}
    write_archive(tmp_path / "m", Archive("Thing", {}, arrays))
    assert np.array_equal(read_archive(tmp_path / "m").arrays["zeros"], arrays["zeros"])


def test_equal_models_are_equal_files(path, tmp_path):
    write_archive(tmp_path / "again", ARCHIVE)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_archives_within_archives():
    whole = ARCHIVE.under("part")
    back = whole.part("part")
    assert (back.kind, back.record, dict(back.blobs)) == (ARCHIVE.kind, ARCHIVE.record, dict(ARCHIVE.blobs))
    assert list(back.arrays) == list(ARCHIVE.arrays)
