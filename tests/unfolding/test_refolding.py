import numpy as np
import pytest

from buff.tables import read
from buff.transforms import TableTransformer
from buff.trees import ClassifierSettings
from buff.unfolding.events import Simulation
from buff.unfolding.features import features, frequent_values
from buff.unfolding.iterations import Prior, reweighting
from buff.unfolding.refolding import Refolded, described, refold, refolded_sentences

from .toys import quick


def spiky(n, seed, share=0.02):
    """Truth that is 0 or exponential, seen as 0 in 60 and 1 percent of the events, else smeared."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(n) < share, 0.0, 0.2 + rng.exponential(size=n))
    zero = rng.random(n) < np.where(truth == 0, 0.6, 0.01)
    reco = np.where(zero, 0.0, 0.1 + np.abs(truth + 0.2 * rng.normal(size=n)))
    return truth[:, None], reco[:, None]


def bayes(simulated, reco, n_iterations):
    """Share of zeros in truth after iterations of D'Agostini with two bins."""
    zero_t, zero_r = simulated[0][:, 0] == 0, simulated[1][:, 0] == 0
    response = np.array([[np.mean(zero_r[own] == seen) for own in (zero_t, ~zero_t)] for seen in (True, False)])
    truth, data = np.array([zero_t.mean(), 1 - zero_t.mean()]), np.array([np.mean(reco == 0), np.mean(reco != 0)])
    for _ in range(n_iterations):
        truth = truth * (response.T @ (data / (response @ truth)))
    return truth[0]


@pytest.mark.parametrize("method", ["reweight", "iterated"])
def test_a_small_spike_follows_the_data_as_bins_do(method):
    simulated, (_, reco) = spiky(6000, 0), spiky(6000, 1, 0.05)
    unfolder = quick(method, n_samples=10).fit(*simulated)
    # a drawn posterior has the prior of the simulation; after that, what many iterations would give
    for n, equal in ((1, 1 if method == "iterated" else 16), (2, 16), (3, 16)):
        result = unfolder.unfold(reco, n_iterations=n)
        found = np.average(result.events[:, 0] == 0, weights=result.weights)
        # draws begin with the posterior of a flow, whose spike is a little blunt
        assert found == pytest.approx(bayes(simulated, reco, equal), rel=0.08 if method == "reweight" else 0.15)
    assert len(unfolder.unfold(reco).history) > 1


def test_a_prior_that_is_left_shows_at_detector_level():
    simulated, (_, reco) = spiky(6000, 0), spiky(6000, 1, 0.05)
    simulation = Simulation.of(*simulated)
    measured = features(simulation.reco_space, read(reco))
    arguments = simulation.reco_space, simulation.reco_scores, np.ones(6000), measured, np.ones(6000)
    before = refold(*arguments)
    assert not described(before)
    zeros, seen = (np.sum(x == 0) for x in (simulated[1], reco))
    (first, *_), pull = refolded_sentences(before), (seen - zeros) / np.sqrt(seen + zeros)
    assert first.startswith(f"x0: refolded {zeros:,} events at 0, measured {seen:,} ({pull:.1f} sigma)")
    prior = Prior(simulation, measured, np.ones(6000), ClassifierSettings(), 0, np.ones(6000))
    assert not prior.settled()
    *_, last = reweighting(prior, 3)
    after = refold(*arguments[:2], last.weights, *arguments[3:])
    assert described(after)
    assert [line.split(",")[0] for line in refolded_sentences(after)] == [
        "Refolded events agree with measured ones in every column"
    ]


def test_chi_squared_of_equal_samples_is_that_of_its_bins():
    found = []
    for seed in range(20):
        simulation = Simulation.of(*spiky(1000, seed))
        measured = features(simulation.reco_space, read(spiky(1000, seed + 100)[1]))
        (column,) = refold(simulation.reco_space, simulation.reco_scores, np.ones(1000), measured, np.ones(1000))
        assert column.measured.sum() == column.refolded.sum() == 1000
        found.append(column.chi2.value / column.chi2.n)
    assert np.mean(found) == pytest.approx(1, abs=4 * np.sqrt(2 / 20 / 20))


def test_frequent_values_are_flags():
    rng = np.random.default_rng(0)
    table = np.column_stack(
        [
            np.where(rng.random(3000) < 0.01, 0.0, rng.exponential(size=3000)),
            rng.poisson(30, 3000),
            rng.normal(size=3000),
            rng.integers(0, 2, 3000),
        ]
    )
    space = TableTransformer(bandwidth=0).fit(table)
    assert frequent_values(space) == [(0, 0.0), (3, 1.0)]
    z = features(space, read(table))
    np.testing.assert_array_equal(z[:, :4], space.transform(table))
    np.testing.assert_array_equal(z[:, 4:], np.column_stack([table[:, 0] == 0, table[:, 3] == 1]))


def test_refolded_figure():
    simulated, (_, reco) = spiky(1000, 0), spiky(500, 1)
    result = quick("reweight", n_iterations=1).fit(*simulated).unfold(reco)
    figure = result.plot_refolded(0, [-0.5, 0.05, 1.0, 9.0])
    assert figure.axes[-1].get_xlabel() == "x0 at detector level"
    y = figure.axes[0].containers[0][0].get_ydata() * np.diff([-0.5, 0.05, 1.0, 9.0])
    expected = np.histogram(simulated[1][:, 0], [-0.5, 0.05, 1.0, 9.0], weights=result.weights)[0]
    np.testing.assert_allclose(y, expected)


def edge(n, rng):
    """Truth above 1 of which little is seen: reco must pass 1.6, with a resolution of 0.25."""
    truth = 0.5 + rng.exponential(size=(n, 1))
    reco = truth + 0.25 * rng.normal(size=(n, 1))
    return truth, reco, truth[:, 0] > 1, reco[:, 0] > 1.6


@pytest.mark.filterwarnings("ignore:.*weight is seen 5 times more rarely")
def test_a_threshold_with_small_efficiency_is_not_blown_up():
    edges = np.array([1.0, 1.2, 1.4, 1.8, 4.0])
    expected = -3000 * np.diff(np.exp(0.5 - edges))
    ratios = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        simulated, nature = edge(3000, rng), edge(3000, rng)
        unfolder = quick("conditional", n_samples=10)
        unfolder.fit(simulated[0], simulated[1], pass_truth=simulated[2], pass_reco=simulated[3])
        result = unfolder.unfold(nature[1][nature[3]])
        ratios.append([*(result.histogram(0, edges).values() / expected), result.weights.sum() / (3000 * np.exp(-0.5))])
    # of the first bin a part in ten is seen, some 33 events; five seeds, three standard errors, and a bias of 0.05
    errors = np.array([0.25, 0.17, 0.05, 0.05, 0.05]) / np.sqrt(5)
    assert (abs(np.mean(ratios, axis=0) - 1) < 0.05 + 3 * errors).all()


def test_a_truth_cut_at_small_efficiency_is_told():
    rng = np.random.default_rng(0)
    simulated, nature = edge(3000, rng), edge(3000, rng)
    unfolder = quick("reweight", n_iterations=1)
    unfolder.fit(simulated[0], simulated[1], pass_truth=simulated[2], pass_reco=simulated[3])
    with pytest.warns(
        UserWarning, match=r"\d+\.\d% of the unfolded weight is seen 5 times more rarely than on average"
    ):
        result = unfolder.unfold(nature[1][nature[3]])
    assert result.diagnostics.poorly_seen > 0.02


@pytest.mark.filterwarnings("ignore:.*weight is seen 5 times more rarely")
def test_events_that_fail_the_selection_are_asked_about():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(500, 1))
    reco = truth + 0.1 * rng.normal(size=(500, 1))
    unfolder = quick("reweight", n_iterations=1).fit(truth, reco, pass_reco=reco[:, 0] > 0)
    with pytest.warns(UserWarning, match="is a guess; did you apply the selection of reco?"):
        unfolder.unfold(reco)


def test_a_frequent_value_that_comes_no_closer_stops_nothing():
    def refolded(*off):
        pulls = np.array([*off, 0.0, 0.0])
        return (Refolded("x", np.arange(2.0), 100 + 10 * pulls, np.full(4, 100.0), np.full(4, 100.0)),)

    assert not described(refolded(1.4, 1.3))
    assert not described(refolded(1.4, 1.3), refolded(2.5, 1.3))  # the first still comes closer
    assert described(refolded(0.6, 1.3), refolded(1.4, 1.3))
    assert described(refolded(0.9, -0.9))
