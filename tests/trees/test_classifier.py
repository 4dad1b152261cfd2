import pickle

import numpy as np
import pytest

from buff.trees import Classifier, ClassifierSettings
from buff.trees.classifier import QuadraticBase

NONE = ClassifierSettings(n_estimators=1, learning_rate=1e-9)


def two_normals(n, shift=1.0, width=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = np.concatenate([shift + width * rng.normal(size=(n, 1)), rng.normal(size=(n, 1))]).astype(np.float32)
    return x, np.repeat([1.0, 0.0], n), np.ones(2 * n)


def test_log_odds_between_normal_distributions_are_exact_to_second_degree():
    x, y, w = two_normals(20_000, 0.5, 0.8)
    grid = np.linspace(-1.5, 1.5, 7)[:, None]
    exact = -((grid - 0.5) ** 2) / (2 * 0.64) - np.log(0.8) + grid**2 / 2
    assert abs(QuadraticBase.fit(x, y, w, 1.0)(grid) - exact[:, 0]).max() < 0.06


def test_trees_learn_what_the_base_cannot():
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, size=(20_000, 1)).astype(np.float32)
    f = np.sin(3 * x[:, 0])
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-f))).astype(float)
    fit = Classifier.fit(x, y, np.ones(len(x)), ClassifierSettings())
    assert np.sqrt(np.mean((fit.classifier(x) - f) ** 2)) < 0.15
    flat = Classifier.fit(x, y, np.ones(len(x)), NONE)
    assert np.sqrt(np.mean((flat.classifier(x) - f) ** 2)) > 0.4


def test_rows_get_odds_from_trees_that_did_not_see_them():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(600, 8)), rng.integers(0, 2, 600).astype(float)
    greedy = ClassifierSettings(n_estimators=60, max_depth=8, learning_rate=0.5, reg_lambda=0.1, early_stopping=60)
    fit = Classifier.fit(x, y, np.ones(600), greedy)
    seen = fit.classifier(x)
    assert seen[y == 1].mean() - seen[y == 0].mean() > 0.3
    assert abs(fit.log_odds[y == 1].mean() - fit.log_odds[y == 0].mean()) < 0.2


def test_soft_labels_are_means():
    x = np.zeros((3000, 1))
    y, w = np.repeat([0.0, 0.25, 1.0], 1000), np.repeat([1.0, 2.0, 1.0], 1000)
    odds = Classifier.fit(x, y, w, NONE).classifier(x[:1])[0]
    assert odds == pytest.approx(np.log(1.5 / 2.5), abs=0.02)


def test_same_seed_same_trees_and_pickles():
    x, y, w = two_normals(2000)
    a, b, c = (Classifier.fit(x, y, w, ClassifierSettings(), seed=seed) for seed in (5, 5, 6))
    assert (a.log_odds == b.log_odds).all()
    assert (a.log_odds != c.log_odds).any()
    assert (pickle.loads(pickle.dumps(a.classifier))(x) == a.classifier(x)).all()


def test_all_rows_get_odds_where_only_some_train():
    x, y, w = two_normals(3000)
    fit = Classifier.fit(x, y, w, ClassifierSettings(max_rows=1000))
    assert np.isfinite(fit.log_odds).all()
    assert np.corrcoef(fit.log_odds, x[:, 0])[0, 1] > 0.95
