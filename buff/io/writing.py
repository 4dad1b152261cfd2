"""Tables to files, piece after piece, and never half of one under the final name."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from buff.io.formats import FileSink, format_of
from buff.io.tables import TableError, to_table

__all__ = ["TableWriter"]


class TableWriter:
    """A file that grows by pieces, in the memory of one piece.

    Rows go to a hidden file beside the final one, which takes its place when the ``with`` block ends
    without an exception; an older file of that name stays as it was until then.

    Parameters
    ----------
    path : path
        File; the suffix names the format, ``file.root:tree`` also the tree; else it is that
        which the rows, or those a model learned, were read from, or ``events``.
    names : sequence of str, optional
        Column names of pieces that are arrays.

    Attributes
    ----------
    n_rows : int
        Rows taken so far.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the format is unknown, lacks a type, or a piece differs in columns or types from the first.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from buff.io import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TableWriter(f"{folder}/out.parquet", names=["pt", "eta"]) as out:
    ...         for start in range(3):
    ...             out.write(np.full((2, 2), float(start)))
    ...     read_table(f"{folder}/out.parquet")["pt"].to_pylist()
    [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    """

    #: Small pieces are gathered, since a row group of parquet or a basket of ROOT has its price.
    gather_rows = 1 << 16

    def __init__(self, path: str | PathLike[str], names: Sequence[str] | None = None) -> None:
        self._format, self._path, self._inner = format_of(path)
        if not self._path.parent.is_dir():
            raise FileNotFoundError(f"{self._path.parent}: no such folder")
        self._hidden = self._path.with_name(f".{secrets.token_hex(4)}.{self._path.name}")
        self._names = names
        self._schema: pa.Schema | None = None
        self._sink: FileSink | None = None
        self._held: list[pa.Table] = []
        self.n_rows = 0

    def write(self, rows: Any) -> None:
        """Append rows: an array of shape (n, d), or a pandas, polars or pyarrow table."""
        table = to_table(rows, self._names)
        if self._schema is None:
            self._start(table.schema)
            self._schema = table.schema
        self._held.append(self._fitted(table, self._schema))
        self.n_rows += table.num_rows
        if sum(piece.num_rows for piece in self._held) >= self.gather_rows:
            self._flush()

    def _start(self, schema: pa.Schema) -> None:
        if len(set(schema.names)) < len(schema.names):
            raise ValueError(f"{self._path}: a column name is used twice in {' '.join(schema.names)}")
        try:
            self._sink = self._format.sink(self._hidden, schema, self._inner)
        except TableError as error:
            raise TableError(f"{self._path}: {error}") from None

    def _fitted(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        if set(table.column_names) != set(schema.names):
            raise ValueError(
                f"{self._path}: a piece has columns {' '.join(table.column_names)},"
                f" the first one had {' '.join(schema.names)}"
            )
        try:
            return table.select(schema.names).cast(schema)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{self._path}: a piece differs in type from the first one ({error})") from None

    def _flush(self) -> None:
        if self._sink is None or not self._held:
            return
        gathered, self._held = pa.concat_tables(self._held), []
        try:
            self._sink.write(gathered)
        except TableError as error:
            raise TableError(f"{self._path}: {error}") from None

    def close(self) -> None:
        """Write what is held and give the file its name."""
        try:
            if self._sink is None:
                raise ValueError(f"{self._path}: nothing was written, not even an empty table")
            self._flush()
            self._sink.close()
        except BaseException:
            self.discard()
            raise
        self._hidden.replace(self._path)

    def discard(self) -> None:
        """Give up: nothing is left of the new file."""
        if self._sink is not None:
            with suppress(Exception):
                self._sink.close()
        self._hidden.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()
