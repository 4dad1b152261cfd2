"""The formats by suffix, and what one has to offer: a source of pieces and a sink for them."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from buff.errors import MissingExtraError
from buff.io import arrow, hdf5, npz, root, text
from buff.io.tables import TableError
from buff.io.text_layout import TextOptions

__all__ = ["FORMATS", "FileSink", "FileSource", "Format", "format_of", "naming"]


class FileSource(Protocol):
    """A file that is open for reading."""

    @property
    def names(self) -> Sequence[str]:
        """The columns that can be read, in the order of the file."""
        ...

    def pieces(self, names: list[str], rows: int, limit: int | None) -> Iterator[pa.Table]:
        """Tables of about ``rows`` rows; no more than about ``limit`` rows are wanted in all."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class FileSink(Protocol):
    """A file that is open for writing."""

    def write(self, piece: pa.Table) -> None:
        """Append rows."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


@dataclass(frozen=True)
class Format:
    """How tables of one format are read and written.

    Parameters
    ----------
    name : str
        As it stands in messages.
    suffixes : tuple of str
        Ends of the file names, lower case.
    source : callable
        ``source(path, inner) -> FileSource``; ``inner`` names what to read inside the file, "" for the only one.
    sink : callable
        ``sink(path, schema, inner) -> FileSink``.
    magic : tuple of bytes
        How files begin, where they all do.
    end : bytes
        How files end, where they all do.
    """

    name: str
    suffixes: tuple[str, ...]
    source: Callable[..., FileSource]
    sink: Callable[[Path, pa.Schema, str], FileSink]
    magic: tuple[bytes, ...] = ()
    end: bytes = b""

    def open(self, path: Path, inner: str, options: TextOptions | None = None) -> FileSource:
        """The file, read as ``options`` say if it is text."""
        return self.source(path, inner) if self.magic else self.source(path, inner, options)


_FEATHER = (".feather", ".arrow", ".ipc")
FORMATS = (
    Format("parquet", (".parquet", ".pq"), arrow.ParquetSource, arrow.ParquetSink, (b"PAR1",), b"PAR1"),
    Format("CSV", (".csv", ".csv.gz"), text.CsvSource, text.CsvSink),
    Format("TSV", (".tsv", ".tsv.gz"), text.TsvSource, text.TsvSink),
    Format("feather", _FEATHER, arrow.FeatherSource, arrow.FeatherSink, (b"ARROW1", b"\xff\xff\xff\xff"), b"ARROW1"),
    Format("HDF5", (".h5", ".hdf5", ".hdf"), hdf5.Hdf5Source, hdf5.Hdf5Sink, (b"\x89HDF",)),
    Format("NPZ", (".npz",), npz.NpzSource, npz.NpzSink, (b"PK",)),
    Format("ROOT", (".root",), root.RootSource, root.RootSink, (b"root",)),
    Format("NPY", (".npy",), npz.NpySource, npz.NpySink, (b"\x93NUMPY",)),
)


def format_of(path: str | PathLike[str]) -> tuple[Format, Path, str]:
    """Format, file and, after ``.root:``, the name of the tree inside.

    Examples
    --------
    >>> found, path, tree = format_of("run3/zmumu.root:Events")
    >>> found.name, path.name, tree
    ('ROOT', 'zmumu.root', 'Events')
    """
    whole = str(path)
    stem, colon, inner = whole.rpartition(".root:")
    name = f"{stem}.root" if colon else whole
    for candidate in FORMATS:
        if name.lower().endswith(candidate.suffixes):
            return candidate, Path(name), inner if colon else ""
    known = ", ".join(f"{f.name} ({' '.join(f.suffixes)})" for f in FORMATS)
    raise ValueError(f"{whole}: unknown format; the name must end in one of: {known}")


@contextmanager
def naming(path: Path, found: Format) -> Iterator[None]:
    """Turn what goes wrong in a library into a ValueError that names the file."""
    try:
        yield
    except (MissingExtraError, FileNotFoundError, IsADirectoryError, PermissionError, MemoryError):
        raise
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except Exception as error:  # a damaged file makes seven libraries raise whatever comes first
        raise ValueError(f"{path}: {_explained(path, found, error)}") from error


def _explained(path: Path, found: Format, error: Exception) -> str:
    """What a file is, if it is not what its suffix says, or what is wrong inside."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if not path.stat().st_size:
        return "the file is empty"
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(-min(8, path.stat().st_size), os.SEEK_END)
        end = file.read()
    if found.magic and not head.startswith(found.magic):
        return f"not readable as {found.name}: the file begins with {head[:12]!r}, no {found.name} file does"
    cut = "truncated file" in reason.lower() or "end-of-stream" in reason or "not a zip file" in reason
    endless = bool(found.end) and head.startswith(found.magic[0]) and not end.endswith(found.end)
    if cut or endless or isinstance(error, EOFError):
        return f"not readable as {found.name}, cut short ({reason})"
    return f"not readable as {found.name} ({reason}{_advice(reason)})"


def _advice(reason: str) -> str:
    """The option that reads a text file as it is."""
    ragged = re.search(r"Expected (\d+) columns, got (\d+)", reason)
    if ragged:
        return "; a comment? --comment '#'; another separator? --sep ';'; a line before the names? delete it"
    return "; say --encoding latin-1, or which encoding it is" if "UTF8" in reason else ""
