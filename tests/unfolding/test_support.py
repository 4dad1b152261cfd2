import numpy as np

from buff.preprocessing import read
from buff.unfolding.support import outside_support

RNG = np.random.default_rng(0)
LINE = RNG.normal(size=(3000, 1)) @ np.ones((1, 2)) + 0.05 * RNG.normal(size=(3000, 2))


def test_events_like_the_simulated_ones_are_inside():
    fresh = RNG.normal(size=(3000, 1)) @ np.ones((1, 2)) + 0.05 * RNG.normal(size=(3000, 2))
    assert outside_support(read(LINE), read(fresh)).sum() <= 3


def test_far_and_off_the_diagonal_are_outside():
    # (2, -2) is inside the range of both columns
    found = outside_support(read(LINE), read(np.array([[0.0, 0.0], [9.0, 9.0], [2.0, -2.0], [-9.0, 0.0]])))
    np.testing.assert_array_equal(found, [False, True, True, True])


def test_labels_that_were_never_simulated():
    known, new = read([["e", 1.0], ["mu", 2.0], ["mu", 1.5]]), read([["mu", 1.2], ["tau", 1.2]])
    np.testing.assert_array_equal(outside_support(known, new), [False, True])
