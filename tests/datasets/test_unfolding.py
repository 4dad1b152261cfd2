from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest, norm

from buff.datasets import GaussianMixture, SignedWeights, SmearedMixture, gaussian_1d, gaussian_2d, mixture_1d

PROBLEMS = {"gaussian_1d": gaussian_1d(), "mixture_1d": mixture_1d(), "gaussian_2d": gaussian_2d()}


@pytest.fixture(params=sorted(PROBLEMS))
def problem(request):
    return PROBLEMS[request.param]


def grid(d):
    axis = np.linspace(-7, 7, 2001 if d == 1 else 351)
    return np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d), (axis[1] - axis[0]) ** d


def bayes(problem, y):
    """Posterior of one event on a grid: prior times likelihood, normalised by summation."""
    x, cell = grid(problem.prior.dimension)
    residual = y - x @ problem.response.T
    chi2 = np.einsum("ni,ij,nj->n", residual, np.linalg.inv(problem.noise), residual)
    density = np.exp(problem.prior.log_density(x) - chi2 / 2)
    return x, density / density.sum() / cell, cell


def test_posterior_equals_bayes_theorem_on_a_grid(problem):
    reco = problem.sample(4, 1).reco
    posterior = problem.posterior(reco)
    for i, y in enumerate(reco):
        x, density, cell = bayes(problem, y)
        mean = (x * density[:, None]).sum(axis=0) * cell
        covariance = np.einsum("ni,nj,n->ij", x - mean, x - mean, density) * cell
        np.testing.assert_allclose(posterior.mean[i], mean, atol=1e-8)
        np.testing.assert_allclose(posterior.covariance[i], covariance, atol=1e-8)
        one = problem.posterior(np.tile(y, (len(x), 1)))
        np.testing.assert_allclose(np.exp(one.log_density(x)), density, atol=1e-8)


def test_gaussian_in_closed_form():
    posterior = gaussian_1d(mean=2.0, width=1.5, resolution=0.7).posterior([[0.0], [5.0]])
    gain = 1.5**2 / (1.5**2 + 0.7**2)
    np.testing.assert_allclose(posterior.mean[:, 0], 2 + gain * (np.array([0.0, 5.0]) - 2))
    np.testing.assert_allclose(posterior.covariance[:, 0, 0], 1.5**2 * (1 - gain))


def test_reco_follows_its_density(problem):
    sample, measured = problem.sample(20000, 5), problem.measured
    for i in range(problem.prior.dimension):
        width = np.sqrt(measured.covariances[:, i, i])
        uniform = norm.cdf((sample.reco[:, i, None] - measured.means[:, i]) / width) @ measured.weights
        assert kstest(uniform, "uniform").pvalue > 1e-3


def test_residual_truth_has_the_posterior_covariance():
    problem, n = gaussian_2d(), 40000
    sample = problem.sample(n, 2)
    posterior = problem.posterior(sample.reco)
    residual = sample.truth - posterior.mean
    np.testing.assert_allclose(np.cov(residual.T), posterior.covariance[0], atol=0.01)
    assert np.abs(np.corrcoef(residual.T, sample.reco.T)[:2, 2:]).max() < 4 / np.sqrt(n)


def test_draws_have_the_moments_of_the_posterior(problem):
    posterior = problem.posterior(problem.sample(3, 7).reco)
    draws = posterior.sample(40000, 8)
    assert draws.shape == (3, 40000, problem.prior.dimension)
    for x, mean, covariance in zip(draws, posterior.mean, posterior.covariance, strict=True):
        assert (np.abs(x.mean(axis=0) - mean) < 4 * np.sqrt(np.diag(covariance) / 40000)).all()
        np.testing.assert_allclose(np.atleast_2d(np.cov(x.T)), covariance, atol=0.02)


def test_posterior_draws_of_measured_events_give_truth_back():
    problem = mixture_1d()
    draws = problem.posterior(problem.sample(20000, 3).reco).sample(1, 4)[:, 0, 0]
    assert kstest(draws, lambda x: 0.3 * norm.cdf(x, -1, 0.3) + 0.7 * norm.cdf(x, 1, 0.6)).pvalue > 1e-3


def test_same_detector_other_truth():
    other = replace(gaussian_2d(), prior=GaussianMixture([1.0], [[3.0, 0.0]], [np.eye(2)]))
    np.testing.assert_array_equal(other.response, gaussian_2d().response)
    np.testing.assert_allclose(other.sample(20000, 1).reco.mean(axis=0), [3.0, 0.3], atol=0.05)


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"shape \(2, 2\), got \(1, 1\) and \(2, 2\)"):
        SmearedMixture(gaussian_2d().prior, np.ones((1, 1)))
    with pytest.raises(ValueError, match=r"shape \(n, 1\), got \(3,\)"):
        gaussian_1d().posterior(np.zeros(3))


def test_a_third_of_the_weights_is_negative():
    weight = SignedWeights().sample(30000, 1).weight
    assert set(weight) == {-1.0, 1.0}
    assert (weight < 0).mean() == pytest.approx(1 / 3, abs=0.012)


def test_weighted_events_follow_the_target():
    problem, n = SignedWeights(), 200000
    events = problem.sample(n, 2)
    edges = np.linspace(-3, 3, 13)
    signed, *_ = np.histogram2d(*events.x.T, bins=(edges, edges), weights=events.weight)
    variance, *_ = np.histogram2d(*events.x.T, bins=(edges, edges))
    fine = (np.arange(240) + 0.5) / 40 - 3
    x = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)
    expected = np.exp(problem.log_density(x)).reshape(12, 20, 12, 20).sum(axis=(1, 3)) / 40**2 * n / 3
    full = variance > 50
    pull = (signed - expected)[full] / np.sqrt(variance[full])
    assert full.sum() > 80
    assert pull.std() == pytest.approx(1, abs=0.25)
    assert np.abs(pull).max() < 4.5


def test_mean_weight_is_the_average_sign():
    problem = SignedWeights()
    events = problem.sample(200000, 3)
    expected = problem.mean_weight(events.x)
    assert ((expected >= 0) & (expected <= 1)).all()
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1)):
        near = (expected > low) & (expected <= high)
        error = 1 / np.sqrt(near.sum())
        assert abs(events.weight[near].mean() - expected[near].mean()) < 4 * error
    assert SignedWeights(0.0).mean_weight(events.x[:5]).tolist() == [1.0] * 5


def test_fraction_is_checked():
    with pytest.raises(ValueError, match=r"negative_fraction lies in \[0, 0\.5\), got 0\.5"):
        SignedWeights(0.5)


@pytest.mark.parametrize("noise", [[[0.0]], [[-1.0]]])
def test_a_detector_has_noise(noise):
    with pytest.raises(ValueError, match="noise is symmetric and positive definite, got"):
        replace(gaussian_1d(), noise=np.array(noise))
