"""``buff fit`` and ``buff plan``: options reach the estimator, and nothing but them."""

import json

import numpy as np
import pyarrow as pa
import pytest

import buff as library
from buff.io import TableWriter, read_table


def test_options_become_parameters(buff, folder, tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps({"mass": {"lower": 0}}))
    result = buff(
        *("fit", folder / "train.parquet", "-o", tmp_path / "m.buff", "-c", "mass", "-c", "n"),
        *("--steps", 4, "--solver", "heun", "--rounds", 2, "--depth", 2, "--learning-rate", 0.4),
        *("--noise-budget", 1500, "--early-stopping", 1, "--seed", 5, "--quiet", "--device", "cpu"),
        *("--schema", tmp_path / "schema.json", "--max-rows", 200),
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{tmp_path}/m.buff: 200 events learned")
    assert result.stderr == ""
    model = library.load(tmp_path / "m.buff")
    expected = {"n_steps": 4, "solver": "heun", "n_estimators": 2, "max_depth": 2, "learning_rate": 0.4}
    expected |= {
        "noise_budget": 1500,
        "early_stopping": 1,
        "random_state": 5,
        "schema": {"mass": {"lower": 0}},
    }
    assert {name: model.get_params()[name] for name in expected} == expected
    assert [column.name for column in model.schema_] == ["mass", "n"]


def test_the_command_does_what_the_library_does(folder):
    table = read_table(folder / "train.parquet", ["mass", "n"])
    settings = {"n_steps": 3, "n_estimators": 3, "max_depth": 3, "noise_budget": 2000, "random_state": 1}
    model = library.BUFF(**settings).fit(table)
    assert library.load(folder / "plain.buff").sample(20).equals(model.sample(20))


def test_conditions_and_weights_are_set_aside(folder):
    model = library.load(folder / "conditional.buff")
    assert [column.name for column in model.schema_] == ["mass", "n"]
    means = [np.mean(model.sample(300, condition=[label], random_state=0)["mass"]) for label in "qt"]
    assert means[0] < 120 < 140 < means[1]


def test_plan_prints_and_trains_nothing(buff, folder):
    result = buff("plan", folder / "train.parquet", "--condition", "flavour", "--steps", 5, "--rounds", 10)
    assert result.exit_code == 0, result.stderr
    assert "600 rows, 3 dimensions, " in result.stdout
    assert "memory" in result.stdout


def test_weights_of_both_signs_on_request(buff, folder, tmp_path):
    signed = tmp_path / "signed.csv"
    rows = [f"{i / 100},{-1 if i % 5 == 0 else 1}" for i in range(200)]
    signed.write_text("\n".join(["mass,weight", *rows]) + "\n")
    words = (signed, "-o", tmp_path / "m.buff", "--weight-column", "weight", "--steps", "2", "--rounds", "1", "-q")
    refused = buff("fit", *words)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "40 negative values" in refused.stderr
    assert buff("fit", *words, "--negative-weights", "smooth").exit_code == 0
    assert library.load(tmp_path / "m.buff").get_params()["negative_weights"] == "smooth"


def test_plan_knows_the_schema(buff, folder, tmp_path):
    (tmp_path / "schema.json").write_text('{"nope": "integer"}')
    result = buff("plan", folder / "train.parquet", "--schema", tmp_path / "schema.json")
    assert (result.exit_code, "schema names unknown columns ['nope']" in result.stderr) == (1, True)


def test_a_table_without_rows_is_named(buff, tmp_path):
    (tmp_path / "head.csv").write_text("pt,eta\n")
    result = buff("plan", tmp_path / "head.csv")
    assert (result.exit_code, "head.csv: 0 rows" in result.stderr) == (1, True)


def test_too_little_memory_is_told_before_the_fit(buff, folder):
    result = buff("plan", folder / "train.parquet", "--max-memory", "1MB")
    assert result.exit_code == 1
    assert "max_memory allows 1 MiB" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.parquet"], "no.parquet: no such file"),
        (["{folder}/train.parquet", "--condition", "nope"], "no column 'nope'; it has mass n flavour weight"),
        (["{folder}/train.parquet", "--solver", "nope"], "nope"),
        (["{folder}/train.parquet", "--max-memory", "much"], "--max-memory 'much' is not a size"),
        (["{folder}/train.parquet", "--schema", "{folder}/train.parquet"], "not JSON"),
        (["{folder}/train.parquet", "-c", "mass", "--condition", "mass"], "no column is left to learn"),
        (["{folder}/train.parquet", "--weight-column", "flavour"], "--weight-column flavour is of type"),
        (["{folder}/plain.buff"], "unknown format"),
    ],
)
def test_bad_input_is_one_line_and_status_1(buff, folder, tmp_path, words, message):
    result = buff("fit", *(word.format(folder=folder) for word in words), "-o", tmp_path / "m.buff", "-q")
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.startswith("buff: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_a_place_is_refused_before_the_fit(buff, folder, tmp_path):
    result = buff("fit", folder / "train.parquet", "-o", tmp_path / "no" / "m.buff")
    assert (result.exit_code, result.stderr) == (1, f"buff: {tmp_path}/no: no such folder for the model\n")


def test_columns_that_are_not_read_may_be_excluded(buff, tmp_path):
    uproot, ak = pytest.importorskip("uproot"), pytest.importorskip("awkward")
    rng = np.random.default_rng(0)
    with uproot.recreate(tmp_path / "x.root") as file:
        jagged = ak.Array([[1.0, 2.0], [3.0]] * 30)
        file["Events"] = {"x": rng.normal(size=60), "y": rng.normal(size=60), "jets": jagged}
    words = ("fit", f"{tmp_path}/x.root:Events", "-o", tmp_path / "m.buff", "--noise-budget", 500, "--rounds", 1, "-q")
    assert buff(*words, "--exclude", "jets").exit_code == 0
    result = buff(*words, "--exclude", "jetz")
    assert result.exit_code == 1
    assert "--exclude jetz: no such column" in result.stderr


def test_what_a_fit_has_to_say_is_a_line(buff, tmp_path):
    rows = "\n".join(f"{i},{i * i % 7 + 0.5}" for i in range(1, 101))
    (tmp_path / "t.csv").write_text(f"row,x\n{rows}\n")
    fast = ("--steps", 3, "--rounds", 3, "--noise-budget", 2000, "-q")
    result = buff("fit", tmp_path / "t.csv", "-o", tmp_path / "m.buff", *fast)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("buff: column 'row' rises in every one of 100 rows and is taken for an id")
    assert result.stderr.count("\n") == 1


def test_columns_tell_classes(buff, folder, tmp_path):
    words = ("fit", folder / "train.parquet", "-o", tmp_path / "m.buff", "--condition", "flavour,n", "-q")
    quick = ("--steps", 2, "--rounds", 1, "--classes", "flavour")
    result = buff(*words, *quick)
    assert result.exit_code == 0, result.stderr
    assert library.load(tmp_path / "m.buff").model_.classes.names == ("q", "t")


def test_a_pair_keeps_its_mass(buff, tmp_path):
    rng = np.random.default_rng(0)
    columns = {f"{what}{k}": rng.uniform(-3, 3, 200) for k in (1, 2) for what in ("eta", "phi")}
    columns |= {f"pt{k}": 20 + rng.exponential(10, 200) for k in (1, 2)}
    with TableWriter(tmp_path / "muons.parquet") as out:
        out.write(pa.table(columns))
    words = ("fit", tmp_path / "muons.parquet", "-o", tmp_path / "m.buff", "-q", "--steps", 2, "--rounds", 1)
    plain = buff(*words)
    assert "look like momenta of particles: masses computed from these will be blurred. --pair " in plain.stderr
    result = buff(*words, "--pair", "pt1,eta1,phi1,pt2,eta2,phi2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "pair mass" in buff("inspect", tmp_path / "m.buff").stdout
    result = buff(*words, "--pair", "pt1,eta1,phi1,pt2")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "name six columns" in result.stderr


def test_a_schema_may_stand_on_the_command_line(buff, folder, tmp_path):
    words = (
        "fit",
        folder / "train.parquet",
        "-o",
        tmp_path / "m.buff",
        "-q",
        "--steps",
        2,
        "--rounds",
        1,
        "-c",
        "n,mass",
    )
    result = buff(*words, "--schema", '{"mass": {"lower": 0}}')
    assert result.exit_code == 0, result.stderr
    assert library.load(tmp_path / "m.buff").schema == {"mass": {"lower": 0}}
    result = buff(*words, "--schema", '{"mass": ')
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "--schema: not JSON" in result.stderr
