"""``buff fit``, ``sample`` and ``evaluate`` with ``--jets``: clouds of particles in the layout of JetNet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from buff.cli.options import check_rows, given_texts

__all__ = ["evaluate_jets", "fit_jets", "sample_jets"]


def fit_jets(
    events: Path,
    output: Path,
    condition: list[str] | None,
    max_rows: int | None,
    options: Mapping[str, Any],
    other: Mapping[str, Any],
    *,
    quiet: bool,
) -> None:
    """Learn the jets of a file and save the model.

    Raises
    ------
    ValueError
        Options that are for tables.
    """
    from buff.datasets import read_jetnet
    from buff.generators import JetBUFF

    if given := [name for name, value in other.items() if value is not None]:
        raise ValueError(f"{', '.join(given)}: for tables, not with --jets")
    clouds = read_jetnet(events, max_rows)
    chosen = {name: value for name, value in options.items() if value is not None}
    model = JetBUFF(**chosen, verbose=0 if quiet else 1)
    model.fit(clouds, condition=condition)
    model.save(output)
    typer.echo(f"{output}: {len(clouds):,} jets learned, {output.stat().st_size / 1e6:.1f} MB")


def sample_jets(
    model: Any,
    output: Path,
    number: int | None,
    condition: Path | None,
    given: list[str] | None,
    seed: int,
    first_event: int,
) -> None:
    """Generate jets into a file; ``condition`` is a file of jets for which particles are drawn.

    Raises
    ------
    ValueError
        A model of tables, or a file that is not HDF5.
    """
    from buff.datasets import read_jetnet, write_jetnet
    from buff.generators import JetBUFF

    if not isinstance(model, JetBUFF):
        raise ValueError(f"--jets: the model is a {type(model).__name__}, fitted without --jets")
    if model.template_.container != "clouds":
        raise ValueError("the model learned arrays of particles, no file of JetNet: sample it with buff.load in Python")
    if output.suffix not in (".hdf5", ".h5"):
        raise ValueError(f"{output}: jets are written as .hdf5 or .h5")
    how: dict[str, Any] = {"random_state": seed, "first_event": first_event, "condition": _fixed(model, given)}
    if condition is None:
        clouds = model.sample(number or 1000, **how)
    else:
        jets = read_jetnet(condition, None if number is None else first_event + number).jets
        check_rows(condition, len(jets), number, first_event)
        jets = jets.rows(slice(first_event, None))
        if model.features_.conditions and given is None:
            how["condition"] = jets.select(model.features_.conditions)
        clouds = model.sample(jets=jets, **how)
    write_jetnet(output, clouds)
    typer.echo(f"{output}: {len(clouds):,} jets, seed {seed}")


def _fixed(model: Any, given: list[str] | None) -> Any:
    """Conditions of one row from NAME=VALUE, read by the kinds of the columns of the training."""
    if not given:
        return None
    table_model = model.jet_model_
    return table_model.parse_condition(given_texts(given, [c.name for c in table_model.condition_schema_ or ()]))


def evaluate_jets(
    real: Path,
    generated: Path,
    train: Path | None,
    max_rows: int | None,
    report: Path | None,
    json: Path | None,
    title: str | None,
    seed: int,
) -> None:
    """Print all metrics of jets; write them, and a page with plots."""
    from buff.datasets import read_jetnet
    from buff.metrics import jet_report

    first, second = (read_jetnet(path, max_rows) for path in (real, generated))
    more = None if train is None else read_jetnet(train)
    classes = set(first.jets["jet_class"]) if "jet_class" in first.jets.names else set()
    jet_class = str(classes.pop()) if len(classes) == 1 and classes <= {"g", "q", "t"} else None
    measured = jet_report(first, second, more_real=more, jet_class=jet_class, random_state=seed)
    typer.echo(str(measured))
    if json is not None:
        measured.save(json)
    if report is not None:
        from buff.report.jets import jets_page

        jets_page(measured, first.particles, second.particles, report, title or f"{generated.name} against {real.name}")
