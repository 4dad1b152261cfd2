"""High-level features and scores of showers: values computed by hand, floors, files."""

import json

import numpy as np
import pytest

from buff.datasets import make_showers
from buff.metrics import shower_features, shower_inputs, shower_report, shower_separations
from buff.physics import Geometry, Layer

RING = Geometry("ring", (Layer(0, (0, 2, 4), 4), Layer(5, (0, 10))))


def test_features_are_those_of_the_definition():
    showers = np.zeros((1, 9))
    showers[0, [1, 5, 8]] = 3, 1, 2  # second ring at -3/4 pi and 1/4 pi, and the layer behind
    features = shower_features(showers, [12.0], RING)
    assert features["response"][0] == 0.5
    assert features["voxels"][0] == 3
    assert features["energy_0"][0] == 4
    assert features["sparsity_0"][0] == 0.75
    along = 3 / np.sqrt(2)
    assert features["centre_eta_0"][0] == pytest.approx(-along / 2)
    assert features["width_eta_0"][0] == pytest.approx(np.sqrt(along**2 - along**2 / 4))
    assert features["centre_r_0"][0] == 3
    assert features["width_r_0"][0] == pytest.approx(0, abs=1e-6)
    assert "centre_eta_5" not in features


def test_empty_showers_have_finite_features():
    for kind in ("low", "normalised", "high", "strong"):
        assert np.isfinite(shower_inputs(np.zeros((2, 368)), [300.0, 400.0], "ds1-photons", kind)).all()


def test_numbers_of_inputs():
    showers, energies = np.ones((2, 368)), [1000.0, 1000.0]
    sizes = {k: shower_inputs(showers, energies, "ds1-photons", k).shape[1] for k in ("low", "normalised", "high")}
    assert sizes == {"low": 369, "normalised": 374, "high": 14}
    assert shower_inputs(showers, energies, "ds1-photons", "low")[0, 1] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="kind must be"):
        shower_inputs(showers, energies, "ds1-photons", "deep")


def test_separations_see_a_shift_and_tell_what_is_out_of_range():
    data = make_showers(400, "ds1-photons", random_state=0)
    real = shower_features(data.showers, data.incident_energies, "ds1-photons")
    same = shower_separations(real, real, "ds1-photons")
    assert all(s.value == 0 for s in same.values())
    hot = shower_features(3 * data.showers, data.incident_energies, "ds1-photons")
    found = shower_separations(real, hot, "ds1-photons")
    assert found["response"].generated_overflow > 0.9
    assert found["response"].value > 0.9
    assert found["energy_2"].value > 0.05


def test_a_report_tells_wrong_showers_from_right_ones(tmp_path):
    a, b, c = (make_showers(300, "ds1-photons", random_state=seed) for seed in range(3))
    wrong = b.showers * 1.3
    report = shower_report(
        a.showers,
        a.incident_energies,
        wrong,
        b.incident_energies,
        "ds1-photons",
        floor=(c.showers, c.incident_energies),
        classifiers=("trees",),
        inputs=("high",),
    )
    assert report.values["auc trees high"] > 0.6 > report.floors["auc trees high"]
    assert report.values["separation response"] > report.floors["separation response"]
    report.save(tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text())["n_floor"] == 300
    assert "floor" in str(report)


def test_bad_showers_are_named():
    with pytest.raises(ValueError, match=r"\(n, 368\)"):
        shower_features(np.ones((2, 5)), [1.0, 1.0], "ds1-photons")
    with pytest.raises(ValueError, match="finite"):
        shower_features(np.full((1, 368), np.nan), [1.0], "ds1-photons")
