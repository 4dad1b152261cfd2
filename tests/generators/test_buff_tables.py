"""Any table in, the same kind of table out; bad tables and weights."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

N = 400
RNG = np.random.default_rng(0)
COLUMNS = {
    "momentum": RNG.exponential(size=N).astype(np.float32),
    "jets": RNG.poisson(2, N),
    "spiked": np.where(RNG.random(N) < 0.4, 0.0, RNG.normal(size=N)),
    "holes": np.where(RNG.random(N) < 0.3, np.nan, RNG.normal(size=N)),
    "kind": RNG.choice(["top", "w", "gluon"], N),
    "tagged": RNG.random(N) < 0.3,
    "day": np.datetime64("2026-01-01", "D") + RNG.integers(0, 100, N),
    "fixed": np.full(N, 3),
    "absent": np.full(N, np.nan),
}


def pandas_frame():
    return pd.DataFrame(COLUMNS).astype({"kind": "category", "day": "datetime64[ns]"})


def polars_frame():
    days = [dt.date(2026, 1, 1) + dt.timedelta(int(k)) for k in RNG.integers(0, 100, N)]
    return pl.DataFrame(COLUMNS | {"day": days})


CONTAINERS = {"pandas": pandas_frame, "polars": polars_frame, "pyarrow": lambda: polars_frame().to_arrow()}


@pytest.mark.parametrize("name", CONTAINERS)
def test_frames_come_back_as_they_were(small, name):
    X = CONTAINERS[name]()
    model = small(n_estimators=2).fit(X)
    for n in (0, 1, 60):
        events = model.sample(n)
        assert type(events) is type(X)
        assert events.shape == (n, len(COLUMNS))
        if name == "pandas":
            assert events.dtypes.equals(X.dtypes)
            assert list(events.columns) == list(COLUMNS)
        else:
            assert events.schema == X.schema
    assert list(model.feature_names_in_) == list(COLUMNS)
    assert model.n_features_in_ == len(COLUMNS)


def test_values_are_those_of_the_table(small):
    X = pandas_frame()
    events = small().fit(X).sample(2000)
    for name in ("jets", "kind", "tagged", "fixed"):
        assert set(events[name]) <= set(X[name])
    assert events["absent"].isna().all()
    for name in ("momentum", "spiked", "day"):
        assert events[name].min() >= X[name].min()
        assert events[name].max() <= X[name].max()
    for share, truth in [
        (np.mean(events["spiked"] == 0), np.mean(X["spiked"] == 0)),
        (events["holes"].isna().mean(), X["holes"].isna().mean()),
        (events["tagged"].mean(), X["tagged"].mean()),
        (np.mean(events["kind"] == "top"), np.mean(X["kind"] == "top")),
    ]:
        assert abs(share - truth) < 0.06


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
def test_arrays_keep_their_dtype(small, dtype):
    X = RNG.normal(size=(100, 3)) * 10
    X = X > 0 if dtype == "bool" else X.astype(dtype)
    events = small(n_estimators=1).fit(X).sample(7)
    assert type(events) is np.ndarray
    assert (events.dtype, events.shape) == (X.dtype, (7, 3))


def test_objects_and_lists(small):
    rows = [[1.5, "a", True], [2.5, "b", False], [3.5, "a", True]] * 20
    events = small(n_estimators=1).fit(rows).sample(5)
    assert all(type(a) is type(b) for event in events for a, b in zip(event, rows[0], strict=True))
    array = np.array(rows, dtype=object)
    events = small(n_estimators=1).fit(array).sample(5)
    assert (events.dtype, events.shape) == (object, (5, 3))
    assert set(events[:, 1]) <= {"a", "b"}


def test_columns_without_freedom(small):
    for X in (np.full((50, 2), 7.0), np.full((50, 1), np.nan)):
        model = small(solver="heun").fit(X)
        assert model.plan_.times == ()
        assert np.array_equal(model.sample(9), X[:9], equal_nan=True)
    model = small().fit(np.full((50, 2), 7.0), condition=np.arange(50) % 2)
    assert np.array_equal(model.sample(9, condition=1), np.full((9, 2), 7.0))
    assert next(iter(model.trajectory(2, condition=1))).shape == (2, 2)
    assert small().plan(np.full((50, 2), 7.0)).cpu_seconds is None


@pytest.mark.parametrize(("rows", "found"), [(0, "0 sample"), (1, "1 sample")])
def test_too_few_rows(small, rows, found):
    with pytest.raises(ValueError, match=found):
        small().fit(np.zeros((rows, 2)))


def test_two_rows_are_enough(small):
    X = np.array([[0.0, 1.0], [2.0, 3.0]])
    events = small().fit(X).sample(20)
    assert ((events >= X[0]) & (events <= X[1])).all()


def test_infinity_is_refused_with_its_place(small):
    X = np.zeros((10, 2))
    X[3, 1] = -np.inf
    with pytest.raises(ValueError, match=r"column 'x1' contains infinity .* row 3"):
        small().fit(X)


def test_huge_and_tiny_numbers(small):
    X = RNG.uniform(-1, 1, (200, 2)) * [1e308, 1e-308]
    events = small().fit(X).sample(100)
    assert np.isfinite(events).all()
    assert (abs(events) <= abs(X).max(axis=0)).all()
    assert (abs(events).max(axis=0) > 0.1 * abs(X).max(axis=0)).all()


def test_names_must_be_unique(small):
    with pytest.raises(ValueError, match=r"(?s)unique.*'pt'"):
        small().fit(pd.DataFrame(np.zeros((5, 2)), columns=["pt", "pt"]))


def test_input_is_only_read(small, tmp_path):
    X = RNG.normal(size=(200, 3))
    locked = X.copy()
    locked.flags.writeable = False
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    samples = [small().fit(table).sample(10) for table in (X, locked, mapped)]
    assert np.array_equal(samples[0], samples[1])
    assert np.array_equal(samples[0], samples[2])
    assert np.array_equal(X, np.load(tmp_path / "x.npy"))


WEIGHTED = RNG.normal(size=(50, 2))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.r_[np.nan, np.ones(49)], "NaN"),
        (np.r_[np.inf, np.ones(49)], "infinity"),
        (np.ones(49), r"shape \(50,\) expected, one weight a row; found \(49,\)"),
        (np.r_[-2.5, -1, np.ones(48)], r'2 negative values, the first -2\.5: negative_weights="smooth"'),
        (np.array([-1.0, *np.ones(49)], dtype=object), '1 negative values, the first -1.0: negative_weights="smooth"'),
        (np.zeros(50), "zero in 50 of 50 rows: it must be positive for at least 2 rows"),
    ],
)
def test_bad_weights(small, weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(WEIGHTED, sample_weight=weights)
    with pytest.raises(ValueError, match=message):
        small().plan(WEIGHTED, sample_weight=weights)


def test_rows_without_weight_do_not_exist(small):
    c, weights = np.arange(50) % 2, np.repeat([0.0, 1.0], 25)
    weighted = small().fit(WEIGHTED, condition=c, sample_weight=weights)
    fewer = small().fit(WEIGHTED[25:], condition=c[25:], sample_weight=np.ones(25))
    assert np.array_equal(weighted.sample(20), fewer.sample(20))


@pytest.mark.parametrize("unit", [1e-300, 1e-9, 0.5, 1e3])
def test_weights_have_no_unit(small, unit):
    weights = RNG.uniform(0.5, 2, 50)
    one, other = (small(max_depth=2).fit(WEIGHTED, sample_weight=w).sample(50) for w in (weights, unit * weights))
    assert np.allclose(one, other, atol=1e-4)


def test_enormous_weights_are_no_obstacle(small):
    events = small().fit(WEIGHTED, sample_weight=1e300 * RNG.uniform(0.5, 2, 50)).sample(50)
    assert np.isfinite(events).all()
    assert (events.std(axis=0) > 0.3).all()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"solver": "ode"}, ValueError, "unknown solver 'ode': choose one of euler.*heun.*ab2"),
        ({"solver": 3}, TypeError, "solver must be a name"),
        ({"solver": "dopri5_adaptive"}, ValueError, "chooses its times as it goes.*choose one of euler.*heun"),
        ({"grid": "cubic"}, ValueError, "unknown grid 'cubic': choose one of uniform"),
        ({"layout": "flat"}, ValueError, "layout must be one of .*scalar.*vector.*sketch.*'flat'"),
        ({"device": "tpu"}, ValueError, "device must be 'auto', 'cpu' or 'cuda', found 'tpu'"),
        ({"categories": "hash"}, ValueError, "categories must be one of .*similar.*, found 'hash'"),
        ({"tails": "cut"}, ValueError, "tails must be one of .*clip.*, found 'cut'"),
        ({"n_steps": 0}, ValueError, "n_steps must be at least 1, found 0"),
        ({"n_steps": 2.0}, TypeError, "n_steps must be an integer, found 2.0"),
        ({"n_estimators": -1}, ValueError, "n_estimators must be at least 0"),
        ({"max_depth": True}, TypeError, "max_depth must be an integer, found True"),
        ({"noise_budget": 0}, ValueError, "noise_budget must be at least 1"),
        ({"early_stopping": 0}, ValueError, "early_stopping must be at least 1"),
        ({"learning_rate": 0}, ValueError, r"learning_rate must lie in \(0, 2\], found 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate must lie"),
        ({"reg_lambda": -1}, ValueError, r"reg_lambda must lie in \[0, inf\), found -1"),
        ({"tree_params": ["eta"]}, TypeError, "tree_params must be a mapping"),
        ({"tree_params": {"max_bin": 1}}, ValueError, "max_bin must be at least 2, found 1"),
        ({"tree_params": {"subsample": 0}}, ValueError, r"subsample must lie in \(0, 1\], found 0"),
        ({"tree_params": {"colsample_bytree": 2.0}}, ValueError, "colsample_bytree must lie in"),
        ({"verbose": "no"}, ValueError, "verbose must be 0 or 1, found 'no'"),
        ({"tree_params": {"max_deph": 3}}, ValueError, r"unknown names \['max_deph'\], XGBoost knows .*max_depth"),
        ({"random_state": "x"}, ValueError, "random_state must be None"),
        (
            {"tree_params": {"alpha": -1}},
            ValueError,
            "XGBoost does not take tree_params=.'alpha': -1.: .*greater equal",
        ),
        ({"schema": {"pt": "integer"}}, ValueError, "pt"),
        ({"schema": "integer"}, TypeError, "schema must be a mapping from column name"),
        ({"schema": {"x0": {"lower": "low"}}}, TypeError, "lower bound of column 'x0' must be a number, found 'low'"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be a number of cores, or -1 for all; found 0"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs must be an integer or None, found 1.5"),
        ({"cache_dir": 3}, TypeError, "cache_dir must be a folder or None, found 3"),
        ({"cache_dir": __file__}, ValueError, "cache_dir must be a folder, found the file .*test_buff_tables.py"),
    ],
)
def test_bad_parameters(small, changes, error, message):
    with pytest.raises(error, match=message):
        small(**changes).fit(WEIGHTED)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_samples": -1}, ValueError, "n_samples must be at least 0, found -1"),
        ({"n_samples": 2.5}, TypeError, "n_samples must be an integer, found 2.5"),
        ({"first_event": -1}, ValueError, "first_event must be at least 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"random_state": -1}, ValueError, "random_state must be"),
        ({"condition": [1]}, ValueError, "fitted without condition"),
    ],
)
def test_bad_requests(model, options, error, message):
    with pytest.raises(error, match=message):
        model.sample(**options)


def test_a_bad_number_of_threads_is_told_when_sampling(small):
    model = small(n_estimators=0).fit(WEIGHTED).set_params(n_jobs=0)
    with pytest.raises(ValueError, match="n_jobs must be a number of cores"):
        model.sample(2)


def test_unfitted(small, tmp_path):
    for use in (lambda m: m.sample(1), lambda m: m.save(tmp_path / "m"), lambda m: next(m.trajectory(1))):
        with pytest.raises(ValueError, match="not fitted yet"):
            use(small())


def test_tables_are_read_once(small, monkeypatch):
    import buff.generators.base as home
    import buff.transforms.transformer as space

    reads = []
    for module in (home, space):
        read = module.read
        monkeypatch.setattr(
            module, "read", lambda *args, read=read, **options: reads.append(1) or read(*args, **options)
        )
    small(n_estimators=1).fit(WEIGHTED)
    assert len(reads) == 1


def test_tree_parameters_are_known_to_xgboost(capfd):
    import xgboost as xgb

    from buff.generators.parameters import _TREE_PARAMS

    values = {"device": "cpu", "grow_policy": "depthwise", "multi_strategy": "one_output_per_tree", "verbosity": 1}
    values |= {"objective": "reg:squarederror", "tree_method": "hist", "sampling_method": "uniform", "base_score": 0.5}
    values |= {"interaction_constraints": "[[0, 1]]", "monotone_constraints": "(0,0)", "max_cached_hist_node": 8}
    values |= {"validate_parameters": True, "max_bin": 16}
    data = xgb.DMatrix(WEIGHTED, WEIGHTED[:, 0])
    xgb.train(dict.fromkeys(_TREE_PARAMS, 1) | values, data, 1)
    with pytest.warns(UserWarning, match="max_deph"):
        xgb.train({"max_deph": 3, "validate_parameters": True}, data, 1)


def test_samples_that_no_machine_holds_are_refused(model):
    with pytest.raises(MemoryError, match=r"10,000,000,000,000 events of 3 values need 480 TB .*first_event"):
        model.sample(10**13)


def test_the_effective_sample_size_of_extreme_weights_is_told(small, table):
    weights = np.full(len(table[0]), 1e-3)
    weights[:5] = 1.0
    with pytest.warns(UserWarning, match=r"600 rows count like 6 of equal weight, .*heaviest 1 % have 89%"):
        small().fit(table[0], sample_weight=weights)
