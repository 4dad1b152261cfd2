import sys

import numpy as np
import pytest

from buff.datasets.hdf5 import read_hdf5
from buff.errors import MissingExtraError


@pytest.fixture
def path(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "file.hdf5"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(5000.0)
        file.create_group("group")
        file.attrs["seed"] = 7
    return path


def test_reads_rows_and_attributes(path):
    content = read_hdf5(path, ["a"], optional=["b"], rows=slice(3))
    assert list(content.arrays) == ["a"]
    np.testing.assert_array_equal(content.arrays["a"], [0, 1, 2])
    assert content.attributes["seed"] == 7


def test_missing_dataset(path):
    with pytest.raises(ValueError, match=r"file\.hdf5 has no dataset showers, group; it has a"):
        read_hdf5(path, ["showers", "group"])


def test_file_cut_short(path):
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"file\.hdf5 is cut short or not an HDF5 file"):
        read_hdf5(path, ["a"])


def test_not_hdf5_and_not_there(path):
    path.write_text("event,mass\n1,2\n")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        read_hdf5(path, ["a"])
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_hdf5(path.with_name("other.hdf5"), ["a"])


def test_missing_h5py(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match="\\[hep\\]"):
        read_hdf5(path, ["a"])
