"""Frequent values of truth and what lies beside them come out right in few iterations."""

import numpy as np

from buff.tables import read
from buff.unfolding.events import Simulation
from buff.unfolding.features import features
from buff.unfolding.spikes import Spikes

from .toys import quick

EDGES = np.array([-0.001, 0.001, 0.1, 0.2, 0.5])


def grooming(n, rng, share, a):
    """Truth that is 0 or a momentum share below a half; the smaller it is, the more often the detector sees 0."""
    truth = np.where(rng.random(n) < share, 0.0, 0.002 + 0.498 * rng.beta(a, 3, n))
    zero = rng.random(n) < np.where(truth == 0, 0.85, 0.3 * np.exp(-truth / 0.08))
    smeared = np.where(truth == 0, rng.exponential(0.05, n), np.abs(truth + 0.03 * rng.normal(size=n)))
    return truth[:, None], np.where(zero, 0.0, smeared)[:, None]


def test_spikes_and_their_neighbours_are_not_biased_when_iterations_end():
    off, most = [], 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        simulated, (truth, reco) = grooming(6000, rng, 0.25, 1.2), grooming(4000, rng, 0.33, 1.5)
        result = quick("reweight", random_state=seed).fit(*simulated).unfold(reco)
        found = np.histogram(result.events[:, 0], EDGES, weights=result.weights)[0]
        off.append(found - np.histogram(truth[:, 0], EDGES)[0])
        most = max(most, len(result.history))
    # what three iterations leave of the prior in the first two of these bins, of 1,310 and 815 events, is -80 and 80
    assert (np.abs(np.mean(off, axis=0)) < [45, 45, 60, 45]).all()
    assert most < 6


def test_factors_are_what_truth_asks_for():
    rng = np.random.default_rng(0)
    simulated, (truth, reco) = grooming(20000, rng, 0.25, 1.2), grooming(20000, rng, 0.4, 1.2)
    simulation = Simulation.of(*simulated)
    spikes = Spikes.of(simulation, np.ones(20000), features(simulation.reco_space, read(reco)), np.ones(20000))
    (column,), (factors,) = spikes.columns, spikes.factors
    np.testing.assert_array_equal(column.values, [0.0])
    np.testing.assert_allclose(factors, [0.4 / 0.25, *[0.6 / 0.75] * 3], rtol=0.06)
    z = features(simulation.truth_space, read(truth))
    np.testing.assert_array_equal(spikes(z), factors[column(z)])


def test_columns_of_nothing_but_frequent_values_and_of_none_are_left_to_iterations():
    rng = np.random.default_rng(1)
    truth = np.column_stack([rng.normal(size=2000), rng.integers(0, 4, 2000)])
    reco = truth + 0.1 * rng.normal(size=truth.shape)
    simulation = Simulation.of(truth, reco)
    spikes = Spikes.of(simulation, np.ones(2000), simulation.reco_scores, np.ones(2000))
    assert spikes.columns == ()
    np.testing.assert_array_equal(spikes(simulation.truth_scores), np.ones(2000))


def test_a_frequent_value_of_few_events_is_left_to_iterations():
    rng = np.random.default_rng(2)
    simulated, (_, reco) = grooming(6000, rng, 0.004, 1.2), grooming(6000, rng, 0.1, 1.2)
    simulation = Simulation.of(*simulated)
    spikes = Spikes.of(simulation, np.ones(6000), features(simulation.reco_space, read(reco)), np.ones(6000))
    assert spikes.factors[0][0] == 1
    assert (spikes.factors[0][1:] != 1).all()
