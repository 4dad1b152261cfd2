"""Distributions with known answers. Tolerances are five standard errors unless said otherwise, plus what a fit of
the stated size leaves."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm

import buff
from buff.metrics import wasserstein

RNG = np.random.default_rng(12)
N = 4000


def fitted(small, X, **options):
    changes = options.pop("changes", {})
    settings = {"n_steps": 8, "n_estimators": 12, "max_depth": 5, "noise_budget": 20_000, "reg_lambda": 30.0}
    return small(**settings | changes).fit(X, **options)


@pytest.mark.parametrize("n_estimators", [0, 12])
def test_gaussian_mean_and_covariance(small, n_estimators):
    A = RNG.normal(size=(4, 4))
    X = RNG.multivariate_normal([1, -2, 0, 10], A @ A.T + 0.1 * np.eye(4), N)
    events = fitted(small, X, changes={"n_estimators": n_estimators, "n_steps": 12}).sample(N)
    deviation = X.std(axis=0)
    # generated and training sample fluctuate alike
    assert (abs(events.mean(axis=0) - X.mean(axis=0)) < 5 * deviation / np.sqrt(N)).all()
    assert (abs(events.std(axis=0) / deviation - 1) < 0.06).all()
    assert np.abs(np.corrcoef(events.T) - np.corrcoef(X.T)).max() < 0.05


@pytest.mark.parametrize("batch_size", [None, 100])
def test_cluster_fractions(small, batch_size):
    left = RNG.random(N) < 0.3
    X = np.where(left[:, None], [-5.0, -5.0], [5.0, 5.0]) + RNG.normal(size=(N, 2))
    events = fitted(small, X, changes={"n_steps": 6}).sample(6000, batch_size=batch_size)
    sides = events > 0
    share = left.mean()
    assert abs((~sides[:, 0]).mean() - share) < 3 * np.sqrt(share * (1 - share) / 6000)
    assert (sides[:, 0] != sides[:, 1]).mean() < 0.03  # clusters are joint: hardly an event lies between


@pytest.mark.parametrize("layout", ["scalar", "vector", "sketch"])
def test_layouts_agree_with_the_truth(small, layout):
    x = RNG.normal(size=N)
    X = np.column_stack([x, x**2 + 0.3 * RNG.normal(size=N), RNG.normal(size=N)])
    model = fitted(small, X, changes={"layout": layout, "max_depth": 6})
    events = model.sample(N)
    bent, truth = (np.corrcoef(T[:, 0] ** 2, T[:, 1])[0, 1] for T in (events, X))
    copula = fitted(small, X, changes={"n_estimators": 0}).sample(N)
    assert truth - bent < 0.12
    assert abs(np.corrcoef(copula[:, 0] ** 2, copula[:, 1])[0, 1]) < 0.2  # which a Gaussian cannot know
    for column in range(3):
        assert ks_2samp(events[:, column], X[:, column]).pvalue > 1e-4


def test_continuous_condition_moves_the_mean(small):
    c = RNG.normal(size=N)
    X = np.column_stack([c + RNG.normal(size=N), RNG.normal(size=N)])
    model = fitted(small, X, condition=c, changes={"max_depth": 3, "learning_rate": 0.3})
    for value in (-1.5, 0.0, 1.0):  # about 200 rows of the training tell what happens near a value
        events = model.sample(3000, condition=value, random_state=3)
        assert abs(events[:, 0].mean() - value) < 0.2
        assert abs(events[:, 0].std() - 1) < 0.1
        assert abs(events[:, 1].mean()) < 0.2
    # one event a row: x - c is standard normal and independent of c
    left = model.sample(condition=c)[:, 0] - c
    assert abs(left.mean()) < 5 / np.sqrt(N)
    assert abs(left.std() - 1) < 0.06
    assert abs(np.corrcoef(left, c)[0, 1]) < 5 / np.sqrt(N)


def test_each_class_has_its_own_shape(small):
    label = RNG.choice(["narrow", "wide"], N)
    X = (np.where(label == "wide", 3.0, 0.5) * RNG.normal(size=N) + np.where(label == "wide", 0, 2))[:, None]
    model = fitted(small, X, condition=label, changes={"max_depth": 6})
    for name, mean, deviation in (("narrow", 2, 0.5), ("wide", 0, 3)):
        events = model.sample(3000, condition=name)
        assert abs(events.mean() - mean) < 0.1 * deviation + 0.05
        assert abs(events.std() / deviation - 1) < 0.15
    events, drawn = model.sample(3000, return_condition=True)
    assert abs((drawn == "wide").mean() - (label == "wide").mean()) < 5 * 0.5 / np.sqrt(3000)
    assert events[drawn == "wide"].std() > 4 * events[drawn == "narrow"].std()


def test_marginals_are_exact(small):
    X = np.column_stack([RNG.exponential(size=N), RNG.standard_cauchy(N), RNG.poisson(1, N)])
    events = fitted(small, X).sample(N)
    for column in (0, 1):
        assert ks_2samp(events[:, column], X[:, column]).pvalue > 1e-4
    shares, truth = (np.bincount(T[:, 2].astype(int), minlength=12)[:12] / N for T in (events, X))
    assert np.abs(shares - truth).max() < 5 * np.sqrt(0.5 / N)


def test_weights_count_like_copies(small):
    X = RNG.normal(size=(1500, 2)) + RNG.choice([-2, 2], 1500)[:, None]
    copies = np.where(X[:, 0] > 0, 3, 1)
    weighted = fitted(small, X, sample_weight=copies).sample(4000)
    scaled = fitted(small, X, sample_weight=0.37 * copies).sample(4000)
    copied = fitted(small, np.repeat(X, copies, axis=0)).sample(4000)
    plain = fitted(small, X).sample(4000)
    for events in (weighted, scaled):
        assert abs((events > 0).mean() - (copied > 0).mean()) < 0.03
        assert abs(events.mean(axis=0) - copied.mean(axis=0)).max() < 0.15
        assert abs(np.corrcoef(events.T)[0, 1] - np.corrcoef(copied.T)[0, 1]) < 0.03
    assert (weighted > 0).mean() > (plain > 0).mean() + 0.15


def test_training_noise_is_not_what_samples_start_from(small):
    from buff.randomness import EventNoise, training_seed

    d, n = 3, 200
    start = EventNoise(0).normal(n, d)
    for i in range(4):
        for child in training_seed(0, i).spawn(4):
            drawn = np.random.default_rng(child).standard_normal((n, d), dtype=np.float32)
            assert abs(np.corrcoef(drawn.ravel(), start.ravel())[0, 1]) < 5 / np.sqrt(n * d)
    # a model whose velocity at the start is exact sends the noise of an event to its quantile
    X = RNG.normal(size=(3000, 1))
    events = small(n_steps=12, n_estimators=0).fit(X).sample(n, random_state=0)
    assert np.corrcoef(norm.ppf(norm.cdf(EventNoise(0).normal(n, 1)[:, 0])), events[:, 0])[0, 1] > 0.99


def test_weights_of_both_signs_are_learned_on_request():
    """A third of the weights is negative; the closed form knows their mean and correlation."""
    from buff.datasets import SignedWeights

    problem = SignedWeights()
    sample = problem.sample(6000, random_state=0)
    model = buff.BUFF(noise_budget=30_000, random_state=0)
    with pytest.raises(ValueError, match='negative_weights="smooth"'):
        model.fit(sample.x, sample_weight=sample.weight)
    events = model.set_params(negative_weights="smooth").fit(sample.x, sample_weight=sample.weight).sample(6000)
    exact = np.average(sample.x, axis=0, weights=sample.weight)
    naive = np.average(sample.x, axis=0, weights=np.abs(sample.weight))
    assert np.linalg.norm(events.mean(axis=0) - exact) < 0.4 * np.linalg.norm(naive - exact)


def test_numbers_of_many_values_get_their_own_distribution_back(small):
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(1000, 1)) + rng.normal(size=(1000, 2)), 1)
    distances = [
        wasserstein(
            X, fitted(small, X, changes={"atoms": atoms, "reg_lambda": 1000.0}).sample(20_000), n_bootstrap=0
        ).value
        for atoms in ("together", "apart")
    ]
    assert distances[0] < 0.75 * distances[1]
