import numpy as np
import pandas as pd
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


def shop(n, seed=0):
    rng = np.random.default_rng(seed)
    net, tax = rng.exponential(100, n).round(2), rng.exponential(10, n).round(2)
    kind = rng.choice(["a", "b", "c"], n).astype(object)
    return pd.DataFrame({"gross": (net + tax).round(2), "kind": kind, "level": kind.copy(), "net": net, "tax": tax})


def test_columns_that_others_tell_are_left_out_of_the_score():
    table, quick = shop(800), {**QUICK, "n_steps": 4}
    gen = BUFF(**quick).fit(table[:400])
    assert len(gen.relations_) == 2
    score = gen.score(table[400:])
    assert -0.05 < score < 0
    far = table[400:].assign(net=table["net"] + 300, gross=table["gross"] + 300)
    assert gen.score(far) < 2 * score
    search = GridSearchCV(BUFF(**quick), {"max_depth": [3]}, cv=2).fit(table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_labels_that_were_not_seen_are_far_from_all_rows():
    table = shop(800)[["kind", "net", "tax"]]
    gen = BUFF(**QUICK, n_steps=4).fit(table[:400])
    odd = table[400:].reset_index(drop=True)
    odd.loc[:99, "kind"] = "z"
    with pytest.warns(UserWarning, match=r"100 of 400 rows hold values that were not seen when fitted \(kind = 'z'"):
        score = gen.score(odd)
    assert score < 1.3 * gen.score(table[400:])
    odd.loc[:99, "kind"], odd.loc[100:150, "net"] = None, np.nan
    with pytest.warns(UserWarning, match="kind = missing, net = missing"):
        gen.score(odd)


def test_conditions_of_a_score_are_named_as_those_of_a_fit():
    table = shop(600)[["kind", "net", "tax"]]
    gen = BUFF(**QUICK, n_steps=4).fit(table[:300], condition="kind")
    test = table[300:]
    expected = gen.score(test[["net", "tax"]], condition=test["kind"])
    assert gen.score(test, condition="kind") == gen.score(test, condition=["kind"]) == gen.score(test) == expected
    search = GridSearchCV(BUFF(**QUICK, n_steps=4), {"max_depth": [3]}, cv=2).fit(table, condition="kind")
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
