import numpy as np
import pytest

from buff.metrics.indicators import indicator_features


@pytest.fixture
def x():
    return np.random.default_rng(41).normal(3.0, 2.0, size=(1000, 2))


def test_numbers_are_standardised(x):
    features = indicator_features(x)
    assert features.shape == (1000, 2)
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(features.std(axis=0), 1.0)


def test_missing_values_and_spikes_become_indicators(x):
    x[:100, 0] = np.nan
    x[100:200, 1] = 0.0
    features = indicator_features(x)
    assert features.shape == (1000, 4)
    np.testing.assert_array_equal(features[:, 1], np.isnan(x[:, 0]))
    np.testing.assert_array_equal(features[:, 3], x[:, 1] == 0)
    assert not features[:100, 0].any()


def test_columns_of_one_or_two_values_need_no_indicator():
    x = np.column_stack([np.ones(100), np.arange(100) % 2])
    assert indicator_features(x).shape == (100, 2)


def test_all_missing_and_many_categories():
    x = np.column_stack([np.full(300, np.nan), np.arange(300)])
    features = indicator_features(x, categorical=[1])
    assert features.shape == (300, 51)
    assert not features[:, 0].any()
