import sys
import types

import numpy as np
import pytest

from buff.datasets import jet_observables, load_jet_clouds, load_jetnet

h5py = pytest.importorskip("h5py")


def write(path, seed, n=20, particles=30, event=True):
    rng = np.random.default_rng(seed)
    clouds = np.zeros((n, particles, 4), np.float32)
    count = rng.integers(1, particles + 1, n)
    for cloud, c in zip(clouds, count, strict=True):
        cloud[:c, 2] = -np.sort(-rng.random(c)) / c
        cloud[:c, :2] = rng.normal(0, 0.1, (c, 2))
        cloud[:c, 3] = 1
    jets = np.column_stack([rng.uniform(800, 1600, n), rng.normal(size=n), rng.uniform(0, 200, n), count])
    with h5py.File(path, "w") as file:
        file["particle_features"] = clouds
        file["jet_features"] = jets.astype(np.float32)
        if event:
            file["jet_extra"] = np.column_stack([count, np.arange(n) // 2, count]).astype(np.int32)
    return clouds, jets


def test_reads_a_folder(tmp_path):
    clouds, jets = write(tmp_path / "t.hdf5", 1)
    others, _ = write(tmp_path / "my_jets_g.hdf5", 2)
    loaded = load_jetnet(("t", "g"), tmp_path)
    assert len(loaded) == 40
    np.testing.assert_array_equal(loaded.particles, np.concatenate([clouds, others]))
    np.testing.assert_allclose(loaded.jets["jet_pt"][:20], jets[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(loaded.jets["multiplicity"][:20], jets[:, 3])
    assert list(loaded.jets["jet_class"]) == ["t"] * 20 + ["g"] * 20
    assert list(loaded.jets["event"]) == list(np.arange(40) // 2)
    assert loaded.jets.units["jet_mass"] == "GeV"
    np.testing.assert_array_equal(jet_observables(loaded.particles)["multiplicity"], loaded.jets["multiplicity"])


def test_files_without_event_numbers(tmp_path):
    write(tmp_path / "t.hdf5", 1, event=False)
    write(tmp_path / "w.hdf5", 1)
    assert "event" not in load_jetnet(("t", "w"), tmp_path).jets.names


def test_fewer_particles_and_jets(tmp_path):
    clouds, jets = write(tmp_path / "t.hdf5", 1)
    loaded = load_jetnet("t", tmp_path, particles=10, n=7)
    np.testing.assert_array_equal(loaded.particles, clouds[:7, :10])
    np.testing.assert_array_equal(loaded.jets["multiplicity"], np.minimum(jets[:7, 3], 10))


def test_more_than_thirty_particles_come_from_the_other_files(tmp_path):
    write(tmp_path / "t.hdf5", 1)
    clouds, _ = write(tmp_path / "t150.hdf5", 2, particles=150)
    np.testing.assert_array_equal(load_jetnet("t", tmp_path, particles=50).particles, clouds[:, :50])


def test_download_goes_through_the_jetnet_package(tmp_path, monkeypatch):
    asked = []

    class JetNet:
        @staticmethod
        def getData(jet_type, data_dir, num_particles):
            asked.append((jet_type, num_particles))
            write(f"{data_dir}/{jet_type}.hdf5", 3, event=False)

    module = types.ModuleType("jetnet.datasets")
    module.JetNet = JetNet
    monkeypatch.setitem(sys.modules, "jetnet", types.ModuleType("jetnet"))
    monkeypatch.setitem(sys.modules, "jetnet.datasets", module)
    monkeypatch.chdir(tmp_path)
    assert len(load_jetnet(("q", "z"))) == 40
    assert asked == [("q", 30), ("z", 30)]
    assert sorted(file.name for file in (tmp_path / "jetnet").iterdir()) == ["q.hdf5", "z.hdf5"]


def test_missing_jetnet(monkeypatch):
    monkeypatch.setitem(sys.modules, "jetnet.datasets", None)
    monkeypatch.setitem(sys.modules, "jetnet", None)
    with pytest.raises(ImportError, match=r"\[jetnet\]"):
        load_jetnet("t")


def test_missing_and_ambiguous_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has neither t\.hdf5 nor \*_t\.hdf5"):
        load_jetnet("t", tmp_path)
    write(tmp_path / "a_t.hdf5", 1)
    write(tmp_path / "b_t.hdf5", 1)
    with pytest.raises(ValueError, match=r"several files of class 't': a_t\.hdf5, b_t\.hdf5"):
        load_jetnet("t", tmp_path)


def test_wrong_shapes(tmp_path):
    write(tmp_path / "t.hdf5", 1, particles=20)
    with pytest.raises(ValueError, match=r"particle_features .* is \(N, >= 30, 4\), got \(20, 20, 4\)"):
        load_jetnet("t", tmp_path)
    with h5py.File(tmp_path / "w.hdf5", "w") as file:
        file["particle_features"] = np.zeros((5, 30, 4))
        file["jet_features"] = np.zeros((4, 4))
    with pytest.raises(ValueError, match=r"jet_features .* is \(5, 4\), got \(4, 4\)"):
        load_jetnet("w", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"particles": 0}, "particles lies between 1 and 150, got 0"),
        ({"particles": 151}, "got 151"),
        ({"n": 0}, "n is at least 1, got 0"),
        ({"classes": "x"}, "classes are among g, q, t, w, z"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_jetnet(**{"classes": "t", "data_dir": tmp_path} | arguments)


def test_some_jets_of_many():
    clouds = load_jet_clouds()
    some = clouds[10:14]
    assert len(some) == len(some.jets) == 4
    rows = np.array([3, 1])
    assert (clouds[rows].particles == clouds.particles[rows]).all()
    assert (clouds[rows].jets["jet_pt"] == clouds.jets["jet_pt"][rows]).all()
    assert set(clouds[clouds.jets["jet_class"] == "t"].jets["jet_class"]) == {"t"}
    with pytest.raises(TypeError, match="a slice, row numbers or a mask, found 'jets'"):
        clouds["jets"]
