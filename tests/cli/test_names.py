"""What the help calls a parameter is what the option sets."""

import inspect
import re

import pytest
import typer

from buff import BUFF, demo
from buff.cli import app

FIT = {"--steps": 7, "--solver": "ab1", "--rounds": 5, "--depth": 4, "--learning-rate": 0.3, "--noise-budget": 999}
FIT |= {"--negative-weights": "cancel", "--jobs": 1, "--given": "any", "--classes": "apart"}
FIT |= {"--early-stopping": 9, "--device": "cpu"}
ONLY_FIT = {"--cache": "nodes", "--seed": 8}
LEARNING = [("fit", *item) for item in (FIT | ONLY_FIT).items()] + [("plan", *item) for item in FIT.items()]
SAMPLE = {"--number": 5, "--first-event": 6, "--seed": 8}


class Taken(Exception):
    """What a function of the library was called with."""


def catch(*args, **options):
    raise Taken(options)


def name(verb, option):
    """The Python name: that in brackets in the option's help, or the option itself."""
    options = typer.main.get_command(app).commands[verb].params
    text = next(p.help for p in options if option in p.opts)
    named = re.search(r"\((\w+)\)", text)
    return named[1] if named else option[2:].replace("-", "_")


def taken(run, *words):
    error = run(*words).exception
    assert isinstance(error, Taken), error
    return {key: value for key, value in error.args[0].items() if value is not None}


@pytest.mark.parametrize(("verb", "option", "value"), LEARNING)
def test_what_a_fit_is_told(buff, folder, monkeypatch, verb, option, value):
    monkeypatch.setattr("buff.generators.BUFF", catch)
    words = [verb, folder / "train.parquet", *(["-o", folder / "x.buff", "-q"] if verb == "fit" else [])]
    before, after = taken(buff, *words), taken(buff, *words, option, value)
    assert {key: str(after[key]) for key in after if after[key] != before.get(key)} == {name(verb, option): str(value)}


def test_plans_take_what_tables_are_fitted_with():
    fit, plan = ({p.name for p in typer.main.get_command(app).commands[verb].params} for verb in ("fit", "plan"))
    assert fit - plan == {"output", "cache", "seed", "quiet", "jets", "showers", "effort"}
    assert not plan - fit


def test_the_names_are_those_of_the_estimator():
    known = inspect.signature(BUFF).parameters
    assert {name("fit", option) for option in FIT | ONLY_FIT} <= set(known)
    assert name("fit", "--weight-column") in inspect.signature(BUFF.fit).parameters
    assert name("fit", "--max-memory") in known


@pytest.mark.parametrize(("option", "value"), SAMPLE.items())
def test_what_sampling_is_told(buff, folder, monkeypatch, tmp_path, option, value):
    known = inspect.signature(BUFF.sample).parameters
    assert name("sample", option) in known
    monkeypatch.setattr(BUFF, "sample", lambda self, n_samples, **more: catch(n_samples=n_samples, **more))
    words = ["sample", folder / "plain.buff", "-o", tmp_path / "x.parquet", "-q", option, value]
    assert taken(buff, *words)[name("sample", option)] == value


def test_a_demonstration_is_told_its_seed_and_cores():
    assert {name("demo", "--seed"), name("demo", "--jobs")} <= set(inspect.signature(demo.run_demo).parameters)


def test_every_option_of_a_fit_is_looked_at():
    """A new option of ``buff fit`` that sets a parameter has to come into the lists of this test."""
    files = {
        "--output",
        "--columns",
        "--exclude",
        "--condition",
        "--max-rows",
        "--schema",
        "--quiet",
        "--weight-column",
    }
    kinds = {"--pair", "--jets", "--showers", "--effort", "--max-memory", "--help"}
    text = {"--sep", "--decimal", "--thousands", "--encoding", "--comment", "--na-values", "--header", "--names"}
    options = {p.opts[0] for p in typer.main.get_command(app).commands["fit"].params if p.param_type_name == "option"}
    assert options <= files | kinds | text | set(FIT | ONLY_FIT)
