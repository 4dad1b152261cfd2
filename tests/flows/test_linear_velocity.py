import numpy as np
import pytest

from buff.flows import LinearVelocity

RNG = np.random.default_rng(0)
A = RNG.normal(size=(5, 5))
JOINT, MEAN = A @ A.T / 5 + 0.2 * np.eye(5), RNG.normal(size=5)
TIMES = [0.0, 0.1, 0.5, 0.9, 1.0]


def from_noise(mean, covariance, d, noise=1.0):
    """The base of these moments of (x1, c) and independent noise."""
    joint = np.zeros((len(mean) + d,) * 2)
    joint[:d, :d], joint[d:, d:] = noise**2 * np.eye(d), covariance
    return LinearVelocity(np.concatenate([np.zeros(d), mean]), joint, d)


BASE = from_noise(MEAN, JOINT, 3)


@pytest.mark.parametrize("t", TIMES)
def test_exact_velocity_of_gaussian_data(t):
    C, mu = JOINT[:3, :3], MEAN[:3]
    weights, bias = from_noise(mu, C, 3).at(t)
    x = RNG.normal(size=(20, 3))
    gain = (t * C - (1 - t) * np.eye(3)) @ np.linalg.inv(t**2 * C + (1 - t) ** 2 * np.eye(3))
    exact = mu + (x - t * mu) @ gain.T
    assert np.allclose(x @ weights + bias, exact, atol=1e-4)


@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("n_conditions", [0, 2])
def test_least_squares_of_any_pairs(t, n_conditions):
    x1, c = np.split(RNG.multivariate_normal(MEAN, JOINT, 5000), [3], axis=1)
    x0 = 0.5 * x1 + RNG.normal(size=x1.shape) ** 2
    c = c[:, :n_conditions]
    inputs = np.hstack([t * x1 + (1 - t) * x0, c, np.ones((len(x1), 1))])
    weights = RNG.uniform(0.5, 2, len(x1))
    root = np.sqrt(weights)[:, None]
    solution = np.linalg.lstsq(root * inputs, root * (x1 - x0), rcond=None)[0]
    assert np.allclose(np.vstack(LinearVelocity.of_pairs(x0, x1, c, weights).at(t)), solution, atol=1e-4)


@pytest.mark.parametrize("noise", [1.0, 0.3])
def test_moments_of_noise_need_no_draws(noise):
    x1, c = np.split(RNG.multivariate_normal(MEAN, JOINT, 200_000), [3], axis=1)
    x0 = noise * RNG.normal(size=x1.shape)
    known, drawn = LinearVelocity.from_noise(x1, c, noise=noise), LinearVelocity.of_pairs(x0, x1, c)
    assert np.allclose(drawn.covariance, np.cov(np.hstack([x0, x1, c]), rowvar=False, bias=True))
    assert np.allclose(known.mean, drawn.mean, atol=0.02)
    assert np.allclose(known.covariance, drawn.covariance, atol=0.02)
    assert np.array_equal(known.covariance[:3, 3:], np.zeros((3, 5)))


@pytest.mark.parametrize("noise", [1.0, 0.3])
def test_pure_ends(noise):
    x = RNG.normal(size=(10, 3))
    weights, bias = from_noise(MEAN[:3], JOINT[:3, :3], 3, noise).at(0)
    assert np.allclose(x @ weights + bias, MEAN[:3] - x, atol=1e-4)
    weights, bias = from_noise(MEAN, JOINT, 3, noise).at(1)
    assert np.array_equal(np.hstack([x, x[:, :2]]) @ weights + bias, x)


def test_condition_alone_decides_at_the_start():
    weights, bias = BASE.at(0)
    regression = np.linalg.solve(JOINT[3:, 3:], JOINT[3:, :3])
    assert np.allclose(weights, np.vstack([-np.eye(3), regression]), atol=1e-4)
    assert np.allclose(bias, MEAN[:3] - MEAN[3:] @ regression, atol=1e-4)


def test_a_line_between_points_of_a_line_is_straight():
    x0 = RNG.normal(size=(1000, 2))
    x1 = x0 @ np.array([[2.0, 0.3], [0.0, 0.5]]) + 1
    base = LinearVelocity.of_pairs(x0, x1)
    for t in TIMES:
        weights, bias = base.at(t)
        assert np.allclose(((1 - t) * x0 + t * x1) @ weights + bias, x1 - x0, atol=1e-3)


def test_weights_count_like_copies():
    x1, c, copies = RNG.normal(size=(50, 2)), RNG.normal(size=(50, 1)), RNG.integers(1, 5, 50)
    weighted = LinearVelocity.from_noise(x1, c, copies.astype(np.float32))
    copied = LinearVelocity.from_noise(np.repeat(x1, copies, 0), np.repeat(c, copies, 0))
    assert np.allclose(weighted.mean, copied.mean)
    assert np.allclose(weighted.covariance, copied.covariance)


def test_columns_that_determine_each_other_are_no_obstacle():
    x = RNG.normal(size=(1000, 1))
    base = LinearVelocity.from_noise(np.hstack([x, x]), np.hstack([x, -x]))
    for t in (0.0, 0.5, 1.0):
        assert all(np.isfinite(part).all() for part in base.at(t))
