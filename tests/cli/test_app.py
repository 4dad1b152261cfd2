"""The command as a whole: help, versions, exit states, and what it costs to ask."""

import subprocess
import sys

import pytest

VERBS = ["demo", "fit", "sample", "evaluate", "inspect", "plan", "samplers"]


def run(*words):
    return subprocess.run([sys.executable, "-m", "buff", *words], capture_output=True, text=True, check=False)


def test_python_m_buff_is_the_command():
    result = run("--help")
    assert result.returncode == 0
    assert all(f"\n  {verb}" in result.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example(buff, verb):
    result = buff(verb, "--help")
    assert result.exit_code == 0
    assert f"\n    buff {verb}" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) < 125


def test_asking_for_help_loads_nothing_heavy():
    code = (
        "import sys; from buff.cli import app\n"
        "app(['fit', '--help'], standalone_mode=False)\n"
        "heavy = {'xgboost', 'sklearn', 'pyarrow', 'matplotlib', 'pandas', 'torch'}\n"
        "print(heavy & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("words", [["nonsense"], ["fit"], ["fit", "x.csv"], ["sample", "m.buff", "-n", "0", "-o", "x"]])
def test_a_command_line_that_makes_no_sense_is_status_2(buff, words):
    result = buff(*words)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_version(buff):
    result = buff("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("buff")


def test_a_traceback_is_there_for_who_asks(buff, tmp_path):
    quiet = buff("inspect", tmp_path / "no.buff")
    loud = buff("--traceback", "inspect", tmp_path / "no.buff")
    assert quiet.exit_code == 1
    assert isinstance(quiet.exception, SystemExit)
    assert isinstance(loud.exception, FileNotFoundError)


def test_inspect_shows_columns_settings_and_nodes(buff, folder):
    result = buff("inspect", folder / "conditional.buff")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{folder}/conditional.buff: BUFF, 0.")
    assert any(line.split()[:3] == ["n", "integer", "Int64"] for line in lines)
    assert any(line.split() == ["n_steps", "3"] for line in lines)
    assert any(line.split()[:2] == ["t", "rounds"] for line in lines)
    asked = lines.index("given the condition")
    assert lines[asked + 2].split()[:2] == ["flavour", "categorical"]
    assert "given the condition" not in buff("inspect", folder / "plain.buff").stdout


def test_samplers_are_listed_in_columns(buff):
    from buff.solvers import SOLVERS

    table, _, legend = buff("samplers").stdout.partition("\n\n")
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(SOLVERS)
    place = lines[0].index("reference")
    assert all(line[place - 1] == " " != line[place] for line in lines[1:])
    assert all(f"\n{word}: " in f"\n{legend}" for word in ("evaluations", "noise", "stays on"))
    assert "N steps" in legend


def test_a_sampler_is_described_with_what_can_be_set(buff):
    shown = buff("samplers", "restart_nodes").stdout
    assert "hyperparameters  inner=" in shown
    assert "s_noise : float" in shown
    unknown = buff("samplers", "hein")
    assert unknown.exit_code == 1
    assert "unknown solver 'hein'" in unknown.stderr


def test_inspect_aligns_settings_whatever_their_names(buff, folder):
    table = buff("inspect", folder / "plain.buff").stdout.split("\n\n")[2].splitlines()
    assert max(len(line.split()[0]) for line in table) >= len("negative_weights")
    place = table[0].index(table[0].split()[1])
    assert all(line[place - 1] == " " != line[place] for line in table)


@pytest.mark.parametrize("verb", ["inspect", "sample"])
def test_a_missing_model_is_told_as_a_missing_table_is(buff, verb, tmp_path):
    words = ["-o", tmp_path / "x.csv"] if verb == "sample" else []
    result = buff(verb, tmp_path / "no.buff", *words)
    assert (result.exit_code, result.stderr) == (1, f"buff: {tmp_path}/no.buff: no such file\n")


def test_demo_says_that_it_writes_a_page(buff):
    assert "buff_demo.html" in " ".join(buff("demo", "--help").stdout.split())


@pytest.mark.parametrize(
    ("options", "name"),
    [([], "run_demo"), (["--jets"], "run_jets"), (["--showers"], "run_showers"), (["--unfold"], "run_unfolding")],
)
def test_demo_hands_its_options_to_the_library(buff, monkeypatch, tmp_path, options, name):
    from buff import demo

    taken = {}
    for run in ("run_demo", "run_jets", "run_showers", "run_unfolding"):
        monkeypatch.setattr(demo, run, lambda run=run, **options: taken.update({run: options}))
    assert buff("demo", *options, "--report", tmp_path / "demo.html", "--seed", 4, "-j", 2).exit_code == 0
    assert taken == {name: {"report": tmp_path / "demo.html", "random_state": 4, "n_jobs": 2}}


def test_one_demonstration_at_a_time(buff):
    result = buff("demo", "--jets", "--unfold")
    assert (result.exit_code, result.stderr) == (1, "buff: --jets and --unfold: one demonstration at a time\n")


def test_who_reads_a_few_lines_only_sees_no_trace():
    words = f"{sys.executable} -m buff samplers | head -1"
    result = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)
    assert result.stderr == ""
    assert result.stdout.startswith("name")
