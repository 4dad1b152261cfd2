"""What users see: the names, and the README that they copy from."""

import re
import subprocess
import sys
import tomllib
from inspect import getdoc, signature
from pathlib import Path

import pytest

import buff

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", buff.__all__)
def test_every_public_name_is_there(name):
    assert getattr(buff, name) is not None
    assert name in dir(buff)


def test_all_parts_are_listed_and_none_is_loaded():
    program = "import buff, sys; print(*dir(buff)); print(*(n for n in sys.modules if n.count('.') == 1))"
    listed, loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.splitlines()
    parts = {"couplings", "fields", "generators", "metrics", "tables", "transforms", "trees", "unfolding", "weights"}
    assert parts <= set(listed.split())
    assert not {f"buff.{part}" for part in parts - {"trees"}} & set(loaded.split())


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'Buff'"):
        _ = buff.Buff


@pytest.mark.parametrize(
    ("line", "now"),
    [
        ("import buff.estimators; old = buff.estimators.BUFF", "BUFF"),
        ("import buff.boosters as trees; old = trees.Booster", "trees.Booster"),
        ("from buff import training as old", "flows"),
        ("from buff.preprocessing import TableTransformer as old", "transforms.TableTransformer"),
        ("import buff; old = buff.RankSpace", "TableTransformer"),
    ],
)
def test_names_of_0_1_0_warn_and_work(line, now):
    program = f"""
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", DeprecationWarning)
    {line}
import buff
own = [w for w in caught if "0.3" in str(w.message)]
assert own and own[0].filename == "<string>", own
assert old is buff.{now}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_signatures_of_the_estimator():
    assert list(signature(buff.BUFF.fit).parameters) == ["self", "X", "y", "condition", "sample_weight"]
    assert list(signature(buff.BUFF.sample).parameters) == [
        "self",
        "n_samples",
        "given",
        "condition",
        "random_state",
        "first_event",
        "batch_size",
        "return_condition",
        "solver",
        "grid",
        "n_steps",
    ]


def test_every_parameter_is_described():
    described = getdoc(buff.BUFF)
    assert all(re.search(rf"^{name} : ", described, re.M) for name in signature(buff.BUFF).parameters)


def test_readme_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", README, re.S)
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    assert "mass" in capsys.readouterr().out


def test_one_version_and_date_stand_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    changes = re.search(r"^## (\S+) \((\S+)\)", (ROOT / "CHANGELOG.md").read_text(), re.M).groups()
    citation = (ROOT / "CITATION.cff").read_text()
    cited = [re.search(rf"^{key}: (\S+)", citation, re.M)[1] for key in ("version", "date-released")]
    assert list(changes) == cited
    assert cited[0] == version


def test_readme_commands_exist():
    from typer.testing import CliRunner

    from buff.cli import app

    names = set(re.findall(r"^buff (\w+) \S+\.parquet|^buff (sample)", README, re.M))
    names = {name for pair in names for name in pair if name}
    assert {"fit", "sample", "evaluate", "plan"} <= names
    for name in names:
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_requirements_without_cards_are_those_stated():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = (ROOT / "requirements-cpu.txt").read_text().splitlines()
    stated = [line.split(";")[0] for line in listed if line[0] != "#" and "xgboost-cpu" not in line]
    assert stated == project["dependencies"] + project["optional-dependencies"]["plot"]
    assert sum(line.startswith("xgboost-cpu>=3.2;") for line in listed) == 1
