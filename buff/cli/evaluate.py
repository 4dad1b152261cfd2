"""``buff evaluate``."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

import typer

from buff.cli.figures import DerivedMass, bins_of, pairs_of, quality_by, write_figures
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
    derive: Annotated[
        list[str] | None,
        typer.Option(metavar='"NAME=invariant_mass(1,2)"', help="Add a mass, of pt1, eta1, phi1 and those of 2."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Compare each class of these columns, too.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One small classifier and short bootstraps: seconds instead of minutes.")
    ] = False,
    figures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write figures as PDF: all columns, each one, correlations.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="WORDS", help='Label of figures, such as "CMS Open Data".')
    ] = None,
    style: Annotated[str | None, typer.Option(metavar="NAME", help="Look of figures: CMS, ATLAS, LHCb2 ...")] = None,
    bins: Annotated[
        list[str] | None, typer.Option(metavar="NAME=BINS", help="Bins of figures: mass=40 or mass=60:120:30.")
    ] = None,
    axis: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="Words at the axes of figures: 'pt1=$p_{T,1}$'.")
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
      buff evaluate test.root generated.root --quick --derive "mass=invariant_mass(1,2)" --by Q1,Q2
      buff evaluate test.root generated.root --figures plots --style CMS --experiment "CMS Open Data"
      buff evaluate test.hdf5 generated.hdf5 --jets --report jets.html
      buff evaluate test.hdf5 generated.hdf5 --showers ds1-photons --train train.hdf5 --report showers.html
    """
    from buff.io import column_names, read_table, units_of
    from buff.metrics import report as measure

    _check_written(report, json)
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
    paths = {"real": real, "generated": generated} | ({} if train is None else {"train": train})
    common, notice = ([], "") if listed(columns) else _common(paths, weight_column, text)
    chosen = [name for name in listed(columns) or common if name not in (listed(exclude) or [])]
    added = [DerivedMass(entry, column_names(real, options=text)) for entry in derive or ()]
    classes = listed(by) or []
    read = list(dict.fromkeys([*chosen, *classes, *(name for own in added for name in own.columns)]))
    chosen += [own.name for own in added]
    units, words = _units(unit, chosen), pairs_of("--axis", axis, chosen, "TEXT")
    look: dict[str, Any] = {"bins": bins_of(bins, chosen), "names": words}
    if notice:
        typer.echo(notice, err=True)
    whole = _with_masses({name: read_table(path, read, max_rows, options=text) for name, path in paths.items()}, added)
    tables = {name: table.select(chosen) for name, table in whole.items()}
    weights = read_table(real, [weight_column], max_rows, options=text)[0].to_numpy() if weight_column else None
    sizes = " and ".join(f"{table.num_rows:,}" for table in (tables["real"], tables["generated"]))
    _stage(f"comparing {sizes} events{'' if quick else '; classifiers take minutes, with --quick seconds'}", quiet)
    known = read_schema(schema)
    if figures is not None:
        look |= {"schema": known, "units": units_of(tables["real"]) | units, "real_weights": weights, "by": classes}
        parts = whole["real"], whole["generated"]
        made = write_figures(figures, *parts, chosen, **look, style=style, experiment=experiment)
        typer.echo(f"{figures}: {len(made)} figures", err=True)
    how: dict[str, Any] = {"classifiers": ["trees"], "seeds": 1, "n_bootstrap": 10} if quick else {}
    measured = measure(**tables, schema=known, real_weights=weights, random_state=seed, **how)
    every = list(quality_by(classes, whole, known, seed)) if classes else []
    use = None if target is None else _use(tables, target, weights, seed, known, quiet)
    _say(str(measured), "\n".join(every), use and f"predicting {target}: {use}", notice)
    if json is not None:
        measured.save(json)
    if report is not None:
        from buff.report import html_report

        _stage(f"drawing the figures of {report}", quiet)
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


def _check_written(report: Path | None, json: Path | None) -> None:
    """Raise FileNotFoundError or ValueError for files that cannot be written."""
    for path in (report, json):
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"{path.parent}: no such folder for {path.name}")
    if report is not None:
        from buff.report.page import checked_page

        checked_page(report)


def _with_masses(tables: Mapping[str, Any], added: Sequence[DerivedMass]) -> dict[str, Any]:
    """Tables with all masses."""
    return {name: reduce(lambda held, own: own.added(held), added, table) for name, table in tables.items()}


def _stage(words: str, quiet: bool) -> None:
    """Say what is going on, beside the results."""
    if not quiet:
        typer.echo(words, err=True)


def _say(*parts: str | None) -> None:
    typer.echo("\n\n".join(part for part in parts if part))


def _use(tables: Mapping[str, Any], target: str, weights: Any, seed: int, schema: Any, quiet: bool) -> Any:
    """Scores on real events of models trained on generated and on real ones: on half of them, where no others are."""
    import numpy as np

    from buff.metrics import utility

    _stage(f"training models that predict {target}", quiet)
    real, train = tables["real"], tables.get("train")
    if target not in real.column_names:
        raise ValueError(f"--target {target}: no such column is compared; they are {' '.join(real.column_names)}")
    if train is not None:
        return utility(train, tables["generated"], real, target, schema=schema, test_weights=weights, random_state=seed)
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


def _common(paths: Mapping[str, Path], weight_column: str | None, text: Any) -> tuple[list[str], str]:
    """Columns of all files, and words for those that are left out."""
    from buff.io import column_names

    held = [column_names(path, options=text) for path in paths.values()]
    common = [name for name in held[0] if all(name in own for own in held) and name != weight_column]
    if not common:
        files = zip(paths.values(), held, strict=True)
        raise ValueError("no common column: " + ", ".join(f"{path} has {' '.join(own)}" for path, own in files))
    every = dict.fromkeys(name for own in held for name in own)
    omitted = [name for name in every if name not in common and name != weight_column]
    where = "in one file only" if len(held) == 2 else "not in all files"
    return common, f"{where}, left out: {' '.join(omitted)}" if omitted else ""


def _units(entries: list[str] | None, columns: list[str]) -> dict[str, str]:
    return pairs_of("--unit", listed(entries), columns, "UNIT")
