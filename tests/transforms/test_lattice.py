import numpy as np
import pytest

from buff.transforms.lattice import Lattice


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
    assert Lattice.of(wide) is None
    lattice = Lattice.of(wide, np.dtype(np.float32))
    assert lattice.spacing == pytest.approx(0.1)
    np.testing.assert_array_equal(lattice.nearest(wide).astype(np.float32), values)


def test_continuous_and_huge_values_are_on_no_lattice():
    rng = np.random.default_rng(0)
    assert Lattice.of(np.sort(rng.normal(size=1000))) is None
    assert Lattice.of(np.sort(rng.normal(size=1000)) * 1e300) is None
