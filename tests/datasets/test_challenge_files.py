"""Files and binnings as the challenge's ``evaluate.py`` uses them, step by step, against our own features.

It opens ``incident_energies`` and ``showers``, asks for as many rows and for the voxels of the dataset, divides
(n, voxels) by (n, 1), joins columns with it, and finds layers by their place in the binning file of the particle.
"""

from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from buff.datasets import make_showers, save_calochallenge
from buff.metrics import shower_features, shower_inputs
from buff.physics import Geometry

h5py = pytest.importorskip("h5py")

VOXELS = {"ds1-photons": 368, "ds1-pions": 533, "ds2": 6480}
PARTICLES = {"ds1-photons": "photon", "ds1-pions": "pion", "ds2": "electron"}


@pytest.fixture(params=VOXELS)
def name(request):
    return request.param


@pytest.fixture
def opened(name, tmp_path):
    """What the challenge reads of a file of ours."""
    data = make_showers(12, name, energies=(1000.0, 9000.0), random_state=0)
    save_calochallenge(tmp_path / "showers.hdf5", data.showers, data.incident_energies)
    with h5py.File(tmp_path / "showers.hdf5", "r") as file:
        assert file["incident_energies"].shape[0] == file["showers"].shape[0] == 12
        assert file["showers"].shape[1] == VOXELS[name]
        return file["showers"][:], file["incident_energies"][:]


def binning(path, particle):
    """Edges and angles by number of layer, and voxel bounds of all layers, as they follow each other in the file."""
    root = ElementTree.parse(path).getroot()
    layers = [layer for bin_ in root if bin_.attrib["name"] == particle for layer in bin_]
    assert [int(layer.attrib["id"]) for layer in layers] == list(range(len(layers)))
    edges = [[float(r) for r in layer.attrib["r_edges"].split(",")] for layer in layers]
    angles = [int(layer.attrib["n_bin_alpha"]) for layer in layers]
    bounds = np.cumsum([0, *((len(r) - 1) * a for r, a in zip(edges, angles, strict=True))])
    return edges, angles, bounds


def test_energies_and_showers_go_together(opened, name):
    showers, energies = opened
    assert showers.dtype == energies.dtype == np.float32
    low = np.concatenate([np.log10(energies), 100.0 * showers / energies], axis=1)
    np.testing.assert_allclose(low, shower_inputs(showers, energies, name, "low"), rtol=1e-5)
    assert ((energies >= 256) & (energies < 1e4)).squeeze().shape == (12,)


def test_features_of_the_challenge_are_ours(opened, name, tmp_path):
    showers, energies = opened
    Geometry.of(name).to_xml(tmp_path / "binning.xml", PARTICLES[name])
    edges, angles, bounds = binning(tmp_path / "binning.xml", PARTICLES[name])
    ours = shower_features(showers, energies, name)
    np.testing.assert_allclose(showers.sum(axis=-1) / energies[:, 0], ours["response"], rtol=1e-4)
    assert bounds[-1] == VOXELS[name]
    for number, (r_edges, n_alpha) in enumerate(zip(edges, angles, strict=True)):
        if len(r_edges) == 1:
            continue
        voxels = showers[:, bounds[number] : bounds[number + 1]].astype(float)
        total = voxels.sum(axis=-1)
        np.testing.assert_allclose(total, ours[f"energy_{number}"], rtol=1e-5)
        np.testing.assert_allclose(1 - (voxels > 0).mean(axis=-1), ours[f"sparsity_{number}"])
        middles = [(a + b) / 2 for a, b in pairwise(r_edges)]
        alphas = np.linspace(-np.pi, np.pi, n_alpha + 1)
        alphas = (alphas[1:] + alphas[:-1]) / 2
        place = {"r": np.array([r for _ in alphas for r in middles])}
        if n_alpha > 1:
            place["eta"] = np.array([r * np.cos(a) for a in alphas for r in middles])
            place["phi"] = np.array([r * np.sin(a) for a in alphas for r in middles])
        for axis, x in place.items():
            centre = (x * voxels).sum(axis=-1) / (total + 1e-16)
            width = np.sqrt(((x * x * voxels).sum(axis=-1) / (total + 1e-16) - centre**2).clip(min=0.0))
            np.testing.assert_allclose(centre, ours[f"centre_{axis}_{number}"], rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(width, ours[f"width_{axis}_{number}"], rtol=1e-4, atol=1e-3)
