import math
from itertools import pairwise

import numpy as np
import pytest

from buff.fields import Retimed, TimeField
from buff.grids import TimeGrid, noise_grid
from buff.paths import LINEAR, REDUCED, Path, get_path, renoise
from buff.schedules import Trigonometric
from buff.solvers import integrate
from tests.problems import P2

PATHS = {
    "linear": LINEAR,
    "floor": get_path("linear", floor=0.05),
    "trigonometric": get_path("trigonometric"),
    "vp": get_path("vp"),
    "subvp": get_path("subvp"),
    "ve": REDUCED,
}
KINDS = ("velocity", "denoised", "noise", "score", "v")


@pytest.fixture(params=PATHS.values(), ids=PATHS)
def path(request):
    return request.param


def of(marginal, kind, x, u):
    """A prediction from the velocity."""
    return u if kind == "velocity" else getattr(marginal, kind)(x, u)


def test_conversions_round_trip(path):
    rng = np.random.default_rng(0)
    for t in (0.02, 0.3, 0.81, 0.97):
        now, (x, u) = path.at(t), rng.standard_normal((2, 20, 3))
        for kind in KINDS:
            np.testing.assert_allclose(now.velocity(x, of(now, kind, x, u), kind), u, rtol=1e-8, atol=1e-8)


def test_each_prediction_is_what_it_says(path):
    """Against D and e of a mixture, and the score by differences of its density."""
    x = np.array([[-1.5], [0.1], [0.9]])
    for t in (0.3, 0.8):
        now = path.at(t)
        D, e = P2.split(x, now.alpha, now.sigma)
        u = now.alpha_dot * D + now.sigma_dot * e
        np.testing.assert_allclose(now.denoised(x, u), D, atol=1e-9)
        np.testing.assert_allclose(now.noise(x, u), e, atol=1e-9)
        np.testing.assert_allclose(now.v(x, u), now.alpha * e - now.sigma * D, atol=1e-9)
        np.testing.assert_allclose(now.combine(D, e), x, atol=1e-12)
        # Tweedie
        np.testing.assert_allclose(D, (x + now.sigma**2 * now.score(x, u)) / now.alpha, atol=1e-8)

        def log_density(y, now=now):
            v = now.alpha**2 * np.square(P2.widths) + now.sigma**2
            return np.log(
                (
                    np.array(P2.weights) / np.sqrt(v) * np.exp(-((y - now.alpha * np.array(P2.means)) ** 2) / (2 * v))
                ).sum(-1, keepdims=True)
            )

        h = 1e-5 * now.sigma
        score = (log_density(x + h) - log_density(x - h)) / (2 * h)
        np.testing.assert_allclose(now.score(x, u), score, rtol=1e-5, atol=1e-7)


def test_velocity_transports_the_density(path):
    """u carries quantiles: its integral over a short time is the exact flow."""
    for t in (0.3, 0.9):
        h, x = 1e-4, 0.4
        now, later, before = path.at(t), path.at(t + h), path.at(t - h)
        D, e = P2.split(np.array([[x]]), now.alpha, now.sigma)
        u = now.alpha_dot * D + now.sigma_dot * e
        assert (P2.carried(x, now, later) - P2.carried(x, now, before)) / (2 * h) == pytest.approx(u[0, 0], rel=1e-4)


def test_linear_path_in_its_own_words():
    rng = np.random.default_rng(1)
    x, u = rng.standard_normal((2, 5, 2))
    for t in (0.0, 0.3, 1.0):
        now = LINEAR.at(t)
        np.testing.assert_allclose(now.denoised(x, u), x + (1 - t) * u)
        np.testing.assert_allclose(now.noise(x, u), x - t * u)
    np.testing.assert_allclose(LINEAR.at(0.3).score(x, u), (0.3 * u - x) / 0.7)
    np.testing.assert_allclose(LINEAR.at(0.3).velocity(x, u, "denoised"), (u - x) / 0.7)


def test_exact_ends():
    x, D = np.array([[0.4]]), np.array([[1.2]])
    assert LINEAR.at(0.0).velocity(x, D) == D - x
    # at the data the velocity needs no model: alpha' / alpha x
    assert LINEAR.at(1.0).velocity(x, x) == x
    assert get_path("trigonometric").at(1.0).velocity(x, x) == 0
    assert REDUCED.at(1.0).velocity(x, x) == 0
    for kind in ("noise", "score"):
        with pytest.raises(ValueError, match=f"pure noise at t = 0: a {kind} gives no velocity there; start later"):
            LINEAR.at(0.0).velocity(x, x, kind)
    with pytest.raises(ValueError, match="no noise at t = 1, hence no score"):
        LINEAR.at(1.0).score(x, x)
    with pytest.raises(ValueError, match="unknown prediction 'x1': choose one of velocity, denoised, noise, score, v"):
        LINEAR.at(0.5).velocity(x, x, "x1")


def test_v_prediction_of_a_path_that_preserves_variance():
    now, (x1, eps) = get_path("vp").at(0.4), np.random.default_rng(2).standard_normal((2, 4, 1))
    x, v = now.combine(x1, eps), now.alpha * eps - now.sigma * x1
    u = now.velocity(x, v, "v")
    np.testing.assert_allclose(now.denoised(x, u), x1)
    np.testing.assert_allclose(now.denoised(x, u), now.alpha * x - now.sigma * v)


def test_levels(path):
    now = path.at(0.6)
    assert now.ratio == pytest.approx(now.sigma / now.alpha)
    assert now.log_snr == pytest.approx(math.log(now.alpha / now.sigma))
    assert now.delta > 0
    assert not now.pure
    assert [LINEAR.at(t).pure for t in (0.0, 0.5, 1.0)] == [True, False, True]
    assert (LINEAR.at(0.0).log_snr, LINEAR.at(1.0).log_snr) == (-math.inf, math.inf)


def test_samples_have_the_derivative_as_target(path):
    rng = np.random.default_rng(3)
    x0, x1, h = rng.standard_normal((6, 2)), rng.standard_normal((6, 2)), 1e-6
    t = rng.uniform(0.05, 0.95, (6, 1))
    sample = path.sample(x0, x1, t)
    slope = (path.sample(x0, x1, t + h).x_t - path.sample(x0, x1, t - h).x_t) / (2 * h)
    np.testing.assert_allclose(sample.v_t, slope, rtol=1e-4, atol=1e-5)
    one = path.sample(x0[:1], x1[:1], float(t[0, 0]))
    np.testing.assert_allclose(one.x_t, sample.x_t[:1])
    assert (sample.x0 is x0, sample.x1 is x1, sample.t is t) == (True, True, True)


def test_samples_in_torch(path):
    torch = pytest.importorskip("torch")
    x0, x1, t = torch.randn(4, 2), torch.randn(4, 2), torch.full((4, 1), 0.4)
    sample = path.sample(x0, x1, t)
    assert sample.v_t.dtype == torch.float32
    np.testing.assert_allclose(sample.x_t, path.sample(x0.numpy(), x1.numpy(), 0.4).x_t, rtol=1e-5, atol=1e-6)


def test_grid_in_noise(path):
    ratios = noise_grid("karras", 8, low=0.06, high=8.0)
    grid = TimeGrid.of_ratios(path, ratios)
    assert [path.at(t).ratio for t in grid.times] == pytest.approx(ratios, rel=1e-9)


def test_going_back_keeps_the_law(path):
    """Variance of x_t for data of variance v: alpha^2 v + sigma^2, before and after."""
    here, there, v = path.at(0.8), path.at(0.45), 0.3
    scale = renoise(1.0, here, there, 0.0)
    deviation = renoise(0.0, here, there, 1.0)
    variance = scale**2 * (here.alpha**2 * v + here.sigma**2) + deviation**2
    assert variance == pytest.approx(there.alpha**2 * v + there.sigma**2)
    assert scale == pytest.approx(there.alpha / here.alpha)


def test_going_back_on_the_linear_path():
    scale, deviation = (renoise(x, LINEAR.at(0.8), LINEAR.at(0.5), z) for x, z in ((1.0, 0.0), (0.0, 1.0)))
    assert scale == pytest.approx(0.5 / 0.8)
    assert deviation == pytest.approx(math.sqrt(0.5**2 - (0.5 / 0.8) ** 2 * 0.2**2))


def test_paths_by_name():
    assert get_path("trigonometric") == Path(Trigonometric())
    with pytest.raises(ValueError, match="unknown schedule 'bridge': choose one of linear"):
        get_path("bridge")


def test_the_old_name_of_a_grid_of_ratios():
    with pytest.warns(DeprecationWarning, match=r"TimeGrid\.of_ratios"):
        assert LINEAR.grid([3.0, 0.0]) == TimeGrid.of_ratios(LINEAR, [3.0, 0.0])


def test_a_denoiser_of_sigma_is_followed_as_heun_in_sigma_does():
    """Ten steps of the sampler of Karras et al., written out, and "edm" on the linear path."""

    def D(x, sigma):
        return (0.25 * x + 3 * sigma**2) / (0.25 + sigma**2)

    z = np.random.default_rng(0).standard_normal((50, 1))
    sigmas = [*((80 ** (1 / 7) + i / 9 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(10)), 0.0]
    x = 80 * z
    for a, b in pairwise(sigmas):
        slope = (x - D(x, a)) / a
        end = x + (b - a) * slope
        x = x + (b - a) * (slope + (end - D(end, b)) / b) / 2 if b else end
    field = Retimed(
        TimeField(lambda x, t, condition: D(x, REDUCED.at(t).sigma), path=REDUCED, predicts="denoised"), LINEAR
    )
    grid = TimeGrid.of_ratios(LINEAR, noise_grid("karras", 9, append_zero=True))
    np.testing.assert_allclose(integrate("edm", field, LINEAR.at(grid.times[0]).sigma * z, grid), x, rtol=1e-10)
