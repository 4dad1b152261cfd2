"""``buff sample``."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from buff.cli.jets import sample_jets
from buff.cli.options import (
    Jets,
    Jobs,
    Quiet,
    Seed,
    check_rows,
    existing,
    given_texts,
    takes_text,
)
from buff.cli.showers import sample_showers

__all__ = ["sample"]

#: Models that draw no events of their own, and what they do.
_NO_SAMPLES = {
    "BUFFImputer": "fills missing cells and samples no events: buff impute, or buff.load(file).transform(table)",
    "BUFFTransport": "samples for rows of a source table: in Python, buff.load(file).sample(table)",
    "UnfoldingResult": "holds unfolded events: in Python, buff.load(file).events and .weights",
    "Unfolder": "unfolds measured events and samples none: in Python, buff.load(file).unfold(table)",
}


@takes_text
def sample(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="File that `buff fit` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Table to write.")],
    number: Annotated[
        int | None,
        typer.Option("--number", "-n", min=1, help="Events; 1000, or one for each given condition (n_samples)."),
    ] = None,
    condition: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Conditions, or cells with gaps, a row an event; found by name."),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A condition of all events (condition) or, with `fit --given any`, a cell; by commas, or repeated.",
        ),
    ] = None,
    chunk: Annotated[int, typer.Option(min=1, help="Events at a time: bounds the memory, changes no event.")] = 100_000,
    first_event: Annotated[
        int,
        typer.Option(min=0, max=2**62, help="Number of the first event; event i takes row i of --condition."),
    ] = 0,
    seed: Seed = None,
    jobs: Jobs = None,
    quiet: Quiet = False,
    jets: Jets = False,
    showers: Annotated[
        str | None,
        typer.Option(metavar="ENERGIES", help="Showers: an .hdf5 file with incident_energies, or MeV by commas."),
    ] = None,
    *,
    text: Any,
) -> None:
    """Generate events into a file.

    However many they are, memory is that of a chunk. Event i depends on the seed and on i alone. A model with
    conditions that is given none draws them as they were in training; they are written beside the events.

    \b
    Examples:
      buff sample jets.buff -n 1000000 -o generated.parquet
      buff sample jets.buff -n 500 -o more.csv --seed 7 --first-event 1000000
      buff sample jets.buff -n 10000 -o tops.h5 --given flavour=t,pt=500
      buff sample jets.buff -n 10000 -o tight.csv --given "site=Bonn, DE" --given tight=true
      buff sample jets.buff -o matched.root --condition conditions.parquet
      buff sample any.buff -o women.csv --given sex=Female,age=30
      buff sample tops.buff -o generated.hdf5 -n 50000 --jets
      buff sample tops.buff -o matched.hdf5 --jets --condition test.hdf5
      buff sample photons.buff -o generated.hdf5 --showers test.hdf5
    """
    from tqdm import tqdm

    from buff.archive import load
    from buff.io import TableWriter

    if condition is not None and given:
        raise ValueError("--condition and --given exclude each other")
    generator = load(existing(model))
    kind = type(generator).__name__
    if kind == "ShowerBUFF" and showers is None:
        raise ValueError(f"{model} is a model of showers: add --showers ENERGIES, an .hdf5 file or MeV by commas")
    if kind in _NO_SAMPLES:
        raise ValueError(f"{model} is a {kind}, which {_NO_SAMPLES[kind]}")
    if jobs is not None:
        generator.set_params(n_jobs=jobs)
    state = secrets.randbits(32) if seed is None else seed
    if showers is not None:
        sample_showers(generator, output, showers, number, state, first_event, chunk)
        return
    if jets or kind == "JetBUFF":
        sample_jets(generator, output, number, condition, given, state, first_event)
        return
    own, cells = _fixed(generator, given)
    given_conditions = _Conditions(condition, _names(generator, condition, text), own, text, _labels(generator))
    pieces = _generated(generator, _chunks(number, chunk, given_conditions, first_event), state, cells)
    with TableWriter(output) as out:
        first = next(pieces)  # what is wrong shows before there is a bar
        out.write(first)
        look: dict[str, Any] = {"unit": " events", "unit_scale": True, "leave": False, "disable": quiet}
        with tqdm(total=number, initial=first.num_rows, **look) as bar:
            for piece in pieces:
                out.write(piece)
                bar.update(piece.num_rows)
    typer.echo(f"{output}: {out.n_rows:,} events, seed {state}")


@dataclass(frozen=True)
class _Conditions:
    """A table with the columns to read (None: all), or one row for all events, or nothing."""

    path: Path | None
    columns: list[str] | None
    fixed: Any
    text: Any
    labels: frozenset[str] = frozenset()

    def read(self, chunk: int) -> Iterator[Any]:
        """The table in pieces; integers in a column of labels are the texts that they were in the training."""
        import pyarrow as pa

        from buff.io import iter_table

        assert self.path is not None
        for table in iter_table(self.path, chunk, self.columns, options=self.text):
            for i, field in enumerate(table.schema):
                if field.name in self.labels and pa.types.is_integer(field.type):
                    table = table.set_column(i, field.name, table.column(i).cast(pa.string()))
            yield table


def _takes_cells(generator: Any) -> bool:
    """Whether what is asked for are cells of the table, and not conditions beside it."""
    return generator.condition_schema_ is None and bool(getattr(generator, "given_encoders", None))


def _labels(generator: Any) -> frozenset[str]:
    """Columns of what may be asked for whose labels are texts."""
    encoder = generator.condition_encoder_
    encoders = getattr(generator, "given_encoders", {}).values() if encoder is None else encoder.columns
    own = {e.name: getattr(e, "levels", ()) for e in encoders}
    return frozenset(name for name, levels in own.items() if len(levels) and all(isinstance(x, str) for x in levels))


def _names(generator: Any, path: Path | None, text: Any) -> list[str] | None:
    """The columns of the conditions; None if the table has none of these, and the model may take them by position."""
    from buff.io import column_names

    if path is None or (generator.condition_schema_ is None and not _takes_cells(generator)):
        return None
    cells = _takes_cells(generator)
    names = list(generator.given_encoders) if cells else [column.name for column in generator.condition_schema_]
    known = set(names) & set(column_names(path, options=text))
    if cells and not known:
        raise ValueError(f"{path} has none of the columns of the model, which are {', '.join(names)}")
    return [name for name in names if name in known] or None


def _generated(generator: Any, chunks: Iterable[tuple[int, Any, int]], state: int, cells: Any) -> Iterator[Any]:
    """Events beside their conditions, chunk by chunk; with the cells that are given for all of them."""
    for first, conditions, n in chunks:
        if conditions is not None and _takes_cells(generator):
            conditions, own = None, conditions
        else:
            own = cells
        how = {} if own is None else {"given": own}
        events, conditions = generator.sample(
            n, condition=conditions, random_state=state, first_event=first, return_condition=True, **how
        )
        yield _beside(events, conditions)


def _chunks(number: int | None, chunk: int, given: _Conditions, first_event: int) -> Iterator[tuple[int, Any, int]]:
    """First event, conditions and ``n_samples`` of every chunk; row i of a table of conditions is that of event i."""
    path = given.path
    if path is None:
        total = 1000 if number is None else number
        yield from ((first_event + i, given.fixed, min(chunk, total - i)) for i in range(0, total, chunk))
        return
    row = 0  # of the table
    last = None if number is None else first_event + number
    for table in given.read(chunk):
        skipped = min(max(first_event - row, 0), table.num_rows)
        wanted = table.slice(skipped, None if last is None else max(last - row - skipped, 0))
        if wanted.num_rows:
            yield row + skipped, wanted, 1
        row += table.num_rows
    check_rows(path, row, number, first_event)


def _fixed(generator: Any, given: list[str] | None) -> tuple[Any, Any]:
    """Conditions of one row, and cells of it, from NAME=VALUE, read by the kinds of the columns of the training."""
    if not given:
        return None, None
    conditions = [column.name for column in generator.condition_schema_ or ()]
    cells = list(getattr(generator, "given_encoders", ()))
    if not conditions and not cells:
        raise ValueError(
            f"--given {given[0]}: the model was fitted without condition: fit it with --condition NAME, or with "
            f"--given any"
        )
    texts = given_texts(given, [*conditions, *cells])
    of_rows = {name: text for name, text in texts.items() if name in cells and name not in conditions}
    others = {name: text for name, text in texts.items() if name not in of_rows}
    if others and not conditions:
        generator.parse_given(others)  # says what the columns are
    own = generator.parse_condition(others) if others else None
    return own, generator.parse_given(of_rows) if of_rows else None


def _beside(events: Any, conditions: Any) -> Any:
    """One table of events and, if there are any, their conditions."""
    import numpy as np

    from buff.io import to_table

    table = to_table(events)
    if conditions is None:
        return table
    # np.ndim would make an array of a table, and columns of dates and text have no dtype in common
    alone = len(getattr(conditions, "shape", (0, 0))) == 1
    extra = to_table(np.asarray(conditions), ["condition"]) if alone else to_table(conditions)
    if extra.num_rows < table.num_rows:  # one condition for all
        extra = extra.take(np.zeros(table.num_rows, dtype=np.intp))
    for name in extra.column_names:
        free = name if name not in table.column_names else f"condition_{name}"
        table = table.append_column(free, extra[name])
    return table
