import numpy as np
import pytest

from buff.trees import ClassifierSettings
from buff.unfolding.ratios import conditional_mean, density_ratio, share_of

SETTINGS = ClassifierSettings()
RNG = np.random.default_rng(0)


def test_ratio_of_two_normal_densities():
    x, y = RNG.normal(0.5, 1, (8000, 1)), RNG.normal(size=(8000, 1))
    ratio = density_ratio(x, np.ones(8000), y, np.full(8000, 7.0), SETTINGS)
    exact = np.exp(0.5 * y[:, 0] - 0.125)
    assert abs(ratio.of_rows - exact).mean() < 0.05
    assert np.average(ratio.of_rows) == pytest.approx(1)
    # reweighted rows of the denominator have the mean of the numerator
    assert np.average(y[:, 0], weights=ratio.of_rows) == pytest.approx(x.mean(), abs=0.03)


def test_weights_count_and_their_unit_does_not():
    x, y = RNG.normal(size=(4000, 1)), RNG.normal(size=(4000, 1))
    w = np.exp(0.5 * x[:, 0])
    one, other = (density_ratio(x, scale * w, y, np.ones(4000), SETTINGS) for scale in (1.0, 1e3))
    np.testing.assert_allclose(one.of_rows, other.of_rows, rtol=1e-3)
    assert np.average(y[:, 0], weights=one.of_rows) == pytest.approx(0.5, abs=0.06)


def test_conditional_mean_of_noisy_values():
    t = RNG.normal(size=(8000, 1))
    values = np.exp(t[:, 0] / 2) * RNG.gamma(4, 1 / 4, 8000)
    mean = conditional_mean(values, t, np.ones(8000), SETTINGS)
    grid = np.linspace(-1.5, 1.5, 7)[:, None]
    np.testing.assert_allclose(mean(grid), np.exp(grid[:, 0] / 2), rtol=0.12)
    assert mean.of_rows.mean() == pytest.approx(values.mean())


def test_share():
    t = RNG.normal(size=(10_000, 1))
    p = 0.2 + 0.6 / (1 + np.exp(-2 * t[:, 0]))
    share = share_of(t, RNG.random(10_000) < p, np.ones(10_000), SETTINGS)
    assert abs(share.of_rows - p).mean() < 0.03


@pytest.mark.parametrize("label", [0, 1])
def test_no_choice_is_certain(label):
    share = share_of(np.zeros((5, 1)), np.full(5, label), np.ones(5), SETTINGS)
    np.testing.assert_array_equal(share(np.zeros((3, 1))), label)
