from itertools import combinations

import numpy as np
import pytest

from buff.datasets import JetClouds, jet_observables, load_jet_clouds
from buff.datasets import observables as obs
from buff.datasets.clustering import momenta, rapidity_azimuth


def two_particles(z, deta, dphi, pt=1.0):
    """Jets of two particles with fractions z and 1 - z of the sum of pT."""
    z, deta, dphi = np.broadcast_arrays(z, deta, dphi)
    first = np.stack([deta, dphi, pt * z], axis=-1)
    second = np.stack([0 * deta, 0 * dphi, pt * (1 - z)], axis=-1)
    return np.stack([first, second, np.zeros_like(first)], axis=1)


@pytest.fixture
def pairs():
    rng = np.random.default_rng(2)
    return rng.uniform(0.01, 0.5, 200), rng.uniform(-0.4, 0.4, 200), rng.uniform(-0.4, 0.4, 200)


def delta_r(particles):
    eta, phi = particles[..., 0], particles[..., 1]
    return np.hypot(eta[:, 0] - eta[:, 1], phi[:, 0] - phi[:, 1])


def test_two_particles_in_closed_form(pairs):
    z, deta, dphi = pairs
    jet = two_particles(z, deta, dphi)
    table, dr = obs.jet_observables(jet), delta_r(jet)
    mass = np.sqrt(2 * z * (1 - z) * (np.cosh(deta) - np.cos(dphi)))
    passes = z > 0.1
    expected = {
        "mass": mass,
        "sum_pt": np.ones(200),
        "tau2": np.zeros(200),
        "tau3": np.zeros(200),
        "d12": z * dr,
        "d23": np.zeros(200),
        "ecf2": z * (1 - z) * dr,
        "ecf3": np.zeros(200),
        "D2": np.zeros(200),
        "groomed_mass": np.where(passes, mass, 0),
        "z_g": np.where(passes, z, 0),
        "multiplicity": np.full(200, 2),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-6, atol=1e-9, err_msg=name)


def test_one_axis_lies_along_the_jet(pairs):
    z, deta, dphi = pairs
    jet = two_particles(z, deta, dphi)
    y, phi = rapidity_azimuth(momenta(jet).sum(axis=1))
    expected = z * np.hypot(deta - y, dphi - phi) + (1 - z) * np.hypot(y, phi)
    np.testing.assert_allclose(obs.n_subjettiness(jet, 1)[:, 0], expected, rtol=1e-12)


def test_energy_correlations_equal_sums_over_pairs_and_triplets(jets):
    p = momenta(jets)
    y, phi = rapidity_azimuth(p)
    pt = np.hypot(p[..., 0], p[..., 1])
    dr = np.hypot(y[:, :, None] - y[:, None, :], phi[:, :, None] - phi[:, None, :])
    indices = range(jets.shape[1])
    two = sum(pt[:, i] * pt[:, j] * dr[:, i, j] for i, j in combinations(indices, 2))
    three = sum(
        pt[:, i] * pt[:, j] * pt[:, k] * dr[:, i, j] * dr[:, j, k] * dr[:, k, i] for i, j, k in combinations(indices, 3)
    )
    np.testing.assert_allclose(obs.energy_correlation(jets, 2), two, rtol=1e-10)
    np.testing.assert_allclose(obs.energy_correlation(jets, 3), three, rtol=1e-9, atol=1e-18)
    ok = two > 0
    np.testing.assert_allclose(obs.d2(jets)[ok], (three * pt.sum(axis=1) ** 3)[ok] / two[ok] ** 3, rtol=1e-9)


def test_soft_drop_removes_the_soft_wide_branch():
    core = [[0.0, 0.0, 0.6], [0.0, 0.1, 0.4]]
    jet = np.array([[*core, [0.0, 0.4, 0.05]]])
    groomed = obs.soft_drop(jet)
    np.testing.assert_allclose(groomed.mass, obs.mass(np.array([core])))
    assert (groomed.z_g[0], groomed.r_g[0]) == (pytest.approx(0.4), pytest.approx(0.1))
    assert obs.soft_drop(jet, z_cut=0.01).z_g[0] == pytest.approx(0.05 / 1.05, rel=2e-3)
    assert obs.soft_drop(jet, z_cut=0.45).mass[0] == 0


def test_soft_drop_with_beta_spares_soft_collinear_branches():
    jet = two_particles([0.05], [0.0], [0.1])
    assert obs.soft_drop(jet, beta=0.0).z_g[0] == 0
    assert obs.soft_drop(jet, beta=2.0).z_g[0] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("change", "power"),
    [
        (lambda x: x + np.array([0.7, 0, 0, 0]) * (x[..., 3:] > 0), 0),
        (lambda x: x + np.array([0, 3.0, 0, 0]) * (x[..., 3:] > 0), 0),
        (lambda x: x[:, ::-1], 0),
        (lambda x: np.concatenate([x, np.zeros((len(x), 5, 4))], axis=1), 0),
        (lambda x: x[..., :3], 0),
        (lambda x: x * np.array([1, 1, 950.0, 1]), 1),
    ],
    ids=["boost", "rotation", "order", "padding", "no mask", "GeV"],
)
def test_invariance(jets, change, power):
    before, after = obs.jet_observables(jets), obs.jet_observables(change(jets))
    scaling = {"pT": 1, "pT^2": 2, "pT^3": 3, "1": 0}
    for column in obs.OBSERVABLES:
        factor = 950.0 ** (power * scaling[column.unit])
        np.testing.assert_allclose(
            after[column.name],
            factor * before[column.name],
            rtol=2e-5,
            atol=1e-7 * factor,
            err_msg=column.name,
        )


def test_single_functions_agree_with_the_table(jets):
    table = obs.jet_observables(jets)
    groomed = obs.soft_drop(jets)
    tau, scale = obs.n_subjettiness(jets), obs.splitting_scales(jets)
    single = {
        "mass": obs.mass(jets),
        "sum_pt": obs.sum_pt(jets),
        "tau1": tau[:, 0],
        "tau2": tau[:, 1],
        "tau3": tau[:, 2],
        "d12": scale[:, 0],
        "d23": scale[:, 1],
        "ecf2": obs.energy_correlation(jets, 2),
        "ecf3": obs.energy_correlation(jets, 3),
        "D2": obs.d2(jets),
        "groomed_mass": groomed.mass,
        "z_g": groomed.z_g,
        "multiplicity": obs.multiplicity(jets),
    }
    assert tuple(single) == table.names
    for name, values in single.items():
        np.testing.assert_array_equal(table[name], values.astype(table[name].dtype), err_msg=name)
    ok = single["multiplicity"] > 2
    np.testing.assert_allclose(obs.tau21(jets)[ok], tau[ok, 1] / tau[ok, 0])
    np.testing.assert_allclose(obs.tau32(jets)[ok], tau[ok, 2] / tau[ok, 1])


def test_batches_leave_no_trace(jets, monkeypatch):
    whole = obs.jet_observables(jets).to_numpy()
    monkeypatch.setattr(obs, "BATCH", 7)
    np.testing.assert_array_equal(obs.jet_observables(jets).to_numpy(), whole)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_particles_give_zero(count):
    jet = np.zeros((1, 2, 3))
    jet[0, :count] = [0.1, 0.2, 0.5]
    table = obs.jet_observables(jet)
    assert table["multiplicity"][0] == count
    for name in set(table.names) - {"multiplicity", "sum_pt"}:
        assert table[name][0] == pytest.approx(0, abs=1e-8), name


def test_no_jets():
    assert len(obs.jet_observables(np.zeros((0, 30, 4)))) == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"\(n_jets, n_particles, 3 or 4\).*got \(30, 3\)"):
        obs.mass(np.zeros((30, 3)))
    with pytest.raises(ValueError, match="particles of 1 jets are not finite, the first is jet 1"):
        obs.mass(np.array([[[0, 0, 1.0]], [[0, np.nan, 1.0]]]))
    with pytest.raises(TypeError, match="dtype <U1"):
        obs.mass(np.full((1, 1, 3), "a"))
    with pytest.raises(ValueError, match="points is 2 or 3, got 4"):
        obs.energy_correlation(np.zeros((1, 2, 3)), 4)
    with pytest.raises(ValueError, match="n_axes is at least 1, got 0"):
        obs.n_subjettiness(np.zeros((1, 2, 3)), 0)


def declustered(fastjet, jet, z_cut, beta, radius):
    """Soft drop by FastJet's record of the clustering."""
    while True:
        first, second = fastjet.PseudoJet(), fastjet.PseudoJet()
        if not jet.has_parents(first, second):
            return 0.0, 0.0, 0.0
        z = min(first.pt(), second.pt()) / (first.pt() + second.pt())
        if z > z_cut * (first.delta_R(second) / radius) ** beta:
            return jet.m(), z, first.delta_R(second)
        jet = max(first, second, key=lambda branch: branch.pt())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_agrees_with_fastjet(jets):
    fastjet = pytest.importorskip("fastjet", reason="the comparison needs fastjet")
    kt = fastjet.JetDefinition(fastjet.kt_algorithm, 1.5)
    cambridge = fastjet.JetDefinition(fastjet.cambridge_algorithm, 1.5)
    tau, scale = obs.n_subjettiness(jets, 4), obs.splitting_scales(jets, 4)
    plain, sloped = obs.soft_drop(jets), obs.soft_drop(jets, z_cut=0.2, beta=1.0)
    for row, p in enumerate(momenta(jets)):
        particles = [fastjet.PseudoJet(*map(float, q)) for q in p if q[3] > 0]
        if not particles:
            continue
        clusters = fastjet.ClusterSequence(particles, kt)
        for n in range(1, min(4, len(particles)) + 1):
            axes = clusters.exclusive_jets(n)
            moment = sum(q.pt() * min(q.delta_R(axis) for axis in axes) for q in particles)
            assert tau[row, n - 1] == pytest.approx(moment / sum(q.pt() for q in particles), abs=1e-12)
            # fastjet divides the distance by the radius squared
            assert scale[row, n - 1] == pytest.approx(1.5 * clusters.exclusive_dmerge(n) ** 0.5, abs=1e-12)
        clusters = fastjet.ClusterSequence(particles, cambridge)
        (whole,) = clusters.inclusive_jets()
        for groomed, settings in ((plain, (0.1, 0.0, 0.4)), (sloped, (0.2, 1.0, 0.4))):
            ours = groomed.mass[row], groomed.z_g[row], groomed.r_g[row]
            assert ours == pytest.approx(declustered(fastjet, whole, *settings), abs=1e-9)


def test_takes_clouds_of_jets():
    clouds = load_jet_clouds("q")
    few = JetClouds(clouds.particles[:50], clouds.jets.rows(slice(50)))
    np.testing.assert_array_equal(jet_observables(few)["tau1"], jet_observables(few.particles)["tau1"])
