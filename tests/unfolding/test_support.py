import numpy as np
import pytest

from buff.tables import read
from buff.unfolding.support import outside_support, refuse_unknown

RNG = np.random.default_rng(0)
LINE = RNG.normal(size=(3000, 1)) @ np.ones((1, 2)) + 0.05 * RNG.normal(size=(3000, 2))


def test_events_like_the_simulated_ones_are_inside():
    fresh = RNG.normal(size=(3000, 1)) @ np.ones((1, 2)) + 0.05 * RNG.normal(size=(3000, 2))
    assert outside_support(read(LINE), read(fresh)).sum() <= 3


def test_far_and_off_the_diagonal_are_outside():
    # (2, -2) is inside the range of both columns
    found = outside_support(read(LINE), read(np.array([[0.0, 0.0], [9.0, 9.0], [2.0, -2.0], [-9.0, 0.0]])))
    np.testing.assert_array_equal(found, [False, True, True, True])


def test_labels_and_constants_that_were_never_simulated():
    known, new = read([["e", 1.0], ["mu", 1.0], ["mu", 1.0]]), read([["mu", 1.0], ["tau", 1.0], ["tau", 1.0]])
    message = (
        "reco: 2 of 3 events have a value in column 'x0' that no simulated event has, the first is 'tau' in event 1"
    )
    with pytest.raises(ValueError, match=message):
        refuse_unknown(known, new, "reco")
    with pytest.raises(ValueError, match="1 of 1 events have a value in column 'x1'.*the first is .*2.0.* in event 0"):
        refuse_unknown(known, read([["e", 2.0]]), "reco")
    refuse_unknown(known, known, "reco")
    assert not outside_support(known, known).any()
