import numpy as np
import pytest
from scipy.stats import kstest, norm

from buff.metrics import interval_coverage, posterior_places, sbc, tarp

N = 4000


@pytest.fixture
def rng():
    return np.random.default_rng(31)


def posterior(rng, width=1.0, n=N, m=60, d=2):
    """Truth N(0, 1), measured with error 1: the posterior is N(reco / 2, 1 / 2)."""
    truth = rng.normal(size=(n, d))
    reco = truth + rng.normal(size=(n, d))
    return truth, reco[:, None] / 2 + width * np.sqrt(0.5) * rng.normal(size=(n, m, d))


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize("m", [3, 60])
def test_exact_posterior_covers_what_it_says_for_any_number_of_draws(rng, level, m):
    for estimate in interval_coverage(*posterior(rng, m=m), level):
        assert estimate.value == pytest.approx(level, abs=4 * estimate.error)
        assert estimate.error == pytest.approx(np.sqrt(level * (1 - level) / N), rel=0.1)


def test_posterior_too_wide_covers_the_gaussian_amount(rng):
    # the truth is Gaussian with half of the assumed width
    wide = interval_coverage(*posterior(rng, width=2.0, m=400, d=1), 0.68)[0]
    assert wide.value == pytest.approx(1 - 2 * norm.sf(2 * norm.isf(0.16)), abs=0.02)


def test_places_are_uniform_even_for_spikes(rng):
    truth, draws = rng.poisson(0.7, size=N), rng.poisson(0.7, size=(N, 9))
    u = posterior_places(truth, draws)[:, 0]
    assert kstest(u, "uniform").pvalue > 1e-3
    assert interval_coverage(truth, draws, 0.68)[0].value == pytest.approx(0.68, abs=0.03)


def test_sbc_accepts_the_exact_and_rejects_the_biased(rng):
    truth, draws = posterior(rng)
    exact = sbc(truth, draws)
    assert min(exact.p_values) > 1e-3
    assert exact.histogram.shape == (2, 20)
    np.testing.assert_allclose(exact.histogram.sum(axis=1), 1.0)
    assert max(sbc(truth, draws + 0.2).p_values) < 1e-6


def test_p_values_of_exact_posteriors_are_uniform():
    p_values = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth, draws = posterior(rng, n=400, m=20, d=1)
        weights = rng.uniform(0.5, 1.5, size=400)
        p_values += [sbc(truth, draws, n_bins=8, random_state=seed, weights=weights).p_values[0]]
    assert kstest(p_values, "uniform").pvalue > 1e-3


def test_tarp_sees_what_marginals_cannot(rng):
    # right marginals, wrong correlation: places of single columns stay uniform
    truth = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=N)
    draws = rng.normal(size=(N, 60, 2))
    assert min(sbc(truth, draws).p_values) > 1e-3
    assert tarp(truth, draws).p_value < 1e-6


def test_tarp_of_exact_narrow_and_wide_posteriors(rng):
    truth, draws = posterior(rng)
    exact = tarp(truth, draws)
    assert exact.p_value > 1e-3
    assert abs(exact.bias.value) < 4 * exact.bias.error
    pulls = (exact.coverage - exact.credibility)[:-1] / exact.error[:-1]
    assert np.abs(pulls).max() < 4.5
    centre = draws.mean(axis=1, keepdims=True)
    assert tarp(truth, centre + 0.5 * (draws - centre)).bias.value < -5 * exact.bias.error
    assert tarp(truth, centre + 2 * (draws - centre)).bias.value > 5 * exact.bias.error


def test_weights_select_events(rng):
    truth, draws = posterior(rng, d=1)
    broken = np.concatenate([truth, truth + 50])
    both = np.concatenate([draws, draws])
    weights = np.repeat([1.0, 0.0], N)
    kept = interval_coverage(broken, both, weights=weights)[0]
    assert kept.value == pytest.approx(0.68, abs=4 * kept.error)


def test_bad_input(rng):
    with pytest.raises(ValueError, match=r"draws: shape \(5, m, 1\) expected"):
        interval_coverage(np.zeros(5), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="level must be between 0 and 1, found 68"):
        interval_coverage(np.zeros(5), np.zeros((5, 3)), 68)
    with pytest.raises(ValueError, match="draws: column 1 holds"):
        sbc(np.zeros(2), [[0.0, np.nan], [0.0, 1.0]])
    with pytest.raises(ValueError, match="n_bins"):
        sbc(np.zeros(5), np.zeros((5, 3)), n_bins=1)
    with pytest.raises(ValueError, match="n_levels"):
        tarp(np.zeros(5), np.zeros((5, 3)), n_levels=1)
