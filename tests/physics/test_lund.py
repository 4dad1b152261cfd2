import numpy as np

from buff.datasets.observables import soft_drop
from buff.physics.lund import lund_plane
from tests.physics.clouds import clouds


def test_the_first_hard_emission_is_that_of_soft_drop():
    jets = clouds(n=60, k=8, least=3, spread=0.05)
    plane, groomed = lund_plane(jets), soft_drop(jets)
    first = np.array([next(iter(plane.z[(plane.jet == i) & (plane.z > 0.1)]), 0.0) for i in range(60)])
    # soft drop adds four-vectors, the plane joins at centroids: the same for small angles
    assert np.mean(np.isclose(first, groomed.z_g, atol=1e-3)) > 0.9


def test_each_jet_emits_down_to_a_particle():
    jets = clouds(n=40, k=6)
    plane = lund_plane(jets)
    emissions = np.bincount(plane.jet, minlength=40)
    n = (jets[..., 2] > 0).sum(axis=1)
    assert (emissions <= n - 1).all()
    assert (emissions[n > 1] >= 1).all()
    assert (plane.z <= 0.5).all()
    masked = np.concatenate([jets, jets[..., 2:] > 0], axis=2)
    assert np.array_equal(lund_plane(masked).kt, plane.kt)
