from dataclasses import replace

import numpy as np
import pytest

from buff.datasets import SignedWeights, gaussian_1d
from buff.metrics import prior_bias


@pytest.mark.parametrize("resolution", [0.25, 0.5, 1.0])
def test_one_step_leaves_the_share_that_the_formula_says(resolution):
    trained, nature = gaussian_1d(resolution=resolution), gaussian_1d(mean=0.5, resolution=resolution)
    simulation, measured = trained.sample(30_000, 0), nature.sample(30_000, 1)
    unfolded = trained.posterior(measured.reco).sample(1, 2)[:, 0]
    (b,) = prior_bias(simulation.truth, measured.truth, unfolded)
    assert b.value == pytest.approx(resolution**2 / (1 + resolution**2), abs=4 * b.error)
    assert b.error < 0.03
    right = replace(trained, prior=nature.prior).posterior(measured.reco).sample(1, 3)[:, 0]
    (b,) = prior_bias(simulation.truth, measured.truth, right)
    assert abs(b.value) < 4 * b.error


def test_ends_of_the_scale():
    x, y = np.random.default_rng(4).normal([[[0.0, 0.0]], [[1.0, 2.0]]], size=(2, 500, 2))
    assert [b.value for b in prior_bias(x, y, x)] == [1.0, 1.0]
    assert [b.value for b in prior_bias(x, y, y)] == [0.0, 0.0]
    assert np.isnan(prior_bias(x, x, y)[0].value)


def test_errors_are_the_spread_over_repetitions():
    def pull(seed):
        rng = np.random.default_rng(seed)
        s, n, u = (rng.normal(mean, 1, 400) for mean in (0.0, 1.0, 0.7))
        (b,) = prior_bias(s, n, u)
        return (b.value - 0.3) / b.error

    assert np.std([pull(seed) for seed in range(300)]) == pytest.approx(1.0, abs=0.15)


def test_signed_weights():
    problem = SignedWeights()
    events = problem.sample(40_000, 5)
    target, shifted = problem.target.sample(40_000, 6), problem.target.sample(40_000, 7) + 1.0
    for b in prior_bias(target, shifted, events.x + 1.0, unfolded_weights=events.weight):
        assert abs(b.value) < 4 * b.error < 0.2


def test_columns_must_agree():
    with pytest.raises(ValueError, match=r"simulation has 2 column\(s\), unfolded 1"):
        prior_bias(np.zeros((5, 2)), np.ones((5, 2)), np.zeros(5))
