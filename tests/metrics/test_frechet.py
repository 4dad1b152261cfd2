import numpy as np
import pytest
from scipy.linalg import sqrtm

from buff.metrics import fpd, frechet_distance, kpd
from buff.metrics.frechet import gaussian_frechet


@pytest.fixture
def rng():
    return np.random.default_rng(23)


def test_matches_the_general_matrix_square_root(rng):
    a, b = rng.normal(size=(2, 5, 5))
    mu, nu, s, t = *rng.normal(size=(2, 5)), a @ a.T, b @ b.T
    expected = np.sum((mu - nu) ** 2) + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert gaussian_frechet(mu, s, nu, t) == pytest.approx(expected, rel=1e-9)


def test_identical_and_degenerate_samples_have_no_distance(rng):
    x = rng.normal(size=(50, 3))
    x = np.column_stack([x, x[:, 0]])
    assert frechet_distance(x, x, n_bootstrap=0).value == pytest.approx(0.0, abs=1e-9)


def test_frechet_with_integer_weights_is_that_of_repeated_rows(rng):
    x, y = rng.normal(size=(2, 60, 3))
    w, v = rng.integers(0, 4, size=(2, 60))
    repeated = frechet_distance(np.repeat(x, w, axis=0), np.repeat(y, v, axis=0), n_bootstrap=0).value
    weighted = frechet_distance(x, y, real_weights=w, generated_weights=v, n_bootstrap=0).value
    assert weighted == pytest.approx(repeated)


def test_fpd_of_shifted_gaussians_is_the_square_of_the_shift(rng):
    mu = np.array([0.3, 0.4, 0.0])
    distance = fpd(rng.normal(size=(8000, 3)), rng.normal(size=(8000, 3)) + mu)
    assert distance.value == pytest.approx(0.25, abs=4 * distance.error)
    assert distance.error < 0.03


def test_fpd_removes_the_bias_of_finite_samples():
    plain, extrapolated = [], []
    for seed in range(12):
        x, y = np.random.default_rng(seed).normal(size=(2, 400, 8))
        y[:, 0] += 1.0
        plain.append(frechet_distance(x, y, n_bootstrap=0).value)
        extrapolated.append(fpd(x, y, random_state=seed).value)
    spread = np.std(plain) / np.sqrt(12)
    assert np.mean(plain) - 1.0 > 2 * spread
    assert abs(np.mean(extrapolated) - 1.0) < 3 * spread


def test_kpd_vanishes_for_equal_and_grows_for_different_laws(rng):
    x, y = rng.normal(size=(2, 3000, 3))
    null = kpd(x, y)
    assert abs(null.value) < 4 * null.error
    apart = kpd(x, y + 1.0)
    assert apart.value > 5 * apart.error


def test_kpd_error_is_the_spread_over_repeated_draws():
    results = []
    for seed in range(40):
        x, y = np.random.default_rng(seed).normal(size=(2, 400, 2))
        results.append(tuple(kpd(x, y + 0.5)))
    values, errors = np.array(results).T
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.35)


def test_too_few_rows_are_refused(rng):
    x = rng.normal(size=(8, 2))
    with pytest.raises(ValueError, match="two rows a batch, expected; found 10"):
        kpd(x, x)
    with pytest.raises(ValueError, match="min_rows: between 2 and the largest size 8 expected, found 9"):
        fpd(x, x, min_rows=9)
