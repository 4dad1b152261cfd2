import numpy as np
import pytest

from buff.transforms.quantile_map import QuantileMap
from buff.transforms.quantiles import Lattice


@pytest.mark.parametrize(
    ("values", "spacing"),
    [
        (np.arange(30), 1),
        (np.arange(1990, 2030, 2) + 0.0, 2),
        (np.arange(40) / 4, 0.25),
        ((np.arange(40) - 20) / 10, 0.1),
        (7 + 50.0 * np.arange(20), 50),
        (np.arange(20) / 64, 1 / 64),
    ],
)
def test_coarsest_lattice_is_found_and_reproduced_exactly(values, spacing):
    lattice = Lattice.of(np.unique(values.astype(float)))
    assert lattice.spacing == pytest.approx(spacing, rel=1e-12)
    noise = np.random.default_rng(0).uniform(-0.49, 0.49, len(values)) * spacing
    np.testing.assert_array_equal(lattice.nearest(values + noise), values)


def test_few_values_share_no_large_step():
    assert Lattice.of(np.array([0.0, 1e6])).spacing == 1


def test_single_precision_values_are_compared_in_their_precision():
    values = (np.arange(50) / 10).astype(np.float32)
    wide = values.astype(float)
    assert Lattice.of(wide).single
    lattice = Lattice.of(wide, np.dtype(np.float32))
    assert lattice.spacing == pytest.approx(0.1)
    np.testing.assert_array_equal(lattice.nearest(wide).astype(np.float32), values)


def test_continuous_and_huge_values_are_on_no_lattice():
    rng = np.random.default_rng(0)
    assert Lattice.of(np.sort(rng.normal(size=1000))) is None
    assert Lattice.of(np.sort(rng.normal(size=1000)) * 1e300) is None


def _cents(n=2000):
    return np.round(np.random.default_rng(0).gamma(2, 30, n), 2)


NOISY = {
    "one value of a sum": (np.append(_cents(), 0.1 + 0.2), 2),
    "products": (_cents() * 3, 2),
    "sums": (_cents() + np.random.default_rng(1).permutation(_cents()), 2),
    "percentages": (np.round(np.random.default_rng(0).uniform(0, 100, 2000), 1) / 100, 3),
    "single precision": (_cents().astype(np.float32).astype(np.float64), 2),
    "one in a thousand elsewhere": (np.append(_cents(), 1 / 3), 2),
}


@pytest.mark.parametrize(("values", "decimals"), NOISY.values(), ids=NOISY)
def test_decimals_survive_the_noise_of_arithmetic(values, decimals):
    lattice = Lattice.of(np.unique(values))
    assert lattice.decimals == decimals
    drawn = QuantileMap.fit(values).decode(np.random.default_rng(2).standard_normal(5000))
    exact = np.round(drawn, decimals)
    if lattice.single:
        exact = exact.astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(drawn, exact)


def test_values_that_miss_the_lattice_by_noise_own_its_ranks():
    x = np.repeat(_cents(300), 10)
    noisy = x + np.spacing(x) * np.tile([0, 1], 1500)
    clean, ranks = QuantileMap.fit(x), QuantileMap.fit(noisy)
    np.testing.assert_array_equal(ranks.atoms, clean.atoms)
    np.testing.assert_array_equal(ranks.encode(noisy), clean.encode(x))


def test_numbers_without_decimals_have_no_lattice():
    rng = np.random.default_rng(0)
    for scale in (1e-6, 1.0, 1e6):
        assert Lattice.of(np.unique(scale * rng.normal(size=3000))) is None
