"""Options that several verbs share, and how their values are written."""

import json
import re
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from buff.io import TextOptions

__all__ = [
    "Columns",
    "Condition",
    "Exclude",
    "Jets",
    "Jobs",
    "MaxMemory",
    "MaxRows",
    "Quiet",
    "SchemaFile",
    "Seed",
    "Showers",
    "Source",
    "WeightColumn",
    "bytes_of",
    "existing",
    "listed",
    "read_schema",
    "takes",
    "takes_text",
    "text_options",
]

Source = Annotated[Path, typer.Argument(metavar="EVENTS", help="Table of events.")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", "-c", metavar="NAMES", help="Tables: columns to use, by commas; all unless told."),
]
Condition = Annotated[
    list[str] | None,
    typer.Option("--condition", metavar="NAMES", help="Columns that events are generated for, separated by commas."),
]
WeightColumn = Annotated[
    str | None, typer.Option("--weight-column", metavar="NAME", help="Tables: column of event weights (sample_weight).")
]
MaxRows = Annotated[int | None, typer.Option(min=1, help="Read only the first rows.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed: the same one gives the same result (random_state).")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", help="Cores to use; -1 for all (n_jobs).")]
MaxMemory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Memory that a fit may take, such as 800MB or 4GB.")
]
Showers = Annotated[
    str | None,
    typer.Option(
        metavar="GEOMETRY",
        help="Files are showers of the CaloChallenge, HDF5: ds1-photons, ds1-pions, ds2, ds3 or a binning .xml.",
    ),
]
Jets = Annotated[bool, typer.Option("--jets", help="Files are clouds of particles in the layout of JetNet, HDF5.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")]

Exclude = Annotated[list[str] | None, typer.Option(metavar="NAMES", help="Tables: columns to leave out, by commas.")]
SchemaFile = Annotated[
    Path | None,
    typer.Option(
        "--schema", metavar="FILE", help='Tables: JSON of columns known better, or a file of it: \'{"phi": "angle"}\'.'
    ),
]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def cut_at_names(entry: str, names: Sequence[str]) -> list[str]:
    """NAME=VALUE of several: cut at the commas before one of the names, as others belong to a value.

    Examples
    --------
    >>> cut_at_names("site=Bonn, DE,tight=true", ["site", "tight"])
    ['site=Bonn, DE', 'tight=true']
    """
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.split(rf",\s*(?=(?:{known})=)", entry)


def given_texts(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Texts by name from NAME=VALUE, repeated or by commas; where an entry starts with none of the names, all cut.

    Raises
    ------
    ValueError
        An entry without a name, or a name that is given twice.

    Examples
    --------
    >>> given_texts(["flavour=t,pt=500"], ["flavour", "pt"])
    {'flavour': 't', 'pt': '500'}
    """
    texts: dict[str, str] = {}
    for entry in given:
        known = any(entry.startswith(f"{name}=") for name in names)
        for pair in cut_at_names(entry, names) if known else entry.split(","):
            name, sign, value = pair.partition("=")
            if not (name and sign):
                raise ValueError(f"--given {pair}: write it as NAME=VALUE")
            if name.strip() in texts:
                raise ValueError(f"--given {pair}: {name} is given twice")
            texts[name.strip()] = value
    return texts


def listed(names: Sequence[str] | None) -> list[str] | None:
    """Names of a repeated option, each of which may hold several.

    Examples
    --------
    >>> listed(["pt,eta", "mass"])
    ['pt', 'eta', 'mass']
    """
    if names is None:
        return None
    return [name.strip() for entry in names for name in entry.split(",") if name.strip()] or None


def existing(path: Path) -> Path:
    """The path of a file that is there.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    return path


def check_rows(path: Path | str, rows: int, number: int | None, first_event: int) -> None:
    """Refuse a file of conditions that ends before the events that are asked for; row i is that of event i.

    Raises
    ------
    ValueError
        Telling what to change.
    """
    if not rows:
        raise ValueError(f"{path} has no conditions: no rows")
    if rows <= first_event:
        raise ValueError(
            f"{path} has {rows} conditions, --first-event {first_event} begins behind them: event i takes row i, so "
            f"give the table of the whole sample to every shard"
        )
    if number is not None and rows < first_event + number:
        behind = f" from --first-event {first_event} on" if first_event else ""
        raise ValueError(f"{path} has {rows} conditions, --number asks for {number}{behind}")


def bytes_of(size: str | None) -> int | None:
    """A size in bytes.

    Examples
    --------
    >>> bytes_of("1.5GB"), bytes_of("64MiB"), bytes_of(None)
    (1500000000, 67108864, None)
    """
    if size is None:
        return None
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([KMGT]?)(I?)B?", size.strip().upper())
    if not found:
        raise ValueError(f"--max-memory {size!r} is not a size; write it like 800MB or 4GB")
    number, unit, binary = found.groups()
    factor = 1024 ** "_KMGT".index(unit) if binary and unit else _UNITS[unit]
    return int(float(number) * factor)


def read_schema(path: Path | None) -> Any:
    """What JSON, on the command line or in a file, says of columns, or a model, whose schema is taken.

    Raises
    ------
    ValueError
        If the file is neither, or the model has no table.
    """
    if path is None:
        return None
    if str(path).lstrip().startswith("{"):
        return _json(str(path), "--schema")
    if path.suffix == ".buff":
        from buff.archive import load

        schema = getattr(load(existing(path)), "schema_", None)
        if schema is None:
            raise ValueError(f"{path}: a model without a schema of columns")
        return schema
    return _json(path, str(path))


def _json(words: str | Path, where: str) -> Any:
    try:
        return json.loads(words.read_text() if isinstance(words, Path) else words)
    except ValueError as error:
        raise ValueError(f"{where}: not JSON ({error})") from error


def text_options(
    sep: Annotated[
        str | None, typer.Option("--sep", metavar="CHAR", help="Text: separator of columns; \\t is a tabulator.")
    ] = None,
    decimal: Annotated[str | None, typer.Option(metavar="CHAR", help="Text: decimal point, . or a comma.")] = None,
    thousands: Annotated[str | None, typer.Option(metavar="CHAR", help="Text: separator of thousands.")] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Text: such as latin-1; UTF-8 unless told.")
    ] = None,
    comment: Annotated[str | None, typer.Option(metavar="CHAR", help="Text: what starts a comment.")] = None,
    na_values: Annotated[
        list[str] | None, typer.Option("--na-values", metavar="WORDS", help="Text: more words for missing, by commas.")
    ] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Text: whether the first line holds names.")
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--names", metavar="NAMES", help="Text: names of columns, by commas, where no line has them."),
    ] = None,
) -> "TextOptions":
    """How text files are laid out, as far as the command line says."""
    from buff.io import TextOptions

    words = tuple(listed(na_values) or ())
    sep = {"\\t": "\t", "tab": "\t"}.get(sep or "", sep)
    return TextOptions(sep, decimal, thousands, encoding, comment, words, header, tuple(listed(names) or ()))


def takes(**makers: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A verb of which some parameters are made of options: those of the function that stands here under their name."""

    def with_options(verb: Callable[..., None]) -> Callable[..., None]:
        options = {name: signature(make).parameters for name, make in makers.items()}

        @wraps(verb)
        def run(**given: Any) -> None:
            made = {name: makers[name](**{key: given.pop(key) for key in own}) for name, own in options.items()}
            verb(**given, **made)

        parts = [options.get(p.name, {p.name: p}).values() for p in signature(verb).parameters.values()]
        run.__signature__ = Signature([p for part in parts for p in part])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for part in parts for p in part}
        return run

    return with_options


#: A verb with the options of text files, from which its parameter ``text`` is made.
takes_text = takes(text=text_options)
