from itertools import pairwise

import numpy as np
import pytest

from buff.datasets import load_calochallenge, load_showers
from buff.datasets.calorimeter import ELECTRONS_2, ELECTRONS_3, GEOMETRIES, PHOTONS, PIONS

h5py = pytest.importorskip("h5py")


def write(path, voxels=368, n=6, energies=None, **attributes):
    showers = np.random.default_rng(0).random((n, voxels)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["showers"] = showers
        file["incident_energies"] = np.arange(1, n + 1, dtype=np.float32)[:, None] if energies is None else energies
        file.attrs.update(attributes)
    return showers


def test_geometries_of_the_challenge():
    assert list(GEOMETRIES) == [368, 533, 6480, 40500]
    assert [layer.number for layer in PHOTONS] == [0, 1, 2, 3, 12]
    assert [layer.n_voxels for layer in PHOTONS] == [8, 160, 190, 5, 5]
    assert [layer.number for layer in PIONS] == [0, 1, 2, 3, 12, 13, 14]
    assert [layer.n_voxels for layer in PIONS] == [8, 100, 100, 5, 150, 160, 10]
    assert {(layer.n_alpha, layer.n_r) for layer in ELECTRONS_2} == {(16, 9)}
    assert {(layer.n_alpha, layer.n_r) for layer in ELECTRONS_3} == {(50, 18)}


@pytest.mark.parametrize(
    ("voxels", "bounds"),
    [
        (368, [0, 8, 168, 358, 363, 368]),
        (533, [0, 8, 108, 208, 213, 363, 523, 533]),
    ],
)
def test_reads_showers(tmp_path, voxels, bounds):
    showers = write(tmp_path / "showers.hdf5", voxels)
    loaded = load_calochallenge(tmp_path / "showers.hdf5")
    np.testing.assert_array_equal(loaded.showers, showers)
    assert loaded.incident_energies.tolist() == [1, 2, 3, 4, 5, 6]
    assert loaded.layer_bounds.tolist() == bounds
    assert [layer.n_voxels for layer in loaded.layers] == np.diff(bounds).tolist()
    assert loaded.unit == "MeV"
    slices = [showers[:, a:b].sum(axis=1) for a, b in pairwise(bounds)]
    np.testing.assert_allclose(loaded.layer_energies, np.stack(slices, axis=1), rtol=1e-5)


def test_bounds_of_the_file_come_first(tmp_path):
    write(tmp_path / "showers.hdf5", 20, layer_bounds=np.array([0, 5, 20]))
    loaded = load_calochallenge(tmp_path / "showers.hdf5", n=2)
    assert (len(loaded), loaded.layer_bounds.tolist(), loaded.layers) == (2, [0, 5, 20], ())


def test_errors(tmp_path):
    path = tmp_path / "showers.hdf5"
    write(path, 20)
    with pytest.raises(ValueError, match=r"have 20 voxels; .* 368, 533, 6480, 40500"):
        load_calochallenge(path)
    write(path, 20, layer_bounds=np.array([0, 25]))
    with pytest.raises(ValueError, match=r"rise from 0 to 20, got \[0, 25\]"):
        load_calochallenge(path)
    write(path, energies=np.ones(5))
    with pytest.raises(ValueError, match=r"incident_energies .* \(6, 1\), got \(5,\)"):
        load_calochallenge(path)
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.ones((3, 1))
    with pytest.raises(ValueError, match="has no dataset showers; it has incident_energies"):
        load_calochallenge(path)
    with h5py.File(path, "w") as file:
        file["incident_energies"], file["showers"] = np.ones((3, 1)), np.ones((3, 4, 5))
    with pytest.raises(ValueError, match=r"\(N, voxels\), got \(3, 4, 5\)"):
        load_calochallenge(path)


def test_showers_that_come_with_buff():
    photons = load_showers()
    assert np.unique(photons.incident_energies, return_counts=True)[1].tolist() == [400] * 8
    assert [layer.number for layer in photons.layers] == [0, 1, 2, 3, 12]
    assert photons.showers.min() == 0
    response = photons.showers.sum(axis=1) / photons.incident_energies
    high = photons.incident_energies > 8000
    assert abs(response[high].mean() - 1) < 0.01
    assert response[high].std() < 0.05 < response[~high].std()
    np.testing.assert_array_equal(load_showers(7).showers, photons.showers[:7])
    with pytest.raises(ValueError, match="n is at least 1, got 0"):
        load_showers(0)
