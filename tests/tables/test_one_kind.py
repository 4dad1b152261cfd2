"""One column, one kind: whoever is asked, and in whichever container it comes."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from buff.datasets import Table
from buff.io import TableWriter, read_table, to_table
from buff.metrics import report
from buff.plotting import observables
from buff.tables import infer_schema, read, read_alike
from buff.tables.empty_columns import with_kinds
from buff.transforms import TableTransformer

N = 60
X = np.arange(N) % 3 + 1
DAYS = np.datetime64("2024-01-01") + X

#: Kind, and the column in a container.
COLUMNS = {
    "pandas categories of integers": ("categorical", pd.DataFrame({"c": pd.Categorical(X)})),
    "arrow dictionary of text": ("categorical", pa.table({"c": pa.array(X.astype(str)).dictionary_encode()})),
    "arrow dictionary of integers": ("categorical", pa.table({"c": pa.array(X).dictionary_encode()})),
    "polars enum": (
        "categorical",
        pl.DataFrame({"c": pl.Series(X.astype(str).tolist(), dtype=pl.Enum(["1", "2", "3"]))}),
    ),
    "strings": ("categorical", {"c": X.astype(str)}),
    "pandas strings": ("categorical", pd.DataFrame({"c": pd.array(X.astype(str), dtype="string")})),
    "booleans": ("boolean", {"c": X > 1}),
    "booleans with gaps": ("boolean", pl.DataFrame({"c": [True, None, False] * (N // 3)})),
    "integers": ("integer", {"c": X}),
    "integers with gaps": ("integer", pd.DataFrame({"c": pd.array([1, None, 3] * (N // 3), dtype="Int64")})),
    "whole floats": ("integer", {"c": X.astype(np.float32)}),
    "floats": ("continuous", {"c": X / 7}),
    "decimals": ("continuous", pa.table({"c": pa.array(X / 4).cast(pa.decimal128(6, 2))})),
    "dates": ("datetime", pa.table({"c": pa.array([date(2024, 1, int(x)) for x in X])})),
    "time stamps": ("datetime", pd.DataFrame({"c": pd.to_datetime(DAYS)})),
    "durations": ("datetime", {"c": DAYS - DAYS[0]}),
    "one value": ("constant", {"c": np.full(N, 4.5)}),
    "one word": ("constant", {"c": np.full(N, "a")}),
    "nothing": ("constant", {"c": np.full(N, np.nan)}),
}


def of_schema(table):
    return infer_schema(read(table))["c"].kind


def of_model(table):
    return TableTransformer().fit(table).schema_["c"].kind


def of_metrics(table):
    result = report(table, table, classifiers=(), floor=False, n_bootstrap=2)
    return next(column.kind for column in result.scores.columns if column.kind != "missing")


def of_plots(table):
    return observables(table, table)[0].kind


def of_datasets(table):
    return Table.from_arrow(to_table(table)).column("c").kind


def of_alike(table):
    return read_alike({"a": table, "b": table}).kinds[0]


@pytest.mark.parametrize("kind_of", [of_schema, of_model, of_metrics, of_plots, of_datasets, of_alike])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_entry_point_names_the_same_kind(kind_of, name):
    kind, table = COLUMNS[name]
    if kind_of is of_metrics and name == "nothing":
        pytest.skip("a column without any value has no distance")
    assert kind_of(table) == kind


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".h5", ".npz", ".csv"])
@pytest.mark.parametrize("name", ["strings", "booleans", "integers", "floats", "dates"])
def test_files_keep_the_kind(tmp_path, suffix, name):
    kind, table = COLUMNS[name]
    text = {"c": np.char.add("q", table["c"])} if name == "strings" else table
    with TableWriter(tmp_path / f"t{suffix}") as out:
        out.write(text)
    assert of_schema(read_table(tmp_path / f"t{suffix}")) == kind


def test_the_schema_of_a_model_rules_everywhere():
    table, other = {"c": X, "q": X / 7}, {"c": X + 0.5, "q": X / 7}
    schema = TableTransformer({"c": "categorical"}).fit(table).schema_
    assert observables(table, table, schema=schema)[0].categories == ("1", "2", "3")
    scored = report(table, table, classifiers=(), floor=False, n_bootstrap=2, schema=schema).scores.columns
    assert [column.kind for column in scored] == ["categorical", "continuous"]
    assert read_alike({"a": table, "b": other}).kinds[0] == "continuous"
    assert infer_schema(read(table), schema)["c"].kind == "categorical"
    with pytest.raises(ValueError, match="'q' is not boolean: it holds more than two values"):
        report(table, table, schema={"q": "boolean"})
    with pytest.raises(ValueError, match="kind of column 'q' must be one of .*, found 'number'"):
        observables(table, table, schema={"q": "number"})


def test_types_that_cannot_meet_are_told():
    for other in (X.astype(str), DAYS, DAYS - DAYS[0]):
        with pytest.raises(ValueError, match="column 'c' is int64 in real and .* in generated: give both one type"):
            report({"c": X}, {"c": other})
    assert read_alike({"a": {"c": X > 1}, "b": {"c": (X > 1).astype(int)}}).kinds == ("boolean",)
    declared = pd.DataFrame({"c": pd.Categorical(X)})
    (drawn,) = observables(declared, {"c": X})
    np.testing.assert_array_equal(drawn.real, drawn.generated)


def test_columns_that_are_asked_for_are_named_where_they_are_not():
    tables = {"real": {"a": [1, 2], "b": [3, 4]}, "made": {"b": [3, 4]}}
    assert read_alike(tables, ["b"]).names == ("b",)
    with pytest.raises(ValueError, match="made has no column 'a'; it has b"):
        read_alike(tables, ["b", "a"])


def test_booleans_with_gaps_beside_flags_of_numbers_are_booleans():
    alike = read_alike({"real": {"a": [True, None, False]}, "made": {"a": [1, 0, 1]}})
    assert alike.kinds == ("boolean",)


def test_plain_numbers_are_tables_of_a_column():
    alike = read_alike({"real": np.arange(5.0), "made": np.arange(3.0)})
    assert [len(part) for part in alike.parts(0)] == [5, 3]


def test_a_column_without_values_is_named_where_no_container_tells_its_kind():
    like, empty = read(pd.DataFrame({"a": [1.0], "b": [1.0]})), read(pl.DataFrame({"b": [1.0], "a": [None]}))
    with pytest.raises(TypeError, match="column 'a' holds no value, and polars says no kind of it"):
        with_kinds(empty, like.template, [np.dtype(float)] * 2)
