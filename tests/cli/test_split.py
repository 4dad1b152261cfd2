"""``buff split``: events kept aside, in any format."""

import numpy as np
import pyarrow as pa
import pytest

from buff.io import TableWriter, read_table


@pytest.fixture
def events(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table({"event": np.repeat(np.arange(500), 4), "pt": rng.exponential(size=2000), "n": np.arange(2000)})
    with TableWriter(tmp_path / "all.parquet") as out:
        out.write(table)
    return tmp_path


@pytest.mark.parametrize(("first", "second"), [("a.parquet", "b.csv"), ("a.npz", "b.feather"), ("a.root", "b.h5")])
def test_every_event_is_in_one_of_the_files(buff, events, first, second):
    if first.endswith(".root"):
        pytest.importorskip("uproot")
        pytest.importorskip("h5py")
    words = ("split", events / "all.parquet", "-o", events / first, events / second, "--fraction", 0.3, "--seed", 5)
    result = buff(*words)
    assert result.exit_code == 0, result.stderr
    rows = [read_table(events / name)["n"].to_numpy() for name in (first, second)]
    assert sorted(np.concatenate(rows)) == list(range(2000))
    assert all(np.all(np.diff(part) > 0) for part in rows)  # in the order of the file
    assert len(rows[0]) == pytest.approx(600, abs=100)
    assert result.stdout == f"{events / first}: {len(rows[0]):,} events\n{events / second}: {len(rows[1]):,} events\n"
    buff(*words)
    assert np.array_equal(read_table(events / first)["n"].to_numpy(), rows[0])


def test_a_group_stays_together(buff, events):
    paths = events / "a.parquet", events / "b.parquet"
    assert buff("split", events / "all.parquet", "-o", *paths, "--group", "event").exit_code == 0
    first, second = (set(read_table(path)["event"].to_pylist()) for path in paths)
    assert not first & second
    assert 200 < len(first) < 300


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "a.csv", "a.csv"), "three different files are needed"),
        (("-o", "all.parquet", "b.csv"), "three different files are needed"),
        (("-o", "a.csv", "b.csv", "--group", "run"), "no column 'run' to group by; it has event pt n"),
        (("-o", "a.csv", "b.csv", "--fraction", "1.5"), "fraction must lie in [0, 1]"),
        (("-o", "a.csv", "b.csv", "--fraction", "0"), "0 and 2000 rows in the parts"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(buff, events, monkeypatch, words, message):
    monkeypatch.chdir(events)
    result = buff("split", "all.parquet", *words)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert message in result.stderr
    assert [path.name for path in events.iterdir()] == ["all.parquet"]


def test_a_tree_keeps_its_name(buff, events):
    uproot = pytest.importorskip("uproot")
    with TableWriter(events / "all.root:Muons") as out:
        out.write(read_table(events / "all.parquet"))
    result = buff("split", events / "all.root", "-o", events / "one.root", events / "two.root:Own")
    assert result.exit_code == 0, result.stderr
    assert [uproot.open(events / name).keys(cycle=False) for name in ("one.root", "two.root")] == [["Muons"], ["Own"]]
