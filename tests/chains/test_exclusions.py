"""Atoms that never occur together."""

import numpy as np
import pytest

import buff.chains.exclusions as module
from buff.chains.exclusions import Exclusions, drawn_classes


def states(n=2000, seed=0):
    """A label that leaves another two of three, both with many rare levels beside a gap that they share."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 2, n)
    second = np.where(first == 0, 2, rng.integers(0, 2, n))
    gap = rng.random(n) < 0.1
    rare = [np.where(gap, 0, rng.integers(1, 40, n)) for _ in range(2)]
    value = np.where(rng.random(n) < 0.5, 0, -1)
    return np.column_stack([first, second, *rare, value, np.full(n, -1)])


SIZES = (3, 4, 41, 41, 2, 1)


def test_pairs_that_no_row_has_are_excluded_and_others_are_not():
    own = states()
    found = Exclusions.of(own, np.ones(own.shape, bool), SIZES)
    of = {j: found.violations(j, np.where(np.arange(6) < j, own, -2)) for j in range(6)}
    np.testing.assert_array_equal(of[1][own[:, 0] == 0][0], [0, 1, 1, 0])
    np.testing.assert_array_equal(of[1][own[:, 0] == 1][0], [0, 0, 0, 1])
    gap = own[:, 2] == 0
    # each label is too rare to be told from chance: all of them together are not
    assert (of[3][gap][:, 1:] == (np.arange(40) > 0)).all()
    assert (of[3][~gap][:, 1:] == (np.arange(40) == 0)).all()
    assert not of[2].any()
    assert of[4] is None
    assert of[5] is None
    # no state of a row speaks against another of the same row
    for j in range(4):
        assert not found.violations(j, own)[np.arange(len(own)), own[:, j] + 1].any()


def test_cells_that_are_not_known_say_nothing():
    own = states()
    known = np.random.default_rng(1).random(own.shape) < 0.7
    found = Exclusions.of(np.where(known, own, -2), known, SIZES)
    assert found.violations(1, np.array([[0, -2, -2, -2, -2, -2]])).tolist() == [[0, 1, 1, 0]]
    assert not found.violations(1, np.full((1, 6), -2)).any()
    lone = Exclusions.of(own, np.zeros(own.shape, bool), SIZES)
    assert not lone.excluded.any()


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_know_nothing_of_each_other_exclude_nothing(seed):
    rng = np.random.default_rng(seed)
    own = np.column_stack([rng.choice(k, 3000, p=np.diff(np.linspace(0, 1, k + 1) ** 2)) for k in (2, 8, 20, 30, 30)])
    found = Exclusions.of(own, np.ones(own.shape, bool), (3, 9, 21, 31, 31))
    assert not found.excluded.any()
    assert found.to_arrays() == {}


def test_columns_of_few_states_come_first(monkeypatch):
    monkeypatch.setattr(module, "_MOST_STATES", 20)
    own = states()
    found = Exclusions.of(own, np.ones(own.shape, bool), SIZES)
    assert found.sizes == (3, 4, 0, 0, 2, 0)
    assert found.violations(1, own)[own[:, 0] == 0][0].tolist() == [0, 1, 1, 0]


def test_arrays_lead_back():
    own = states()
    found = Exclusions.of(own, np.ones(own.shape, bool), SIZES)
    again = Exclusions.from_arrays(found.to_arrays(), SIZES)
    assert again.sizes == found.sizes
    np.testing.assert_array_equal(again.excluded, found.excluded)
    assert not Exclusions.from_arrays({}, SIZES).excluded.any()
    with pytest.raises(ValueError, match="excluded"):
        Exclusions.from_arrays(found.to_arrays(), SIZES[:-2])


def test_classes_with_the_fewest_violations_keep_their_odds():
    u = (np.arange(1000) + 0.5)[:, None] / 1000
    p = np.array([[0.5, 0.1, 0.3, 0.1]])
    assert np.bincount(drawn_classes(p, u, np.array([-1, 0, 1, 2]))).tolist() == [500, 100, 300, 100]
    own = drawn_classes(p, u, np.array([-1, 0, 1, 3]), np.array([[1, 0, 0, 0, 2]]).repeat(1000, axis=0))
    assert np.bincount(own).tolist() == [0, 250, 750]
    # where all are excluded, what breaks least is drawn, though it never was
    own = drawn_classes(np.array([[1.0, 0.0]]), u, np.array([0, 1]), np.array([[0, 2, 1]]).repeat(1000, axis=0))
    assert set(own) == {1}
