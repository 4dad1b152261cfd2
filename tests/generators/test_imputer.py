import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import buff
from buff import BUFFImputer
from buff.generators import pool_estimates
from buff.tables.relations import Order, Sum
from tests.labels import contradictions, frame_of_labels

TINY = {"n_estimators": 4, "max_depth": 3, "random_state": 0}


@parametrize_with_checks([BUFFImputer(**TINY), BUFFImputer(**TINY, fill="center", n_rounds=1)])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def gaussian():
    rng = np.random.default_rng(0)
    truth = rng.multivariate_normal([0, 0, 0], [[1, 0.8, 0.5], [0.8, 1, 0.3], [0.5, 0.3, 1]], 3000)
    missing = rng.random(truth.shape) < 0.2
    table = np.where(missing, np.nan, truth)
    return BUFFImputer(random_state=0).fit(table), table, truth, missing


def test_given_cells_are_bit_equal_and_none_is_missing(gaussian):
    imputer, table, truth, missing = gaussian
    for filled in (imputer.transform(table), *imputer.impute(table, 2)):
        assert np.array_equal(filled[~missing], truth[~missing])
        assert np.isfinite(filled).all()


def test_intervals_cover(gaussian):
    imputer, table, truth, missing = gaussian
    draws = np.stack(imputer.impute(table, 60))
    low, high = np.quantile(draws, [0.16, 0.84], axis=0)
    covered = ((truth > low) & (truth < high))[missing].mean()
    assert 0.62 < covered < 0.71


def test_new_rows_and_columns_that_were_complete():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 2000)
    imputer = BUFFImputer(random_state=0).fit(X)
    new = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 500)
    half = new.copy()
    half[:, 1] = np.nan
    filled = imputer.transform(half)
    assert np.corrcoef(filled[:, 1], new[:, 1])[0, 1] > 0.7
    assert np.std(filled[:, 1] - 0.9 * filled[:, 0]) == pytest.approx(np.sqrt(0.19), rel=0.15)


def test_mixed_tables_keep_their_dtypes(tmp_path):
    rng = np.random.default_rng(0)
    n = 800
    label = rng.choice(["a", "b"], n)
    whole = pd.DataFrame(
        {
            "label": pd.Categorical(label),
            "text": label,
            "x": rng.normal(size=n) + 3 * (label == "a"),
            "n": pd.array(rng.poisson(2, n), "Int64"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 100, n), "D"),
        }
    )
    table = whole.copy()
    for name in table:
        table.loc[rng.random(n) < 0.2, name] = None
    imputer = BUFFImputer(random_state=0).fit(table)
    filled = imputer.transform(table)
    assert (filled.dtypes == table.dtypes).all()
    assert not filled.isna().any().any()
    known = table.notna()
    for name in table:
        assert (filled[name][known[name]] == table[name][known[name]]).all()
    assert (filled["label"].astype(str) == filled["text"]).mean() > 0.97
    imputer.save(tmp_path / "imputer.buff")
    pd.testing.assert_frame_equal(buff.load(tmp_path / "imputer.buff").transform(table), filled)


def test_output_container_and_names(gaussian):
    imputer, table, _, _ = gaussian
    named = BUFFImputer(**TINY).set_output(transform="pandas").fit(table)
    assert list(named.transform(table).columns) == ["x0", "x1", "x2"]
    assert imputer.get_feature_names_out().tolist() == ["x0", "x1", "x2"]


def test_center_is_closer_than_a_draw(gaussian):
    imputer, table, truth, missing = gaussian
    center = BUFFImputer(**imputer.get_params() | {"fill": "center", "n_imputations": 20, "n_rounds": 1}).fit(table)
    errors = [np.abs((model.transform(table) - truth)[missing]).mean() for model in (center, imputer)]
    assert errors[0] < 0.85 * errors[1]


def test_rubin_covers_the_mean():
    rng, inside = np.random.default_rng(0), []
    for _ in range(12):
        x = rng.normal(size=(400, 1)) @ np.ones((1, 2)) + 0.5 * rng.normal(size=(400, 2))
        x[rng.random(400) < 0.4, 1] = np.nan
        tables = BUFFImputer(10, random_state=0, n_estimators=0).fit(x).impute(x)
        pooled = BUFFImputer.pool([t[:, 1].mean() for t in tables], [t[:, 1].var() / 400 for t in tables])
        low, high = pooled.interval(0.95)
        inside.append(low < 0 < high)
    assert sum(inside) >= 9


def test_pooling_by_hand():
    pooled = pool_estimates([1.0, 3.0], [0.5, 0.7])
    assert pooled.estimate == 2
    assert (pooled.within, pooled.between) == (pytest.approx(0.6), 2)
    assert pooled.variance == pytest.approx(0.6 + 1.5 * 2)
    assert pooled.dof == pytest.approx((1 + 0.6 / 3) ** 2)
    with pytest.raises(ValueError, match="at least two"):
        pool_estimates([1.0], [0.1])


def test_bad_input():
    with pytest.raises(ValueError, match="column 'b' has no values"):
        BUFFImputer().fit(pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan]}))
    with pytest.raises(ValueError, match="fill must be one of"):
        BUFFImputer(fill="mean").fit([[1.0], [2.0]])


@pytest.fixture(scope="module")
def invoices():
    rng = np.random.default_rng(0)
    n, cities = 900, np.array(["Bonn", "Trier", "Rome", "Paris"], object)
    city = rng.integers(0, 4, n)
    net, tax = rng.integers(100, 9000, n) / 100, rng.integers(10, 900, n) / 100
    start = rng.integers(0, 50, n)
    land = np.array(["DE", "DE", "IT", "FR"], object)[city]
    whole = {"net": net, "tax": tax, "gross": np.round(net + tax, 2), "city": cities[city], "land": land}
    whole |= {"start": start.astype(float), "end": start + rng.integers(0, 9, n).astype(float)}
    truth = pd.DataFrame(whole, index=np.arange(n) + 5000)
    return truth, truth.mask(rng.random(truth.shape) < 0.12)


@pytest.mark.parametrize("fill", ["draw", "center"])
def test_filled_cells_keep_relations_and_rows_their_index(invoices, fill, tmp_path):
    truth, table = invoices
    imputer = BUFFImputer(**TINY, fill=fill, n_rounds=1).fit(table)
    assert {str(r) for r in imputer.relations_} >= {"gross = net + tax", "city determines land", "start <= end"}
    imputer.save(tmp_path / "imputer.buff")
    filled = buff.load(tmp_path / "imputer.buff").transform(table)
    pd.testing.assert_index_equal(filled.index, truth.index)
    pd.testing.assert_frame_equal(filled.where(table.notna()), table)
    pair = table[["net", "tax", "gross"]].notna().sum(axis=1) == 2
    for name in ("net", "tax", "gross"):  # what the other two tell is no draw
        np.testing.assert_allclose(filled.loc[pair, name], truth.loc[pair, name], atol=1e-9)
    np.testing.assert_allclose(filled["gross"], filled["net"] + filled["tax"], atol=0.006)
    land = dict(zip(truth["city"], truth["land"], strict=True))
    told = filled["city"].map(land) == filled["land"]
    assert told[table["city"].notna() | (fill == "draw")].all()
    assert (filled["start"] <= filled["end"])[table["end"].isna() | (fill == "draw")].all()


def test_relations_are_stated_or_left_out(invoices):
    _, table = invoices
    parts = table[["net", "tax", "gross"]]
    own = BUFFImputer(**TINY, n_rounds=1, relations=[Sum("gross", "net", "tax")]).fit(parts)
    assert [str(r) for r in own.relations_] == ["gross = net + tax"]
    assert len(BUFFImputer(**TINY, n_rounds=1, relations=None).fit(parts).relations_) == 0
    with pytest.raises(ValueError, match="does not hold in .* rows"):
        BUFFImputer(**TINY, relations=[Order("gross", "net")]).fit(parts)
    twice = [Sum("gross", "net", "tax"), Order("net", "gross")]
    with pytest.raises(ValueError, match="column 'gross' is told twice"):
        BUFFImputer(**TINY, relations=twice).fit(parts)
    with pytest.raises(ValueError, match="relations must be 'auto', a list of relations .* or None, found 'all'"):
        BUFFImputer(**TINY, relations="all").fit(parts)
    with pytest.raises(ValueError, match="relations holds 'gross'"):
        BUFFImputer(**TINY, relations=["gross"]).fit(parts)
    with pytest.raises(ValueError, match="unknown column 'total'"):
        BUFFImputer(**TINY, relations=[Sum("total", "net", "tax")]).fit(parts)


@pytest.mark.parametrize("nothing", [None, np.nan])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_without_any_value_are_filled_by_what_the_fit_knows(nothing, library):
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b", "c"], 200)
    table = pd.DataFrame({"label": label, "x": rng.normal(size=200), "yes": rng.random(200) < 0.5})
    table["kind"], table["day"] = pd.Categorical(label), pd.Timestamp("2020-01-01")
    table["day"] += pd.to_timedelta(rng.integers(0, 99, 200), "D")
    kinds = table.dtypes

    def framed(frame):
        return pl.from_pandas(frame) if library == "polars" else frame

    imputer = BUFFImputer(n_estimators=4, max_depth=3, random_state=0).fit(framed(table))
    for name in table.columns:
        gaps = table.head(6).assign(**{name: pd.Series([nothing] * 6, dtype=object)})
        filled = imputer.transform(framed(gaps))
        filled = filled.to_pandas() if library == "polars" else filled
        assert not filled[name].isna().any()
        assert library == "polars" or filled.dtypes[name] == kinds[name]
        others = [other for other in table if other != name]
        assert filled[others].astype(str).equals(table.head(6)[others].astype(str))


@pytest.mark.filterwarnings("error")
def test_labels_that_tell_each_other_are_looked_up_both_ways():
    rng = np.random.default_rng(0)
    number = rng.integers(0, 12, 600)
    table = pd.DataFrame({"level": np.char.add("l", number.astype(str)), "number": number, "x": rng.normal(size=600)})
    table["group"] = np.where(number < 6, "low", "high")
    imputer = BUFFImputer(n_estimators=4, max_depth=3, n_rounds=1, random_state=0).fit(table)
    assert len(imputer.relations_) == 2
    for gaps in (["number"], ["level"], ["level", "group"], ["number", "group"]):
        filled = imputer.transform(table.assign(**dict.fromkeys(gaps)))
        pd.testing.assert_frame_equal(filled, table, check_dtype=False)
    filled = imputer.transform(table.assign(level=None, number=None))
    assert ((filled["number"] < 6) == (table["group"] == "low")).all()
    odd = table.head(3).assign(number=[0, 11, 0], group=["high", "low", "low"], level=None, x=np.nan)
    with pytest.warns(UserWarning, match=r"in 2 of 3 rows \(0, 1\) no draw kept") as noted:
        imputer.impute(odd, 4)
    assert len(noted) == 1


def test_filled_labels_exclude_each_other_as_known_ones_do():
    table = frame_of_labels(3000).assign(c2="a", c3="b")
    holes = table.mask(np.random.default_rng(3).random(table.shape) < 0.3)
    filled = BUFFImputer(random_state=0, relations=None).fit_transform(holes)
    assert contradictions(filled, table) == (0, 0)
