"""Ranks given another variable."""

import numpy as np
import pytest
from scipy.stats import kstest

from buff.transforms.quantile_bins import QuantileBins


def sample(n, seed):
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return p**2 + (0.1 + p) * rng.exponential(size=n), p


def test_scores_are_normal_whatever_the_other_variable():
    x, p = sample(20_000, 0)
    bins = QuantileBins.fit(x, p)
    s = bins.encode(*sample(5000, 1))
    assert kstest(s, "norm").statistic < 0.03
    _, q = sample(5000, 1)
    assert abs(s[q < 0.2].mean()) < 0.1
    assert abs(s[q > 0.8].mean()) < 0.1


def test_decode_inverts_encode():
    x, p = sample(5000, 2)
    bins = QuantileBins.fit(x, p)
    inside = np.abs(bins.encode(x, p)) < 3
    np.testing.assert_allclose(bins.decode(bins.encode(x, p), p)[inside], x[inside], rtol=1e-4, atol=1e-5)


def test_repeated_values_of_the_other_variable_make_a_bin_each():
    x, _ = sample(4000, 3)
    p = np.repeat([1.0, 2.0, 3.0, 4.0], 1000)
    assert QuantileBins.fit(x, p).centres.tolist() == [1, 2, 3, 4]


def test_few_rows_and_weights():
    bins = QuantileBins.fit(np.array([1.0, 2.0, 3.0]), np.zeros(3))
    assert bins.decode(np.zeros(1), np.zeros(1))[0] == pytest.approx(2)
    weighted = QuantileBins.fit(np.array([1.0, 2.0, 3.0]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    assert weighted.decode(np.zeros(1), np.zeros(1))[0] == pytest.approx(3, abs=0.51)
