"""``buff sample``: the same events however they are cut, with their conditions, or one line why not."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buff import BUFF
from buff.io import TableWriter, read_table, units_of


def test_chunks_change_nothing(buff, folder, tmp_path):
    for chunk in (1000, 70):
        words = ("sample", folder / "plain.buff", "-n", 200, "--seed", 3, "--chunk", chunk, "-q")
        result = buff(*words, "-o", tmp_path / f"{chunk}.parquet")
        assert result.stdout == f"{tmp_path}/{chunk}.parquet: 200 events, seed 3\n"
    whole = read_table(tmp_path / "1000.parquet")
    assert whole.equals(read_table(tmp_path / "70.parquet"))
    assert whole.num_rows == 200
    assert units_of(whole) == {"mass": "GeV"}


def test_a_sample_goes_on_where_it_stopped(buff, folder, tmp_path):
    for name, n, first in (("all", 50, 0), ("rest", 20, 30)):
        words = ("-n", n, "--first-event", first, "--seed", 3, "-q")
        assert buff("sample", folder / "plain.buff", "-o", tmp_path / f"{name}.feather", *words).exit_code == 0
    assert read_table(tmp_path / "all.feather").slice(30).equals(read_table(tmp_path / "rest.feather"))


def test_without_a_seed_events_are_new_and_the_seed_is_told(buff, folder, tmp_path):
    first, second = (
        buff("sample", folder / "plain.buff", "-n", 20, "-o", tmp_path / f"{name}.csv", "-q") for name in "ab"
    )
    assert (tmp_path / "a.csv").read_text() != (tmp_path / "b.csv").read_text()
    seed = first.stdout.split()[-1]
    buff("sample", folder / "plain.buff", "-n", 20, "-o", tmp_path / "b.csv", "-q", "--seed", seed)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert second.exit_code == 0


def test_conditions_stand_beside_the_events(buff, folder, tmp_path):
    model = folder / "conditional.buff"
    assert buff("sample", model, "-n", 300, "-o", tmp_path / "drawn.parquet", "-q").exit_code == 0
    drawn = read_table(tmp_path / "drawn.parquet")
    assert drawn.column_names == ["mass", "n", "flavour"]
    assert 0.3 < drawn["flavour"].to_pylist().count("t") / 300 < 0.7
    words = ("-n", 30, "--chunk", 20, "--given", "flavour=t", "-q")
    assert buff("sample", model, "-o", tmp_path / "tops.parquet", *words).exit_code == 0
    assert read_table(tmp_path / "tops.parquet")["flavour"].to_pylist() == ["t"] * 30


def test_a_table_of_conditions_is_followed_row_by_row(buff, folder, tmp_path):
    labels = ["t", "q", "q", "t", "t"] * 20
    with TableWriter(tmp_path / "labels.csv") as out:
        out.write(pa.table({"flavour": labels}))
    cuts = {"all": ["--chunk", 30], "some": ["-n", 70], "shard": ["-n", 50, "--first-event", 45, "--chunk", 20]}
    cuts["rest"] = ["--first-event", 45]
    for name, words in cuts.items():
        given = ("--condition", tmp_path / "labels.csv", "--seed", 2, "-q", *words)
        result = buff("sample", folder / "conditional.buff", "-o", tmp_path / f"{name}.parquet", *given)
        assert result.exit_code == 0, result.stderr
    everything, some, shard, rest = (read_table(tmp_path / f"{name}.parquet") for name in cuts)
    assert everything["flavour"].to_pylist() == labels
    assert everything.slice(0, 70).equals(some)
    assert everything.slice(45, 50).equals(shard)
    assert everything.slice(45).equals(rest)


def test_conditions_are_found_by_name_among_other_columns(buff, folder, tmp_path):
    for name, table in (("wide", folder / "test.parquet"), ("narrow", tmp_path / "labels.csv")):
        if name == "narrow":
            with TableWriter(table) as out:
                out.write(read_table(folder / "test.parquet", ["flavour"]))
        given = ("--condition", table, "-n", 20, "--seed", 2, "-q")
        result = buff("sample", folder / "conditional.buff", "-o", tmp_path / f"{name}.parquet", *given)
        assert result.exit_code == 0, result.stderr
    wide = read_table(tmp_path / "wide.parquet")
    assert wide.column_names == ["mass", "n", "flavour"]
    assert wide.equals(read_table(tmp_path / "narrow.parquet"))


def test_a_failed_sample_leaves_no_bar(buff, folder, tmp_path):
    result = buff("sample", folder / "plain.buff", "-o", tmp_path / "x.csv", "--given", "flavour=t")
    assert result.exit_code == 1
    assert result.stderr.startswith("buff: ")
    assert result.stderr.count("\n") == 1


def test_progress_goes_to_standard_error(buff, folder, tmp_path):
    result = buff("sample", folder / "plain.buff", "-n", 40, "-o", tmp_path / "x.csv")
    assert "40.0/40.0" in result.stderr
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{folder}/train.parquet"], "not a buff model"),
        (["no.buff"], "no.buff"),
        (["{folder}/plain.buff", "--given", "flavour=t"], "fitted without condition"),
        (["{folder}/conditional.buff", "--given", "flavour=zz"], "unknown value 'zz'"),
        (["{folder}/conditional.buff", "--given", "flavour"], "write it as NAME=VALUE"),
        (["{folder}/conditional.buff", "--condition", "{folder}/test.parquet", "--given", "a=1"], "exclude"),
        (
            ["{folder}/conditional.buff", "--condition", "{folder}/labels.csv", "-n", "4"],
            "labels.csv has 3 conditions, --number asks for 4",
        ),
        (
            ["{folder}/conditional.buff", "--condition", "{folder}/labels.csv", "--first-event", "3"],
            "labels.csv has 3 conditions, --first-event 3 begins behind them: event i takes row i",
        ),
        (["{folder}/conditional.buff", "--condition", "{folder}/no_flavour.csv"], "lacks the columns ['flavour']"),
        (["{folder}/conditional.buff", "--condition", "{folder}/empty.csv"], "empty.csv has no conditions"),
    ],
)
def test_bad_input_is_one_line_and_status_1(buff, folder, tmp_path, words, message):
    result = buff("sample", *(word.format(folder=folder) for word in words), "-o", tmp_path / "x.parquet", "-q")
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_cut_short_is_told(buff, folder, tmp_path):
    whole = (folder / "plain.buff").read_bytes()
    (tmp_path / "m.buff").write_bytes(whole[: len(whole) // 2])
    result = buff("sample", tmp_path / "m.buff", "-o", tmp_path / "x.csv")
    assert result.exit_code == 1
    assert "cut short" in result.stderr


def test_conditions_of_many_kinds_are_written_in_their_own(buff, tmp_path):
    rng, n = np.random.default_rng(0), 60
    when = np.datetime64("2020-01-01") + rng.integers(0, 90, n).astype("m8[D]")
    columns = {
        "x": rng.normal(size=n),
        "when": when,
        "site": rng.choice(["Bonn, DE", "Rome, IT"], n),
        "on": rng.random(n) < 0.5,
    }
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    names, quick = "when,site,on", ("--noise-budget", 500, "--rounds", 1, "--steps", 2)
    buff("fit", tmp_path / "events.parquet", "-o", tmp_path / "m.buff", "--condition", names, "-q", *quick)
    given = ("--given", "when=2020-02-03,site=Bonn, DE", "--given", "on=true")
    result = buff("sample", tmp_path / "m.buff", "-o", tmp_path / "out.parquet", "-n", 3, "-q", *given)
    assert result.exit_code == 0, result.stderr
    out = read_table(tmp_path / "out.parquet")
    assert out.schema.types == pa.table(columns).schema.types
    assert out.slice(0, 1).to_pylist()[0] | {"x": 0} == {
        "x": 0,
        "when": date(2020, 2, 3),
        "site": "Bonn, DE",
        "on": True,
    }


def test_conditions_are_read_as_told(buff, folder, tmp_path):
    (tmp_path / "plain.csv").write_text("flavour,x\nt,1.5\nq,2.5\n")
    (tmp_path / "german.csv").write_text("# made by hand\nx;flavour\n1,5;t\n2,5;q\n")
    told = {"plain": (), "german": ("--sep", ";", "--decimal", ",", "--comment", "#")}
    for name, how in told.items():
        words = ("--condition", tmp_path / f"{name}.csv", "--seed", 1, "-q", *how)
        result = buff("sample", folder / "conditional.buff", "-o", tmp_path / f"{name}.parquet", *words)
        assert result.exit_code == 0, result.stderr
    assert read_table(tmp_path / "plain.parquet").equals(read_table(tmp_path / "german.parquet"))


def test_labels_that_look_like_numbers_are_read_from_files_as_texts(buff, tmp_path):
    rng = np.random.default_rng(0)
    labels = pa.array(rng.choice(["1", "2"], 300).tolist())
    model = BUFF(noise_budget=2_000, n_estimators=2, random_state=0)
    model.fit(pa.table({"x": rng.normal(size=300)}), condition=pa.table({"lab": labels})).save(tmp_path / "m.buff")
    (tmp_path / "asked.csv").write_text("lab\n2\n1\n2\n")
    result = buff(
        "sample", tmp_path / "m.buff", "--condition", tmp_path / "asked.csv", "-o", tmp_path / "x.parquet", "-q"
    )
    assert result.exit_code == 0, result.stderr
    assert read_table(tmp_path / "x.parquet")["lab"].to_pylist() == ["2", "1", "2"]


def test_events_go_to_a_tree_of_the_name_they_were_learned_from(buff, folder, tmp_path):
    uproot = pytest.importorskip("uproot")
    with TableWriter(tmp_path / "muons.root:Muons") as out:
        out.write(read_table(folder / "train.parquet", ["mass", "n"]))
    fast = ("--steps", 2, "--rounds", 2, "--noise-budget", 1000, "-q")
    assert buff("fit", tmp_path / "muons.root", "-o", tmp_path / "m.buff", *fast).exit_code == 0
    for name in ("one.root", "two.root:Own"):
        assert buff("sample", tmp_path / "m.buff", "-n", 20, "-o", tmp_path / name, "-q").exit_code == 0
    names = [uproot.open(tmp_path / name).keys(cycle=False) for name in ("one.root", "two.root")]
    assert names == [["Muons"], ["Own"]]
