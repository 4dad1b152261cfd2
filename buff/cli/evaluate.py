"""``buff evaluate``."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from buff.cli.jets import evaluate_jets
from buff.cli.options import (
    Columns,
    Exclude,
    Jets,
    MaxRows,
    Quiet,
    SchemaFile,
    Showers,
    listed,
    read_schema,
    takes_text,
)
from buff.cli.showers import evaluate_showers

__all__ = ["evaluate"]


@takes_text
def evaluate(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Events that the model has not seen.")],
    generated: Annotated[Path, typer.Argument(metavar="GENERATED", help="Events of the model.")],
    train: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="Events of the training, to look for copies of them.")
    ] = None,
    columns: Columns = None,
    exclude: Exclude = None,
    schema: SchemaFile = None,
    weight_column: Annotated[str | None, typer.Option(metavar="NAME", help="Column of event weights in REAL.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with tables and plots.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers.")] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column to predict by models trained on generated and on real events."),
    ] = None,
    unit: Annotated[list[str] | None, typer.Option(metavar="NAME=UNIT", help="Units for the plots.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    max_rows: MaxRows = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of classifiers and bootstrap (random_state).")] = 0,
    quiet: Quiet = False,
    jets: Jets = False,
    showers: Showers = None,
    *,
    text: Any,
) -> None:
    """Compare generated with real events.

    Prints distances, correlations and classifier tests, each beside the floor that real events set. Ids are left out by
    the rule of a fit; --schema takes the file that the fit took, or the model, where columns are known better.

    \b
    Examples:
      buff evaluate test.parquet generated.parquet
      buff evaluate test.parquet generated.parquet --train train.parquet --report quality.html
      buff evaluate test.parquet generated.parquet --train train.parquet --target flavour --schema model.buff
      buff evaluate test.csv generated.csv --columns mass,pt --unit mass=GeV,pt=GeV --json quality.json
      buff evaluate test.hdf5 generated.hdf5 --jets --report jets.html
      buff evaluate test.hdf5 generated.hdf5 --showers ds1-photons --train train.hdf5 --report showers.html
    """
    from buff.io import read_table, units_of
    from buff.metrics import report as measure

    for path in (report, json):
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"{path.parent}: no such folder for {path.name}")
    if report is not None:
        from buff.report.page import checked_page

        checked_page(report)
    if showers:
        files = {"real": real, "generated": generated}
        provenance = _provenance(files, seed)
        evaluate_showers(real, generated, train, showers, max_rows, report, json, title, seed, provenance)
        return
    if jets:
        evaluate_jets(real, generated, train, max_rows, report, json, title, seed)
        return
    if columns is None:
        _check_tables(real, generated)
    common, notice = ([], "") if listed(columns) else _common(real, generated, weight_column, text)
    chosen = [name for name in listed(columns) or common if name not in (listed(exclude) or [])]
    units = _units(unit, chosen)
    if notice:
        typer.echo(notice, err=True)
    paths = {"real": real, "generated": generated} | ({} if train is None else {"train": train})
    tables = {name: read_table(path, chosen, max_rows, options=text) for name, path in paths.items()}
    weights = read_table(real, [weight_column], max_rows, options=text)[0].to_numpy() if weight_column else None
    if not quiet:
        sizes = " and ".join(f"{table.num_rows:,}" for table in (tables["real"], tables["generated"]))
        typer.echo(f"comparing {sizes} events; classifiers take a minute or two", err=True)
    known = read_schema(schema)
    measured = measure(**tables, schema=known, real_weights=weights, random_state=seed)
    if target is not None and not quiet:
        typer.echo(f"training models that predict {target}", err=True)
    use = None if target is None else _use(tables, target, weights, seed, known)
    typer.echo("\n\n".join(part for part in (str(measured), use and f"predicting {target}: {use}", notice) if part))
    if json is not None:
        measured.save(json)
    if report is not None:
        from buff.report import html_report

        if not quiet:
            typer.echo(f"drawing the figures of {report}", err=True)
        html_report(
            measured,
            tables["real"],
            tables["generated"],
            report,
            title=title or f"{generated.name} against {real.name}",
            units=units_of(tables["real"]) | units,
            real_weights=weights,
            schema=known,
            use=use and (str(target), use),
            provenance=_provenance(paths, seed),
        )


def _use(tables: Mapping[str, Any], target: str, weights: Any, seed: int, schema: Any) -> Any:
    """Scores on real events of models trained on generated and on real ones: on half of them, where no others are."""
    import numpy as np

    from buff.metrics import utility

    real, train = tables["real"], tables.get("train")
    if target not in real.column_names:
        raise ValueError(f"--target {target}: no such column is compared; they are {' '.join(real.column_names)}")
    if train is not None:
        return utility(
            train, tables["generated"], real, target, schema=schema, test_weights=weights, random_state=seed
        )
    first = np.random.default_rng(seed).permutation(real.num_rows) < real.num_rows // 2
    halves = [real.filter(first), real.filter(~first)]
    parts = {} if weights is None else {"train_weights": weights[first], "test_weights": weights[~first]}
    return utility(halves[0], tables["generated"], halves[1], target, schema=schema, **parts, random_state=seed)


def _check_tables(*paths: Path) -> None:
    """Raise ValueError for files of jets or showers."""
    from buff.io import column_names

    for path in paths:
        if path.suffix not in (".hdf5", ".h5"):
            continue
        held = set(column_names(path))
        if held >= {"particle_features", "jet_features_0"}:
            raise ValueError(f"{path} holds jets and is no table: add --jets (or, for showers, --showers GEOMETRY)")
        if held >= {"incident_energies_0", "showers_0"}:
            raise ValueError(f"{path} holds showers and is no table: add --showers GEOMETRY (or, for jets, --jets)")


def _provenance(paths: Mapping[str, Path], seed: int) -> dict[str, str]:
    """The command and the files of a page."""
    files = {f"{name} events": str(path) for name, path in paths.items()}
    return {"command": shlex.join(["buff", *sys.argv[1:]]), "seed": str(seed), **files}


def _common(real: Path, generated: Path, weight_column: str | None, text: Any) -> tuple[list[str], str]:
    """Columns of both files, and words for those that are left out."""
    from buff.io import column_names

    left, right = column_names(real, options=text), column_names(generated, options=text)
    common = [name for name in left if name in right and name != weight_column]
    if not common:
        raise ValueError(f"no common column: {real} has {' '.join(left)}, {generated} has {' '.join(right)}")
    omitted = [name for name in dict.fromkeys(left + right) if name not in common and name != weight_column]
    return common, f"in one file only, left out: {' '.join(omitted)}" if omitted else ""


def _units(entries: list[str] | None, columns: list[str]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in listed(entries) or []]
    for name, sign, value in pairs:
        if not (name and sign):
            raise ValueError(f"--unit {name}{sign}{value}: write it as NAME=UNIT")
        if name not in columns:
            raise ValueError(f"--unit {name}={value}: no column {name!r} is compared; they are {' '.join(columns)}")
    return {name: value for name, _, value in pairs}
