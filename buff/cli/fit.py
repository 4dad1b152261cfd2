"""``buff fit`` and ``buff plan``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from buff.cli.jets import fit_jets
from buff.cli.options import (
    Columns,
    Condition,
    Exclude,
    Jets,
    Jobs,
    MaxMemory,
    MaxRows,
    Quiet,
    SchemaFile,
    Seed,
    Showers,
    Source,
    WeightColumn,
    bytes_of,
    listed,
    read_schema,
    takes,
    text_options,
)
from buff.cli.showers import fit_showers

__all__ = ["fit", "plan"]

Steps = Annotated[int | None, typer.Option(help="Tables, jets: steps from noise to data (n_steps).")]
Solver = Annotated[str | None, typer.Option(help="Tables, jets: solver; `buff samplers` lists them.")]
Rounds = Annotated[int | None, typer.Option(help="Tables: boosting rounds at each node, at most (n_estimators).")]
Depth = Annotated[int | None, typer.Option(help="Tables: depth of the trees (max_depth).")]
LearningRate = Annotated[float | None, typer.Option(help="Tables: learning rate of the boosting.")]
NoiseBudget = Annotated[int | None, typer.Option(help="Tables: rows that each node is trained on.")]
EarlyStopping = Annotated[
    int | None, typer.Option(help="Tables: stop a node when its error has not fallen for so many rounds.")
]
Negative = Annotated[
    str | None,
    typer.Option(metavar="POLICY", help="Tables: what becomes of weights below 0: error, smooth or cancel."),
]
Given = Annotated[
    str | None,
    typer.Option("--given", metavar="any", help="Tables: also learn to complete rows of which any cells are known."),
]
ClassesChoice = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="CHOICE",
        help="Tables: trees of their own for classes: auto, apart, together, or the columns that tell them.",
    ),
]
Pair = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PT1,ETA1,PHI1,PT2,ETA2,PHI2",
        help="Tables: columns of two particles: their mass is learned in place of pT and stays sharp (relations).",
    ),
]
Device = Annotated[str | None, typer.Option(help="Tables, jets: auto, cpu or cuda.")]


#: Options that no other kind of events takes.
_TABLES_ALONE = (
    *("columns", "exclude", "weight_column", "rounds", "depth", "learning_rate", "noise_budget", "early_stopping"),
    *("negative_weights", "given", "schema", "classes", "pair"),
)
#: Options that are parameters of :class:`buff.BUFF` as they are, by their names there.
_PARAMETERS = {"steps": "n_steps", "rounds": "n_estimators", "depth": "max_depth"}
_PARAMETERS |= {name: name for name in ("solver", "learning_rate", "noise_budget", "early_stopping", "device", "given")}
_PARAMETERS["negative_weights"] = "negative_weights"


@dataclass(frozen=True)
class _Training:
    """What a generator is fitted to."""

    events: Any
    condition: Any
    weight: Any


def _table_options(
    columns: Columns = None,
    exclude: Exclude = None,
    condition: Condition = None,
    classes: ClassesChoice = None,
    weight_column: WeightColumn = None,
    max_rows: MaxRows = None,
    steps: Steps = None,
    solver: Solver = None,
    rounds: Rounds = None,
    depth: Depth = None,
    learning_rate: LearningRate = None,
    noise_budget: NoiseBudget = None,
    early_stopping: EarlyStopping = None,
    negative_weights: Negative = None,
    given: Given = None,
    pair: Pair = None,
    schema: SchemaFile = None,
    device: Device = None,
    jobs: Jobs = None,
    max_memory: MaxMemory = None,
) -> dict[str, Any]:
    """The options that ``fit`` and ``plan`` share, by their names."""
    return dict(locals())


@takes(table=_table_options, text=text_options)
def fit(
    events: Source,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="File for the model.")],
    table: Any,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep finished nodes here; a killed fit goes on from them (cache_dir)."),
    ] = None,
    seed: Seed = None,
    quiet: Quiet = False,
    jets: Jets = False,
    showers: Showers = None,
    effort: Annotated[float | None, typer.Option(help="Jets: share of the usual rows and trees.")] = None,
    *,
    text: Any,
) -> None:
    """Learn a table and save the model.

    Options that are left out keep the defaults of buff.BUFF; a name in brackets is that of its parameter. Those marked
    Tables or Jets do not go with other kinds of events (--jets, --showers).

    \b
    Examples:
      buff fit jets.parquet -o jets.buff
      buff fit jets.parquet -o jets.buff --columns mass,tau21,flavour --condition flavour
      buff fit muons.parquet -o muons.buff --condition Q1,Q2,run --classes Q1,Q2
      buff fit muons.root -o muons.buff --pair pt1,eta1,phi1,pt2,eta2,phi2
      buff fit events.root:Events -o model.buff --weight-column weight --max-memory 4GB -j 2
      buff fit t.hdf5 -o tops.buff --jets
      buff fit photons.hdf5 -o photons.buff --showers ds1-photons
    """
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output.parent}: no such folder for the model")
    if jets and showers:
        raise ValueError("--jets and --showers exclude each other")
    tables = {f"--{name.replace('_', '-')}": table[name] for name in _TABLES_ALONE}
    chosen = {"n_jobs": table["jobs"], "max_memory": bytes_of(table["max_memory"])}
    chosen |= {"cache_dir": cache, "random_state": seed}
    if showers:
        tables |= {f"--{name}": table[name] for name in ("condition", "steps", "solver", "device")}
        fit_showers(events, output, showers, table["max_rows"], chosen, tables | {"--effort": effort})
        return
    if jets:
        chosen |= {"n_steps": table["steps"], "solver": table["solver"], "effort": effort, "device": table["device"]}
        fit_jets(events, output, listed(table["condition"]), table["max_rows"], chosen, tables, quiet=quiet)
        return
    if effort is not None:
        raise ValueError("--effort goes with --jets")
    data, generator = _prepared(events, table, text, **chosen, verbose=0 if quiet else 1)
    generator.fit(data.events, condition=data.condition, sample_weight=data.weight)
    generator.save(output)
    typer.echo(f"{output}: {data.events.num_rows:,} events learned, {output.stat().st_size / 1e6:.1f} MB")


@takes(table=_table_options, text=text_options)
def plan(events: Source, table: Any, *, text: Any) -> None:
    """Say what a fit would cost.

    Rows, memory, disk and time, without doing it.

    \b
    Examples:
      buff plan jets.parquet
      buff plan jets.parquet --steps 20 --max-memory 2GB
    """
    resources = {"n_jobs": table["jobs"], "max_memory": bytes_of(table["max_memory"])}
    data, generator = _prepared(events, table, text, **resources)
    typer.echo(str(generator.plan(data.events, condition=data.condition, sample_weight=data.weight)))


def _prepared(path: Path, table: dict[str, Any], text: Any, **chosen: Any) -> tuple[_Training, Any]:
    """What is learned, and a generator with its own defaults for what was not chosen."""
    from buff.generators import BUFF

    data = _read(path, table, text)
    chosen |= {parameter: table[option] for option, parameter in _PARAMETERS.items()}
    chosen |= {"classes": _classes(table["classes"]), "relations": _pairs(table["pair"])}
    chosen["schema"] = read_schema(table["schema"])
    return data, BUFF(**{name: value for name, value in chosen.items() if value is not None})


def _classes(choice: str | None) -> str | list[str] | None:
    """One of the words, or names of columns."""
    from buff.generators.classes import CLASSES

    return choice if choice is None or choice in CLASSES else listed([choice])


def _pairs(entries: list[str] | None) -> list[Any] | None:
    """Relations of the pairs, beside those that are found."""
    from buff.tables.relations import PairMass

    pairs: list[Any] = [listed([entry]) or [] for entry in entries or []]
    for entry, names in zip(entries or [], pairs, strict=True):
        if len(names) != 6:
            raise ValueError(f"--pair {entry}: name six columns, pt, eta and phi of one particle and of the other")
    return ["auto", *(PairMass(*names[:6]) for names in pairs)] if pairs else None


def _read(path: Path, table: dict[str, Any], text: Any) -> _Training:
    from buff.io import column_names, read_table
    from buff.io.reading import left_out

    conditions, weight_column = listed(table["condition"]) or [], table["weight_column"]
    aside = [*conditions, *([weight_column] if weight_column else [])]
    names = column_names(path, options=text)
    out = listed(table["exclude"]) or []
    unknown = [name for name in out if name not in names and name not in left_out(path, options=text)]
    if unknown:
        raise ValueError(f"{path}: --exclude {unknown[0]}: no such column; it has {' '.join(names)}")
    chosen = [name for name in listed(table["columns"]) or names if name not in (*aside, *out)]
    if not chosen:
        raise ValueError(f"{path}: no column is left to learn beside {' '.join((*aside, *out))}")
    everything = len({*chosen, *aside}) == len(names)
    events = read_table(path, None if everything else [*chosen, *aside], table["max_rows"], options=text)
    if events.num_rows < 2:
        raise ValueError(f"{path}: {events.num_rows} rows, where two are the least that can be learned from")
    return _Training(
        events.select(chosen),
        events.select(conditions) if conditions else None,
        _weights(events[weight_column], weight_column, path) if weight_column else None,
    )


def _weights(column: Any, name: str, path: Path) -> Any:
    from pyarrow import types

    if not (types.is_floating(column.type) or types.is_integer(column.type)):
        raise ValueError(f"{path}: --weight-column {name} is of type {column.type}, and weights are numbers")
    return column.to_numpy()
