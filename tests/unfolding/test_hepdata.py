"""Tables for HEPData: what they hold are the numbers of the result."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from .toys import quick

yaml = pytest.importorskip("yaml")

MASS, PT = np.array([-1.0, 0.0, 1.0, 3.0]), np.array([-2.0, 0.0, 2.0])


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    truth = pd.DataFrame(rng.normal(size=(1500, 2)), columns=["mass", "pt"])
    reco = truth + 0.3 * rng.normal(size=(1500, 2))
    passing = {"pass_truth": truth["mass"] > -1.5, "pass_reco": reco["mass"] > -1.2}
    unfolder = quick("reweight", n_iterations=2, n_replicas={"data": 14, "model": 2}).fit(truth, reco, **passing)
    return unfolder.unfold(reco[passing["pass_reco"]][:400])


def read(folder, bins, **options):
    """Tables by name: the values of each axis and of each quantity."""
    result_of = options.pop("of")
    result_of.to_yaml(folder, bins, **options)
    tables = {}
    for document in yaml.safe_load_all((folder / "submission.yaml").read_text()):
        if "data_file" in document:
            table = yaml.safe_load((folder / document["data_file"]).read_text())
            sides = (table["independent_variables"], table["dependent_variables"])
            tables[document["name"]] = tuple({v["header"]["name"]: v["values"] for v in side} for side in sides)
            assert len({len(v["values"]) for side in sides for v in side}) == 1
    return tables


def numbers(values):
    return np.array([np.nan if v["value"] == "-" else v["value"] for v in values])


def test_response_and_migration(result, tmp_path):
    tables = read(tmp_path, {"mass": MASS}, of=result)
    response = result.response("mass", MASS)
    axes, shares = tables["mass_response"]
    assert axes["mass"] == [{"low": a, "high": b} for a, b in pairwise(MASS)]
    for name in ("efficiency", "fakes", "purity", "stability"):
        np.testing.assert_allclose(numbers(shares[name]), getattr(response, name), rtol=1e-5)
    axes, found = tables["mass_migration"]
    np.testing.assert_allclose(numbers(found["P(measured bin | true bin)"]), response.migration.ravel(), rtol=1e-5)
    assert axes["true mass"][1] == {"low": -1.0, "high": 0.0}
    assert axes["measured mass"][1] == {"low": 0.0, "high": 1.0}
    np.testing.assert_allclose(np.diag(response.migration), response.stability)


def test_empty_bins_have_no_shares(result, tmp_path):
    shares = read(tmp_path, {"mass": [0.0, 1.0, 50.0, 60.0]}, of=result)["mass_response"][1]
    assert shares["purity"][-1] == {"value": "-"}


def test_columns_together_are_one_table_with_an_axis_each(result, tmp_path):
    bins = {"mass": MASS, ("mass", "pt"): [MASS, PT]}
    tables = read(tmp_path, bins, of=result, units={"mass": "GeV", "pt": "TeV"})
    axes, found = tables["mass_pt"]
    h, covariance = result.histogram(["mass", "pt"], [MASS, PT]), result.covariance(["mass", "pt"], [MASS, PT])
    assert list(axes) == ["mass", "pt"]
    assert (axes["mass"][1], axes["pt"][1]) == ({"low": -1.0, "high": 0.0}, {"low": 0.0, "high": 2.0})
    np.testing.assert_allclose(numbers(found["events a bin"]), h.values().ravel(), rtol=1e-5)
    area = np.outer(np.diff(MASS), np.diff(PT))
    np.testing.assert_allclose(numbers(found["events by widths of the bin"]), (h.values() / area).ravel(), rtol=1e-5)
    errors = {e["label"]: e["symerror"] for e in found["events a bin"][4]["errors"]}
    assert errors["data statistics"] == pytest.approx(np.sqrt(covariance.data[4, 4]), rel=1e-5)
    axes, found = tables["mass_pt_covariance_total"]
    assert list(axes) == ["mass (first)", "pt (first)", "mass (second)", "pt (second)"]
    np.testing.assert_allclose(numbers(found["covariance"]), covariance.total.ravel(), rtol=1e-5, atol=1e-9)
    assert axes["pt (second)"][1] == {"low": 0.0, "high": 2.0}
    joint = numbers(tables["covariance_total"][1]["covariance"]).reshape(9, 9)
    np.testing.assert_allclose(joint[3:, 3:], covariance.total, rtol=1e-5, atol=1e-9)
    assert {"value": "mass -1.0 - 0.0 GeV, pt 0.0 - 2.0 TeV"} in tables["covariance_total"][0]["bin (first)"]
    assert '"units": "1/(GeV TeV)"' in (tmp_path / "mass_pt.yaml").read_text()
    with pytest.raises(ValueError, match="bins names the column 'eta', which there is not; the columns are mass, pt"):
        result.to_yaml(tmp_path, {("mass", "eta"): [MASS, PT]})


def test_normalised_cross_sections(result, tmp_path):
    spike = [-1.0, -1e-6, 1e-6, 1.0, 3.0]
    tables = read(tmp_path, {"mass": MASS, ("mass", "pt"): [spike, PT]}, of=result, normalise=True)
    found = tables["mass_normalised"][1]
    normalised = result.normalised("mass", MASS)
    density = "1/sigma dsigma/d(mass)"
    np.testing.assert_allclose(numbers(found["share of the events in all bins"]), normalised.shares, rtol=1e-5)
    np.testing.assert_allclose(numbers(found[density]), normalised.values, rtol=1e-5)
    errors = {e["label"]: e["symerror"] for e in found[density][1]["errors"]}
    assert errors["data statistics"] == pytest.approx(normalised.sigmas["data"][1], rel=1e-5)
    for source, matrix in {**normalised.of_source, "total": normalised.total}.items():
        cells = tables[f"mass_normalised_covariance_{source}"][1]
        np.testing.assert_allclose(numbers(cells[f"covariance of {density}"]), matrix.ravel(), rtol=1e-5, atol=1e-12)
    both = tables["mass_pt_normalised"][1]
    values = numbers(both["1/sigma d2sigma/d(mass)d(pt)"]).reshape(4, 2)
    np.testing.assert_array_equal(np.isnan(values), [[False] * 2, [True] * 2, [False] * 2, [False] * 2])
    assert numbers(both["share of the events in all bins"]).sum() == pytest.approx(1, abs=1e-5)
    ranges = tables["mass_pt_normalised"][0]["mass"]
    assert ranges[2] == {"low": -1e-6, "high": 1e-6}  # numbers, and no text
    everything = [v["value"] for table in tables.values() for values in table[1].values() for v in values]
    assert {type(value) for value in everything if value != "-"} == {float}
