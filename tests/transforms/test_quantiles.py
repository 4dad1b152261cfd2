import numpy as np
import pytest

from buff.transforms.quantiles import Polyline, compress, merge

SAMPLES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(0, 2, n),
    "uniform": lambda rng, n: rng.random(n),
    "gap": lambda rng, n: np.where(rng.random(n) < 0.5, -10 - rng.random(n), rng.random(n)),
}


def line_of(x, n_knots=1000):
    x = np.sort(x)
    return compress(x, np.ones(len(x)), n_knots)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("n", [50, 2000, 30_000])
def test_levels_are_right_to_a_fraction_of_the_statistical_error(name, n):
    x = np.sort(SAMPLES[name](np.random.default_rng(0), n))
    levels = line_of(x).level(x)
    error = np.abs(levels - (np.arange(n) + 0.5) / n)
    assert error.max() < max(2.5 / n, 0.1 / np.sqrt(n))


@pytest.mark.parametrize("n", [2, 4, 5, 50, 2000, 30_000])
def test_no_knot_is_a_value_and_no_value_enters_two_knots(n):
    x = np.sort(np.random.default_rng(n).normal(size=n))
    line = line_of(x)
    assert not np.isin(line.x, x).any()
    assert np.all(np.diff(line.x) >= 0)
    assert x[0] < line.x[0]
    assert line.x[-1] < x[-1]
    above = np.searchsorted(x, np.unique(line.x))
    np.testing.assert_allclose((x[above - 1] + x[above]) / 2, np.unique(line.x))
    assert len(above) == 1 or np.diff(above).min() >= 2


def test_knots_are_few_and_gaps_stay_empty():
    x = SAMPLES["gap"](np.random.default_rng(0), 100_000)
    line = line_of(x, 400)
    assert len(line.u) < 500
    inside = np.diff(line.level(np.array([-9.99, -0.01])))
    assert inside[0] < 1e-4


def test_merge_gives_each_atom_its_mass_where_it_stands():
    line = Polyline(np.array([0.0, 1.0]), np.array([-1.0, 1.0]))
    whole, starts = merge(line, 0.6, np.array([-1.0, 0.0, 2.0]), np.array([0.1, 0.2, 0.1]))
    np.testing.assert_allclose(starts, [0.0, 0.4, 0.9])
    np.testing.assert_allclose(whole.u[[0, -1]], [0, 1])
    u = np.linspace(0.001, 0.999, 999)
    x = whole.value(u)
    assert np.mean(x == 0) == pytest.approx(0.2, abs=0.002)
    assert np.all(x[(u > 0.4) & (u < 0.6)] == 0)
    np.testing.assert_allclose(x[(u > 0.11) & (u < 0.39)], (u[(u > 0.11) & (u < 0.39)] - 0.1) / 0.3 - 1)
    assert np.all(x[u > 0.901] == 2)
