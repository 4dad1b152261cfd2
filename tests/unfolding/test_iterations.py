import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from buff.datasets import gaussian_1d
from buff.trees import ClassifierSettings
from buff.unfolding.events import Simulation
from buff.unfolding.iterations import Draws, History, Iteration, Prior, Step, drain, reweighting, updating

SETTINGS = ClassifierSettings()
PROBLEM, NATURE = gaussian_1d(resolution=1.0), gaussian_1d(mean=0.6, resolution=1.0)


def flat(pairs, reco):
    """The prior that was simulated, before anything is learned from measured events."""
    simulation = Simulation.of(pairs.truth, pairs.reco)
    n = len(reco)
    return Prior(simulation, simulation.reco_space.transform(reco), np.ones(n), SETTINGS, 0, np.ones(len(pairs.truth)))


def exact_draws(prior, reco, m, seed):
    """Draws of the exact posterior and their values: what is tested is the iteration alone."""
    posterior = PROBLEM.posterior(reco)
    sigma = np.sqrt(posterior.covariance[:, 0, 0])
    z = np.random.default_rng(seed).normal(size=(len(reco), m))
    x = (posterior.mean + sigma[:, None] * z).reshape(-1, 1)
    return Draws(prior.simulation.truth_space.transform(x), np.repeat(np.arange(len(reco)), m)), x[:, 0]


@pytest.mark.parametrize("m", [4, 20])
def test_updated_prior_converges_as_expectation_maximisation_does(m):
    measured = NATURE.sample(8000, 1)
    prior = flat(PROBLEM.sample(8000, 0), measured.reco)
    draws, x = exact_draws(prior, measured.reco, m, 3)
    steps = list(updating(prior, draws, 4))
    means = [np.average(x, weights=step.weights) for step in steps]
    # half of the variance is the detector's: each iteration halves what is missing
    expected = measured.reco.mean() * (1 - 0.5 ** np.arange(1, 5))
    np.testing.assert_allclose(means, expected, atol=0.035)
    for step in steps:
        np.testing.assert_allclose(np.bincount(draws.rows, step.weights), 1)
    changes = [step.iteration.change for step in steps]
    assert np.isnan(changes[0])
    assert changes[1] > changes[2] > changes[3]


def test_reweighting_converges_as_expectation_maximisation_does():
    pairs, measured = PROBLEM.sample(8000, 0), NATURE.sample(8000, 1)
    steps = list(reweighting(flat(pairs, measured.reco), 4))
    means = [np.average(pairs.truth[:, 0], weights=step.weights) for step in steps]
    expected = measured.reco.mean() * (1 - 0.5 ** np.arange(1, 5))
    np.testing.assert_allclose(means, expected, atol=0.06)
    assert steps[-1].weights.sum() == pytest.approx(8000)


def test_iterations_end_where_the_data_are_described():
    pairs = PROBLEM.sample(8000, 0)
    for nature, fewest, most in ((PROBLEM, 1, 2), (NATURE, 3, 8)):
        measured = nature.sample(8000, 1)
        prior = flat(pairs, measured.reco)
        draws, x = exact_draws(prior, measured.reco, 10, 3)
        weighted, (*unfolded, settled) = list(reweighting(prior, None)), updating(prior, draws, None)
        assert settled.settled  # one more than the result has
        assert fewest <= len(weighted) <= most
        assert len(weighted) == len(unfolded)
        assert np.average(x, weights=unfolded[-1].weights) == pytest.approx(measured.reco.mean(), abs=0.1)


def test_a_prior_is_settled_when_nothing_can_be_learned():
    # where both are the same, a classifier is better than chance now and then, by chance
    pairs = PROBLEM.sample(3000, 0)
    assert sum(flat(pairs, PROBLEM.sample(3000, seed).reco).settled() for seed in range(1, 6)) >= 2
    assert not flat(pairs, NATURE.sample(3000, 1).reco).settled()


def test_closure_changes_nothing():
    measured = PROBLEM.sample(6000, 1)
    prior = flat(PROBLEM.sample(6000, 0), measured.reco)
    weights, _, _, history = drain(updating(prior, exact_draws(prior, measured.reco, 10, 3)[0], 3))
    assert history[-1].effective > 0.97
    assert max(i.change for i in history[1:]) < 0.05
    assert weights.sum() == pytest.approx(6000)


def test_within_an_event_few_draws_give_what_many_do():
    # plain shares w / S would leave 1 / m of the shift
    reco = NATURE.sample(8000, 1).reco
    prior = flat(PROBLEM.sample(8000, 0), reco)
    found = []
    for m in (4, 20):
        draws, x = exact_draws(prior, reco, m, 3)
        found.append(np.average(x, weights=list(updating(prior, draws, 3))[-1].weights))
    assert found[0] == pytest.approx(found[1], abs=0.03)


def step(number, change, effective=0.9, value=1.0):
    return Step(Iteration(number, change, effective, 0.0), np.full(3, value))


def test_a_growing_change_ends_the_iterations():
    steps = iter([step(1, 0.2, value=1), step(2, 0.05, value=2), step(3, 0.15, value=3), step(4, 0.5)])
    with pytest.warns(ConvergenceWarning, match="iteration 3 diverges: .* 0.150 .*before by 0.050: kept iteration 2"):
        weights, _, _, history = drain(steps)
    assert weights[0] == 2
    assert len(history) == 3


def test_weights_that_are_worth_nothing_end_the_iterations():
    with pytest.warns(ConvergenceWarning, match="worth 0.10% of the events.*kept iteration 1"):
        weights, *_ = drain(iter([step(1, 0.2), step(2, 0.1, effective=0.001, value=2)]))
    assert weights[0] == 1


def test_small_changes_may_grow():
    assert len(drain(iter([step(1, 0.2), step(2, 0.01), step(3, 0.03)]))[3]) == 3


def test_weights_that_are_not_finite():
    with pytest.raises(FloatingPointError, match="iteration 2 gave weights that are not finite"):
        drain(iter([step(1, 0.2), step(2, 0.1, value=np.nan)]))


def test_history_prints_as_a_table():
    lines = repr(History([Iteration(1, np.nan, 1.0, 0.0), Iteration(2, 0.25, 0.5, 0.01)])).splitlines()
    assert lines[0].split() == ["iteration", "change", "effective", "clipped"]
    assert lines[1].split() == ["1", "–", "1.0000", "0.0000"]
    assert lines[2].split() == ["2", "0.2500", "0.5000", "0.0100"]
