"""Tables from files, whole or in pieces."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from os import PathLike

import pyarrow as pa

from buff.errors import TableNotice, warn
from buff.io.formats import format_of, naming
from buff.io.tables import rechunk
from buff.io.text_layout import TextOptions

__all__ = ["column_names", "iter_table", "left_out", "read_table"]


def read_table(
    path: str | PathLike[str],
    columns: Sequence[str] | None = None,
    max_rows: int | None = None,
    *,
    options: TextOptions | None = None,
) -> pa.Table:
    """A file as one table.

    Parameters
    ----------
    path : path
        File; the suffix names the format. ``file.root:tree`` names a tree.
    columns : sequence of str, optional
        Columns to read, in this order; all of them unless told.
    max_rows : int, optional
        Read only the first rows.
    options : TextOptions, optional
        How a text file is laid out, where that cannot be found out.

    Returns
    -------
    pyarrow.Table
        Missing values are nulls where the format has them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the format is unknown, the file damaged, a column name missing or used twice, or a text file may be read in
        two ways.
    MissingExtraError
        If HDF5 or ROOT is asked for and the extra ``hep`` is not installed.

    Warns
    -----
    TableNotice
        Where text was read as numbers or dates, the layout of a text file was found out, or columns of several values
        an event were left out.

    Examples
    --------
    >>> import pyarrow as pa, tempfile
    >>> from buff.io import TableWriter
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TableWriter(f"{folder}/jets.csv") as out:
    ...         out.write(pa.table({"pt": [812.5, 930.0], "n": [30, 28]}))
    ...     read_table(f"{folder}/jets.csv", columns=["n"]).to_pydict()
    {'n': [30, 28]}
    """
    rows = 1 << 17 if max_rows is None else min(1 << 17, _positive("max_rows", max_rows))
    return pa.concat_tables(_pieces(path, _choose(path, columns, options), rows, max_rows, options))


def iter_table(
    path: str | PathLike[str],
    chunk_rows: int = 100_000,
    columns: Sequence[str] | None = None,
    *,
    options: TextOptions | None = None,
) -> Iterator[pa.Table]:
    """A file in pieces of ``chunk_rows`` rows, the last one shorter; at least one piece, if an empty one.

    Parameters
    ----------
    path, columns, options
        As in :func:`read_table`, which also says what is raised.
    chunk_rows : int
        Rows a piece; the memory needed is that of a few pieces, whatever the size of the file.

    Returns
    -------
    iterator of pyarrow.Table
        All of the same columns and types.
    """
    return _pieces(path, _choose(path, columns, options), _positive("chunk_rows", chunk_rows), None, options)


def column_names(path: str | PathLike[str], *, options: TextOptions | None = None) -> list[str]:
    """The columns of a file that have one value a row, without reading it.

    Parameters
    ----------
    path, options
        As in :func:`read_table`.
    """
    return _listed(path, options)[0]


def left_out(path: str | PathLike[str], *, options: TextOptions | None = None) -> dict[str, str]:
    """Columns of a file that are not read, such as jagged branches, and why."""
    return _listed(path, options)[1]


def _listed(path: str | PathLike[str], options: TextOptions | None) -> tuple[list[str], dict[str, str]]:
    """The columns, and why others are left out."""
    found, file, inner = format_of(path)
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file")
    with naming(file, found), closing(found.open(file, inner, options)) as source:
        return list(source.names), dict(getattr(source, "skipped", {}))


def _pieces(
    path: str | PathLike[str], names: list[str], rows: int, limit: int | None, options: TextOptions | None
) -> Iterator[pa.Table]:
    found, file, inner = format_of(path)
    with naming(file, found), closing(found.open(file, inner, options)) as source:
        yield from rechunk(source.pieces(names, rows, limit), rows, limit)


def _choose(path: str | PathLike[str], columns: Sequence[str] | None, options: TextOptions | None) -> list[str]:
    """The columns asked for, once it is sure that they are there and told apart by their names."""
    names, skipped = _listed(path, options)
    asked = next((name for name in columns or () if name in skipped), None)
    if asked is not None:
        raise ValueError(f"{path}: {skipped[asked]}")
    if columns is None and skipped:
        shown = ", ".join([*skipped][:10]) + (", ..." if len(skipped) > 10 else "")
        note = f"{len(skipped)} columns have several values an event and are left out: {shown}"
        warn(f"{path}: {note}", TableNotice)
    if not names:
        raise ValueError(f"{path}: no columns of one value a row")
    twice = [name for name, n in Counter(names).items() if n > 1 and (columns is None or name in columns)]
    if twice:
        raise ValueError(f"{path}: column name {twice[0]!r} is used twice; are the names in the first line?")
    missing = [name for name in columns or () if name not in names]
    if missing:
        raise ValueError(f"{path}: no column {missing[0]!r}; it has {' '.join(names)}")
    return names if columns is None else list(dict.fromkeys(columns))


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value
