"""Files of every layout: what is no column is left out with a notice, what is wrong is named."""

import numpy as np
import pyarrow as pa
import pytest

from buff.errors import TableNotice
from buff.io import TableWriter, column_names, read_table

h5py = pytest.importorskip("h5py")
uproot = pytest.importorskip("uproot")
ak = pytest.importorskip("awkward")


def test_fields_of_an_rntuple_have_any_name(tmp_path):
    events = ak.Array({"m[GeV]": np.arange(5, dtype="f4"), "a-b": np.arange(5, dtype="i4")})
    with uproot.recreate(tmp_path / "n.root") as file:
        file.mkrntuple("events", events.layout.form).extend(events)
    found = read_table(tmp_path / "n.root")
    assert found.column_names == ["m[GeV]", "a-b"]
    assert found["m[GeV]"].to_pylist() == [0, 1, 2, 3, 4]
    assert read_table(tmp_path / "n.root", ["a-b"], max_rows=2).to_pydict() == {"a-b": [0, 1]}


def test_branches_of_a_tree_have_any_name(tmp_path):
    with uproot.recreate(tmp_path / "t.root") as file:
        file.mktree("events", {"x+y": "f4", "x": "f4"}).extend({"x+y": np.ones(3, "f4"), "x": np.zeros(3, "f4")})
    assert read_table(tmp_path / "t.root", ["x+y"])["x+y"].to_pylist() == [1, 1, 1]


def test_wrong_trees_are_told_with_those_there(tmp_path):
    with uproot.recreate(tmp_path / "t.root") as file:
        file.mktree("events", {"x": "f4"}).extend({"x": np.ones(3, "f4")})
        file["h"] = np.histogram(np.arange(9.0))
    with pytest.raises(ValueError, match=r"t\.root: no tree 'Events' in the file; it has events"):
        read_table(f"{tmp_path}/t.root:Events")
    with pytest.raises(ValueError, match=r"t\.root: 'h' is a TH1D, no tree; the file has the trees events"):
        read_table(f"{tmp_path}/t.root:h")


def test_npy_is_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
    assert read_table(tmp_path / "a.npy").to_pydict() == {"x0": [0, 2, 4], "x1": [1, 3, 5]}
    np.save(tmp_path / "b.npy", np.arange(3))
    assert read_table(tmp_path / "b.npy", max_rows=2).to_pydict() == {"x0": [0, 1]}
    np.save(tmp_path / "c.npy", np.array([(1.5, 2)], [("pt", "f4"), ("n", "i2")]))
    assert read_table(tmp_path / "c.npy").to_pydict() == {"pt": [1.5], "n": [2]}
    with pytest.raises(ValueError, match="NPY keeps no names"), TableWriter(tmp_path / "d.npy") as out:
        out.write(np.ones((2, 2)))


def test_hdf5_keeps_names_with_slashes(tmp_path):
    table = pa.table({"c": [1, 2], "c/d": [1.5, None], "c_d": ["a", "b"], "c_per_d": [True, False]})
    with TableWriter(tmp_path / "t.h5") as out:
        out.write(table)
    assert read_table(tmp_path / "t.h5").equals(table)
    assert column_names(tmp_path / "t.h5") == table.column_names
    with h5py.File(tmp_path / "t.h5") as file:
        assert isinstance(file["c"], h5py.Dataset)


def test_lists_in_hdf5_are_left_out(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["x"] = np.arange(2)
        ragged = file.create_dataset("v", (2,), h5py.vlen_dtype(np.float32))
        ragged[0], ragged[1] = [1.0], [1.0, 2.0]
    with pytest.warns(TableNotice, match="1 columns have several values an event and are left out: v"):
        assert read_table(tmp_path / "v.h5").column_names == ["x"]
    with pytest.raises(ValueError, match=r"v\.h5: dataset 'v' holds lists of several values"):
        read_table(tmp_path / "v.h5", ["v"])


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".h5", ".npz", ".root", ".npy"])
def test_only_a_file_cut_short_is_called_so(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(b"pt,eta\n1,2\n" * 10)
    with pytest.raises(ValueError, match="the file begins with b'pt,eta") as refused:
        read_table(path)
    assert "cut short" not in str(refused.value)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="the file is empty"):
        read_table(path)
    if suffix in (".parquet", ".feather", ".h5", ".npz"):
        with TableWriter(path) as out:
            out.write({"x": np.arange(5000.0)})
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(ValueError, match="cut short"):
            read_table(path)
