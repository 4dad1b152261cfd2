import numpy as np
import pandas as pd
import pytest
from scipy import stats

from buff.transforms import ConditionEncoder

N = 6000


def table(seed=0):
    rng = np.random.default_rng(seed)
    cls = rng.choice(3, N, p=[0.6, 0.3, 0.1])
    pt = rng.gamma(4, 10, N) + 40 * cls
    eta = 0.05 * (pt - 60) + rng.normal(size=N)
    return pd.DataFrame({"cls": cls, "pt": pt.astype("float32"), "eta": eta, "tight": rng.random(N) < 0.2 + 0.3 * cls})


def drawn(given, n=6000):
    encoder = ConditionEncoder().fit(table())
    normals = np.random.default_rng(1).standard_normal((n, encoder.n_normals))
    return encoder.restore(encoder.complete(given, normals))


def test_the_rest_is_drawn_given_a_label():
    t, own = table(5), drawn({"cls": 1})
    assert (own["cls"] == 1).all()
    assert stats.ks_2samp(own["pt"], t["pt"][t["cls"] == 1]).pvalue > 1e-3
    assert abs(own["tight"].mean() - 0.5) < 0.03


def test_labels_are_drawn_given_a_number_by_bayes_rule():
    t, own = table(5), drawn({"pt": 90.0})
    near = t[(t["pt"] - 90).abs() < 5]
    for k in range(3):
        assert abs((own["cls"] == k).mean() - (near["cls"] == k).mean()) < 0.06
    assert abs(own["eta"].mean() - 1.5) < 0.12
    assert abs(own["eta"].std() - 1.0) < 0.15
    assert (own["pt"] == np.float32(90)).all()


def test_what_is_given_comes_back_in_the_dtypes_of_the_training():
    own = drawn({"pt": 90, "tight": True})
    assert (own.dtypes == table().dtypes).all()


def test_rows_depend_on_their_own_normals_alone():
    encoder = ConditionEncoder().fit(table())
    normals = np.random.default_rng(1).standard_normal((50, encoder.n_normals))
    given = pd.DataFrame({"eta": np.linspace(-1, 2, 50)})
    whole, part = (
        encoder.restore(encoder.complete(g, x)) for g, x in ((given, normals), (given[20:30], normals[20:30]))
    )
    pd.testing.assert_frame_equal(whole[20:30].reset_index(drop=True), part)


def test_what_was_never_seen_together_is_an_error():
    t = pd.DataFrame({"a": ["x", "y"] * 100, "b": ["u", "v"] * 100, "c": np.arange(200) % 7 + 0.5})
    encoder = ConditionEncoder().fit(t)
    normals = np.zeros((3, encoder.n_normals))
    with pytest.raises(ValueError, match="never seen"):
        encoder.complete({"a": "x", "b": "v"}, normals)
    with pytest.raises(ValueError, match="none of the columns"):
        encoder.complete({"z": 1}, normals)
    with pytest.raises(ValueError, match="'a' holds the unknown value 'w'"):
        encoder.complete({"a": "w"}, normals)


def test_text_is_read_by_the_kind_of_the_column():
    t = pd.DataFrame(
        {
            "flag": [True, False] * 20,
            "run": ["1", "2"] * 20,
            "day": pd.date_range("2024-01-01", periods=40).astype("datetime64[us]"),
            "name": ["a, b", "c"] * 20,
            "n": np.arange(40, dtype="int32"),
        }
    )
    encoder = ConditionEncoder().fit(t)
    row = encoder.parse({"flag": "true", "run": "2", "day": "2024-01-05", "name": "a, b", "n": "7"})
    own = encoder.restore(encoder.aligned(row))
    assert own.iloc[0].tolist() == [True, "2", pd.Timestamp("2024-01-05"), "a, b", 7]
    assert (own.dtypes == t.dtypes).all()
    for texts, words in (
        ({"flag": "maybe"}, "boolean, found 'maybe'"),
        ({"n": "x"}, "whole number"),
        ({"day": "soon"}, "date"),
        ({"m": "1"}, "no condition 'm'"),
    ):
        with pytest.raises(ValueError, match=words):
            encoder.parse(texts)
