import numpy as np
import pytest

from buff.datasets.clustering import momenta, rapidity_azimuth, recluster, transverse


def slow_clustering(p, power):
    """Merging distances of one jet, by looking at all pairs in turn."""
    p, distances = list(p), []
    while len(p) > 1:
        best = (np.inf, 0, 0)
        for i in range(len(p)):
            for j in range(i):
                (y1, phi1), (y2, phi2) = rapidity_azimuth(p[i]), rapidity_azimuth(p[j])
                dphi = (phi1 - phi2 + np.pi) % (2 * np.pi) - np.pi
                softer = min(transverse(p[i]), transverse(p[j]))
                best = min(best, (softer ** (2 * power) * ((y1 - y2) ** 2 + dphi**2), i, j))
        distance, i, j = best
        p[j] = p[j] + p[i]
        del p[i]
        distances.append(distance)
    return distances


@pytest.mark.parametrize("power", [0, 1])
def test_distances_equal_those_of_a_loop_over_pairs(jets, power):
    p = momenta(jets)
    found = [[] for _ in p]
    for step in recluster(p, power):
        for row, distance in zip(step.rows, step.distance, strict=True):
            found[row].append(distance)
    for jet, distances in zip(p, found, strict=True):
        np.testing.assert_allclose(distances, slow_clustering(jet[jet[:, 3] > 0], power), rtol=1e-9)


@pytest.mark.parametrize("power", [0, 1])
def test_momentum_is_conserved_and_one_pseudojet_is_left(jets, power):
    p = momenta(jets)
    for step in recluster(p, power):
        np.testing.assert_allclose(step.pseudojets.sum(axis=1), p.sum(axis=1), atol=1e-12)
        assert ((step.pseudojets[step.rows, :, 3] > 0).sum(axis=1) == step.left).all()
    assert step.left == 1


def test_input_is_not_changed(jets):
    p = momenta(jets)
    before = p.copy()
    list(recluster(p, 1))
    np.testing.assert_array_equal(p, before)


def test_azimuth_wraps_around():
    jet = np.array([[[0.0, np.pi - 0.05, 2.0], [0.0, -np.pi + 0.05, 1.0]]])
    (step,) = recluster(momenta(jet), power=1)
    assert step.distance[0] == pytest.approx(0.1**2)


def test_padding_is_a_vanishing_pt_or_a_mask_of_zero():
    jet = np.array([[[0.1, 0.1, 1.0, 1.0], [0.1, 0.1, 1.0, 0.0], [0.1, 0.1, 0.0, 1.0], [0.1, 0.1, -1.0, 1.0]]])
    assert (momenta(jet)[0, :, 3] > 0).tolist() == [True, False, False, False]
