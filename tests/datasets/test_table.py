import copy
import pickle

import numpy as np
import pytest

from buff.datasets import Column, Table


@pytest.fixture
def table():
    columns = (
        Column("mass", "GeV", "continuous", "invariant mass"),
        Column("kind", kind="categorical"),
        Column("event", kind="integer"),
    )
    data = {
        "mass": np.linspace(50, 100, 60, dtype=np.float32),
        "kind": np.array(["w", "z"] * 30),
        "event": np.repeat(np.arange(20), 3),
    }
    return Table(columns, data, {"made_by": "a test"})


def same(a, b):
    return (
        a.columns == b.columns
        and dict(a.metadata) == dict(b.metadata)
        and all(np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a.names)
    )


def test_columns(table):
    assert table.names == ("mass", "kind", "event")
    assert table.units == {"mass": "GeV", "kind": "1", "event": "1"}
    assert (table.column("mass").label, table.column("event").label) == ("mass [GeV]", "event")
    assert len(table) == 60


def test_data_cannot_be_written(table):
    with pytest.raises(ValueError, match="read-only"):
        table["mass"][0] = 1
    with pytest.raises(TypeError):
        table.data["mass"] = np.zeros(60)


def test_the_array_of_the_caller_stays_writable():
    values = np.zeros(3)
    Table((Column("x"),), {"x": values})
    values[0] = 1


def test_select_and_rows(table):
    part = table.select(["event", "mass"]).rows(table["kind"] == "w")
    assert part.names == ("event", "mass")
    np.testing.assert_array_equal(part["mass"], table["mass"][::2])


def test_to_numpy_takes_columns_of_numbers(table):
    assert table.to_numpy().shape == (60, 2)
    np.testing.assert_array_equal(table.to_numpy(["event"])[:, 0], table["event"])


def test_frames(table):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for frame, kind in ((table.to_pandas(), pandas.DataFrame), (table.to_polars(), polars.DataFrame)):
        assert isinstance(frame, kind)
        assert tuple(frame.columns) == table.names
        np.testing.assert_array_equal(np.asarray(frame["mass"]), table["mass"])
        assert list(frame["kind"]) == list(table["kind"])


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_a_missing_frame_library_is_named(table, name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ImportError, match=f"{name} is not installed: pip install"):
        getattr(table, f"to_{name}")()


@pytest.mark.parametrize(
    "there_and_back",
    [lambda t: Table.from_arrow(t.to_arrow()), lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy],
)
def test_round_trips(table, there_and_back):
    assert same(there_and_back(table), table)


def test_arrow_without_our_metadata():
    pa = pytest.importorskip("pyarrow")
    table = Table.from_arrow(pa.table({"x": [0.5, 1.5], "i": [1, 2], "s": ["a", "b"], "b": [True, False]}))
    assert [c.kind for c in table.columns] == ["continuous", "integer", "categorical", "boolean"]


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
def test_split_keeps_groups_together(table, fraction):
    first, second = table.split(fraction, random_state=3)
    assert not set(first["event"]) & set(second["event"])
    assert len(first) + len(second) == 60
    assert abs(len(first) - 60 * fraction) <= 1.5
    assert (np.diff(first["mass"]) > 0).all()


def test_split_by_rows_and_by_another_column(table):
    first, _ = table.select(["mass"]).split(0.35, random_state=0)
    assert len(first) == 21
    first, second = table.split(0.5, groups="kind", random_state=0)
    assert len(set(first["kind"])) == len(set(second["kind"])) == 1


def test_split_follows_the_seed(table):
    a, b, c = (table.split(0.5, random_state=seed)[0]["event"] for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert np.array_equal(a, table.split(0.5, random_state=np.random.default_rng(1))[0]["event"])


def test_errors(table):
    with pytest.raises(ValueError, match="no column 'pt'; the columns are mass, kind, event"):
        table["pt"]
    with pytest.raises(ValueError, match=r"fraction lies between 0 and 1, got 1\.0"):
        table.split(1.0, random_state=0)
    with pytest.raises(ValueError, match="name different things"):
        Table((Column("x"), Column("x")), {"x": np.zeros(2)})
    with pytest.raises(ValueError, match=r"one length, got shapes \{'x': \(2,\), 'y': \(3,\)\}"):
        Table((Column("x"), Column("y")), {"x": np.zeros(2), "y": np.zeros(3)})
    with pytest.raises(ValueError, match="one-dimensional"):
        Table((Column("x"),), {"x": np.zeros((2, 2))})
