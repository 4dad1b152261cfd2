"""How a text file is laid out: encoding, separator, comments and header, sniffed where only one answer fits."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from buff.io.tables import TableError

__all__ = ["TextLayout", "TextOptions", "sniff", "without_comments"]

_HEAD_BYTES = 1 << 16
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class TextOptions:
    """What a user says about text files, named as by pandas; None is found out from the file.

    Parameters
    ----------
    sep : str, optional
        Separator of columns, one character.
    decimal : str, optional
        Decimal point, ``"."`` or ``","``.
    thousands : str, optional
        Separator of thousands.
    encoding : str, optional
        Such as ``"latin-1"``, ``"utf-16"``.
    comment : str, optional
        Character that starts a comment, to the end of the line.
    na_values : tuple of str
        More words for missing values.
    header : bool, optional
        Whether the first line holds names.
    names : tuple of str
        Names of the columns; the first line is then data, unless it holds these, or ``header`` says that it has others.
    """

    sep: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    comment: str | None = None
    na_values: tuple[str, ...] = ()
    header: bool | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("sep", "comment"):
            value = getattr(self, name)
            if value is not None and len(value) != 1:
                raise ValueError(f"{name} must be one character, found {value!r}")
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"decimal must be '.' or ',', found {self.decimal!r}")
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError as error:
                raise ValueError(f"encoding {self.encoding!r} is unknown; try utf-8, latin-1 or utf-16") from error


@dataclass(frozen=True)
class TextLayout:
    """What was found: skipped lines, names where the file has none, blanks around cells, and notes for the user."""

    sep: str
    encoding: str
    skip: int = 0
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    blanks: bool = False


def sniff(path: Path, options: TextOptions, default_sep: str) -> TextLayout:
    """The layout of a text file from its first 64 KiB.

    Raises
    ------
    TableError
        For an empty file, bytes that are not of the encoding, and what may be read in two ways, with the option that
        decides.
    """
    raw = _head(path)
    if not raw.strip():
        raise TableError("the file is empty")
    encoding = options.encoding or _encoding(raw)
    text = codecs.getincrementaldecoder(encoding)(errors="replace" if options.encoding else "strict").decode(raw)
    lines = text.lstrip("\ufeff").splitlines()
    lines = lines[:-1] if len(raw) >= _HEAD_BYTES and len(lines) > 1 else lines
    skip = 0 if options.comment else _leading_comments(lines, options.sep or default_sep)
    notes = [f"{skip} lines that start with # are left out"] if skip else []
    kept = [line.split(options.comment)[0] if options.comment else line for line in lines[skip:]]
    kept = [line for line in kept if line.strip()]
    if not kept:
        raise TableError("the file holds comments only")
    sep = options.sep or _separator(kept, default_sep)
    if sep != default_sep and options.sep is None:
        notes.append(f"columns are separated by {sep!r}")
    rows = [row for row in csv.reader(kept, delimiter=sep) if row]
    blanks = _has_blanks(rows)
    if blanks:
        notes.append(f"cells start with a blank after {sep!r}: blanks around cells are left out")
        rows = [[cell.strip() for cell in row] for row in rows]
    names, n_lines, more = _names(rows, options, blanks)
    return TextLayout(sep, encoding, skip + n_lines, names, (*notes, *more), blanks)


def _has_blanks(rows: list[list[str]]) -> bool:
    """Whether every cell but the first starts with a blank, in the header or, if it is written otherwise, below."""
    rows = [row[1:] for row in rows[1:100] or rows[:1]]
    return any(rows) and all(cell.startswith(" ") for row in rows for cell in row)


def _names(rows: list[list[str]], options: TextOptions, blanks: bool) -> tuple[tuple[str, ...], int, list[str]]:
    """Names of columns, () as the parser finds them; lines that hold names; notes."""
    first, notes = rows[0], []
    own = options.names or tuple(f"x{j}" for j in range(len(first)))
    if len(own) != len(first):
        raise TableError(f"has {len(first)} columns, and --names are {len(own)}: {', '.join(own)}")
    if tuple(first) == own:
        if options.header is False:
            notes = [f"the first line holds the names {', '.join(own[:3])}, ... and is no data, despite --no-header"]
        return own, 1, notes
    if options.names:
        return own, int(options.header is True), notes
    if options.header is False or (options.header is None and _is_data(first)):
        if options.header is None:
            notes = ["the first line holds numbers: there are no names, columns are x0, x1, ..."]
        return own, 0, notes
    if options.header is None:
        _refuse_values(first, rows[1:])
    return (tuple(first), 1, notes) if blanks else ((), 0, notes)


def _refuse_values(first: list[str], rows: list[list[str]]) -> None:
    """Raise TableError for names half of which, two at least, are values of their own columns."""
    columns = [{row[j] for row in rows if j < len(row)} for j in range(len(first))]
    values = [name for name, cells in zip(first, columns, strict=True) if name and name in cells]
    if len(values) >= max(2, len(first) / 2):
        raise TableError(
            f"names such as {values[0]!r} and {values[1]!r} are values of their own columns: is the first line data? "
            f"say --no-header, with --names if you know them, or --header"
        )


def without_comments(path: Path, encoding: str, comment: str) -> io.BytesIO:
    """The file without what follows the character, and without lines that are empty then, as UTF-8."""
    out = io.BytesIO()
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding=encoding, newline="") as lines:
        for line in _uncommented(lines, comment):
            out.write(line.encode())
    out.seek(0)
    return out


def _uncommented(lines: Iterator[str], comment: str) -> Iterator[str]:
    for line in lines:
        quoted, cut = False, len(line)
        for j, letter in enumerate(line):
            quoted ^= letter == '"'
            if letter == comment and not quoted:
                cut = j
                break
        kept = line[:cut].rstrip("\r\n" if cut == len(line) else None)
        if kept.strip():
            yield kept + "\n"


def _head(path: Path) -> bytes:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        return bytes(file.read(_HEAD_BYTES))


def _encoding(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise TableError(
            f"not UTF-8 (byte 0x{byte:02x} at {error.start}): say --encoding latin-1, or which encoding it is"
        ) from None
    if b"\0" in raw:
        raise TableError("holds zero bytes: say --encoding utf-16, or which encoding it is")
    return "utf-8"


def _leading_comments(lines: list[str], sep: str) -> int:
    """Lines at the top that start with # and have other fields than the first line that does not."""
    n = next((j for j, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if n == len(lines):
        return 0
    n_fields = lines[n].count(sep)
    return n if n and (n > 1 or lines[0].count(sep) != n_fields) else 0


def _separator(lines: list[str], default: str) -> str:
    """The separator of the format if the header holds it, else the only other one that every line holds as often."""
    if default in lines[0] or len(lines) < 1:
        return default
    held = [sep for sep in _SEPARATORS if sep in lines[0]]
    fitting = [sep for sep in held if len({_n_fields(line, sep) for line in lines[:100]}) == 1]
    if len(fitting) == 1:
        return fitting[0]
    if held and held != ["|"]:
        shown = ", ".join(repr(sep) for sep in held)
        raise TableError(
            f"the first line holds {shown} and no {default!r}: say which separates columns, --sep {held[0]!r}"
        )
    return default


def _n_fields(line: str, sep: str) -> int:
    return len(next(csv.reader([line], delimiter=sep), []))


def _is_data(fields: list[str]) -> bool:
    """Whether the first line can only be data: numbers of which one is a fraction or stands twice.

    Raises
    ------
    TableError
        Whole numbers that may be names.
    """
    try:
        numbers = [float(cell) for cell in fields]
    except ValueError:
        return False
    if any(not number.is_integer() for number in numbers) or len(set(fields)) < len(fields):
        return True
    if numbers == [float(j) for j in range(len(numbers))]:  # as pandas names columns
        return False
    raise TableError(
        f"the first line holds numbers only ({', '.join(fields[:5])}): say --no-header, or --header if these are names"
    )
