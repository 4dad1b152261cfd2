"""Options that several verbs share, and how their values are written."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from buff.io import TextOptions

__all__ = [
    "Columns",
    "Comment",
    "Condition",
    "Decimal",
    "Encoding",
    "Exclude",
    "Header",
    "Jets",
    "Jobs",
    "MaxMemory",
    "MaxRows",
    "NaValues",
    "Quiet",
    "Seed",
    "Separator",
    "Showers",
    "Source",
    "Thousands",
    "WeightColumn",
    "bytes_of",
    "existing",
    "listed",
    "text_options",
]

Source = Annotated[Path, typer.Argument(metavar="EVENTS", help="Table of events.")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", "-c", metavar="NAMES", help="Columns to use, separated by commas; all unless told."),
]
Condition = Annotated[
    list[str] | None,
    typer.Option("--condition", metavar="NAMES", help="Columns that events are generated for, separated by commas."),
]
WeightColumn = Annotated[
    str | None, typer.Option("--weight-column", metavar="NAME", help="Column of event weights (sample_weight).")
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

Exclude = Annotated[list[str] | None, typer.Option(metavar="NAMES", help="Columns to leave out, separated by commas.")]
Separator = Annotated[
    str | None, typer.Option("--sep", metavar="CHAR", help="Text: separator of columns; \\t is a tabulator.")
]
Decimal = Annotated[str | None, typer.Option(metavar="CHAR", help="Text: decimal point, . or a comma.")]
Thousands = Annotated[str | None, typer.Option(metavar="CHAR", help="Text: separator of thousands.")]
Encoding = Annotated[str | None, typer.Option(metavar="NAME", help="Text: such as latin-1; UTF-8 unless told.")]
Comment = Annotated[str | None, typer.Option(metavar="CHAR", help="Text: what starts a comment.")]
NaValues = Annotated[
    list[str] | None, typer.Option("--na-values", metavar="WORDS", help="Text: more words for missing, by commas.")
]
Header = Annotated[bool | None, typer.Option("--header/--no-header", help="Text: whether the first line holds names.")]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


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


def text_options(
    sep: str | None,
    decimal: str | None,
    thousands: str | None,
    encoding: str | None,
    comment: str | None,
    na_values: list[str] | None,
    header: bool | None,
) -> "TextOptions":
    """How text files are laid out, as far as the command line says."""
    from buff.io import TextOptions

    words = tuple(listed(na_values) or ())
    sep = {"\\t": "\t", "tab": "\t"}.get(sep or "", sep)
    return TextOptions(sep, decimal, thousands, encoding, comment, words, header)
