import numpy as np
import pytest

from buff.metrics import chi_squared
from buff.metrics.chi2 import effective_replicas


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
    both = [[1.0, 0.5], [0.5, 1.0]]
    assert chi_squared([1.0, 2.0], both, extra=both) == chi_squared([1.0, 2.0], 2 * np.array(both))
    with pytest.raises(ValueError, match="no bin"):
        chi_squared([1.0], [[0.0]])
    with pytest.raises(ValueError, match="shape"):
        chi_squared([1.0], [1.0])


def test_p_values_of_few_replicas_are_uniform():
    # a chi-squared distribution would find .11 of them below .05
    rng, p, n = np.random.default_rng(1), 9, 15
    values = [
        chi_squared(rng.normal(size=p), covariance_of(rng.normal(size=(n, p))), n_replicas=n).p_value
        for _ in range(2000)
    ]
    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))
    assert np.mean(np.array(values) < 0.01) == pytest.approx(0.01, abs=4 * np.sqrt(0.01 * 0.99 / 2000))


@pytest.mark.parametrize("size", [0.05, 0.5])
def test_a_small_source_with_few_replicas_does_not_block(size):
    rng, p = np.random.default_rng(2), 3
    scales, counts = (1.0, size), (40, 6)
    found = []
    for _ in range(1500):
        parts = [s**2 * covariance_of(rng.normal(size=(n, p))) for s, n in zip(scales, counts, strict=True)]
        d = np.hypot(*scales) * rng.normal(size=p)
        found.append(chi_squared(d, sum(parts), n_replicas=effective_replicas(parts, counts)).p_value)
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.025)
    assert effective_replicas([np.eye(3)], [12]) == pytest.approx(12)
    assert 35 < effective_replicas([np.eye(3), 0.0025 * np.eye(3)], [40, 4]) <= 45


def test_variances_that_are_known_count_as_many_replicas():
    known = chi_squared([1.0], [[0.1]], extra=[10.0], n_replicas=5)
    assert known.n_replicas > 100
    assert chi_squared([1.0], [[1.0]], extra=[0.0], n_replicas=5).n_replicas == pytest.approx(5)
