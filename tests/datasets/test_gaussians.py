import numpy as np
import pytest
from scipy.stats import multivariate_normal

from buff.datasets.gaussians import GaussianMixture, log_normal

MIXTURE = GaussianMixture(
    np.array([0.2, 0.5, 0.3]),
    np.array([[0.0, 0.0, 1.0], [2.0, -1.0, 0.0], [-1.0, 1.0, 0.5]]),
    np.array([np.eye(3), np.diag([0.5, 0.2, 1.5]), [[1.0, 0.6, 0.1], [0.6, 1.0, 0.3], [0.1, 0.3, 0.7]]]),
)


def test_log_normal_equals_scipy():
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    ours = log_normal(x, MIXTURE.means[2], MIXTURE.covariances[2])
    np.testing.assert_allclose(ours, multivariate_normal(MIXTURE.means[2], MIXTURE.covariances[2]).logpdf(x))


def test_density_is_the_weighted_sum():
    x = np.random.default_rng(1).normal(size=(50, 3))
    parts = zip(MIXTURE.weights, MIXTURE.means, MIXTURE.covariances, strict=True)
    density = sum(w * multivariate_normal(m, c).pdf(x) for w, m, c in parts)
    np.testing.assert_allclose(np.exp(MIXTURE.log_density(x)), density)


def test_moments_of_the_sample():
    n = 40000
    x = MIXTURE.sample(n, 3)
    error = np.sqrt(np.diag(MIXTURE.covariance) / n)
    assert (np.abs(x.mean(axis=0) - MIXTURE.mean) < 4 * error).all()
    np.testing.assert_allclose(np.cov(x.T), MIXTURE.covariance, atol=0.05)


def test_far_away_the_log_density_stays_finite():
    assert np.isfinite(MIXTURE.log_density(np.full((1, 3), 1e4))).all()


@pytest.mark.parametrize(
    ("weights", "means", "covariances", "message"),
    [
        ([1.0], [[0.0, 0.0]], [[[1.0]]], r"got \(1,\), \(1, 2\) and \(1, 1, 1\)"),
        ([0.5, 0.6], [[0.0], [1.0]], [[[1.0]], [[1.0]]], r"sum to 1, got \[0\.5, 0\.6\]"),
        ([1.0], [[0.0]], [[[-1.0]]], "positive definite"),
        ([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.0, 1.0]]], "symmetric"),
    ],
)
def test_bad_parameters(weights, means, covariances, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(np.array(weights), np.array(means), np.array(covariances))


def test_points_of_another_dimension():
    with pytest.raises(ValueError, match=r"shape \(n, 3\), got \(4, 2\)"):
        MIXTURE.log_density(np.zeros((4, 2)))
