"""What an iteration moves beyond the error of measured events."""

import numpy as np
import pytest

from buff.unfolding.events import Simulation
from buff.unfolding.moving import moving, named_moves

RNG = np.random.default_rng(0)
TRUTH = np.column_stack([np.where(RNG.random(8000) < 0.25, 0.0, RNG.gamma(3, 1, 8000)), RNG.normal(size=8000)])
SIMULATION = Simulation.of(TRUTH, TRUTH)


def told(factors, effective=4000):
    s, z = SIMULATION, SIMULATION.truth_scores
    moves = moving(s.truth_space, z, (z, s.weights), (z, s.weights * factors), effective)
    return named_moves(moves, s.truth_space, s.truth)


@pytest.mark.parametrize(("sigmas", "is_told"), [(0.2, False), (3, True), (-3, True)])
def test_a_spike_may_move_by_the_error_of_the_measured_events(sigmas, is_told):
    n, spike = len(TRUTH), TRUTH[:, 0] == 0
    wanted = spike.sum() * (1 + sigmas / np.sqrt(0.25 * 4000))
    factors = np.where(spike, wanted / spike.sum(), (n - wanted) / (n - spike.sum()))
    found = told(factors)
    assert bool(found) is is_told
    for move in found:
        assert (move.name, move.place) == ("x0", "at 0")
        assert move.before == pytest.approx(spike.sum())
        assert move.after == pytest.approx(wanted)
        assert move.sigmas == pytest.approx(abs(sigmas), rel=0.1)
        assert str(move) == f"x0 at 0, {spike.sum():,} events before and {wanted:,.0f} after"
    assert not told(factors, effective=100)


def test_a_bin_is_named_by_what_lies_in_it():
    inside = (TRUTH[:, 1] > 1) & (TRUTH[:, 1] < 1.3)
    (found,) = told(np.where(inside, 1.5, 1.0))
    assert found.name == "x1"
    low, high = map(float, found.place.removeprefix("from ").split(" to "))
    assert 0.8 < low < high < 1.5


def test_nothing_moves_by_itself():
    assert not told(np.ones(len(TRUTH)))
    assert not told(np.full(len(TRUTH), 3.0))
