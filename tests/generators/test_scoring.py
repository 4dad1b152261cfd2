import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from buff import BUFF

RNG = np.random.default_rng(0)
N = 1500


def bent(n, shift=0.0):
    x = RNG.normal(size=(n, 1))
    return np.hstack([x + shift, x**2 + 0.3 * RNG.normal(size=(n, 1))])


TRAIN, TEST = bent(N), bent(N)
QUICK = {"noise_budget": 20_000, "max_depth": 5, "random_state": 0, "device": "cpu"}


def test_searches_find_the_better_model_without_scoring():
    search = GridSearchCV(BUFF(**QUICK), {"n_estimators": [0, 12]}, cv=2).fit(TRAIN)
    assert search.best_params_ == {"n_estimators": 12}
    assert search.score(TEST) < 0.001


def test_conditions_and_weights_are_respected():
    c = RNG.integers(0, 2, N)
    shifted = TRAIN + 2 * c[:, None] * [1, 0]
    gen = BUFF(**QUICK).fit(shifted, condition=c)
    right, wrong = gen.score(shifted, condition=c), gen.score(shifted, condition=1 - c)
    assert wrong < 5 * right < 0.05
    weights = np.exp(-shifted[:, 0])
    weighted = BUFF(**QUICK).fit(shifted, sample_weight=weights)
    assert weighted.score(shifted, sample_weight=weights) > weighted.score(shifted) + 0.003
    with pytest.raises(ValueError, match="condition has 3 rows, X has 1500"):
        gen.score(shifted, condition=c[:3])
    with pytest.raises(ValueError, match="conditional"):
        gen.score(shifted)
