"""CSV and TSV: a line of names, then a line a row; plain or gzipped."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from buff.io.tables import TableError

__all__ = ["CsvSink", "CsvSource", "TsvSink", "TsvSource"]

#: What a column of text may turn out to hold, tried in this order; strings otherwise.
_KINDS = (
    pa.int64(),
    pa.float64(),
    pa.bool_(),
    pa.date32(),
    *(pa.timestamp(unit, zone) for zone in (None, "UTC") for unit in ("s", "ns")),
)


class CsvSource:
    """A text file whose types are found by looking at all of it.

    A first pass keeps, for each column, the types that every cell so far can be read as: a column that
    starts with a million integers may end in a fraction. Empty cells, NA, nan and null are missing.
    """

    delimiter = ","
    #: The parser reads some thirty blocks ahead; a line must fit into one.
    block_bytes = 1 << 20

    def __init__(self, path: Path, inner: str = "") -> None:
        self._path = path
        with self._open({}) as reader:
            self.names: list[str] = reader.schema.names

    def _open(self, types: dict[str, pa.DataType], names: Sequence[str] | None = None) -> Any:
        return pa_csv.open_csv(
            self._path,
            read_options=pa_csv.ReadOptions(block_size=self.block_bytes),
            parse_options=pa_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=types,
                include_columns=names,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def pieces(self, names: list[str], rows: int, limit: int | None) -> Iterator[pa.Table]:
        """See :class:`buff.io.formats.FileSource`."""
        types = self._types(names, limit)
        yield pa.schema(list(types.items())).empty_table()
        with self._open(types, names) as reader:
            yield from (pa.Table.from_batches([batch]) for batch in reader)

    def _types(self, names: list[str], limit: int | None) -> dict[str, pa.DataType]:
        possible = {name: list(_KINDS) for name in names}
        n_seen = 0
        with self._open(dict.fromkeys(names, pa.string()), names) as reader:
            for batch in reader:
                for name in names:
                    possible[name] = [kind for kind in possible[name] if _reads_as(batch[name], kind)]
                n_seen += batch.num_rows
                if limit is not None and n_seen >= limit:
                    break
        return {name: _first(kinds) for name, kinds in possible.items()}

    def close(self) -> None:
        """Nothing is held open between passes."""


class TsvSource(CsvSource):
    """The same with tabulators."""

    delimiter = "\t"


class CsvSink:
    """A text file; a missing string is an empty cell, an empty string is ``""``."""

    delimiter = ","

    def __init__(self, path: Path, schema: pa.Schema, inner: str = "") -> None:
        nested = [field.name for field in schema if pa.types.is_nested(field.type)]
        if nested:
            raise TableError(f"column {nested[0]!r} holds lists, which text cannot: write parquet or feather")
        self._schema = pa.schema([(field.name, _plain(field.type)) for field in schema])
        self._stream = pa.output_stream(str(path), compression="gzip" if path.suffix == ".gz" else None)
        options = pa_csv.WriteOptions(delimiter=self.delimiter)
        self._writer = pa_csv.CSVWriter(self._stream, self._schema, write_options=options)

    def write(self, piece: pa.Table) -> None:
        """Append rows."""
        self._writer.write(piece.cast(self._schema))

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()
        self._stream.close()


class TsvSink(CsvSink):
    """The same with tabulators."""

    delimiter = "\t"


def _reads_as(column: pa.Array, kind: pa.DataType) -> bool:
    # the parser trims numbers, the cast does not; a cast that fails words a complaint for every row
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        column = pc.utf8_trim_whitespace(column)
    try:
        column.slice(0, 50).cast(kind)
        column.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _first(kinds: list[pa.DataType]) -> pa.DataType:
    if len(kinds) == len(_KINDS):  # nothing but empty cells
        return pa.float64()
    return kinds[0] if kinds else pa.string()


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
