import numpy as np
import pytest

from buff.training import LinearBase

RNG = np.random.default_rng(0)
A = RNG.normal(size=(5, 5))
JOINT, MEAN = A @ A.T / 5 + 0.2 * np.eye(5), RNG.normal(size=5)
BASE = LinearBase(MEAN, JOINT, 3)


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_exact_velocity_of_gaussian_data(t):
    C, mu = JOINT[:3, :3], MEAN[:3]
    weights, bias = LinearBase(mu, C, 3).at(t)
    x = RNG.normal(size=(20, 3))
    gain = (t * C - (1 - t) * np.eye(3)) @ np.linalg.inv(t**2 * C + (1 - t) ** 2 * np.eye(3))
    exact = mu + (x - t * mu) @ gain.T
    assert np.allclose(x @ weights + bias, exact, atol=1e-4)


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.9])
def test_least_squares_given_state_and_condition(t):
    joint = RNG.multivariate_normal(MEAN, JOINT, 200_000)
    x1, c, x0 = joint[:, :3], joint[:, 3:], RNG.normal(size=(len(joint), 3))
    features = np.hstack([t * x1 + (1 - t) * x0, c])
    inputs = np.hstack([features, np.ones((len(joint), 1))])
    solution = np.linalg.lstsq(inputs, x1 - x0, rcond=None)[0]
    weights, bias = LinearBase.fit(x1, c).at(t)
    assert np.allclose(np.vstack([weights, bias]), solution, atol=0.03)


def test_pure_ends():
    x = RNG.normal(size=(10, 3))
    weights, bias = LinearBase(MEAN[:3], JOINT[:3, :3], 3).at(0)
    assert np.allclose(x @ weights + bias, MEAN[:3] - x, atol=1e-4)
    weights, bias = BASE.at(1)
    assert np.array_equal(np.hstack([x, x[:, :2]]) @ weights + bias, x)


def test_condition_alone_decides_at_the_start():
    weights, bias = BASE.at(0)
    regression = np.linalg.solve(JOINT[3:, 3:], JOINT[3:, :3])
    assert np.allclose(weights, np.vstack([-np.eye(3), regression]), atol=1e-4)
    assert np.allclose(bias, MEAN[:3] - MEAN[3:] @ regression, atol=1e-4)


def test_weights_count_like_copies():
    x1, c, copies = RNG.normal(size=(50, 2)), RNG.normal(size=(50, 1)), RNG.integers(1, 5, 50)
    weighted = LinearBase.fit(x1, c, copies.astype(np.float32))
    copied = LinearBase.fit(np.repeat(x1, copies, 0), np.repeat(c, copies, 0))
    assert np.allclose(weighted.mean, copied.mean)
    assert np.allclose(weighted.covariance, copied.covariance)


def test_columns_that_determine_each_other_are_no_obstacle():
    x = RNG.normal(size=(1000, 1))
    base = LinearBase.fit(np.hstack([x, x]), np.hstack([x, -x]))
    for t in (0.0, 0.5, 1.0):
        assert all(np.isfinite(part).all() for part in base.at(t))
