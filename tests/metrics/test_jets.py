"""Metrics of jets against the package ``jetnet`` 0.2.5, whose numbers for these samples are kept in a file."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from buff.errors import ArchiveError
from buff.metrics import JetReport, jet_report
from buff.metrics.jets import (
    coverage_mmd,
    energy_movers_distance,
    fpnd,
    jet_auc,
    jet_columns,
    jet_fpd,
    jet_kpd,
    w1_efp,
    w1_mass,
    w1_particles,
)
from buff.physics.efps import FOUR_POINT_EFPS, efps, prime_efps
from buff.physics.kinematics import invariant_mass

GOLDEN = json.loads((Path(__file__).parent / "jetnet_0_2_5.json").read_text())


def clouds(seed, n=60, k=6):
    """The jets that the numbers of the file belong to."""
    rng = np.random.default_rng(seed)
    c = np.zeros((n, k, 3))
    c[..., :2] = 0.15 * rng.standard_normal((n, k, 2))
    c[..., 2] = rng.exponential(size=(n, k))
    c[np.arange(k)[None] >= rng.integers(2, k + 1, n)[:, None]] = 0
    c[..., 2] /= c[..., 2].sum(1, keepdims=True) * rng.uniform(1, 1.2, (n, 1))
    return np.take_along_axis(c, np.argsort(-c[..., 2], 1)[..., None], 1)


@pytest.fixture(scope="module")
def pair():
    a, b = clouds(1), clouds(2)
    b[..., :2] *= 1.15
    return a, b


def test_distances_of_whole_samples(pair):
    assert np.allclose(invariant_mass(pair[0]), GOLDEN["mass"], atol=1e-7)
    assert w1_mass(*pair).value == pytest.approx(GOLDEN["w1m"], rel=1e-6)
    assert np.allclose([w.value for w in w1_particles(*pair)], GOLDEN["w1p"], rtol=1e-9)
    assert w1_efp(*pair).value == pytest.approx(np.mean(GOLDEN["w1efp"]), rel=1e-6)


def test_what_the_package_draws_estimates_the_same(pair):
    value, spread = GOLDEN["w1m_package"]
    assert abs(w1_mass(*pair).value - value) < 4 * spread
    for own, value, spread in zip(w1_particles(*pair), *GOLDEN["w1p_package"], strict=True):
        assert abs(own.value - value) < 4 * spread


def test_energy_flow_polynomials(pair):
    theirs, ours = np.array(GOLDEN["efps"]), efps(pair[0][:5])
    partners = [[i for i in range(36) if np.allclose(ours[:, i], column, rtol=1e-6)] for column in theirs.T]
    assert sorted(i for found in partners for i in found) == list(range(36))
    own = prime_efps(pair[0][:5])
    assert np.allclose(
        np.sort([own[g] for g in FOUR_POINT_EFPS], axis=0), np.sort(np.transpose(GOLDEN["efps4"]), axis=0)
    )


def test_energy_movers_distances(pair):
    pytest.importorskip("ot")
    a, b = pair
    own = [[energy_movers_distance(y, x) for x in a[:10]] for y in b[:12]]
    assert np.allclose(own, GOLDEN["emds"], rtol=1e-5)


def test_coverage_and_mmd(pair):
    pytest.importorskip("ot")
    found = coverage_mmd(*pair, n_jets=40, n_batches=10)
    coverage, mmd = GOLDEN["cov_mmd"]
    assert abs(found.coverage.value - coverage) < 5 * max(found.coverage.error, 0.01)
    assert abs(found.mmd.value - mmd) < 5 * found.mmd.error


def test_fpd_and_kpd():
    a, b = clouds(3, 20_000), clouds(4, 20_000)
    b[..., :2] *= 1.05
    distance = jet_fpd(a, b)
    value, error = GOLDEN["fpd"]
    # the package draws parts with replacement: what the finite pool adds stays in its value
    assert abs(distance.value - value) < 4 * np.hypot(error, distance.error)
    distance = jet_kpd(a, b)
    value, error = GOLDEN["kpd"]
    assert abs(distance.value - value) < 5 * np.hypot(error, distance.error)


@pytest.mark.skipif(find_spec("jetnet") is None, reason="the weights come with jetnet")
def test_fpnd_with_the_weights_of_the_package():
    # the package computes in single precision
    assert abs(fpnd(clouds(1, 300, 30), "t") / GOLDEN["fpnd"] - 1) < 1e-4


def test_fpnd_of_other_jets():
    with pytest.raises(ValueError, match="30 particles of g, q and t, found 6 of 't'"):
        fpnd(clouds(1), "t")
    with pytest.raises(ValueError, match="found 30 of 'w'"):
        fpnd(clouds(1, k=30), "w")


def test_equal_samples_have_no_distance_and_scaled_ones_are_found():
    a, b = clouds(5, 1000), clouds(6, 1000)
    assert w1_mass(a, a, n_bootstrap=0).value == 0
    assert abs(jet_auc(a, b).value - 0.5) < 0.05
    wide = b * [1.5, 1.5, 1.0]
    assert jet_auc(a, wide).value > 0.7
    assert jet_fpd(a, wide).value > 5 * jet_fpd(a, b).value


def test_masked_particles_do_not_count():
    a = clouds(7, 50)
    masked = np.concatenate([np.where(a[..., 2:] > 0, a, 9.0), a[..., 2:] > 0], axis=2)
    assert w1_mass(a, masked, n_bootstrap=0).value == 0
    assert all(np.array_equal(x, y) for x, y in zip(jet_columns(a).values(), jet_columns(masked).values(), strict=True))


@pytest.mark.parametrize(
    ("jets", "message"),
    [
        (np.zeros((3, 4)), "real: jets of shape"),
        (np.full((2, 3, 3), np.nan), "real: particles of 2 jets are not finite"),
    ],
)
def test_bad_jets(jets, message):
    with pytest.raises(ValueError, match=message):
        w1_mass(jets, clouds(1))


def test_report_prints_saves_and_has_floors(tmp_path):
    a, b, c = (clouds(seed, 200) for seed in (8, 9, 10))
    report = jet_report(a, b, more_real=c, slow=False)
    assert "W1M x 1e3" in str(report)
    assert "<td>tau21" not in report._repr_html_()
    assert report["W1P eta"].floor is not None
    assert abs(report["W1M"].value.value - report["W1M"].floor.value) < 5 * report["W1M"].value.error
    report.save(tmp_path / "jets.json")
    again = JetReport.load(tmp_path / "jets.json")
    assert again.to_dict() == report.to_dict()
    with pytest.raises(KeyError, match="W1X; the scores are W1M"):
        report["W1X"]
    (tmp_path / "jets.json").write_text("{}")
    with pytest.raises(ArchiveError, match="format"):
        JetReport.load(tmp_path / "jets.json")


def test_report_by_slow_metrics():
    pytest.importorskip("ot")
    a, b = clouds(8, 150), clouds(9, 150)
    report = jet_report(a, b, floor=False)
    assert {"FPD", "KPD", "coverage", "MMD"} <= {score.name for score in report.scores}
    note = "FPD and KPD need 5,000 jets or more: with 150"
    assert note in str(report)
    assert note in report._repr_html_()
    assert note not in str(replace(report, n_real=5000, n_generated=8000))
