import json
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import kstest
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from buff.tables import read
from buff.transforms import TableTransformer

N = 3000
ORDERS = ("lexical", "frequency", "similar", "onehot")


@parametrize_with_checks([TableTransformer(), TableTransformer(tails="extrapolate", categories="onehot")])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def mixed(n=N, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.choice(["e", "mu", "tau"], n, p=[0.5, 0.4, 0.1])
    return pd.DataFrame(
        {
            "pt": rng.exponential(30, n).astype(np.float32),
            "hits": rng.poisson(4, n).astype(np.int16),
            "lepton": group,
            "tight": rng.random(n) < 0.2,
            "iso": np.where(rng.random(n) < 0.3, 0.0, rng.random(n)),
            "tag": np.where(rng.random(n) < 0.2, None, rng.choice(["b", "c"], n)),
            "era": pd.Categorical(rng.choice(["B", "A"], n), categories=["C", "B", "A"], ordered=True),
            "run": pd.array(np.where(rng.random(n) < 0.1, None, rng.integers(160_000, 180_000, n)), dtype="Int32"),
            "when": pd.Timestamp("2011-01-01") + pd.to_timedelta(rng.integers(0, 365, n), unit="D"),
            "beam": 3500,
            "spare": np.nan,
        }
    )


def containers(table):
    return {
        "pandas": table,
        "polars": pl.from_pandas(table),
        "pyarrow": pa.Table.from_pandas(table, preserve_index=False),
    }


@pytest.mark.parametrize("categories", ORDERS)
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_mixed_tables_come_back_from_the_archive_in_their_container(library, categories):
    table = mixed()
    X = containers(table)[library]
    space = TableTransformer(categories=categories).fit(X)
    Z = space.encode(X, np.random.default_rng(1))
    record, arrays = space.to_arrays()
    again = TableTransformer.from_arrays(json.loads(json.dumps(record)), arrays)
    back = again.inverse_transform(Z)
    assert type(back) is type(X)
    if library == "pandas":
        assert (back.dtypes == X.dtypes).all()
    else:
        assert back.schema == X.schema
    frame = back if library == "pandas" else back.to_pandas()
    for name in table.columns.drop("pt"):
        if name in ("run", "iso"):
            continue
        assert (frame[name].astype(object).fillna("-") == table[name].astype(object).fillna("-")).all(), name
    assert abs(frame["run"].astype(float) - table["run"].astype(float)).max() < 200
    np.testing.assert_array_equal(frame["iso"] == 0, table["iso"] == 0)
    np.testing.assert_array_equal(again.transform(X), space.transform(X))


@pytest.mark.parametrize("categories", ORDERS)
def test_draws_stay_within_the_training_values(categories):
    table = mixed()
    space = TableTransformer(categories=categories).fit(table)
    draws = space.inverse_transform(np.random.default_rng(0).standard_normal((N, space.n_dims_)))
    for name in ("hits", "lepton", "tight", "tag", "era", "when", "beam", "spare"):
        assert set(draws[name].dropna()) <= set(table[name].dropna())
    assert draws["run"].dropna().between(table["run"].min(), table["run"].max()).all()
    p = (table["iso"] == 0).mean()
    assert abs((draws["iso"] == 0).mean() - p) < 3 * np.sqrt(p * (1 - p) / N)


def test_constant_columns_take_no_dimension():
    table = mixed()
    space = TableTransformer().fit(table)
    assert space.n_dims_ == 9
    assert list(space.get_feature_names_out()) == [name for name in table.columns if name not in ("beam", "spare")]
    Z = space.transform(table)
    assert Z.shape == (N, 9)
    assert Z.dtype == np.float32
    alone = TableTransformer().fit(table[["beam", "spare"]])
    assert alone.n_dims_ == 0
    back = alone.inverse_transform(np.empty((5, 0)))
    pd.testing.assert_frame_equal(back, table[["beam", "spare"]][:5])


def test_onehot_dimensions():
    space = TableTransformer(categories="onehot").fit(mixed())
    names = list(space.get_feature_names_out())
    assert [name for name in names if name.startswith("lepton")] == ["lepton_e", "lepton_mu", "lepton_tau"]
    assert [name for name in names if name.startswith("tag")] == ["tag_b", "tag_c", "tag_missing"]


def test_encoded_columns_are_normal_and_transform_is_their_centre():
    table = mixed()
    space = TableTransformer().fit(table)
    rng = np.random.default_rng(0)
    for z in space.encode(table, rng).T:
        assert kstest(z, "norm").pvalue > 0.01
    low, centre, high = space.encode(table, 0.0), space.transform(table), space.encode(table, 1.0)
    assert np.all((low <= centre) & (centre <= high))
    random = space.encode(read(table), rng)
    assert np.all((low <= random) & (random <= high))


def test_schema_parameter():
    table = mixed()
    schema = {
        "pt": {"lower": 0, "upper": 1000, "tails": "extrapolate"},
        "lepton": {"order": ["tau", "e", "mu"]},
    }
    space = TableTransformer(schema).fit(table)
    Z = np.zeros((2, space.n_dims_))
    Z[:, 0] = [-9, 9]
    draws = space.inverse_transform(Z)
    assert draws["pt"].min() >= 0
    assert table["pt"].max() < draws["pt"].max() <= 1000
    z = space.transform(table)[:, 2]
    means = [z[table["lepton"] == name].mean() for name in ("tau", "e", "mu")]
    assert means == sorted(means)


def test_whole_numbers_called_continuous_may_get_fractions():
    x = np.arange(1000.0)[:, None]
    z = np.random.default_rng(0).standard_normal((200, 1))
    whole = TableTransformer().fit(x).inverse_transform(z)
    np.testing.assert_array_equal(whole, np.rint(whole))
    free = TableTransformer({"x0": "continuous"}).fit(x).inverse_transform(z)
    assert np.mean(free == np.rint(free)) < 0.1


@pytest.mark.parametrize("categories", ORDERS)
def test_thousands_of_levels(categories):
    rng = np.random.default_rng(0)
    names = np.array([f"id{i}" for i in range(3000)], dtype=object)
    table = pd.DataFrame({"name": rng.choice(names, 5000), "x": rng.normal(size=5000)})
    space = TableTransformer(categories=categories).fit(table)
    back = space.inverse_transform(space.encode(table, rng))
    assert (back["name"] == table["name"]).mean() > 0.999


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_days_stay_days_in_any_unit(unit):
    rng = np.random.default_rng(0)
    days = np.datetime64("1995-01-01") + rng.integers(0, 10_000, 2000).astype("m8[D]")
    X = np.column_stack([days, days + np.timedelta64(3, "D")]).astype(f"M8[{unit}]")
    space = TableTransformer().fit(X)
    back = space.inverse_transform(space.encode(X, rng))
    assert back.dtype == X.dtype
    np.testing.assert_array_equal(back, back.astype("M8[D]").astype(X.dtype))
    assert np.abs((back - X).astype("m8[D]").astype(int)).max() < 60
    assert back.min() >= X.min()


def test_moments_of_nanoseconds_keep_their_digits():
    rng = np.random.default_rng(0)
    start = np.datetime64("2024-05-01", "ns")
    X = (start + rng.integers(0, 10**6, 2000).astype("m8[ns]"))[:, None]
    back = TableTransformer().fit(X).inverse_transform(rng.standard_normal((2000, 1)))
    assert np.all((back >= X.min()) & (back <= X.max()))
    assert len(np.unique(back)) > 1900


@pytest.mark.parametrize("tails", ["clip", "extrapolate"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_integers_at_their_limits(dtype, tails):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    x = rng.integers(info.min, info.max, 1000, dtype=dtype, endpoint=True)
    x[:6], x[-6:] = info.min, info.max
    kinds = {"x0": "continuous"} if info.bits == 64 else None
    space = TableTransformer(kinds, tails=tails).fit(x[:, None])
    back = space.inverse_transform(space.encode(x[:, None], rng))[:, 0]
    assert back.dtype == dtype
    np.testing.assert_array_equal(back[[0, -1]], [info.min, info.max])
    far = space.inverse_transform(np.linspace(-8, 8, 100)[:, None])[:, 0]
    assert np.all(np.diff(far.astype(float)) >= 0)


def test_large_identifiers():
    rng = np.random.default_rng(0)
    x = (2**60 + 3 * rng.integers(0, 10**5, 1000)).astype(np.int64)
    space = TableTransformer().fit(x[:, None])
    back = space.inverse_transform(space.encode(x[:, None], rng))
    assert np.all((back - x.min()) % 3 == 0)
    assert np.abs(back[:, 0] - x).max() < 5000


def test_weights():
    table = mixed(500)
    w = np.random.default_rng(0).integers(0, 4, 500)
    repeated = table.loc[np.repeat(np.arange(500), w)]
    a, b = TableTransformer().fit(table, sample_weight=w), TableTransformer().fit(repeated)
    kept = table[w > 0]
    for name in ("lepton", "tight", "tag", "era"):
        j = list(a.get_feature_names_out()).index(name)
        np.testing.assert_allclose(a.transform(kept)[:, j], b.transform(kept)[:, j], rtol=1e-6)
    scaled = TableTransformer().fit(table, sample_weight=0.37 * w)
    same = np.isclose(scaled.transform(kept), a.transform(kept), atol=1e-6)
    assert same.mean() > 0.99  # the outermost half row depends on the effective number of rows


def test_input_is_untouched_and_read_only_input_will_do(tmp_path):
    X = mixed()[["pt", "hits", "iso"]].to_numpy(np.float32)
    copy = X.copy()
    X.flags.writeable = False
    Z = TableTransformer().fit_transform(X)
    np.testing.assert_array_equal(X, copy)
    np.save(tmp_path / "x.npy", copy)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(TableTransformer().fit_transform(mapped), Z)


def test_estimator_habits():
    table = mixed()
    schema = {"pt": {"lower": 0}}
    space = clone(TableTransformer(schema, categories="frequency")).fit(table)
    assert schema == {"pt": {"lower": 0}}
    again = pickle.loads(pickle.dumps(space))
    np.testing.assert_array_equal(again.transform(table), space.transform(table))
    named = space.set_output(transform="pandas").transform(table)
    assert list(named.columns) == list(space.get_feature_names_out())
    y = table["hits"].to_numpy(float)
    assert make_pipeline(TableTransformer(), LinearRegression()).fit(table, y).score(table, y) > 0.8
    with config_context(enable_metadata_routing=True):
        TableTransformer().set_fit_request(sample_weight=True)


@pytest.mark.parametrize("tails", ["clip", "extrapolate"])
def test_nothing_kept_is_a_planted_value(tails):
    rng = np.random.default_rng(0)
    planted = {"a": 98765.4321, "b": 31415926, "c": np.datetime64("1999-12-31T23:59:58.123456")}
    table = pd.DataFrame(
        {
            "a": np.append(rng.normal(size=999), planted["a"]),
            "b": np.append(rng.integers(0, 10**6, 999), planted["b"]),
            "c": np.append(np.datetime64("2020-01-01", "us") + rng.integers(0, 10**12, 999), planted["c"]),
        }
    )
    record, arrays = TableTransformer(tails=tails).fit(table).to_arrays()
    numbers = [float(planted["a"]), float(planted["b"]), float(planted["c"].astype(np.int64))]
    for number in numbers:
        assert not any(np.isclose(values, number, rtol=1e-9, atol=0).any() for values in arrays.values())
    text = json.dumps(record)
    for written in ("98765.4", "31415926", "1999-12-31", str(int(numbers[2]))):
        assert written not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.assign(lepton="pi"),
            "'lepton' holds the unknown value 'pi'; known values: 'e', 'mu', 'tau'",
        ),
        (lambda t: t.assign(pt=np.nan), "'pt' had no missing values when fitted, and is missing in row 0"),
        (lambda t: t.assign(lepton=None), "'lepton' had no missing values"),
        (lambda t: t.assign(beam=4000), "'beam' was constant, 3500, when fitted: found 4000"),
        (lambda t: t.assign(spare=1.0), "'spare' was constant, None, when fitted: found"),
        (lambda t: t.assign(pt=np.inf), "'pt' contains infinity"),
        (lambda t: t[t.columns[::-1]], "feature names should match"),
        (lambda t: t.drop(columns="pt"), "feature names"),
        (lambda t: t[:0], "0 sample"),
    ],
)
def test_bad_tables_for_transform(change, message):
    table = mixed(200)
    space = TableTransformer().fit(table)
    with pytest.raises(ValueError, match=message):
        space.transform(change(table))


def test_other_types_than_fitted_are_named():
    table = mixed(200)
    space = TableTransformer().fit(table)
    with pytest.raises(TypeError, match="'pt' was fitted as float32, and now holds 'x'"):
        space.transform(table.assign(pt="x"))
    with pytest.raises(TypeError, match="'when' was fitted as datetime64"):
        space.transform(table.assign(when=3))
    onehot = TableTransformer(categories="onehot").fit(table)
    with pytest.raises(ValueError, match="'lepton' had no missing values"):
        onehot.transform(table.assign(lepton=None))


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.zeros((3, 2)), r"Z must have shape \(n, 3\), found \(3, 2\)"),
        (np.zeros(3), r"Z must have shape"),
        (np.full((2, 3), np.nan), "6 values that are not finite"),
    ],
)
def test_bad_scores(Z, message):
    space = TableTransformer().fit(np.random.default_rng(0).normal(size=(50, 3)))
    with pytest.raises(ValueError, match=message):
        space.inverse_transform(Z)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(50), "positive for at least 2 rows|non-zero"),
        (-np.ones(50), "[Nn]egative"),
        (np.full(50, np.nan), "NaN"),
        (np.ones(49), r"sample_weight: shape \(50,\) expected, one weight a row; found \(49,\)"),
        (
            np.r_[np.ones(7), np.inf, np.ones(42)],
            r"1 of 50 values are not finite \(NaN or infinity\), the first inf in row 7",
        ),
        (np.ones((50, 1)), r"sample_weight: shape \(50,\) expected.*\(50, 1\)"),
        (2.0, r"sample_weight: shape \(50,\) expected"),
        (["a"] * 50, "sample_weight: real numbers expected"),
        (np.ma.masked_array(np.ones(50), mask=np.arange(50) == 3), r"NaN.*row 3"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TableTransformer().fit(np.random.default_rng(0).normal(size=(50, 3)), sample_weight=weights)


def test_weights_whose_sum_overflows():
    X = np.random.default_rng(0).normal(size=(50, 1))
    huge = TableTransformer().fit(X, sample_weight=np.full(50, 1e308))
    assert np.array_equal(huge.transform(X), TableTransformer().fit(X, sample_weight=np.ones(50)).transform(X))


def test_columns_already_read_will_do():
    table = mixed(200)
    space, other = TableTransformer().fit(read(table)), TableTransformer().fit(table)
    assert list(space.feature_names_in_) == list(table.columns)
    np.testing.assert_array_equal(space.transform(table), other.transform(table))
    space.fit(read(table.to_numpy(object)))
    assert not hasattr(space, "feature_names_in_")


def test_bad_parameters_and_one_row():
    X = np.random.default_rng(0).normal(size=(50, 3))
    with pytest.raises(ValueError, match="n_knots must be at least 10, found 3"):
        TableTransformer(n_knots=3).fit(X)
    with pytest.raises(ValueError, match="1 sample"):
        TableTransformer().fit(X[:1])


def test_huge_and_missing_columns():
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [rng.choice([-1e308, 1e308], 500) * rng.random(500), np.full(500, np.nan), rng.normal(size=500)]
    )
    space = TableTransformer().fit(X)
    back = space.inverse_transform(space.transform(X))
    assert np.isfinite(back[:, [0, 2]]).all()
    assert np.isnan(back[:, 1]).all()
    assert np.corrcoef(back[:, 0] / 1e308, X[:, 0] / 1e308)[0, 1] > 0.9999


def test_integers_that_doubles_cannot_tell_apart_are_refused():
    wide = np.array([2**53 + 1, 2**60 + 3, 5] * 20)
    with pytest.raises(ValueError, match=r"column 'x0' holds integers from 5 to 1152921504606846979, .*categorical"):
        TableTransformer().fit(pd.DataFrame({"x0": wide}))
    exact = 2**60 + np.arange(60)
    space = TableTransformer().fit(pd.DataFrame({"x0": exact}))
    assert np.array_equal(space.inverse_transform(space.transform(pd.DataFrame({"x0": exact})))["x0"], exact)
    rough = TableTransformer({"x0": "continuous"}).fit(pd.DataFrame({"x0": wide}))
    assert rough.schema_["x0"].kind == "continuous"
