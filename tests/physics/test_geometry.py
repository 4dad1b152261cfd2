"""Calorimeters: published numbers, files, areas, neighbours, the tree of splits."""

import numpy as np
import pytest

from buff.physics import GEOMETRIES, Geometry, Layer, SplitTree
from buff.physics.split_tree import angle_splits


@pytest.mark.parametrize(
    ("name", "voxels", "layers"),
    [("ds1-photons", 368, 5), ("ds1-pions", 533, 7), ("ds2", 6480, 45), ("ds3", 40500, 45)],
)
def test_published_numbers(name, voxels, layers):
    geometry = Geometry.of(name)
    assert geometry.n_voxels == voxels
    assert len(geometry.layers) == layers
    assert geometry.has_symmetry


@pytest.mark.parametrize("name", GEOMETRIES)
def test_binning_files_come_back(name, tmp_path):
    geometry = Geometry.of(name)
    geometry.to_xml(tmp_path / f"{name}.xml")
    again = Geometry.of(tmp_path / f"{name}.xml")
    np.testing.assert_array_equal(again.bounds, geometry.bounds)
    np.testing.assert_allclose(again.areas, geometry.areas, rtol=1e-5)


def test_a_binning_file_of_the_challenge(tmp_path):
    path = tmp_path / "binning.xml"
    path.write_text(
        '<Bins><Bin pid="22" etaMin="0" etaMax="130" name="photon">'
        '<Layer id="0" r_edges="0,5,10" n_bin_alpha="1" /><Layer id="1" r_edges="0" n_bin_alpha="1"/>'
        '<Layer id="2" r_edges="0,2,4,6" n_bin_alpha="10" /></Bin></Bins>'
    )
    geometry = Geometry.of(path)
    assert [layer.number for layer in geometry.layers] == [0, 2]
    assert geometry.bounds.tolist() == [0, 2, 32]
    path.write_text(path.read_text()[:150])
    with pytest.raises(ValueError, match="cut short"):
        Geometry.of(path)


def test_areas_and_positions():
    for geometry in GEOMETRIES.values():
        for layer in geometry.layers:
            assert layer.areas.sum() == pytest.approx(np.pi * layer.r_edges[-1] ** 2)
            x, y, r = layer.positions
            np.testing.assert_allclose(np.hypot(x, y), r)


def test_tables_of_voxels():
    layer = Layer(3, (0, 1, 2.5), 4)
    width = np.pi / 2
    rows = [[3, a, b, -np.pi + k * width, -np.pi + (k + 1) * width] for k in range(4) for a, b in ((0, 1), (1, 2.5))]
    assert Geometry.from_voxels(rows).layers == (layer,)
    with pytest.raises(ValueError, match="voxels of layer 3"):
        Geometry.from_voxels(rows[::-1])
    with pytest.raises(ValueError, match="finite layer, r_min"):
        Geometry.from_voxels([[1, 2]])


def test_neighbours_are_mutual_and_periodic():
    geometry = Geometry("two", (Layer(0, (0, 1, 2), 4), Layer(1, (0, 2), 4)))
    neighbours = geometry.neighbours()
    assert neighbours[0].tolist() == [1, 2, 6, 8]  # ring outside, sectors on both sides, layer behind
    for i, found in enumerate(neighbours):
        assert i not in found
        assert all(i in neighbours[j] for j in found)


def test_overlaps_keep_energy():
    photons = GEOMETRIES["ds1-photons"]
    share = photons.layers[2].overlaps(photons.layers[1])
    inside = share[:, photons.layers[2].r < 200]
    np.testing.assert_allclose(inside.sum(axis=1)[:-1], 1)
    assert (share.sum(axis=0) > 0).all()


@pytest.mark.parametrize("name", GEOMETRIES)
def test_split_trees_end_in_voxels(name):
    geometry = Geometry.of(name)
    tree = SplitTree.of(geometry)
    n_rings = sum(layer.n_r for layer in geometry.layers)
    assert len(tree.layers) == len(geometry.layers) - 1
    assert len(tree.rings) == n_rings - len(geometry.layers)
    splits = sum(len(angle_splits(geometry.layers[i].n_alpha)) for i, _ in tree.angles)
    assert 1 + len(tree.layers) + len(tree.rings) + splits == geometry.n_voxels


@pytest.mark.parametrize("edges", [(0, 0), (0,), (-1, 2), (0, np.nan)])
def test_bad_radii_are_named(edges):
    with pytest.raises(ValueError, match="r_edges of layer 7"):
        Layer(7, edges)


def test_unknown_names_and_repeated_layers():
    with pytest.raises(ValueError, match="ds1-photons"):
        Geometry.of("ds4")
    with pytest.raises(ValueError, match="different numbers"):
        Geometry("x", (Layer(0, (0, 1)), Layer(0, (0, 1))))
