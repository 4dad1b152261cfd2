import numpy as np
import pytest

from buff.transforms import TableTransformer
from buff.transforms.atoms import atoms_of


def of(column):
    return atoms_of(TableTransformer().fit(column.reshape(-1, 1)))[0]


def test_the_mode_of_a_lattice_is_no_spike():
    rng = np.random.default_rng(0)
    peaked = np.round(np.where(rng.random(5000) < 0.8, rng.normal(scale=0.03, size=5000), rng.normal(size=5000)), 2)
    assert np.unique(peaked, return_counts=True)[1].max() > 0.05 * 5000
    assert not len(of(peaked).intervals)
    spiked = np.where(rng.random(5000) < 0.06, 0.5, peaked)
    (interval,) = of(spiked).intervals
    assert interval.mean() == pytest.approx((spiked < 0.5).mean() + 0.5 * (spiked == 0.5).mean(), abs=1e-6)


@pytest.mark.parametrize(("n_values", "atoms"), [(10, 10), (16, 16), (17, 0), (60, 0)])
def test_numbers_of_many_values_are_left_to_the_flow(n_values, atoms):
    numbers = np.arange(2000.0) % n_values
    assert len(of(numbers).intervals) == atoms
    assert len(of(numbers.astype(int).astype(str).astype(object)).intervals) == n_values


@pytest.mark.parametrize(("width", "fine"), [(10.0, True), (3.0, False)])
def test_a_column_with_a_frequent_value_is_not_fine(width, fine):
    numbers = np.round(np.random.default_rng(0).normal(scale=width, size=5000))
    assert not len(of(numbers).intervals)
    assert of(numbers).fine == fine
    assert not of(numbers).smooth
    assert of(np.random.default_rng(0).normal(size=500)).fine
    assert not of(np.array(["a", "b"] * 100, object)).fine
