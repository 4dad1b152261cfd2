import numpy as np
import pytest

from buff.fields import Clipped, Counted, Framed, GaussianFlow, Retimed, Reversed, TimeField
from buff.paths import REDUCED, get_path

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(4, 4))
COVARIANCE = MIXING @ np.diag([3.0, 1.0, 0.1, 0.003]) @ MIXING.T
MEAN = np.array([0.3, -1.0, 0.0, 2.0])


def conditional_mean(x, t, alpha, alpha_dot, sigma, sigma_dot, noise=1.0):
    """E[alpha' x1 + sigma' x0 | x], from the joint covariance."""
    total = alpha**2 * COVARIANCE + sigma**2 * noise**2 * np.eye(4)
    gain = np.linalg.solve(total, alpha * alpha_dot * COVARIANCE + sigma * sigma_dot * noise**2 * np.eye(4))
    return alpha_dot * MEAN + (x - alpha * MEAN) @ gain


@pytest.mark.parametrize("noise", [1.0, 0.4])
@pytest.mark.parametrize("path", ["linear", "trigonometric", "vp"])
def test_velocity_is_that_of_the_joint_gaussian(path, noise):
    gauss, x = GaussianFlow.of(MEAN, COVARIANCE, noise, get_path(path)), RNG.normal(size=(50, 4))
    for t in (0.1, 0.5, 0.9):
        here = gauss.path.at(t)
        expected = conditional_mean(x, t, here.alpha, here.alpha_dot, here.sigma, here.sigma_dot, noise)
        np.testing.assert_allclose(gauss.velocity(x, t), expected, rtol=1e-8, atol=1e-8)
        weights, bias = gauss.velocity_map(t)
        np.testing.assert_allclose(x @ weights + bias, expected, rtol=1e-8, atol=1e-8)


def test_the_frame_is_white_and_stands_still():
    gauss, y = GaussianFlow.of(MEAN, COVARIANCE), RNG.normal(size=(20_000, 4))
    for t in (0.0, 0.3, 1.0):
        x = gauss.from_frame(y, t)
        np.testing.assert_allclose(gauss.to_frame(x, t), y, atol=1e-9)
        np.testing.assert_allclose(gauss.frame_velocity(x, gauss.velocity(x, t), t), 0, atol=1e-9)
        covariance = t**2 * COVARIANCE + (1 - t) ** 2 * np.eye(4)
        np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.05 * covariance.max())
    h = 1e-6
    for t in (0.2, 0.7):
        moved = (gauss.from_frame(y, t + h) - gauss.from_frame(y, t - h)) / (2 * h)
        np.testing.assert_allclose(moved, gauss.velocity(gauss.from_frame(y, t), t), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("covariance", [np.ones((3, 3)), np.zeros((3, 3)), np.diag([1.0, 0.0, 1e-12])])
def test_singular_covariances_stay_finite(covariance):
    gauss = GaussianFlow.of(np.zeros(3), covariance)
    x = RNG.normal(size=(10, 3))
    for t in (0.0, 0.5, 1.0):
        for values in (gauss.to_frame(x, t), gauss.velocity(x, t), gauss.from_frame(gauss.to_frame(x, t), t)):
            assert np.isfinite(values).all()


def test_precision_and_library_of_the_states_are_kept():
    torch = pytest.importorskip("torch")
    gauss, x = GaussianFlow.of(MEAN, COVARIANCE), RNG.normal(size=(5, 4)).astype(np.float32)
    assert gauss.to_frame(x, 0.3).dtype == np.float32
    of_torch = gauss.velocity(torch.from_numpy(x), 0.3)
    assert of_torch.dtype == torch.float32
    np.testing.assert_allclose(of_torch.numpy(), gauss.velocity(x, 0.3), atol=1e-5)


def test_views_keep_the_frame_where_states_are_the_same():
    gauss = GaussianFlow.of(MEAN, COVARIANCE)
    field = Framed(TimeField(lambda x, t, condition: -x), gauss)
    assert Counted(field).gaussian is gauss
    assert Clipped(field, -1.0, 1.0).gaussian is gauss
    assert Reversed(field).gaussian.path == Reversed(field).path
    assert Retimed(field, REDUCED).gaussian is None
    x = RNG.normal(size=(3, 4))
    np.testing.assert_allclose(field.frame_velocity(x, None, 0.5), gauss.frame_velocity(x, -x, 0.5))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="mean, basis and variances must have shapes"):
        GaussianFlow(np.zeros(3), np.eye(2), np.ones(2))
