import numpy as np
import pytest
from scipy.stats import kstest, norm

from buff.flows.ranks import BinnedCounts, BinnedRanks


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    bins = rng.integers(0, 3, 9000)
    return rng.exponential(size=9000) * (1 + bins), bins


def test_scores_are_normal_in_every_bin_and_lead_back(sample):
    values, bins = sample
    ranks, (low, high) = BinnedRanks.fit(values, bins, 4)
    assert np.array_equal(low, high)
    for k in range(3):
        assert kstest(low[bins == k], norm.cdf).pvalue > 0.5
    inner = np.abs(low) < 2
    assert np.allclose(ranks.values(low, bins)[inner], values[inner], rtol=0.03, atol=5e-3)


def test_repeated_values_own_an_interval():
    values = np.r_[np.zeros(300), np.linspace(1, 2, 700)]
    ranks, (low, high) = BinnedRanks.fit(values, np.zeros(1000, int), 1)
    assert norm.cdf(low[0]) < 1e-6
    assert norm.cdf(high[0]) == pytest.approx(0.3, abs=1e-6)
    drawn = ranks.values(np.random.default_rng(1).standard_normal(20_000), np.zeros(20_000, int))
    assert np.mean(drawn == 0) == pytest.approx(0.3, abs=0.02)


def test_bins_without_rows_take_those_of_a_neighbour(sample):
    values, bins = sample
    ranks, _ = BinnedRanks.fit(values, bins + 1, 6)
    assert np.array_equal(ranks.quantiles[5], ranks.quantiles[3])
    assert np.array_equal(ranks.quantiles[0], ranks.quantiles[1])
    with pytest.raises(ValueError, match="no rows"):
        BinnedRanks.fit(np.zeros(0), np.zeros(0, int), 2)


def test_weights_count_as_repeated_rows(sample):
    values, bins = sample
    times = np.random.default_rng(2).integers(0, 4, len(values))
    weighted, _ = BinnedRanks.fit(values, bins, 3, times)
    repeated, _ = BinnedRanks.fit(np.repeat(values, times), np.repeat(bins, times), 3)
    middle = slice(100, -100)
    assert np.allclose(weighted.quantiles[:, middle], repeated.quantiles[:, middle], rtol=0.02, atol=0.02)


def test_calibration_restores_margins(sample):
    values, bins = sample
    ranks, _ = BinnedRanks.fit(values, bins, 3)
    rng = np.random.default_rng(3)
    drawn = 0.9 * rng.standard_normal(9000) + 0.1  # a flow that is too narrow, and off
    mended = ranks.calibrated(drawn, bins)
    for k in range(3):
        own = bins == k
        q = np.linspace(0.02, 0.98, 30)
        before, after = (np.quantile(r.values(drawn[own], bins[own]), q) for r in (ranks, mended))
        truth = np.quantile(values[own], q)
        assert np.abs(after - truth).max() < 0.4 * np.abs(before - truth).max()


def test_counts_keep_their_shares():
    rng = np.random.default_rng(4)
    bins = rng.integers(2, 5, 6000)
    values = rng.integers(1, bins)
    counts, (low, high) = BinnedCounts.fit(values, bins, 6)
    assert (low <= high).all()
    assert np.array_equal(counts.values(low + 1e-4, bins), values)
    drawn = counts.values(rng.standard_normal(6000), bins)
    assert ((drawn >= 1) & (drawn < bins)).all()
    for k in range(2, 5):
        ours, theirs = (np.bincount(x[bins == k], minlength=5) / (bins == k).sum() for x in (drawn, values))
        assert np.allclose(ours, theirs, atol=0.04)


def test_arrays_bring_maps_back(sample):
    values, bins = sample
    ranks, _ = BinnedRanks.fit(values, bins, 3)
    counts, _ = BinnedCounts.fit(bins, bins, 3)
    assert np.array_equal(BinnedRanks.from_arrays(ranks.to_arrays()).quantiles, ranks.quantiles)
    assert np.array_equal(BinnedCounts.from_arrays(counts.to_arrays()).cdf, counts.cdf)


def test_counts_of_little_weight_have_whole_distributions():
    counts, _ = BinnedCounts.fit(np.array([0, 1, 1, 3]), np.zeros(4, int), 1, np.full(4, 0.1))
    assert np.allclose(counts.cdf, [[0.25, 0.75, 0.75, 1.0]])


def test_a_few_draws_far_out_bend_nothing():
    rng = np.random.default_rng(0)
    ranks, _ = BinnedRanks.fit(rng.normal(size=2000), np.zeros(2000, int), 1)
    drawn = np.sort(1.2 * rng.normal(size=800))
    moved = drawn.copy()
    moved[:3], moved[-3:] = -9, 9
    own, same = (ranks.calibrated(values, np.zeros(800, int)) for values in (drawn, moved))
    np.testing.assert_array_equal(own.quantiles, same.quantiles)
    assert not np.array_equal(own.quantiles, ranks.quantiles)


def test_rows_without_weight_and_units_of_weights_change_nothing():
    rng = np.random.default_rng(0)
    values, bins, w = rng.normal(size=900), rng.integers(0, 2, 900), rng.integers(0, 3, 900) / 1e4
    known = w > 0
    for kind, own in ((BinnedRanks, values), (BinnedCounts, rng.poisson(3, 900))):
        (all_, _), (some, _) = (kind.fit(own[i], bins[i], 2, weights=w[i]) for i in (slice(None), known))
        heavy, _ = kind.fit(own, bins, 2, weights=1e4 * w)
        scores = np.linspace(-2, 2, 50)
        for k in range(2):
            expected = some.values(scores, np.full(50, k))
            np.testing.assert_allclose(all_.values(scores, np.full(50, k)), expected, atol=1e-9)
            np.testing.assert_allclose(heavy.values(scores, np.full(50, k)), expected, atol=1e-9)
