"""Spikes of truth in posterior draws."""

import re

import numpy as np

from buff.unfolding.iterations import Draws
from buff.unfolding.membership import Membership
from tests.unfolding.toys import quick


def blunt(n, rng):
    """Truth has a spike in half of the events with one in reco and in 1 of 100 others; draws in .2 and .05 of them."""
    reco = (rng.random(n) < 0.1).astype(int)
    truth = (rng.random(n) < np.where(reco, 0.5, 0.01)).astype(int)
    drawn = (rng.random(3 * n) < np.where(reco.repeat(3), 0.2, 0.05)).astype(int)
    return reco, truth, drawn


def test_draws_get_the_shares_of_the_simulation_group_by_group():
    reco, truth, drawn = blunt(20_000, np.random.default_rng(0))
    weights = np.random.default_rng(1).uniform(0.5, 1.5, len(reco))
    factors = Membership.of(reco, truth, drawn, weights)(reco, drawn)
    for group in (0, 1):
        inside = reco == group
        w = factors[inside.repeat(3)] * weights[inside].repeat(3)
        share = np.average(truth[inside], weights=weights[inside])
        np.testing.assert_allclose(w @ drawn[inside.repeat(3)] / weights[inside].sum() / 3, share)
        np.testing.assert_allclose(w.sum(), 3 * weights[inside].sum())


def test_rare_groups_count_with_the_largest_and_factors_are_limited():
    reco, truth, drawn = blunt(5000, np.random.default_rng(2))
    reco[:5] = 2
    membership = Membership.of(reco, truth, drawn, np.ones(5000))
    np.testing.assert_array_equal(membership(np.array([2, 7]), np.array([1, 1])), membership.factors[0, [1, 1]])
    never = Membership.of(reco, np.zeros(5000, int), drawn, np.ones(5000))
    assert never.factors.min() > 0
    assert never.factors.max() <= 20


def spiked(n, share, seed):
    """A width that is 0 for some events, seen as 0 in two of three of these and in 3 of 100 others."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(n) < share, 0.0, rng.gamma(3, 1, n))
    seen = truth * rng.normal(1, 0.2, n).clip(0.2)
    reco = np.where(
        rng.random(n) < np.where(truth == 0, 0.67, 0.03), 0.0, np.where(truth == 0, rng.gamma(1, 1, n), seen)
    )
    return truth[:, None], reco[:, None]


def test_a_small_spike_comes_at_once_as_the_iterations_of_counts_in_two_bins_would_have_it():
    (truth, reco), (known, measured) = spiked(6000, 0.02, 0), spiked(6000, 0.05, 1)
    unfolder = quick().fit(truth, reco)
    found = {
        n: np.average(np.asarray(result.events)[:, 0] == 0, weights=result.weights) / np.mean(known == 0)
        for n in (1, 2, None)
        for result in [unfolder.unfold(measured, n_iterations=n)]
    }
    few, many = (unfolder.unfold(measured, n_iterations=n).diagnostics for n in (2, None))
    assert re.search(r"the last iteration still moved x0 at 0, \d+ events before and \d+ after: compare with", str(few))
    assert not many.moving
    zero = [(truth == 0)[:, 0], (truth > 0)[:, 0]]
    response = np.array([[np.mean((reco[of, 0] == 0) == seen) for of in zero] for seen in (True, False)])
    shares, by_counting = np.array([of.mean() for of in zero]), []
    for _ in range(16):
        seen = np.array([np.mean(measured == 0), np.mean(measured > 0)])
        shares *= response.T @ (seen / (response @ shares))
        by_counting.append(shares[0] / np.mean(known == 0))
    np.testing.assert_allclose(found[1], by_counting[0], rtol=0.1)
    np.testing.assert_allclose([found[2], found[None]], by_counting[-1], rtol=0.1)


def test_draws_without_frequent_values_have_no_factors():
    assert Draws(np.zeros((2, 1)), np.arange(2)).factors is None
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(300, 1))
    assert quick().fit(truth, truth + 0.1 * rng.normal(size=(300, 1))).members_["nominal"][0].membership is None
