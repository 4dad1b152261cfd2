import numpy as np
import pytest
from scipy.stats import energy_distance as scipy_energy_distance

from buff.metrics import energy_distance, kernels, mmd


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_energy_distance_is_the_square_of_scipys(rng):
    x, y = rng.normal(size=150), rng.normal(0.5, 2.0, size=120)
    w, v = rng.uniform(size=150), rng.uniform(size=120)
    scale = np.sqrt(np.average((x - np.average(x, weights=w)) ** 2, weights=w))
    ours = energy_distance(x, y, real_weights=w, generated_weights=v, n_bootstrap=0).value
    assert ours == pytest.approx(scipy_energy_distance(x / scale, y / scale, w, v) ** 2, rel=1e-9)


def test_energy_distance_with_integer_weights_is_that_of_repeated_rows(rng):
    x, y = rng.normal(size=(2, 50, 2))
    w, v = rng.integers(0, 4, size=(2, 50))
    repeated = energy_distance(np.repeat(x, w, axis=0), np.repeat(y, v, axis=0), n_bootstrap=0).value
    weighted = energy_distance(x, y, real_weights=w, generated_weights=v, n_bootstrap=0).value
    assert weighted == pytest.approx(repeated)


def test_mmd_of_shifted_gaussians_in_closed_form(rng):
    # E k = h / sqrt(h^2 + 2) exp(-mu^2 / (2 (h^2 + 2))) for N(0, 1) against N(mu, 1)
    mu, h = 0.8, 1.5
    exact = 2 * h / np.sqrt(h**2 + 2) * (1 - np.exp(-(mu**2) / (2 * (h**2 + 2))))
    distance = mmd(rng.normal(size=3000), rng.normal(mu, 1.0, size=3000), bandwidth=h)
    assert distance.value == pytest.approx(exact, abs=4 * distance.error)
    assert distance.error < 0.1 * exact


def test_mmd_is_unbiased(rng):
    values = [mmd(*rng.normal(size=(2, 60, 2)), n_bootstrap=0).value for _ in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
    assert min(values) < 0 < max(values)


def test_blocks_do_not_change_the_sums(rng, monkeypatch):
    x, y = rng.normal(size=(2, 70, 3))
    whole = [tuple(metric(x, y)) for metric in (energy_distance, mmd)]
    monkeypatch.setattr(kernels, "_blocks", lambda n, m: (slice(k, k + 9) for k in range(0, n, 9)))
    parts = [tuple(metric(x, y)) for metric in (energy_distance, mmd)]
    np.testing.assert_allclose(parts, whole, rtol=1e-9)


def test_large_samples_are_thinned(rng):
    x, y = rng.normal(size=(2, 500, 2))
    y += 0.5
    thinned = energy_distance(x, y, max_rows=100)
    assert thinned.value != energy_distance(x, y).value
    assert thinned.value == pytest.approx(energy_distance(x, y).value, abs=4 * thinned.error)


def test_bandwidth_must_be_positive(rng):
    with pytest.raises(ValueError, match="bandwidth must be positive, found 0"):
        mmd(*rng.normal(size=(2, 10)), bandwidth=0)
