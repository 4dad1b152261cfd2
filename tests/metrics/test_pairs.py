import numpy as np
import pytest

from buff.datasets import gaussian_1d, gaussian_2d
from buff.metrics import pair_test, separation_power


def events(problem, n, seed):
    sample = problem.sample(n, seed)
    return sample.truth, sample.reco, problem.posterior(sample.reco)


def test_exact_posteriors_cannot_be_told():
    truth, reco, posterior = events(gaussian_2d(), 1500, 0)
    test = pair_test(truth, reco, posterior.sample(1, 1)[:, 0], seeds=2, n_permutations=100)
    assert abs(test.value - 0.5) < 4 * test.error < 0.1
    assert test.p_value > 0.05


def test_right_marginals_of_wrong_posteriors_are_seen():
    truth, reco, _ = events(gaussian_1d(), 1500, 2)
    shuffled = np.random.default_rng(3).permutation(truth)
    assert separation_power(truth[:, 0], shuffled[:, 0]).value == 0.0
    test = pair_test(truth, reco, shuffled, seeds=1, n_permutations=60)
    assert test.value > 0.7
    assert test.p_value < 0.05


def test_a_sharp_detector_shows_posteriors_too_wide():
    # resolution 0.02 of the width: the plane of truth and reco is a line, and trees must see across it
    problem = gaussian_1d(resolution=0.02)
    truth, reco, posterior = events(problem, 1500, 4)
    mean = posterior.mean
    wide = mean + 1.5 * (posterior.sample(1, 5)[:, 0] - mean)
    assert pair_test(truth, reco, wide, seeds=1, n_permutations=0).value > 0.56


def test_weights_of_cancelling_events():
    truth, reco, posterior = events(gaussian_1d(), 1500, 6)
    draws = posterior.sample(1, 7)[:, 0]
    rng = np.random.default_rng(8)
    wrong = rng.random(1500) < 0.4
    draws[wrong] = 3.0  # rows that are wrong come with either sign
    w = np.where(wrong & (rng.random(1500) < 0.5), -1.0, 1.0)
    signed = pair_test(truth, reco, draws, weights=w, seeds=1, n_permutations=0)
    assert abs(signed.value - 0.5) < 4 * signed.error
    assert pair_test(truth, reco, draws, seeds=1, n_permutations=0).value > 0.6


@pytest.mark.parametrize("draws", [np.zeros((20, 2)), np.zeros(19)])
def test_shapes_must_agree(draws):
    with pytest.raises(ValueError, match="one row a true event expected"):
        pair_test(np.zeros(20), np.zeros((20, 3)), draws)
