import numpy as np
import pytest

from buff.datasets import SignedWeights
from buff.tables import read
from buff.unfolding.event_weights import EventWeights, checked_weights
from buff.unfolding.events import Simulation

from .toys import moments, quick

NOISE = 0.4


def signed(n, seed):
    """Truth and reco with weights, a third of them negative, and the density that they stand for."""
    problem, rng = SignedWeights(), np.random.default_rng(seed)
    events = problem.sample(n, rng)
    return problem, events.x, events.x + NOISE * rng.normal(size=events.x.shape), events.weight


@pytest.mark.parametrize("policy", ["smooth", "cancel"])
def test_each_kind_of_event_keeps_its_sum(policy):
    _, truth, reco, w = signed(2000, 0)
    rows = np.arange(2000)
    s = Simulation.of(truth, reco, rows < 1800, rows >= 300, w, policy)
    found = [weights.values for weights in s.of_kind]
    expected = [w[300:1800].sum(), w[:300].sum(), w[1800:].sum()]
    np.testing.assert_allclose([v.sum() for v in found], expected)
    assert min(v.min() for v in found) >= 0
    np.testing.assert_array_equal(s.weights, np.concatenate(found[:2]))
    assert "policy" in str(s.of_kind[0].note)


def test_few_events_take_their_mean():
    few = EventWeights.of(np.array([3.0, -1.0]), (read(np.zeros((2, 1))),), "smooth")
    np.testing.assert_array_equal(few.values, [1, 1])
    cancelled = EventWeights.of(np.tile([1.0, -1.0], 50), (read(np.zeros((100, 1))),), "smooth")
    assert not cancelled.values.any()
    assert few.resampled(np.random.default_rng(0)).values.min() >= 0


def test_weights_of_one_sign_are_left_alone():
    w = np.array([0.0, 2.0])
    weights = EventWeights.of(w, (), "smooth")
    assert weights.values is w
    assert weights.note is None
    assert weights.inflation == 1


def test_inflation_is_what_the_signs_cost():
    # sums over cells fluctuate by the weights given; positive ones alone would say less
    _, truth, _, w = signed(4000, 1)
    weights = EventWeights.of(w, (read(truth),), "smooth")
    rng = np.random.default_rng(0)
    sums = [weights.resampled(rng).values.sum() for _ in range(20)]
    by_values = np.sqrt(weights.values @ weights.values)
    assert np.std(sums) / by_values == pytest.approx(np.sqrt(weights.inflation), rel=0.45)
    assert weights.inflation > 4


@pytest.mark.parametrize("method", ["conditional", "reweight"])
def test_a_simulation_of_both_signs(method):
    problem, truth, reco, w = signed(8000, 0)
    rng = np.random.default_rng(1)
    nature = problem.target.sample(3000, rng)
    measured = nature + NOISE * rng.normal(size=nature.shape)
    off = []
    for weights in (w, np.abs(w)):
        unfolder = quick(method, n_iterations=1, negative_weights="smooth")
        result = unfolder.fit(truth, reco, sample_weight=weights).unfold(measured)
        off.append(
            abs(moments(result)[1] / nature[:, 0].std() - 1) + abs(moments(result, 1)[1] / nature[:, 1].std() - 1)
        )
    assert off[0] < 0.08
    assert off[0] < off[1]


def test_measured_and_background_weights_of_both_signs():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(4000, 1))
    unfolder = quick("reweight", n_iterations=2, negative_weights="smooth")
    unfolder.fit(truth, truth + NOISE * rng.normal(size=truth.shape))
    nature = rng.normal(0.3, 0.8, (3000, 1)) + NOISE * rng.normal(size=(3000, 1))
    wrong, other = rng.normal(1.5, 0.3, (2, 600, 1))
    reco, w = np.vstack([nature, wrong, other]), np.repeat([1.0, 1.0, -1.0], [3000, 600, 600])
    result = unfolder.unfold(reco, sample_weight=w)
    assert result.weights.sum() == pytest.approx(3000)
    mean, width = moments(result)
    assert mean == pytest.approx(0.3, abs=0.06)
    assert width == pytest.approx(0.8, abs=0.06)
    assert result.measured.of_data.inflation > 1.3
    assert result.diagnostics.effective < 2500
    # the same as background: weights of both signs that sum to the 600 events
    twice = np.vstack([other, other, rng.normal(1.5, 0.3, (300, 1))])
    b = np.repeat([1.0, 0.5, -1.0], [600, 600, 300])
    assert moments(unfolder.unfold(reco[:3600], background=(twice, b)))[0] == pytest.approx(0.3, abs=0.06)


def test_without_a_policy_they_are_refused_by_name():
    with pytest.raises(
        ValueError,
        match='weights of the background has 1 negative values of 3, the first -1 in row 2: negative_weights="smooth"',
    ):
        checked_weights([1.0, 1.0, -1.0], 3, "weights of the background")
    with pytest.raises(ValueError, match="negative_weights must be one of error, smooth, cancel; found 'drop'"):
        quick(negative_weights="drop").fit(np.zeros((50, 1)), np.zeros((50, 1)))
