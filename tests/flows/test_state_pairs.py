"""Pairs of states, counted for all columns at once."""

from itertools import combinations

import numpy as np
import pytest

from buff.flows.state_pairs import joint_counts, n_distinct, ranked


@pytest.mark.parametrize("levels", [(2, 2, 2, 2, 2, 2, 2, 2, 2), (3, 200, 2, 5, 1, 40), (7, 300)])
def test_counts_are_those_of_each_pair_alone(levels):
    rng = np.random.default_rng(0)
    columns = [np.minimum(rng.integers(0, k, 500), k - 1) for k in levels]
    columns[0][-1] = levels[0] - 1
    seen = []
    for i, j, counts in joint_counts(columns):
        seen.append((i, j))
        expected = np.zeros(counts.shape, int)
        np.add.at(expected, (columns[i], columns[j]), 1)
        np.testing.assert_array_equal(counts, expected)
        assert counts.shape == (columns[i].max() + 1, columns[j].max() + 1)
    assert sorted(seen) == list(combinations(range(len(levels)), 2))


@pytest.mark.parametrize("most", [3, 40, 10**9])
def test_codes_without_gaps(most):
    codes = np.random.default_rng(0).integers(0, most, 30) * 3
    np.testing.assert_array_equal(ranked(codes), np.unique(codes, return_inverse=True)[1])
    assert n_distinct(codes) == len(np.unique(codes))
