"""Conditional distributions of one dimension: closed forms, uniform PIT, inversion, weights."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from buff.trees import Booster
from buff.trees.conditional import ConditionalDistribution, ConditionalSettings, ConditionalShares

SETTINGS = ConditionalSettings(n_estimators=40, max_depth=4, reg_lambda=1.0)


def shifted(n, seed):
    """u = Phi(z) of z ~ N(2 x - 1, 1/2): its distribution given x is known."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 1), dtype=np.float32)
    return x, norm.cdf(2 * x[:, 0] - 1 + 0.5 * rng.standard_normal(n))


@pytest.fixture(scope="module")
def model():
    return ConditionalDistribution.fit(*shifted(20_000, 0), SETTINGS)


def test_the_distribution_function_is_that_of_the_closed_form(model):
    x = np.float32([[0.1], [0.5], [0.9]])
    truth = norm.cdf((norm.ppf(model.levels) - (2 * x - 1)) / 0.5)
    np.testing.assert_allclose(model.cdf(x)[:, 1:-1], truth, atol=0.06)


def test_pit_is_uniform_everywhere(model):
    x, u = shifted(4000, 1)
    pit = model.pit(x, u)
    for part in (x[:, 0] < 0.3, x[:, 0] > 0.7, np.full(4000, True)):
        assert kstest(pit[part], "uniform").statistic < 0.05


def test_draws_are_distributed_like_data(model):
    x, u = shifted(4000, 2)
    drawn = model.ppf(x, np.random.default_rng(0).random(4000))
    assert kstest(drawn, u).statistic < 0.04
    assert np.corrcoef(drawn, x[:, 0])[0, 1] == pytest.approx(np.corrcoef(u, x[:, 0])[0, 1], abs=0.03)


def test_ppf_inverts_pit_and_is_monotone(model):
    x = np.repeat(np.float32([[0.2], [0.8]]), 50, axis=0)
    p = np.tile(np.linspace(0.01, 0.99, 50), 2)
    u = model.ppf(x, p)
    np.testing.assert_allclose(model.pit(x, u), p, atol=1e-3)
    assert (np.diff(u.reshape(2, 50)) >= 0).all()
    assert (u >= 0).all()
    assert (u <= 1).all()


def test_crps_is_lower_than_without_features(model):
    x, u = shifted(4000, 3)
    flat = np.mean((model.shares - (u[:, None] <= model.levels)) ** 2)
    assert model.crps(x, u) < 0.7 * flat


def test_weights_count():
    x, u = shifted(4000, 4)
    weights = np.where(u < 0.5, 3.0, 1.0)
    model = ConditionalDistribution.fit(x, u, SETTINGS, weights=weights)
    rows = np.random.default_rng(0).choice(4000, 4000, p=weights / weights.sum())
    assert model.shares[12] == pytest.approx((u[rows] <= model.levels[12]).mean(), abs=0.03)


def test_shares_are_calibrated():
    rng = np.random.default_rng(0)
    x = rng.random((10_000, 1), dtype=np.float32)
    p = np.column_stack([0.6 * x[:, 0], 0.3 * np.ones(10_000), 0.7 - 0.6 * x[:, 0]])
    labels = (rng.random((10_000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    model = ConditionalShares.fit(x, labels, 3)
    found = model(np.float32([[0.2], [0.8]]))
    np.testing.assert_allclose(found, [[0.12, 0.3, 0.58], [0.48, 0.3, 0.22]], atol=0.06)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_trees_go_through_bytes(model):
    again = ConditionalDistribution(model.levels, model.shares, Booster.from_bytes(model.booster.to_bytes(), 24))
    x, _ = shifted(10, 5)
    np.testing.assert_array_equal(again.cdf(x), model.cdf(x))
