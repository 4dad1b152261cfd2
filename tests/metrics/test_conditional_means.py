import numpy as np
import pytest

from buff.datasets import SignedWeights, gaussian_1d
from buff.metrics import conditional_means

EDGES = np.linspace(-2, 2, 9)


def test_posterior_means_of_a_normal_problem():
    # E[x | y] = 0.8 y, so the mean truth of a bin is 0.8 times its mean reco
    problem = gaussian_1d()
    sample = problem.sample(40_000, 0)
    truth = conditional_means(sample.reco, sample.truth, EDGES)
    reco = conditional_means(sample.reco, sample.reco, EDGES)
    pulls = (truth.value - 0.8 * reco.value) / truth.error
    assert np.abs(pulls).max() < 4
    inside = (sample.reco[:, 0] >= -2) & (sample.reco[:, 0] <= 2)
    assert truth.weight.sum() == inside.sum()


def test_exact_draws_agree_and_shrunken_ones_do_not():
    problem = gaussian_1d()
    sample = problem.sample(20_000, 1)
    truth = conditional_means(sample.reco, sample.truth, EDGES)
    draws = problem.posterior(sample.reco).sample(1, 2)[:, 0]
    chi2, bins = truth.chi2(conditional_means(sample.reco, draws, EDGES))
    assert bins == 8
    assert chi2 < 3 * bins
    chi2, _ = truth.chi2(conditional_means(sample.reco, 0.9 * draws, EDGES))
    assert chi2 > 10 * bins


def test_errors_are_the_spread_over_repetitions():
    def pull(seed):
        rng = np.random.default_rng(seed)
        x, w = rng.uniform(size=400), rng.choice([1.0, 1.0, -1.0], 400)
        means = conditional_means(x, 100 + rng.normal(size=400), [0, 0.5, 1], weights=w)
        return (means.value - 100) / means.error

    pulls = np.concatenate([pull(seed) for seed in range(150)])
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)


def test_signed_events_have_the_exact_mean():
    problem = SignedWeights()
    events, exact = problem.sample(40_000, 3), problem.target.sample(40_000, 4)
    edges = [-2, -1, 0, 1, 2]
    signed = conditional_means(events.x[:, 0], events.x[:, 1], edges, weights=events.weight)
    chi2, bins = signed.chi2(conditional_means(exact[:, 0], exact[:, 1], edges))
    assert chi2 < 3 * bins
    naive, _ = conditional_means(events.x[:, 0], events.x[:, 1], edges).chi2(
        conditional_means(exact[:, 0], exact[:, 1], edges)
    )
    assert naive > 20 * bins


def test_integer_weights_are_repeated_events():
    rng = np.random.default_rng(5)
    x, y, w = rng.uniform(size=300), 1e6 + rng.normal(size=300), rng.integers(0, 3, 300)
    weighted = conditional_means(x, y, [0, 0.5, 1], weights=w)
    repeated = conditional_means(np.repeat(x, w), np.repeat(y, w), [0, 0.5, 1])
    np.testing.assert_allclose(weighted.value, repeated.value, rtol=1e-12)


def test_bins_without_positive_weight_or_with_one_event():
    means = conditional_means([0.5, 1.5, 1.6, 2.5], [1, 2, 3, 4], [0, 1, 2, 3, 4], weights=[1, -1, 0.5, 2])
    np.testing.assert_array_equal(means.value, [1, np.nan, 4, np.nan])
    assert np.isnan(means.error).all()
    assert means.chi2(means) == (0.0, 0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"x has 2 event\(s\), y 1"):
        conditional_means([1, 2], [1], EDGES)
    one, other = (conditional_means([0.5, 0.6], [1, 2], edges) for edges in ([0, 1], [0, 2]))
    with pytest.raises(ValueError, match="same bins"):
        one.chi2(other)
