import dataclasses

import numpy as np
import pytest

from buff.metrics import Estimate, effective_sample_size
from buff.metrics.estimate import replicate, weighted_mean


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.01234, 0.0004, "0.0123 ± 0.0004"),
        (0.01234, 0.00012, "0.01234 ± 0.00012"),
        (0.01234, 0.00096, "0.0123 ± 0.0010"),
        (1234.5, 67.0, "1234 ± 67"),
        (1234.5, 23.4, "1234 ± 23"),
        (-0.00001, 0.004, "0.000 ± 0.004"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.25, float("nan"), "0.25"),
        (1e-12, 2e-13, "1e-12 ± 2e-13"),
    ],
)
def test_prints_the_digits_its_error_supports(value, error, text):
    assert str(Estimate(value, error)) == text


def test_unpacks_and_is_frozen():
    estimate = Estimate(1.5, 0.25)
    value, error = estimate
    assert (value, error, float(estimate)) == (1.5, 0.25, 1.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.value = 2.0


def test_replicas_keep_the_number_of_draws_and_the_variance_of_a_sum():
    weights = np.random.default_rng(0).normal(1.0, 2.0, size=200)
    counts = replicate(np.ones(200), 400, np.random.default_rng(1))
    assert (counts.sum(axis=1) == 200).all()
    totals = replicate(weights, 2000, np.random.default_rng(1))[1:].sum(axis=1)
    assert np.std(totals) == pytest.approx(np.sqrt(200) * np.std(weights), rel=0.05)


@pytest.mark.parametrize("n_bootstrap", [1, -3])
def test_one_replica_has_no_spread(n_bootstrap):
    with pytest.raises(ValueError, match="n_bootstrap must be 0"):
        replicate(np.ones(3), n_bootstrap, np.random.default_rng(0))


def test_weighted_mean_equals_that_of_repeated_rows():
    values, counts = np.array([1.0, 2.0, 7.0]), np.array([3.0, 1.0, 2.0])
    assert weighted_mean(values, counts).value == pytest.approx(np.repeat(values, [3, 1, 2]).mean())


def test_effective_sample_size_of_signed_weights():
    # a third of the events at -1: (2/3 - 1/3)^2 n
    weights = np.where(np.arange(900) % 3 == 0, -1.0, 1.0)
    assert effective_sample_size(weights) == pytest.approx(100.0)
    assert effective_sample_size(np.full(50, 7.0)) == pytest.approx(50.0)
