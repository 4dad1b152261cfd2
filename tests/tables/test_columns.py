import json
from datetime import date, time, timedelta
from decimal import Decimal

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from buff.datasets import Column, Table
from buff.tables import Template, read
from buff.tables.columns import is_missing

N = 7


def pandas_table():
    return pd.DataFrame(
        {
            "i8": np.arange(N, dtype=np.int8),
            "u64": np.arange(N, dtype=np.uint64) + np.uint64(2**63),
            "f4": np.linspace(0, 1, N, dtype=np.float32),
            "f8": [1.5, np.nan, 1e308, -1e308, 0.1, 0.2, 0.3],
            "bool": [True, False] * 3 + [True],
            "maybe": pd.Series([True, None, False, True, None, True, False], dtype=object),
            "text": ["a", "b", None, "a", "ü", "", "b"],
            "kind": pd.Categorical(["x", "y", None, "x", "x", "y", "y"], categories=["z", "y", "x"], ordered=True),
            "label": pd.Categorical([3, 1, 3, None, 1, 1, 3], categories=[1, 2, 3]),
            "Int": pd.array([1, None, 3, 4, 5, 6, 7], dtype="Int16"),
            "arrow": pd.array([1, None, 3, 4, 5, 6, 7], dtype="int64[pyarrow]"),
            "string": pd.array(["a", None, "c", "d", "e", "f", "g"], dtype="string"),
            "day": pd.date_range("2011-03-01", periods=N, freq="D").where(np.arange(N) != 2),
            "zone": pd.date_range("2011-03-27", periods=N, freq="h", tz="Europe/Zurich").as_unit("ns"),
            "span": pd.to_timedelta(np.arange(N), unit="s"),
            "date": pd.Series([date(2011, 3, 1 + i) for i in range(N)], dtype=object),
            "gone": np.full(N, np.nan),
        }
    )


def polars_table():
    return pl.DataFrame(
        {
            "i16": pl.Series(range(N), dtype=pl.Int16),
            "null": pl.Series([1, None, 3, 4, 5, 6, 7], dtype=pl.UInt8),
            "f4": pl.Series([0.5, None, 1.5, 2.5, 3.5, 4.5, 5.5], dtype=pl.Float32),
            "nan": [0.5, float("nan"), 1.5, 2.5, 3.5, 4.5, 5.5],
            "bool": [True, None, False, True, True, False, True],
            "text": ["a", None, "b", "b", "a", "c", "a"],
            "cat": pl.Series(["a", None, "b", "b", "a", "c", "a"], dtype=pl.Categorical),
            "enum": pl.Series(["a", None, "b", "b", "a", "c", "a"], dtype=pl.Enum(["d", "c", "b", "a"])),
            "date": pl.Series([date(2011, 3, 1 + i) for i in range(N)]),
            "when": pl.Series([1, 2, None, 4, 5, 6, 7]).cast(pl.Datetime("ms", "Europe/Zurich")),
            "span": pl.Series([timedelta(seconds=i) for i in range(N)]).cast(pl.Duration("ns")),
            "time": pl.Series([time(i) for i in range(N)]),
            "money": pl.Series([Decimal(f"{i}.25") for i in range(N)], dtype=pl.Decimal(12, 2)),
            "gone": pl.Series([None] * N, dtype=pl.Null),
        }
    )


def arrow_table():
    columns = {
        "half": pa.array(np.arange(N, dtype=np.float16)),
        "i4": pa.array([1, None, 3, 4, 5, 6, 7], pa.int32()),
        "text": pa.array(["a", None, "b", "b", "a", "c", "a"], pa.large_string()),
        "code": pa.array(["a", None, "b", "b", "a", "c", "a"]).dictionary_encode(),
        "day": pa.array([date(2011, 3, 1 + i) for i in range(N)], pa.date64()),
        "clock": pa.array([time(i) for i in range(N)], pa.time32("ms")),
        "stamp": pa.array([1, None, 3, 4, 5, 6, 7], pa.int64()).cast(pa.timestamp("s", "UTC")),
        "cents": pa.array([Decimal(f"{i}.05") for i in range(N)], pa.decimal128(10, 2)),
    }
    return pa.table(columns)


def restored(table):
    columns = read(table)
    record = json.loads(json.dumps(columns.template.to_dict()))
    return Template.from_dict(record).restore(columns.arrays)


def test_pandas_round_trip_keeps_names_dtypes_and_values():
    table = pandas_table()
    table.index = np.arange(N) + 100
    pd.testing.assert_frame_equal(restored(table), table.reset_index(drop=True))


def test_pandas_integer_labels():
    table = pd.DataFrame({3: [1, 2], 1: ["a", "b"]})
    pd.testing.assert_frame_equal(restored(table), table, check_column_type=False)
    assert read(table).names == ("3", "1")


def test_polars_round_trip_tells_null_from_nan():
    table = polars_table()
    back = restored(table)
    assert back.schema == table.schema
    assert back.equals(table)


def test_pyarrow_round_trip():
    table = arrow_table()
    back = restored(table)
    assert back.schema.equals(table.schema, check_metadata=True)
    assert back.to_pylist() == table.to_pylist()


@pytest.mark.parametrize("make", [pandas_table, polars_table])
def test_narwhals_wrapping_comes_back(make):
    back = restored(nw.from_native(make()))
    assert isinstance(back, nw.DataFrame)
    assert type(back.to_native()) is type(make())


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8", "u2", "?", "M8[ns]", "m8[s]", "M8[D]"])
def test_numpy_round_trip(dtype):
    X = np.arange(12).reshape(6, 2).astype(dtype)
    X.flags.writeable = False
    columns = read(X)
    assert all(values.dtype == X.dtype and values.base is not None for values in columns.arrays)
    back = columns.template.restore(columns.arrays)
    assert back.dtype == X.dtype
    np.testing.assert_array_equal(back, X)


def test_memory_map(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))
    X = np.load(tmp_path / "x.npy", mmap_mode="r")
    back = restored(X)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, X)


def test_object_array_and_list_of_mixed_rows():
    rows = [[1, 2.5, "a", True], [2, None, "b", False], [3, 4.5, None, True]]
    columns = read(rows)
    assert [values.dtype.kind for values in columns.arrays] == ["i", "f", "O", "b"]
    assert restored(rows) == rows
    array = np.array(rows, dtype=object)
    assert restored(array).dtype == object
    assert restored(array).tolist() == rows
    text = np.array([["a", "bc"], ["d", "e"]])
    assert restored(text).dtype == text.dtype
    np.testing.assert_array_equal(restored(text), text)


def test_natural_dtypes_and_declared_categories():
    columns = read(pandas_table())
    arrays = dict(zip(columns.names, columns.arrays, strict=True))
    assert arrays["i8"].dtype == np.int8
    assert arrays["u64"].dtype == np.uint64
    assert arrays["Int"].dtype == np.float64
    assert arrays["maybe"].tolist() == [True, None, False, True, None, True, False]
    assert arrays["date"].dtype == "M8[D]"
    assert arrays["zone"].dtype == "M8[ns]"
    assert arrays["zone"][0] == np.datetime64("2011-03-26T23:00")
    assert is_missing(arrays["day"]).tolist() == [False, False, True] + [False] * 4
    declared = dict(zip(columns.names, columns.template.categories, strict=True))
    assert declared["kind"] == ("z", "y", "x")
    assert declared["label"] == (1, 2, 3)
    assert declared["text"] is None


def test_select_and_take():
    columns = read(polars_table())
    part = columns.select([7, 0]).take(slice(2, 5))
    back = part.template.restore(part.arrays)
    assert back.equals(polars_table().select("enum", "i16").slice(2, 3))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones(3), ValueError, "Expected 2D array, got 1D"),
        (np.ones((2, 2, 2)), ValueError, "dim"),
        (np.ones((3, 2)) * 1j, ValueError, "Complex data not supported"),
        (np.empty((0, 2)), ValueError, r"0 sample\(s\)"),
        (np.empty((2, 0)), ValueError, r"0 feature\(s\)"),
        (sparse.eye(3).tocsr(), TypeError, "[Ss]parse"),
        (np.array([[1.0, 2], [3, np.inf]]), ValueError, "'x1' contains infinity.*row 1"),
        (np.array([[1, 2], [{}, 4]], dtype=object), TypeError, "'x0'.*string or a number"),
        (np.array([[1, 2], ["a", 4]], dtype=object), TypeError, "'x0'.*int.*str"),
        (np.array([[b"a"], [b"b"]]), TypeError, "'x0' is of type binary"),
        ([[1, 2], [3]], ValueError, "rows differ in length"),
        (pd.DataFrame({"a": []}), ValueError, r"0 sample\(s\)"),
        (pd.DataFrame(index=[1, 2]), ValueError, r"0 feature\(s\)"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "unique"),
        (pd.DataFrame({"a": [1, np.inf]}), ValueError, "'a' contains infinity"),
        (pd.DataFrame({"a": [1, "b"]}), TypeError, "'a' holds values of types .'int', 'str'."),
        (pd.DataFrame({"a": [1, 2], "b": [[1], [2]]}), TypeError, "'b' is of type list"),
        (pd.DataFrame({"a": [1j, 2]}), ValueError, "Complex"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])), TypeError, "names"),
        (pl.DataFrame({"b": [[1], [2]]}), TypeError, "'b' is of type .*list"),
        (pl.DataFrame({"b": [b"x"]}), TypeError, "'b' is of type .*binary"),
        (pl.DataFrame({"b": [1]}).lazy(), TypeError, "collect"),
        (
            pd.DataFrame({"b": pd.Categorical(pd.to_datetime(["2026-01-01"]))}),
            TypeError,
            "'b' is of type dictionary",
        ),
        (pa.table([[1], [2]], names=["a", "a"]), ValueError, "found twice: .'a'.; rename"),
        ({"a": [1.0, 2.0], "b": [1.0]}, ValueError, r"columns of one length are needed, found .'a': 2, 'b': 1."),
        ({"a": 1.0}, TypeError, "column 'a' is 1.0 where an array of one value a row is needed"),
        ({"a": np.ones((2, 3))}, TypeError, r"column 'a' has shape \(2, 3\), several values a row"),
        ({}, ValueError, r"0 feature\(s\)"),
        (None, TypeError, "found NoneType"),
        ("table.csv", TypeError, "found str"),
        (pd.Series([1.0, 2.0]), ValueError, r"single column: .*to_frame\(\)"),
        (np.ma.masked_array([[1], [2]], mask=[[True], [False]]), TypeError, "must hold floats.*int64"),
    ],
)
def test_bad_tables(X, error, message):
    with pytest.raises(error, match=message):
        read(X)


def test_what_is_masked_is_missing():
    X = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]])
    first, second = read(X).arrays
    assert first.tolist() == [1, 3]
    assert np.array_equal(second, [np.nan, 4], equal_nan=True)
    assert read(np.ma.masked_array([[1], [2]])).arrays[0].tolist() == [1, 2]


def test_one_row_can_be_refused():
    assert len(read(np.ones((1, 2)))) == 1
    with pytest.raises(ValueError, match=r"1 sample\(s\)"):
        read(np.ones((1, 2)), min_rows=2)
    with pytest.raises(ValueError, match=r"1 sample\(s\)"):
        read(pd.DataFrame({"a": [1]}), min_rows=2)


def test_huge_values_are_no_infinities():
    X = np.full((4, 2), 1e308)
    np.testing.assert_array_equal(restored(X), X)


def test_what_turns_into_arrow_is_read_so():
    table = Table(
        (Column("pt", "GeV"), Column("n", kind="integer")), {"pt": np.array([1.5, 2.5]), "n": np.array([1, 2])}
    )
    columns = read(table)
    assert columns.names == ("pt", "n")
    assert columns.template.restore(columns.arrays) == table.to_arrow()
