import json

import numpy as np
import pytest
from scipy.stats import kstest, norm, poisson

from buff import BUFF, Unfolder
from buff.datasets import gaussian_1d, gaussian_2d, mixture_1d
from buff.flows.calibration import calibration_between
from buff.generators import BUFFTransport
from buff.metrics import interval_coverage
from buff.unfolding.events import Simulation
from buff.unfolding.posteriors import Bridge, LocatedFlow, Location

from .toys import QUICK

PROBLEMS = {
    "gaussian_1d": gaussian_1d(),
    "mixture_1d": mixture_1d(),
    "gaussian_2d": gaussian_2d(),
    "sharp": gaussian_1d(resolution=0.02),
}


def draws(kind, generator, problem, n=6000, n_test=500, m=60):
    pairs, test = problem.sample(n, 1), problem.sample(n_test, 2)
    simulation = Simulation.of(pairs.truth, pairs.reco)
    posterior = kind.fit(simulation, simulation.matched_weights, generator, 0)
    drawn = posterior.draw(simulation.measured(test.reco, "reco"), m, 3)
    return test, np.stack(drawn.arrays, axis=1).reshape(n_test, m, -1)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_mean_and_width_of_exact_posteriors(name):
    problem = PROBLEMS[name]
    test, x = draws(LocatedFlow, BUFF(**QUICK), problem)
    exact = problem.posterior(test.reco)
    sigma = np.sqrt(np.einsum("nii->ni", exact.covariance))
    width = np.sqrt(x.var(axis=1, ddof=1).mean(axis=0) / (sigma**2).mean(axis=0))
    np.testing.assert_allclose(width, 1, atol=0.05)
    bias = (x.mean(axis=1) - exact.mean).mean(axis=0) / sigma.mean(axis=0)
    np.testing.assert_allclose(bias, 0, atol=0.05)
    for coverage in interval_coverage(test.truth, x, 0.68):
        assert coverage.value == pytest.approx(0.68, abs=4 * coverage.error)


def test_draws_follow_weights():
    problem = gaussian_1d()
    pairs = problem.sample(6000, 1)
    simulation = Simulation.of(pairs.truth, pairs.reco)
    shift = np.exp(0.5 * pairs.truth[:, 0] - 0.125)  # truth becomes N(1/2, 1)
    posterior = LocatedFlow.fit(simulation, shift, BUFF(**QUICK), 0)
    mean = posterior.draw(simulation.measured(np.zeros((400, 1)), "reco"), 5, 3).arrays[0].mean()
    assert mean == pytest.approx(gaussian_1d(mean=0.5).posterior([[0.0]]).mean[0, 0], abs=0.06)


def test_atoms_come_back_exactly():
    rng = np.random.default_rng(0)
    truth, test = rng.poisson(3, (10_000, 1)), rng.poisson(3, (300, 1))
    simulation = Simulation.of(truth, truth + rng.normal(size=truth.shape))
    posterior = LocatedFlow.fit(simulation, np.ones(10_000), BUFF(**QUICK), 0)
    reco, k = test + rng.normal(size=test.shape), np.arange(25)
    drawn = posterior.draw(simulation.measured(reco, "reco"), 100, 1).arrays[0]
    assert set(drawn) <= set(truth[:, 0])
    exact = poisson.pmf(k, 3) * norm.pdf(reco - k)
    mean = exact @ k / exact.sum(axis=1)
    sigma = np.sqrt(exact @ k**2 / exact.sum(axis=1) - mean**2)
    bias = (drawn.reshape(300, 100).mean(axis=1) - mean) / sigma
    assert abs(bias.mean()) < 0.05
    assert bias.std() < 0.2  # of which 0.1 from the number of draws


def test_residuals_have_one_width_whatever_the_detector():
    grid = np.array([[-1.0], [0.0], [1.0]], np.float32)
    widths, spreads = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        c = rng.normal(size=(8000, 1)).astype(np.float32)
        z = (np.sin(c) + 0.1 * np.exp(c / 2) * rng.normal(size=c.shape)).astype(np.float32)
        location, e = Location.fit(z, c, np.ones(8000), 0)
        centre, width = location(grid)
        np.testing.assert_allclose(centre, np.sin(grid), atol=0.04)
        widths.append(width / width[1])
        thirds = np.array_split(e[np.argsort(c[:, 0])], 3)
        spreads.append(np.ptp([part.std() for part in thirds]) / e.std())
    # a seed is off by 0.12 and 0.04: three standard errors of the mean
    np.testing.assert_allclose(np.mean(widths, axis=0), np.exp(grid / 2), rtol=0.13)
    assert np.mean(spreads) < 0.08 + 0.04


def test_levelled_draws_have_the_marginals_of_the_events():
    rng = np.random.default_rng(0)
    wanted, w = rng.normal(size=(5000, 2)), rng.exponential(size=5000)
    drawn = np.column_stack([0.9 * rng.normal(size=10_000) + 0.2, np.tanh(rng.normal(size=10_000))])
    levelled = calibration_between(drawn, wanted, np.repeat(1.0, 5000))(drawn)
    for column, original in zip(levelled.T, drawn.T, strict=True):
        assert kstest(column, "norm").statistic < 0.03
        assert (np.diff(column[np.argsort(original)]) >= 0).all()
    weighted = calibration_between(drawn, wanted + w[:, None], w)(drawn)
    np.testing.assert_allclose(weighted.mean(axis=0), np.average(wanted + w[:, None], axis=0, weights=w), atol=0.15)


def test_spikes_beside_an_edge_keep_their_share():
    rng = np.random.default_rng(1)
    truth = np.where(rng.random((8000, 1)) < 0.02, 0.0, 0.1 + 0.4 * rng.beta(0.8, 2, (8000, 1)))
    reco = truth + 0.05 * rng.normal(size=truth.shape)
    simulation = Simulation.of(truth, reco)
    posterior = LocatedFlow.fit(simulation, np.ones(8000), BUFF(**QUICK), 0)
    drawn = posterior.draw(simulation.measured(reco, "reco"), 2, 3).arrays[0]
    assert np.mean(drawn == 0) == pytest.approx(np.mean(truth == 0), rel=0.15)
    assert not ((drawn > 0) & (drawn < 0.1)).any()


def test_bridge_starts_at_the_measured_event():
    problem = gaussian_1d()
    test, x = draws(Bridge, BUFFTransport(noise="auto", n_steps=6, noise_budget=20_000), problem)
    exact = problem.posterior(test.reco)
    sigma = np.sqrt(exact.covariance[0, 0, 0])
    assert (x.mean(axis=1) - exact.mean).std() < 0.2 * sigma  # of which 0.13 from the number of draws
    assert x.var(axis=1, ddof=1).mean() == pytest.approx(sigma**2, rel=0.06)
    coverage = interval_coverage(test.truth, x, 0.68)[0]
    assert coverage.value == pytest.approx(0.68, abs=4 * coverage.error)


@pytest.mark.parametrize("kind", [LocatedFlow, Bridge])
@pytest.mark.parametrize("noise", [0.0, "auto"])
def test_posteriors_come_back_from_their_parts(kind, noise):
    pairs = gaussian_2d().sample(800, 1)
    simulation = Simulation.of(pairs.truth, pairs.reco)
    quick = {"n_steps": 3, "n_estimators": 2, "noise_budget": 2000}
    generator = BUFF(**quick) if kind is LocatedFlow else BUFFTransport(**quick, noise=noise)
    posterior = kind.fit(simulation, simulation.matched_weights, generator, 0)
    record, arrays, blobs = posterior.to_arrays()
    parts = json.loads(json.dumps(record)), arrays, blobs
    back = kind.from_arrays(parts, simulation.truth_space, simulation.reco_space)
    drawn, again = (p.draw(simulation.reco.take(slice(50)), 3, 5) for p in (posterior, back))
    assert all(np.array_equal(a, b) for a, b in zip(drawn.arrays, again.arrays, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("conditional", gaussian_1d()),
        ("conditional", gaussian_2d()),
        ("conditional", mixture_1d()),
        ("bridge", gaussian_2d()),
    ],
)
def test_means_and_widths_of_exact_problems(method, problem):
    train, test = problem.sample(20_000, 0), problem.sample(400, 1)
    x = Unfolder(method, random_state=0).fit(train.truth, train.reco).sample(test.reco, 400)
    exact = problem.posterior(test.reco)
    variance = np.diagonal(exact.covariance, axis1=1, axis2=2)
    error = (x.mean(axis=1) - exact.mean) / train.truth.std(axis=0)
    assert abs(error.mean(axis=0)).max() < 0.01
    assert np.sqrt((error**2).mean(axis=0)).max() < 0.045  # of which 0.02 from the number of draws
    np.testing.assert_allclose(np.sqrt(x.var(axis=1, ddof=1).mean(axis=0) / variance.mean(axis=0)), 1, atol=0.03)
