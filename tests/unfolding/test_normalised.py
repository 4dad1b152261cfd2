"""Normalised cross sections: unit area, and errors that are those of normalised replicas."""

import numpy as np
import pytest

from buff.datasets import gaussian_2d
from buff.metrics.chi2 import normalised_covariance

from .toys import quick

EDGES = np.array([-2.0, -0.5, 0.0, 1.0, 2.5])


@pytest.fixture(scope="module")
def result():
    pairs = gaussian_2d().sample(3000, 0)
    other = gaussian_2d().sample(3000, 2)
    alternative = quick("reweight").fit(other.truth + 0.05, other.reco)
    unfolder = quick("reweight", n_iterations=2, n_replicas={"data": 40}).fit(pairs.truth, pairs.reco)
    return unfolder.unfold(pairs.reco[:1500], alternative=alternative)


def test_area_is_one_and_nothing_else_fluctuates(result):
    found, counts = result.normalised(0, EDGES), result.histogram(0, EDGES).values()
    np.testing.assert_allclose(found.values, counts / counts.sum() / np.diff(EDGES))
    assert found.values @ np.diff(EDGES) == pytest.approx(1)
    assert np.linalg.matrix_rank(sum(found.share_covariances.values())) == 3
    np.testing.assert_allclose(np.diff(EDGES) @ found.total @ np.diff(EDGES), 0, atol=1e-12)
    assert list(found.of_source) == ["data", "alternative", "regularisation"]
    together = result.normalised([0, 1], [EDGES, EDGES])
    assert together.values @ np.outer(np.diff(EDGES), np.diff(EDGES)).ravel() == pytest.approx(1)


def test_errors_are_those_of_normalised_replicas(result):
    found = result.normalised(0, EDGES)
    binning = found.binning
    data = [binning.counts(result.columns, r.weights) for r in result.replicas if r.source == "data"]
    spread = np.cov(np.transpose([n / n.sum() / np.diff(EDGES) for n in data]))
    scale = np.sqrt(np.outer(np.diag(spread), np.diag(spread)))
    np.testing.assert_allclose(found.of_source["data"] / scale, spread / scale, atol=0.1)
    # the sum of the bins fluctuates, too: errors of unit area are not those of the histogram by its sum
    naive = np.sqrt(np.diag(result.covariance(0, EDGES).data)) / np.sum(result.histogram(0, EDGES).values())
    assert (found.sigmas["data"] * np.diff(EDGES) < 0.95 * naive).any()


def test_a_common_factor_drops_out():
    counts = np.array([100.0, 300.0, 50.0])
    luminosity = 0.1**2 * np.outer(counts, counts)
    np.testing.assert_allclose(normalised_covariance(counts, luminosity), 0, atol=1e-15)
    rng = np.random.default_rng(0)
    drawn = rng.poisson(counts, (100_000, 3))
    shares = np.cov((drawn / drawn.sum(axis=1, keepdims=True)).T)
    np.testing.assert_allclose(normalised_covariance(counts, np.diag(counts)), shares, rtol=0.05)


def test_chi_squared_is_of_the_shape(result):
    found, counts = result.normalised(0, EDGES), result.histogram(0, EDGES).values()
    assert found.chi2(7 * counts).value == pytest.approx(0, abs=1e-9)
    off = found.chi2(counts * [1.2, 1, 1, 1])
    assert (off.n, off.n_replicas) == (3, pytest.approx(found.n_replicas))
    assert 0 < found.chi2(counts * [1.2, 1, 1, 1], 0.1 * counts).value < off.value
    with pytest.raises(ValueError, match=r"truth must have shape \(4,\), one value a bin; found \(3,\)"):
        found.chi2(counts[:3])


def test_prints_a_line_a_bin(result):
    lines = repr(result.normalised(0, EDGES)).splitlines()
    assert lines[0].split() == ["x0", "share", "error", "1/sigma", "dsigma/d(x0)", "error"]
    assert lines[1].startswith("-2 to -0.5 ")
    assert lines[1].split()[5] == f"{result.normalised(0, EDGES).values[0]:.5g}"
    spike = repr(result.normalised(0, [-2.0, -1e-4, 1e-4, 1.0, 2.5])).splitlines()[2]
    assert spike.split()[-2:] == ["-", "-"]
    with pytest.raises(ValueError, match="no unfolded events in the bins of x0"):
        result.normalised(0, [50.0, 60.0])


def test_figures_of_unit_area_have_the_errors_of_shares(result):
    normalised = result.normalised(0, EDGES)
    axes = result.plot_unfolded(0, EDGES, normalise=True).axes[0]
    band = next(p.get_data() for p in axes.patches if p.get_alpha() == 0.25)
    np.testing.assert_allclose((band.values - band.baseline) / 2, np.sqrt(np.diag(normalised.total)))
    counts = result.histogram(0, EDGES).values()
    truth = {"truth": 3 * counts * [1.2, 1, 1, 1], "truth_error": 0.1 * counts}
    (note,) = (text.get_text() for text in result.plot_unfolded(0, EDGES, normalise=True, **truth).axes[0].texts)
    found = normalised.chi2(*truth.values())
    assert f"= {found.value:.1f}/3," in note
    bars = [np.ptp(s[:, 1]) / 2 for s in axes.containers[0].lines[2][0].get_segments()]
    assert len(bars) == 4
