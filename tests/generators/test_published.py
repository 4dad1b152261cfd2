from copy import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from buff.generators.published import PublishedBUFF

TINY = {"n_nodes": 4, "n_steps": 4, "noise_draws": 2, "n_estimators": 4, "random_state": 0}


@parametrize_with_checks([PublishedBUFF(**TINY)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def gaussian():
    rng = np.random.default_rng(3)
    covariance = [[1.0, 0.6], [0.6, 1.0]]
    return rng.multivariate_normal([5.0, -2.0], covariance, size=3000).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(gaussian):
    return PublishedBUFF(n_nodes=12, n_steps=12, noise_draws=4, n_estimators=40, random_state=1).fit(gaussian)


def test_learns_mean_width_and_correlation_of_a_gaussian(gaussian, fitted):
    generated = fitted.sample(6000, random_state=2)
    np.testing.assert_allclose(generated.mean(axis=0), gaussian.mean(axis=0), atol=0.08)
    np.testing.assert_allclose(generated.std(axis=0), gaussian.std(axis=0), rtol=0.12)
    assert np.corrcoef(generated.T)[0, 1] == pytest.approx(np.corrcoef(gaussian.T)[0, 1], abs=0.08)


def test_stays_within_the_training_range(gaussian, fitted):
    generated = fitted.sample(5000, random_state=4)
    assert (generated >= gaussian.min(axis=0)).all()
    assert (generated <= gaussian.max(axis=0)).all()


def test_one_booster_a_column_and_node(fitted):
    assert [len(node) for node in fitted.boosters_] == [2] * 12
    assert {booster.rounds for node in fitted.boosters_ for booster in node} == {40}


def test_boosters_regress_the_velocity_of_their_node(gaussian):
    """At t = 1 x_t is the datum itself, so the booster's mean prediction is E[x1 - x0 | x1] = x1."""
    recipe = PublishedBUFF(n_nodes=2, noise_draws=8, n_estimators=60, random_state=0).fit(gaussian)
    x1 = 2 * (gaussian - gaussian.min(axis=0)) / np.ptp(gaussian, axis=0) - 1
    predicted = np.hstack([booster(x1) for booster in recipe.boosters_[-1]])
    assert np.abs(predicted - x1).mean() < 0.05


class StubBooster:
    """Answers a constant and writes down which node was asked."""

    def __init__(self, node, velocity, asked):
        self.node, self.velocity, self.asked = node, velocity, asked

    def __call__(self, x):
        self.asked.append(self.node)
        return np.full((len(x), 1), self.velocity, dtype=np.float32)


def with_velocities(fitted, velocities):
    recipe, asked = copy(fitted), []
    recipe.boosters_ = [[StubBooster(i, v, asked)] for i, v in enumerate(velocities)]
    recipe.n_features_in_, recipe.low_, recipe.high_ = 1, fitted.low_[:1] - 20, fitted.high_[:1] + 20
    return recipe, asked


def test_midpoint_asks_the_nearest_node(fitted):
    recipe, asked = with_velocities(fitted, np.zeros(4))
    recipe.set_params(n_steps=3).sample(1)  # two steps ask t = 0, 1/4, 1/2, 3/4 of nodes at 0, 1/3, 2/3, 1
    assert asked == [0, 1, 2, 2]


def test_midpoint_moves_by_the_velocity_half_way(fitted):
    recipe, _ = with_velocities(fitted, [9.0, 0.25, 9.0, -0.5, 9.0])
    moved = recipe.set_params(n_steps=3).sample(50, random_state=0)
    noise = np.random.default_rng(0).standard_normal((50, 1), dtype=np.float32)
    expected = (noise + (0.25 - 0.5) / 2 + 1) / 2 * (recipe.high_ - recipe.low_) + recipe.low_
    np.testing.assert_allclose(moved, np.clip(expected, recipe.low_, recipe.high_), rtol=1e-4)


def test_seeds_decide_training_and_sampling(gaussian):
    first, again = (PublishedBUFF(**TINY).fit(gaussian[:200]).sample(20, random_state=7) for _ in range(2))
    other = PublishedBUFF(**{**TINY, "random_state": 1}).fit(gaussian[:200]).sample(20, random_state=7)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_constant_column_stays_constant(gaussian):
    X = np.column_stack([gaussian[:100, 0], np.full(100, 3.5)])
    assert set(PublishedBUFF(**TINY).fit(X).sample(30, random_state=0)[:, 1]) == {np.float32(3.5)}


def test_takes_a_frame_of_numbers(gaussian):
    frame = pd.DataFrame(gaussian[:100], columns=["mass", "pt"])
    assert PublishedBUFF(**TINY).fit(frame).feature_names_in_.tolist() == ["mass", "pt"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("n_nodes", 1), ("n_steps", 1), ("noise_draws", 0), ("n_estimators", 0), ("max_depth", 0)],
)
def test_names_a_parameter_out_of_range(gaussian, parameter, value):
    with pytest.raises(ValueError, match=f"{parameter} must be at least .*, found {value}"):
        PublishedBUFF(**{**TINY, parameter: value}).fit(gaussian)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e308])
def test_refuses_what_is_no_finite_number(bad):
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        PublishedBUFF(**TINY).fit(np.array([[0.0], [1.0], [bad]]))


def test_refuses_to_draw_no_rows(fitted):
    with pytest.raises(ValueError, match="n_samples must be at least 1, found 0"):
        fitted.sample(0)


def test_samples_without_a_random_state_are_those_of_the_estimator():
    X = np.random.default_rng(0).normal(size=(50, 2))
    quick = {"n_nodes": 2, "n_steps": 2, "noise_draws": 1, "n_estimators": 2}
    seeded, free = (PublishedBUFF(**quick, random_state=seed).fit(X) for seed in (0, None))
    assert np.array_equal(seeded.sample(5), seeded.sample(5))
    assert not np.array_equal(free.sample(5), free.sample(5))
