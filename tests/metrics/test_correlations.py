import numpy as np
import pytest
from scipy.stats import spearmanr

from buff.metrics import correlation_distance, correlation_matrix


@pytest.fixture
def x():
    rng = np.random.default_rng(19)
    return rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4)) + 1e3


def test_matrices_are_those_of_numpy_and_scipy(x):
    np.testing.assert_allclose(correlation_matrix(x), np.corrcoef(x.T), atol=1e-12)
    rounded = np.round(x)
    expected = spearmanr(rounded).statistic
    np.testing.assert_allclose(correlation_matrix(rounded, method="spearman"), expected, atol=1e-12)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_integer_weights_are_repeated_rows(x, method):
    w = np.random.default_rng(0).integers(0, 4, size=len(x))
    repeated = correlation_matrix(np.repeat(np.round(x), w, axis=0), method=method)
    np.testing.assert_allclose(correlation_matrix(np.round(x), method=method, weights=w), repeated, atol=1e-9)


def test_norms(x):
    y = x * [1, 1, 1, -1]
    difference = np.corrcoef(x.T) - np.corrcoef(y.T)
    pairs = np.abs(difference[np.triu_indices(4, 1)])
    assert correlation_distance(x, y).value == pytest.approx(pairs.max())
    assert correlation_distance(x, y, norm="mean").value == pytest.approx(pairs.mean())
    assert correlation_distance(x, y, norm="frobenius").value == pytest.approx(np.linalg.norm(difference))


def test_constant_columns_are_correlated_with_nothing(x):
    y = x.copy()
    y[:, 1] = 0.1
    for method in ("pearson", "spearman"):
        off = np.delete(correlation_matrix(y, method=method)[1], 1)
        np.testing.assert_array_equal(off, 0.0)


def test_unknown_names_list_the_valid_ones(x):
    with pytest.raises(ValueError, match="max, frobenius, mean; found 'l2'"):
        correlation_distance(x, x, norm="l2")
    with pytest.raises(ValueError, match="pearson, spearman; found 'kendall'"):
        correlation_distance(x, x, method="kendall")
    with pytest.raises(ValueError, match="at least two columns"):
        correlation_distance(x[:, 0], x[:, 0])
