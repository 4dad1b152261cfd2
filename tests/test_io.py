"""Files: types survive, pieces join, damage is named, and nothing half-written is ever seen."""

import gzip
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from buff.errors import TableNotice
from buff.io import TableWriter, column_names, iter_table, read_table, to_table, units_of
from buff.io.text import CsvSource

h5py = pytest.importorskip("h5py")
uproot = pytest.importorskip("uproot")

SUFFIXES = [".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".feather", ".arrow", ".h5", ".npz", ".root"]
TYPED = [".parquet", ".feather", ".h5", ".npz"]  # formats that keep every type below


def numbers(n=1000, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "pt": rng.exponential(100, n),
            "eta": rng.normal(size=n).astype(np.float32),
            "n": rng.integers(-5, 30, n),
            "tag": rng.random(n) < 0.3,
        }
    )


def mixed():
    return pa.table(
        {
            "f4": pa.array([1.5, None, -0.1], pa.float32()),
            "i2": pa.array([1, None, -3], pa.int16()),
            "u8": pa.array([1, 2**63, None], pa.uint64()),
            "yes": pa.array([True, None, False]),
            "text": pa.array(["a", None, ""]),
            "wide": pa.array(["é", "longer than the others", None], pa.large_string()),
            "kind": pa.array(["q", None, "g"], pa.string()).cast(pa.dictionary(pa.int8(), pa.string())),
            "when": pa.array([0, 1_700_000_000_123, None], pa.timestamp("ms")),
            "zoned": pa.array([0, None, 5], pa.timestamp("us", tz="UTC")),
            "day": pa.array([0, 19000, None], pa.date32()),
        }
    )


def write(path, *pieces):
    with TableWriter(path) as out:
        for piece in pieces:
            out.write(piece)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_numbers_survive_in_pieces(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(TableWriter, "gather_rows", 100)
    table = numbers()
    pieces = [table.slice(start, 70) for start in range(0, 1000, 70)]
    path = write(tmp_path / f"jets{suffix}", *pieces)
    assert column_names(path) == table.column_names
    read = read_table(path)
    assert read.num_rows == 1000
    for name in table.column_names:
        np.testing.assert_allclose(read[name].to_numpy(), table[name].to_numpy(), rtol=1e-7)
    exact = not suffix.startswith((".csv", ".tsv"))  # text has one kind of float
    assert all(read[name].type == table[name].type for name in table.column_names if exact or name != "eta")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pieces_have_the_size_asked_for_and_join_to_the_whole(tmp_path, suffix):
    path = write(tmp_path / f"jets{suffix}", numbers())
    pieces = list(iter_table(path, chunk_rows=300, columns=["n", "pt"]))
    assert [piece.num_rows for piece in pieces] == [300, 300, 300, 100]
    assert pa.concat_tables(pieces).equals(read_table(path, columns=["n", "pt"]))
    assert read_table(path, max_rows=301).num_rows == 301
    assert read_table(path, max_rows=301).equals(read_table(path).slice(0, 301))


@pytest.mark.parametrize("suffix", TYPED)
def test_every_type_and_null_survives(tmp_path, suffix):
    table = mixed()
    read = read_table(write(tmp_path / f"mixed{suffix}", table))
    if suffix == ".parquet" and int(pa.__version__.split(".")[0]) < 20:  # numbers of categories come back wider
        read = read.cast(table.schema)
    assert read.schema.equals(table.schema)
    assert read.to_pylist() == table.to_pylist()


def test_text_keeps_what_text_can(tmp_path):
    read = read_table(write(tmp_path / "mixed.csv", mixed()))
    kinds = dict(zip(read.column_names, map(str, read.schema.types), strict=True))
    assert (kinds["f4"], kinds["i2"], kinds["yes"], kinds["day"]) == (
        "double",
        "int64",
        "bool",
        "date32[day]",
    )
    assert read.schema.field("zoned").type.tz == "UTC"
    assert read["text"].to_pylist() == ["a", None, ""]
    assert read["kind"].to_pylist() == ["q", None, "g"]
    assert read["when"].cast(pa.timestamp("ms")).to_pylist() == mixed()["when"].to_pylist()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_table_keeps_its_columns(tmp_path, suffix):
    path = write(tmp_path / f"none{suffix}", numbers(0))
    assert read_table(path).column_names == ["pt", "eta", "n", "tag"]
    assert [piece.num_rows for piece in iter_table(path)] == [0]


def test_a_late_fraction_or_word_widens_a_text_column(tmp_path):
    path = tmp_path / "late.csv"
    n = 500_000  # beyond the first block that the parser looks at
    path.write_text("a,b,c,empty\n" + "1,2, 3,\n" * n + "1.5,word,4,\n")
    read = read_table(path)
    assert [str(kind) for kind in read.schema.types] == ["double", "string", "int64", "double"]
    assert read["a"][-1].as_py() == 1.5
    assert read["b"][-1].as_py() == "word"
    assert read["empty"].null_count == n + 1


def test_categories_may_grow_from_piece_to_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(TableWriter, "gather_rows", 1)
    words = [["a", "b"], ["c", None], ["b", "a"]]
    pieces = [pa.table({"k": pa.array(piece).dictionary_encode()}) for piece in words]
    for suffix in TYPED:
        read = read_table(write(tmp_path / f"k{suffix}", *pieces))
        assert read["k"].to_pylist() == ["a", "b", "c", None, "b", "a"]
        assert pa.types.is_dictionary(read["k"].type)


def test_nulls_may_come_late(tmp_path, monkeypatch):
    monkeypatch.setattr(TableWriter, "gather_rows", 1)
    pieces = [pa.table({"i": pa.array(cells, pa.int32())}) for cells in ([1, 2], [None, 3], [4])]
    for suffix in TYPED:
        assert read_table(write(tmp_path / f"i{suffix}", *pieces))["i"].to_pylist() == [1, 2, None, 3, 4]


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".h5"])
def test_other_containers_are_written(tmp_path, suffix):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    array = np.arange(6.0).reshape(3, 2)
    frame = pandas.DataFrame(array, columns=["pt", "eta"], index=["r", "s", "t"])
    for rows in (array, frame, polars.DataFrame(array, schema=["pt", "eta"]), pa.table(frame)):
        with TableWriter(tmp_path / f"rows{suffix}", names=["pt", "eta"]) as out:
            out.write(rows)
        read = read_table(tmp_path / f"rows{suffix}")
        np.testing.assert_array_equal(np.column_stack([read["pt"], read["eta"]]), array)
    with pytest.raises(TypeError, match="a table is needed, not int"):
        to_table(3)
    with pytest.raises(ValueError, match=r"names has 1 entries for 2 columns"):
        to_table(array, ["pt"])


def test_arrays_of_others(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"] = np.arange(6, dtype=">f4").reshape(3, 2)
        file["jets"].attrs["columns"] = ["pt", "eta"]
        file["more/raw"] = np.arange(9).reshape(3, 3)
        file["labels"] = np.array([b"q", b"g", b"t"])
        file["cone"] = np.array([(1.0, 2), (3.0, 4), (5.0, 6)], dtype=[("m", "f4"), ("n", "i4")])
        file["particles"] = np.zeros((3, 2, 4))
        file["short"] = np.zeros(2)
        file["version"] = 3
    names = column_names(tmp_path / "a.h5")
    assert set(names) == {
        *("pt", "eta", "more/raw_0", "more/raw_1", "more/raw_2", "labels", "cone/m", "cone/n"),
        *("particles", "short"),
    }
    chosen = [name for name in names if name not in {"particles", "short"}]
    read = read_table(tmp_path / "a.h5", columns=chosen)
    assert read["eta"].to_pylist() == [1.0, 3.0, 5.0]
    assert read["labels"].to_pylist() == ["q", "g", "t"]
    assert read["cone/n"].to_pylist() == [2, 4, 6]
    with pytest.raises(ValueError, match=r"a\.h5: particles has shape \(3, 2, 4\).*choose from: .*pt eta"):
        read_table(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"differ in length.*'short': 2"):
        read_table(tmp_path / "a.h5", columns=["pt", "short"])


def test_npz_of_others(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(4), m=np.asfortranarray(np.arange(8).reshape(4, 2)))
    pieces = list(iter_table(tmp_path / "a.npz", chunk_rows=3))
    expected = {"x": [0, 1, 2, 3], "m_0": [0, 2, 4, 6], "m_1": [1, 3, 5, 7]}
    assert pa.concat_tables(pieces).to_pydict() == expected
    np.savez(tmp_path / "o.npz", x=np.array([{}, 1], dtype=object))
    with pytest.raises(ValueError, match="x holds Python objects"):
        read_table(tmp_path / "o.npz")


def test_one_of_several_trees_is_named(tmp_path):
    path = tmp_path / "two.root"
    with uproot.recreate(path) as file:
        file.mktree("a", {"x": "f4"}).extend({"x": np.ones(2, "f4")})
        file.mktree("b", {"y": "f4", "v": "var * float32"})
    with pytest.raises(ValueError, match=r"two\.root: choose a tree as file\.root:tree; the file has a b"):
        read_table(path)
    assert read_table(f"{path}:a")["x"].to_pylist() == [1.0, 1.0]
    with TableWriter(f"{tmp_path}/out.root:Events") as out:
        out.write(numbers(5))
    assert read_table(f"{tmp_path}/out.root:Events").num_rows == 5


def test_jagged_branches_are_refused_by_name(tmp_path):
    import awkward

    with uproot.recreate(tmp_path / "j.root") as file:
        file.mktree("t", {"x": "f4", "v": "var * float32"}).extend(
            {"x": np.ones(2, "f4"), "v": awkward.Array([[1.0], [1.0, 2.0]])}
        )
    with pytest.raises(ValueError, match=r"j\.root: branch 'v' has several values an event"):
        read_table(tmp_path / "j.root", columns=["v"])
    with pytest.warns(TableNotice, match=r"j\.root: 1 columns have several values an event and are left out: v"):
        assert read_table(tmp_path / "j.root").column_names == ["x", "nv"]
    assert read_table(tmp_path / "j.root", columns=["x"]).num_rows == 2


def test_root_says_what_it_cannot_hold(tmp_path):
    for column, message in [
        (pa.array([0], pa.timestamp("s")), "'c' is timestamp.*ROOT has no branch"),
        (pa.array([1, None]), "'c' has empty cells"),
        (pa.array([[1]]), "cannot be written to this format"),
    ]:
        with pytest.raises(ValueError, match=message):
            write(tmp_path / "c.root", pa.table({"c": column}))
    read = read_table(write(tmp_path / "c.root", pa.table({"f": [1.0, None], "s": ["a", "bc"]})))
    assert read["s"].to_pylist() == ["a", "bc"]
    assert np.isnan(read["f"].to_numpy()[1])
    assert [file.name for file in tmp_path.iterdir()] == ["c.root"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.6, 0.97])
def test_a_file_cut_short_is_named(tmp_path, suffix, share):
    path = write(tmp_path / f"jets{suffix}", numbers(20_000))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole)) // 4 * 4 - 3 if share else 0])
    if suffix in {".csv", ".tsv"} and share:
        path.write_bytes(path.read_bytes().rpartition(b",")[0] or path.read_bytes().rpartition(b"\t")[0])
    with pytest.raises(ValueError, match=rf"jets{suffix}: [^\n]*$"):
        read_table(path)


def test_a_ragged_text_and_a_wrong_suffix_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3\n")
    with pytest.raises(ValueError, match=r"a\.csv: not readable as CSV.*Expected 2 columns, got 1"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.parquet").write_text("x,y\n1,2\n3\n")
    with pytest.raises(ValueError, match=r"b\.parquet: not readable as parquet"):
        read_table(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"c\.xls: unknown format.*parquet \(\.parquet \.pq\).*ROOT"):
        read_table(tmp_path / "c.xls")
    with pytest.raises(FileNotFoundError, match=r"d\.csv: no such file"):
        read_table(tmp_path / "d.csv")


def test_names_are_checked(tmp_path):
    (tmp_path / "twice.csv").write_text("x,y,x\n1,2,3\n")
    with pytest.raises(ValueError, match=r"twice\.csv: column name 'x' is used twice"):
        read_table(tmp_path / "twice.csv")
    assert read_table(tmp_path / "twice.csv", columns=["y"])["y"].to_pylist() == [2]
    with pytest.raises(ValueError, match=r"twice\.csv: no column 'z'; it has x y x"):
        read_table(tmp_path / "twice.csv", columns=["z"])
    with pytest.raises(ValueError, match="used twice in x x"):
        write(tmp_path / "out.csv", pa.table([[1], [2]], names=["x", "x"]))
    with pytest.raises(ValueError, match="max_rows must be at least 1, not 0"):
        read_table(tmp_path / "twice.csv", max_rows=0)
    with pytest.raises(ValueError, match="chunk_rows must be at least 1, not 0"):
        iter_table(tmp_path / "twice.csv", chunk_rows=0, columns=["y"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupted_file_leaves_the_old_one(tmp_path, suffix):
    path = write(tmp_path / f"jets{suffix}", numbers(10))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="columns x, the first one had pt"):
        write(path, numbers(10, seed=1), pa.table({"x": [1]}))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_pieces_must_agree_and_exist(tmp_path):
    with pytest.raises(ValueError, match=r"has columns b, the first one had a"):
        write(tmp_path / "x.parquet", pa.table({"a": [1]}), pa.table({"b": [1]}))
    with pytest.raises(ValueError, match="differs in type"):
        write(tmp_path / "x.parquet", pa.table({"a": [1]}), pa.table({"a": [1.5]}))
    with pytest.raises(ValueError, match="nothing was written"):
        write(tmp_path / "x.parquet")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write(tmp_path / "no" / "x.parquet")
    with pytest.raises(ValueError, match="column 'v' holds lists"):
        write(tmp_path / "x.csv", pa.table({"v": [[1]]}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".feather", ".h5", ".npz"])
def test_a_long_file_goes_through_in_the_memory_of_a_piece(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(TableWriter, "gather_rows", 5000)
    monkeypatch.setattr(CsvSource, "block_bytes", 1 << 14)
    piece = pa.table({f"x{j}": np.random.default_rng(j).normal(size=5000) for j in range(4)})
    n_pieces = 40
    held = []
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with TableWriter(tmp_path / f"long{suffix}") as out:
        for _ in range(n_pieces):
            out.write(piece)
            held.append(pa.total_allocated_bytes() + tracemalloc.get_traced_memory()[0])
    for _ in iter_table(tmp_path / f"long{suffix}", chunk_rows=5000):
        held.append(pa.total_allocated_bytes() + tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(held) == 2 * n_pieces
    assert max(held) - before < 0.35 * n_pieces * piece.nbytes


def test_units_travel_with_the_fields(tmp_path):
    schema = pa.schema([pa.field("pt", pa.float64(), metadata={"unit": "GeV"}), pa.field("n", pa.int64())])
    for suffix in (".parquet", ".feather"):
        path = write(tmp_path / f"u{suffix}", pa.table([[1.0], [2]], schema=schema))
        assert units_of(read_table(path)) == {"pt": "GeV"}
        assert units_of(next(iter_table(path, columns=["n"]))) == {}


def test_row_labels_of_pandas_are_no_column(tmp_path):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"x": [1, 2]}, index=[5, 7]).to_parquet(tmp_path / "p.parquet")
    assert column_names(tmp_path / "p.parquet") == ["x"]


def test_a_missing_extra_is_told(tmp_path, monkeypatch):
    import sys

    from buff.errors import MissingExtraError

    for package, suffix in (("h5py", ".h5"), ("uproot", ".root")):
        path = write(tmp_path / f"x{suffix}", numbers(3))
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match=rf"{package} is not installed: pip install .*\[hep\]"):
            read_table(path)


def test_written_files_are_what_their_suffix_says(tmp_path):
    lines = gzip.decompress(write(tmp_path / "a.csv.gz", numbers(3)).read_bytes()).splitlines()
    assert lines[0] == b'"pt","eta","n","tag"'
    assert zipfile.is_zipfile(write(tmp_path / "a.npz", numbers(3)))
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["pt"], numbers(3)["pt"])
