"""Containers of every library go in and come back, or an error says what to convert."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import awkward as ak
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import buff
from buff.tables import Template, read, to_arrow

torch = pytest.importorskip("torch")

N = 120
RNG = np.random.default_rng(0)
PT, COUNT = RNG.exponential(size=N), RNG.integers(0, 9, N)
WORD = np.array(["e", "mu"])[COUNT % 2]


def arrow_backed(values, kind):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))


def sparse_frame():
    return pd.DataFrame(
        {
            "hits": pd.arrays.SparseArray(np.where(COUNT > 6, COUNT, 0)),
            "pt": pd.arrays.SparseArray(np.where(COUNT > 6, PT, np.nan)),
            "tight": pd.arrays.SparseArray(COUNT > 6),
        }
    )


def pyarrow_frame():
    levels = pa.dictionary(pa.int32(), pa.string())
    cents = [Decimal(f"{k}.25") for k in COUNT]
    return pd.DataFrame(
        {
            "kind": arrow_backed(pa.array(WORD).dictionary_encode().cast(levels), levels),
            "money": arrow_backed(cents, pa.decimal128(8, 2)),
            "word": arrow_backed(WORD, pa.string()),
            "large": arrow_backed(WORD, pa.large_string()),
            "n": arrow_backed([None, *COUNT[:0:-1].tolist()], pa.int32()),
            "when": arrow_backed(COUNT.astype("M8[s]"), pa.timestamp("ms", "UTC")),
        }
    )


STRUCTURED = np.empty(N, [("pt", "f4"), ("n", ">i2"), ("word", "U2"), ("a/b", "?")])
STRUCTURED["pt"], STRUCTURED["n"], STRUCTURED["word"], STRUCTURED["a/b"] = PT, COUNT, WORD, COUNT > 4

CONTAINERS = {
    "dict": {"pt": PT, "n": COUNT.astype(np.int16), "word": WORD, "day": COUNT.astype("M8[D]")},
    "structured": STRUCTURED,
    "recarray": STRUCTURED.view(np.recarray),
    "awkward": ak.zip({"pt": PT, "n": COUNT, "word": ak.Array(WORD.tolist())}),
    "torch": torch.tensor(np.column_stack([PT, COUNT]), dtype=torch.float32),
    "record batch": pa.RecordBatch.from_pydict({"pt": PT, "n": COUNT, "word": pa.array(WORD)}),
    "sparse": sparse_frame(),
    "pandas arrow": pyarrow_frame(),
    "long double": np.column_stack([PT, COUNT]).astype(np.longdouble),
    "long double frame": pd.DataFrame({"pt": PT.astype(np.longdouble), "n": COUNT}),
    "Int128": pl.DataFrame({"n": pl.Series(COUNT.tolist(), dtype=pl.Int128), "pt": PT}),
    "odd labels": pd.DataFrame({1: PT, "a": COUNT}),
}


def same(one, other):
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_column_type=False)
    elif isinstance(one, Mapping):
        assert list(one) == list(other)
        for name in one:
            assert one[name].dtype == other[name].dtype
            np.testing.assert_array_equal(one[name], other[name])
    elif isinstance(one, ak.Array):
        assert one.to_list() == other.to_list()
        assert one.fields == other.fields
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, pl.DataFrame | pa.RecordBatch):
        assert one.schema == other.schema
        assert one.equals(other)
    else:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", CONTAINERS)
def test_it_comes_back_as_it_was(name):
    table = CONTAINERS[name]
    columns = read(table)
    back = Template.from_dict(columns.template.to_dict()).restore(columns.arrays)
    assert type(back) is type(table)
    same(table, back)
    assert to_arrow(table).num_rows == N


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name != "odd labels"])
def test_a_model_gives_back_what_it_was_given(name, tmp_path):
    table = CONTAINERS[name]
    model = buff.BUFF(n_steps=2, n_estimators=2, noise_budget=500, random_state=0).fit(table)
    model.save(tmp_path / "m.buff")
    events = buff.load(tmp_path / "m.buff").sample(7)
    assert type(events) is type(table)
    assert len(read(events)) == 7
    assert read(events).template.dtypes == read(table).template.dtypes
    same(events, model.sample(7))


def zoned(hours):
    return datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=hours)))


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (pd.DataFrame({"when": pd.Series([zoned(0), zoned(1)], dtype=object)}), ValueError,
         "'when' holds dates of different time zones .UTC, UTC.01:00.*utc=True"),
        (pd.DataFrame([[1, 2, 3]], columns=[1, "1", 2]), ValueError, "unique as text: 1 .int. and '1' .str. are not"),
        (pd.DataFrame([[1, 2]], columns=[None, "a"]), TypeError, "found None for column 0: rename"),
        (pd.DataFrame({"n": [2**70, 1]}), ValueError, "'n' holds integers beyond 64 bits: convert it"),
        ([[2**70], [1]], ValueError, "'x0' holds integers beyond 64 bits"),
        (pl.DataFrame({"n": pl.Series([2**70, 1], dtype=pl.Int128)}), ValueError, "'n' holds integers beyond 64 bits"),
        (pd.DataFrame({"n": pd.array([2**60, None], dtype="Int64")}), ValueError, "'n' .* above 2.53, beside missing"),
        (pd.DataFrame({"d": [{"a": 1}, {"a": 2}]}), TypeError, "'d' holds records .struct.*each field a column"),
        (ak.Array([[1.0], [1.0, 2.0]]), TypeError, "jagged and no table: give records"),
        (ak.zip({"n": [1, 2], "v": [[1.0], [1.0, 2.0]]}, depth_limit=1), TypeError, r"'v' holds .*ak\.firsts"),
        (np.zeros(3, [("v", "f4", (2,))]), TypeError, r"'v' has shape \(3, 2\), several values a row"),
        ({"a": torch.zeros(3, 2)}, TypeError, "'a' has shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_what_to_convert(table, error, message):
    with pytest.raises(error, match=message):
        read(table)


def test_integers_above_the_reach_of_floats_keep_their_lattice():
    ids = {"id": 2**60 + 3 * np.arange(500)}
    space = buff.transforms.TableTransformer().fit(ids)
    back = space.inverse_transform(space.encode(ids, np.random.default_rng(0)))["id"]
    assert back.dtype == np.int64
    assert ((back - 2**60) % 3 == 0).all()


def test_scikit_learn_keeps_names_of_any_container():
    space = buff.transforms.TableTransformer().fit(CONTAINERS["dict"])
    assert space.feature_names_in_.tolist() == ["pt", "n", "word", "day"]
    with pytest.raises(ValueError, match="feature names"):
        space.transform({"pt": PT, "word": WORD, "n": COUNT, "day": COUNT.astype("M8[D]")})


def test_lists_of_one_type_are_arrays_of_it():
    kinds = [values.dtype.kind for values in read({"a": [True, False], "b": [1, 2.5], "c": ["x", "y"]}).arrays]
    assert kinds[:2] == ["b", "f"]
