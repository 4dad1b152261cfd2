"""The formats by suffix, and what one has to offer: a source of pieces and a sink for them."""

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
    """

    name: str
    suffixes: tuple[str, ...]
    source: Callable[[Path, str], FileSource]
    sink: Callable[[Path, pa.Schema, str], FileSink]


FORMATS = (
    Format("parquet", (".parquet", ".pq"), arrow.ParquetSource, arrow.ParquetSink),
    Format("CSV", (".csv", ".csv.gz"), text.CsvSource, text.CsvSink),
    Format("TSV", (".tsv", ".tsv.gz"), text.TsvSource, text.TsvSink),
    Format("feather", (".feather", ".arrow", ".ipc"), arrow.FeatherSource, arrow.FeatherSink),
    Format("HDF5", (".h5", ".hdf5", ".hdf"), hdf5.Hdf5Source, hdf5.Hdf5Sink),
    Format("NPZ", (".npz",), npz.NpzSource, npz.NpzSink),
    Format("ROOT", (".root",), root.RootSource, root.RootSink),
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
def naming(path: Path, format_name: str) -> Iterator[None]:
    """Turn what goes wrong in a library into a ValueError that names the file."""
    try:
        yield
    except (MissingExtraError, FileNotFoundError, IsADirectoryError, PermissionError, MemoryError):
        raise
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except Exception as error:  # a damaged file makes seven libraries raise whatever comes first
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path}: not readable as {format_name}, perhaps cut short ({reason})") from error
