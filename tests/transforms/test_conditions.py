import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from buff.transforms import ConditionEncoder

N = 2000
RNG = np.random.default_rng(0)
LABELS = {
    "two strings": RNG.choice(["a", "b"], N),
    "1 and 2": RNG.choice([1, 2], N),
    "-1 and 0.5": RNG.choice([-1, 0.5], N),
    "booleans": RNG.random(N) < 0.3,
    "list of strings": RNG.choice(["g", "q", "t"], N).tolist(),
    "objects": RNG.choice(np.array(["g", "q", "t"], dtype=object), N),
    "five integers": RNG.integers(0, 5, N),
    "pandas series": pd.Series(RNG.choice(["g", "q", "t"], N), name="jet"),
    "pandas category": pd.Series(pd.Categorical(RNG.choice(["g", "q"], N), categories=["t", "q", "g"]), name="jet"),
    "polars series": pl.Series("jet", RNG.choice(["g", "q", "t"], N)),
    "arrow": pa.chunked_array([RNG.choice(["g", "q", "t"], N).tolist()]),
    "missing": pd.Series(RNG.choice(np.array(["g", None], dtype=object), N), name="jet"),
    "one label": np.full(N, "t"),
}
NUMBERS = {
    "normal": RNG.normal(size=N),
    "float32": RNG.lognormal(size=N).astype(np.float32),
    "many integers": RNG.integers(0, 200, N),
    "days": np.datetime64("2026-01-01") + RNG.integers(0, 2000, N),
    "with missing": np.where(RNG.random(N) < 0.2, np.nan, RNG.normal(size=N)),
}


def listed(values):
    return pd.Series(values.to_pylist() if hasattr(values, "to_pylist") else list(values)).astype(object).fillna("-")


def normals_for(encoder, n=N):
    return np.random.default_rng(1).standard_normal((n, encoder.n_normals))


@pytest.mark.parametrize("name", LABELS)
def test_labels(name):
    labels = LABELS[name]
    encoder = ConditionEncoder().fit(labels)
    features = encoder.transform(labels)
    assert features.dtype == np.float32
    values = listed(labels)
    assert features.shape == (N, encoder.n_dims)
    rows = {value: {tuple(row) for row in features[values == value]} for value in values.unique()}
    assert all(len(group) == 1 for group in rows.values())
    assert len(set.union(*rows.values())) == len(rows)
    draws = encoder.draw(normals_for(encoder))
    assert type(draws) is type(labels)
    found, expected = (listed(x).value_counts(normalize=True) for x in (draws, labels))
    assert set(found.index) == set(expected.index)
    assert (abs(found - expected) < 0.06).all()


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    numbers = NUMBERS[name]
    encoder = ConditionEncoder().fit(numbers)
    features = encoder.transform(numbers)
    assert features.shape == (N, 1)
    known = ~np.isnan(numbers)
    order = np.argsort(numbers[known], kind="stable")
    assert np.all(np.diff(features[known][order, 0]) >= 0)
    assert abs(features.std() - 1) < 0.1
    draws = encoder.draw(normals_for(encoder))
    assert draws.dtype == numbers.dtype
    assert np.isnan(draws).mean() == pytest.approx(1 - known.mean(), abs=0.03)
    assert np.nanmin(draws) >= np.nanmin(numbers)
    assert np.nanmax(draws) <= np.nanmax(numbers)
    np.testing.assert_array_equal(encoder.transform(draws).shape, (N, 1))


def jets(n=N):
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "pt": rng.exponential(50, n),
            "flavour": rng.choice(["b", "c", "light"], n),
            "n": rng.integers(0, 90, n),
        }
    )


@pytest.mark.parametrize("make", [lambda x: x, pl.from_pandas, pa.Table.from_pandas])
def test_tables_by_name_in_any_order(make):
    table = jets()
    encoder = ConditionEncoder().fit(make(table))
    assert encoder.names == ("pt", "flavour", "n")
    assert encoder.n_dims == 5
    features = encoder.transform(table)
    np.testing.assert_array_equal(encoder.transform(make(table[["n", "pt", "flavour"]])), features)
    np.testing.assert_array_equal(encoder.transform(table.to_numpy(object)), features)
    draws = encoder.draw(normals_for(encoder, 10))
    assert type(draws) is type(make(table))
    assert len(draws) == 10


def test_saved_encoder_draws_and_encodes_the_same():
    for condition in (jets(), LABELS["pandas category"], LABELS["list of strings"], NUMBERS["days"]):
        encoder = ConditionEncoder().fit(condition)
        record, arrays = encoder.to_arrays()
        again = ConditionEncoder.from_arrays(json.loads(json.dumps(record)), arrays)
        normals = normals_for(encoder)
        draws = again.draw(normals)
        np.testing.assert_array_equal(again.transform(draws), encoder.transform(encoder.draw(normals)))
        assert repr(again.schema) == repr(encoder.schema)


def test_event_i_depends_on_its_own_normals():
    encoder = ConditionEncoder().fit(jets())
    normals = normals_for(encoder, 50)
    pd.testing.assert_frame_equal(
        encoder.draw(normals),
        pd.concat([encoder.draw(normals[:20]), encoder.draw(normals[20:])], ignore_index=True),
    )


def test_one_value_and_one_row():
    encoder = ConditionEncoder().fit(LABELS["list of strings"])
    for one in ("q", ["q"], np.array(["q"]), pd.Series(["q"], name="condition")):
        assert encoder.transform(one).tolist() == [[-1, 1, -1]]
    assert ConditionEncoder().fit(NUMBERS["normal"]).transform(0.0).shape == (1, 1)
    assert ConditionEncoder().fit(jets()).transform([[50.0, "b", 3]]).shape == (1, 5)


def test_integers_as_numbers_on_request():
    labels = LABELS["five integers"]
    assert ConditionEncoder().fit(labels).n_dims == 5
    encoder = ConditionEncoder({"condition": "integer"}).fit(labels)
    assert encoder.n_dims == 1
    assert encoder.transform(np.array([99])) == encoder.transform(np.array([4])).max()


def test_many_labels_take_one_ordered_dimension():
    rng = np.random.default_rng(0)
    station = rng.integers(0, 50, N)
    table = pd.DataFrame({"station": [f"s{i:02}" for i in station], "height": station + rng.normal(size=N)})
    encoder = ConditionEncoder().fit(table)
    assert encoder.n_dims == 2
    features = encoder.transform(table)
    assert abs(np.corrcoef(features[:, 0], features[:, 1])[0, 1]) > 0.95


def test_rows_of_no_weight_do_not_exist():
    labels = np.array(["a", "b", "a", "z"])
    encoder = ConditionEncoder().fit(labels, sample_weight=np.array([1.0, 2.0, 1.0, 0.0]))
    with pytest.raises(ValueError, match="unknown value 'z'"):
        encoder.transform("z")


def test_no_row_of_the_fit_is_kept():
    table = jets()
    table.loc[7, "pt"] = 4321.98765
    record, arrays = ConditionEncoder().fit(table).to_arrays()
    assert not any(np.isclose(values, 4321.98765, rtol=1e-7, atol=0).any() for values in arrays.values())
    assert "4321" not in json.dumps(record)


@pytest.mark.parametrize(
    ("condition", "error", "message"),
    [
        (
            None,
            ValueError,
            r"the model is conditional: pass condition= with the columns \['pt', 'flavour', 'n'\]",
        ),
        (
            jets(5).assign(flavour="s"),
            ValueError,
            "'flavour' holds the unknown value 's'; known values: 'b', 'c', 'l",
        ),
        (jets(5).assign(pt=np.nan), ValueError, "'pt' had no missing values"),
        (jets(5).assign(pt=np.inf), ValueError, "'pt' contains infinity"),
        (jets(5).assign(pt="high"), TypeError, "'pt' was fitted as float64, and now holds 'high'"),
        (
            jets(5).drop(columns="n"),
            ValueError,
            r"condition lacks the columns \['n'\], found \['pt', 'flavour'\]",
        ),
        (jets(5).rename(columns={"n": "m"}), ValueError, r"condition lacks the columns \['n'\], found"),
        (np.ones(5), ValueError, "condition has 1 columns, expected 3"),
        (np.ones((5, 3)), ValueError, "'flavour' holds the unknown value 1.0"),
    ],
)
def test_bad_conditions(condition, error, message):
    encoder = ConditionEncoder().fit(jets())
    with pytest.raises(error, match=message):
        encoder.transform(condition)


def test_names_count_for_arrays_too():
    """A mapping names its values, whatever it was that was fitted."""
    X = RNG.normal([0, 100], size=(N, 2))
    encoder = ConditionEncoder().fit(X)
    expected = encoder.transform(np.array([[0.5, 99.0]]))
    for condition in ({"c1": 99.0, "c0": 0.5}, pd.DataFrame({"c1": [99.0], "c0": [0.5]})):
        assert np.array_equal(encoder.transform(condition), expected)
    assert np.array_equal(encoder.transform(pd.DataFrame({"a": [0.5], "b": [99.0]})), expected)
    with pytest.raises(ValueError, match=r"condition lacks the columns \['c0', 'c1'\], found \['a', 'b'\]"):
        encoder.transform({"a": 0.5, "b": 99.0})


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"c0": [1.0, 2.0], "c1": [1.0]}, r"columns of different lengths, \{'c0': 2, 'c1': 1\}"),
        ([[1.0, 2.0], [1.0]], r"rows differ in length: \[1, 2\]"),
        ([], r"0 sample\(s\)"),
    ],
)
def test_conditions_without_a_shape(condition, message):
    encoder = ConditionEncoder().fit(RNG.normal(size=(50, 2)))
    with pytest.raises(ValueError, match=message):
        encoder.transform(condition)


def test_masked_conditions_are_missing():
    values = np.where(RNG.random(50) < 0.2, np.nan, RNG.normal(size=50))
    encoder = ConditionEncoder().fit(values)
    masked = np.ma.masked_array([3.0, 0.1], mask=[True, False])
    assert np.array_equal(encoder.transform(masked), encoder.transform(np.array([np.nan, 0.1])))


def test_bad_normals_and_too_few_rows():
    encoder = ConditionEncoder().fit(jets())
    with pytest.raises(ValueError, match=r"normals must have shape \(n, 3\), found \(4, 2\)"):
        encoder.draw(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="minimum of 2"):
        ConditionEncoder().fit(["a"])
