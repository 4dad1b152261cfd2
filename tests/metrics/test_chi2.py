import numpy as np
import pytest

from buff.metrics import chi_squared


def covariance_of(replicas):
    return np.cov(replicas.T)


@pytest.mark.parametrize("n_replicas", [20, 50, 200])
def test_few_replicas_do_not_raise_the_mean(n_replicas):
    rng, p = np.random.default_rng(0), 12
    values = [
        chi_squared(rng.normal(size=p), covariance_of(rng.normal(size=(n_replicas, p))), n_replicas=n_replicas).value
        for _ in range(600)
    ]
    assert np.mean(values) / p == pytest.approx(1, abs=4 * np.std(values) / p / np.sqrt(len(values)))


def test_too_few_replicas_are_refused_with_the_number_needed():
    covariance = covariance_of(np.random.default_rng(0).normal(size=(10, 12)))
    with pytest.raises(ValueError, match="12 bins needs 15 replicas or more, found 10"):
        chi_squared(np.ones(12), covariance, n_replicas=10)


def test_correlations_and_dependent_bins():
    exact = chi_squared([1.0, 1.0], [[1.0, 0.5], [0.5, 1.0]])
    assert exact.value == pytest.approx(4 / 3)
    assert exact.p_value == pytest.approx(np.exp(-2 / 3))
    normalised = chi_squared([0.1, -0.1], [[0.01, -0.01], [-0.01, 0.01]])
    assert (normalised.n, normalised.value) == (1, pytest.approx(1.0))
    assert chi_squared([1.0, 5.0], [[1.0, 0], [0, 0]]).n == 1
    with pytest.raises(ValueError, match="no bin"):
        chi_squared([1.0], [[0.0]])
    with pytest.raises(ValueError, match="shape"):
        chi_squared([1.0], [1.0])
