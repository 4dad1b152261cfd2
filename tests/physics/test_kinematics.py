import numpy as np

from buff.datasets.observables import mass
from buff.physics.kinematics import axis_offset, invariant_mass, with_mass
from tests.physics.clouds import clouds


def test_mass_is_that_of_the_four_vectors():
    cloud = clouds(n=50)
    assert np.allclose(invariant_mass(cloud), mass(cloud), atol=1e-9)


def test_masses_asked_for_are_met_and_centroids_kept():
    cloud = clouds(n=50, least=2)
    asked = np.linspace(0.05, 0.3, 50) * cloud[..., 2].sum(axis=1)
    scaled = with_mass(cloud, asked)
    assert np.allclose(invariant_mass(scaled), asked, rtol=1e-6)
    assert np.array_equal(scaled[..., 2], cloud[..., 2])
    for j in (0, 1):
        assert np.allclose((scaled[..., 2] * scaled[..., j]).sum(1), (cloud[..., 2] * cloud[..., j]).sum(1))


def test_single_particles_have_no_mass_to_scale():
    single = np.array([[[0.1, 0.2, 1.0], [0.0, 0.0, 0.0]]])
    assert np.allclose(with_mass(single, np.array([0.3])), single)


def test_offset_of_the_axis_is_that_of_the_four_vectors():
    cloud = clouds(n=50, least=2)
    turn = np.linspace(-2, 2, 50)
    eta, phi, pt = cloud[..., 0] + turn[:, None], cloud[..., 1], cloud[..., 2]
    px, py, pz, e = ((pt * f).sum(1) for f in (np.cos(phi), np.sin(phi), np.sinh(eta), np.cosh(eta)))
    rapidity, axis = np.arctanh(pz / e), np.arcsinh(pz / np.hypot(px, py))
    # the sum of pT is a little more than the pT of the sum
    assert np.allclose(axis_offset(cloud, axis), rapidity - axis, rtol=0.05, atol=1e-6)
