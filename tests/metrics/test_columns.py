import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from buff.datasets import Column, Table
from buff.metrics.columns import read_tables


def test_the_same_table_in_all_forms():
    mapping = {"pt": [1.0, 2.0, np.nan], "tag": ["b", "c", "b"]}
    objects = np.array([[1.0, "b"], [2.0, "c"], [None, "b"]], dtype=object)
    structured = np.array([(1.0, "b"), (2.0, "c"), (np.nan, "b")], dtype=[("pt", float), ("tag", "U1")])
    own = Table((Column("pt", "GeV"), Column("tag")), {name: np.array(values) for name, values in mapping.items()})
    for table in (mapping, pd.DataFrame(mapping), pl.DataFrame(mapping), pa.table(mapping), own, structured):
        (read,) = read_tables({"real": table})
        assert (read.names, read.categorical, read.incomplete) == (("pt", "tag"), (1,), (0,))
        np.testing.assert_array_equal(read.values, [[1.0, 0], [2.0, 1], [np.nan, 0]])
    (read,) = read_tables({"real": objects}, ["pt", "tag"])
    np.testing.assert_array_equal(read.values, [[1.0, 0], [2.0, 1], [np.nan, 0]])


def test_codes_are_common_and_unseen_categories_come_last():
    known, other = {"tag": ["c", "b", "b"]}, {"tag": ["tau", "c", None]}
    real, generated = read_tables({"real": known, "generated": other})
    np.testing.assert_array_equal(real.values[:, 0], [1, 0, 0])
    # missing, then tau
    np.testing.assert_array_equal(generated.values[:, 0], [3, 1, 2])


def test_kinds():
    times = np.array(["2024-01-01T00:00:01", "NaT"], dtype="M8[s]")
    table = {
        "flag": [True, False],
        "time": times,
        "missing": [None, None],
        "nullable": pd.array([1, None], dtype="Int64"),
        "boxed_flag": np.array([True, None], dtype=object),
    }
    (read,) = read_tables({"real": table})
    assert [read.names[k] for k in read.categorical] == ["flag", "boxed_flag"]
    assert read.values[0, 1] == pytest.approx(1704067201.0)
    assert np.isnan(read.values[1, 1])
    assert np.isnan(read.values[:, 2]).all()
    np.testing.assert_array_equal(read.values[:, 3], [1.0, np.nan])


def test_columns_are_matched_by_name():
    real, generated = read_tables(
        {"real": {"a": [1.0], "b": [2.0]}, "generated": {"b": [4.0], "a": [3.0]}}, columns=["b", "a"]
    )
    np.testing.assert_array_equal(real.values, [[2.0, 1.0]])
    np.testing.assert_array_equal(generated.values, [[4.0, 3.0]])


def test_select_and_join_keep_the_marks():
    tables = {
        "real": {"a": [1.0, 1.0], "b": ["x", "x"], "c": [np.nan, 1]},
        "other": {"a": [2.0, 3.0], "b": ["y", "x"], "c": [0, 1]},
    }
    real, other = read_tables(tables)
    chosen = real.join(other).select([2, 1])
    assert (chosen.names, chosen.categorical, chosen.incomplete) == (("c", "b"), (1,), (0,))
    np.testing.assert_array_equal(chosen.values, [[np.nan, 0], [1, 0], [0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("generated", "message"),
    [
        ({"a": [1.0]}, "generated and real differ in columns: b"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "generated: columns of one length"),
        ({"a": [], "b": []}, "generated has no rows"),
        ({"a": [1.0], "b": [np.inf]}, "generated: column 'b' contains infinity .inf. in 1 rows, the first is row 0"),
    ],
)
def test_bad_tables_are_named(generated, message):
    with pytest.raises(ValueError, match=message):
        read_tables({"real": {"a": [1.0], "b": [1.0]}, "generated": generated})


def test_bad_column_names():
    with pytest.raises(ValueError, match="columns: 2 different names expected for real, found"):
        read_tables({"real": np.zeros((3, 2))}, ["a", "a"])
    with pytest.raises(ValueError, match="real has no column 'c'; it has a"):
        read_tables({"real": {"a": [1.0]}}, ["c"])


def test_tables_without_a_label_in_common_are_told_of():
    real = {"flavour": ["b", "c", "b"], "x": [1.0, 2.0, 3.0]}
    other = real | {"flavour": ["B", "C", "light"]}
    with pytest.warns(
        UserWarning, match="column 'flavour': generated has none of the labels of real, 'B', 'C', 'light'"
    ):
        read_tables({"real": real, "generated": other, "train": real})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_tables({"real": real, "generated": other | {"flavour": ["b", "B", "C"]}})
        read_tables({"real": real, "generated": other | {"flavour": [None, None, None]}})
