import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from buff.metrics import sliced_wasserstein, wasserstein, wasserstein_columns


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_gaussians_of_different_width(rng):
    # W1(N(0, 1), N(0, 0.8^2)) = 0.2 sqrt(2 / pi)
    exact = 0.2 * np.sqrt(2 / np.pi)
    assert exact == pytest.approx(0.1595769, abs=1e-7)
    w1 = wasserstein(rng.normal(size=200_000), 0.8 * rng.normal(size=200_000), n_bootstrap=20)
    assert w1.value == pytest.approx(exact, abs=4 * w1.error)
    assert w1.error < 0.004


def test_weighted_distance_is_that_of_scipy(rng):
    x, y = rng.normal(size=300), rng.exponential(size=200)
    w, v = rng.uniform(size=300), rng.uniform(size=200)
    ours = wasserstein(x, y, real_weights=w, generated_weights=v, standardise=False, n_bootstrap=0).value
    assert ours == pytest.approx(wasserstein_distance(x, y, w, v), rel=1e-12)


@pytest.mark.parametrize("metric", [wasserstein, sliced_wasserstein])
def test_integer_weights_are_repeated_rows(rng, metric):
    x, y = rng.normal(size=(2, 60, 3))
    w, v = rng.integers(0, 4, size=(2, 60))
    repeated = metric(np.repeat(x, w, axis=0), np.repeat(y, v, axis=0), n_bootstrap=0).value
    assert metric(x, y, real_weights=w, generated_weights=v, n_bootstrap=0).value == pytest.approx(repeated)


def test_signed_weights_cancel_exactly(rng):
    x, y, extra = rng.normal(size=(3, 100, 2))
    w = np.concatenate([np.ones(100), np.full(100, 0.5), np.full(100, -0.5)])
    # what is added with weight 1/2 is taken away again
    more = np.concatenate([x, extra, extra])
    expected = wasserstein(x, y, n_bootstrap=0).value
    assert wasserstein(more, y, real_weights=w, n_bootstrap=0).value == pytest.approx(expected, rel=1e-9)


def test_columns_are_in_units_of_the_real_standard_deviation(rng):
    x, y = rng.normal(size=(2, 500, 3))
    scale = np.array([1.0, 1e6, 1e-9])
    assert wasserstein(x * scale, y * scale).value == pytest.approx(wasserstein(x, y).value, rel=1e-9)
    by_column = [w1.value for w1 in wasserstein_columns(x, y)]
    assert np.mean(by_column) == pytest.approx(wasserstein(x, y).value)


def test_constant_columns_are_measured_in_their_own_unit():
    assert wasserstein(np.full(5, 0.1), np.full(5, 0.1)).value == 0.0
    assert wasserstein(np.full(5, 0.1), np.full(5, 2.1)).value == pytest.approx(2.0)


def test_sliced_distance_of_a_shift_is_the_mean_projection(rng):
    # standardised x and x + mu: W1 along theta is |theta . mu|, on the sphere in 3-D |mu| / 2 on average
    x = rng.normal(size=(400, 3))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    distance = sliced_wasserstein(x, x + np.array([0.0, 2.0, 0.0]), n_directions=4000, n_bootstrap=0)
    assert distance.value == pytest.approx(1.0, abs=0.04)


def test_directions_are_shared_between_models(rng):
    x, y = rng.normal(size=(2, 300, 4))
    apart = [sliced_wasserstein(x, other, n_bootstrap=n).value for other, n in ((y, 0), (y, 5), (y, 20))]
    assert len(set(apart)) == 1
    assert sliced_wasserstein(x, y, n_bootstrap=0, random_state=1).value != apart[0]
    with pytest.raises(ValueError, match="n_directions must be at least 1"):
        sliced_wasserstein(x, y, n_directions=0)
