import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2

from buff.datasets.toys import TOYS, Checkerboard, Moons, Pinwheel, Ridge, Rings, Spirals

# points a side of a grid that resolves the finest structure
RESOLUTION = {"moons": 200, "eight_gaussians": 200, "ridge": 1000, "spirals": 800}
BINS = 40


@pytest.fixture(params=sorted(TOYS))
def named(request):
    return request.param, TOYS[request.param]()


def probabilities(toy, n):
    """Probability of BINS x BINS bins of the box, from the density at the middle of n x n cells."""
    middles = ((np.arange(n) + 0.5) / n * 2 - 1) * toy.box
    x = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    cells = np.exp(toy.log_density(x)).reshape(BINS, n // BINS, BINS, n // BINS)
    return cells.sum(axis=(1, 3)) * (2 * toy.box / n) ** 2


def test_density_integrates_to_one_and_matches_the_sample(named):
    name, toy = named
    expected = probabilities(toy, RESOLUTION.get(name, 400))
    assert expected.sum() == pytest.approx(1, abs=2e-5)
    n = 20000
    edges = np.linspace(-toy.box, toy.box, BINS + 1)
    observed, *_ = np.histogram2d(*toy.sample(n, 11).T, bins=(edges, edges))
    assert observed.sum() == n
    full = n * expected > 10
    observed = np.append(observed[full], n - observed[full].sum())
    expected = np.append(n * expected[full], n * (1 - expected[full].sum()))
    observed, expected = observed[expected > 1], expected[expected > 1]
    distance = ((observed - expected) ** 2 / expected).sum()
    assert chi2(len(expected) - 1).sf(distance) > 1e-3


def test_the_seed_decides(named):
    _, toy = named
    np.testing.assert_array_equal(toy.sample(50, 4), toy.sample(50, np.random.default_rng(4)))
    assert not np.array_equal(toy.sample(50, 4), toy.sample(50, 5))
    assert toy.sample(0, 4).shape == (0, 2)
    assert toy.log_density(np.zeros((0, 2))).shape == (0,)


def test_toys_are_frozen_and_compare_by_value(named):
    _, toy = named
    assert toy == type(toy)()
    with pytest.raises(dataclasses.FrozenInstanceError):
        toy.box = 1


def test_bad_input(named):
    _, toy = named
    with pytest.raises(ValueError, match="n is not negative, got -1"):
        toy.sample(-1, 0)
    with pytest.raises(ValueError, match=r"shape \(n, 2\), got \(3,\)"):
        toy.log_density(np.zeros(3))


@pytest.mark.parametrize("width", [0.03, 0.1, 0.4])
def test_moons_quadrature_is_exact(width):
    toy = Moons(width)
    x = np.vstack([toy.sample(10, 0), [[0.0, 0.0], [1.6, 0.2], [-1.2, -0.8]]])

    def along(theta, point, sign):
        arc = sign * (np.array([np.cos(theta), np.sin(theta)]) - (0.5, 0.25))
        return np.exp(-((point - arc) ** 2).sum() / (2 * width**2)) / (2 * np.pi * width) ** 2

    for point, log_density in zip(x, toy.log_density(x), strict=True):
        parts = [quad(along, 0, np.pi, (point, s), epsabs=0, epsrel=1e-11, limit=500)[0] for s in (1, -1)]
        assert np.exp(log_density) == pytest.approx(sum(parts), rel=1e-9)


def test_checkerboard_alternates():
    density = np.exp(Checkerboard(2).log_density([[-0.5, -0.5], [0.5, 0.5], [0.5, -0.5], [-0.5, 0.5], [1.5, 0.5]]))
    np.testing.assert_allclose(density, [0.5, 0.5, 0, 0, 0])
    with pytest.raises(ValueError, match="fields is even and at least 2, got 3"):
        Checkerboard(3)


def test_rings_by_radius():
    r = np.hypot(*Rings((1.0, 3.0), 0.05).sample(4000, 2).T)
    near = [(np.abs(r - radius) < 0.25).mean() for radius in (1.0, 3.0)]
    assert sum(near) == pytest.approx(1, abs=1e-3)
    assert near[0] == pytest.approx(0.5, abs=0.03)


def test_ridge_is_narrow():
    x, y = Ridge(curvature=2.0, width=0.01).sample(4000, 1).T
    assert np.std(y - 2 * (x**2 - 1)) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(("toy", "turn"), [(Pinwheel(arms=3), 2 * np.pi / 3), (Spirals(), np.pi)])
def test_arms_are_equal(toy, turn):
    x = toy.sample(500, 1)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    np.testing.assert_allclose(toy.log_density(x @ rotation.T), toy.log_density(x), rtol=1e-8, atol=1e-8)
