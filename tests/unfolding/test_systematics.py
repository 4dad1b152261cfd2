"""Sources of errors that are differences: more and less background, other simulations by name."""

import numpy as np
import pyarrow.parquet as pq
import pytest

import buff
from buff.datasets import gaussian_2d

from .toys import quick

EDGES = np.linspace(-1, 3, 5)


@pytest.fixture(scope="module")
def problem():
    """An unfolder, two other simulations, measured events and a background of 15 percent."""
    unfolders = [
        quick("reweight", n_iterations=2).fit(p.truth + shift, p.reco)
        for p, shift in ((gaussian_2d().sample(1500, seed), shift) for seed, shift in ((0, 0), (2, 0.1), (3, -0.1)))
    ]
    reco = gaussian_2d().sample(1000, 1).reco
    return unfolders[0], unfolders[1:], reco, (reco[:300] + 0.5, np.full(300, 0.5))


def counts(result):
    return result.histogram(0, EDGES).values()


def test_more_and_less_background_are_a_source(problem, tmp_path):
    unfolder, (other, _), reco, (table, w) = problem
    result = unfolder.unfold(reco, background=(table, w), background_uncertainty=0.2, alternative=other)
    own, up, down = (counts(unfolder.unfold(reco, background=(table, w * f))) for f in (1, 1.2, 0.8))
    assert up.sum() < own.sum() < down.sum()
    np.testing.assert_allclose(counts(result), own)
    covariance = result.covariance(0, EDGES)
    expected = (np.outer(up - own, up - own) + np.outer(down - own, down - own)) / 2
    np.testing.assert_allclose(covariance.background, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result.sigmas(0, EDGES)["background"], np.sqrt(np.diag(covariance.background)))
    assert "the normalisation of the background (up and down)" in result.errors
    assert "see background_uncertainty" not in result.errors
    result.save(tmp_path / "result.buff")
    np.testing.assert_array_equal(buff.load(tmp_path / "result.buff").covariance(0, EDGES).total, covariance.total)
    result.to_parquet(tmp_path / "events.parquet")
    assert "weight_background_1" in pq.read_schema(tmp_path / "events.parquet").names


def test_the_sum_moves_by_the_share_of_the_background(problem):
    unfolder, _, reco, background = problem
    result = unfolder.unfold(reco, background=background, background_uncertainty=0.2)
    up, down = (replica.weights.sum() for replica in result.replicas)
    assert (up, down) == (pytest.approx(1000 - 180), pytest.approx(1000 - 120))
    everything = unfolder.unfold(reco, background=background, background_uncertainty=1).replicas
    assert everything[1].weights.sum() == pytest.approx(1000)


@pytest.mark.parametrize("uncertainty", [-0.1, 20, "a", np.nan, True])
def test_bad_uncertainties_of_the_background(problem, uncertainty):
    unfolder, _, reco, background = problem
    with pytest.raises(
        ValueError, match="background_uncertainty must be from 0 to 1, a share of the background, found"
    ):
        unfolder.unfold(reco, background=background, background_uncertainty=uncertainty)
    with pytest.raises(ValueError, match=r"background_uncertainty is 0\.2, but there is no background"):
        unfolder.unfold(reco, background_uncertainty=0.2)


def test_alternatives_have_names(problem, tmp_path):
    unfolder, (one, two), reco, _ = problem
    result = unfolder.unfold(reco, alternative={"herwig": one, "fsr": [one, two]})
    own, *others = (counts(u.unfold(reco)) for u in (unfolder, one, two))
    first, second = (np.outer(x - own, x - own) for x in others)
    covariance = result.covariance(0, EDGES)
    assert list(covariance.of_source) == ["regularisation", "herwig", "fsr"]
    np.testing.assert_allclose(covariance.of_source["herwig"], first)
    np.testing.assert_allclose(covariance.of_source["fsr"], (first + second) / 2)
    np.testing.assert_allclose(covariance.alternative, first + (first + second) / 2)
    unnamed = unfolder.unfold(reco, alternative=[one, two]).covariance(0, EDGES)
    np.testing.assert_allclose(unnamed.alternative, first + second)
    assert "the difference of other simulations (2 alternatives: herwig, fsr)" in result.errors
    sigmas = result.sigmas(0, EDGES)
    np.testing.assert_allclose(sigmas["herwig"], np.abs(others[0] - own))
    assert any("herwig" in text.get_text() for text in result.plot_unfolded(0, EDGES).legends[0].get_texts())
    result.to_yaml(tmp_path, {"x0": EDGES})
    assert "the difference of the simulation herwig" in (tmp_path / "submission.yaml").read_text()
    assert (tmp_path / "x0_covariance_fsr.yaml").exists()
    result.save(tmp_path / "result.buff")
    np.testing.assert_array_equal(buff.load(tmp_path / "result.buff").sigmas(0, EDGES)["fsr"], sigmas["fsr"])


@pytest.mark.parametrize("name", ["data", "background", "total", "", 3])
def test_names_that_are_taken(problem, name):
    unfolder, (one, _), reco, _ = problem
    with pytest.raises(ValueError, match=f"alternative has the name {name!r}: give it one beside data, simulation"):
        unfolder.unfold(reco, alternative={name: one})
