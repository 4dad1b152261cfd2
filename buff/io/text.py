"""CSV and TSV: a line of names, then a line a row; plain or gzipped."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from buff.errors import TableNotice, warn
from buff.io.tables import TableError
from buff.io.text_kinds import ColumnReading, Reading
from buff.io.text_layout import TextOptions, sniff, without_comments

__all__ = ["CsvSink", "CsvSource", "TsvSink", "TsvSource"]

#: Names that pandas gives, or leaves, to a column of row labels.
_INDEX = ("", "Unnamed: 0")


class CsvSource:
    """A text file whose types are found by looking at all of it.

    A first pass keeps, for each column, the readings that every cell so far allows: a column that starts with a
    million integers may end in a fraction. Empty cells, NA, nan and null are missing.
    """

    delimiter = ","
    #: The parser reads some thirty blocks ahead; a line must fit into one.
    block_bytes = 1 << 20

    def __init__(self, path: Path, inner: str = "", options: TextOptions | None = None) -> None:
        self._path = path
        self._options = options or TextOptions()
        self._layout = sniff(path, self._options, self.delimiter)
        with self._open({}) as reader:
            found: list[str] = reader.schema.names
        self._index = found[:1] if found[:1] and found[0] in _INDEX and len(found) > 1 else []
        self.names = found[len(self._index) :]

    def _open(self, types: dict[str, pa.DataType], names: Sequence[str] | None = None) -> Any:
        options, layout = self._options, self._layout
        encoding = layout.encoding
        source: Any = self._path
        if options.comment:
            source, encoding = without_comments(self._path, layout.encoding, options.comment), "utf-8"
        convert: dict[str, Any] = {}
        if options.na_values or layout.blanks:
            words = [*pa_csv.ConvertOptions().null_values, *options.na_values]
            convert["null_values"] = [*words, *(f" {word}" for word in words if layout.blanks)]
        return pa_csv.open_csv(
            source,
            read_options=pa_csv.ReadOptions(
                block_size=self.block_bytes,
                encoding="utf8" if encoding.lower().replace("-", "") in ("utf8", "utf8sig") else encoding,
                skip_rows=layout.skip,
                column_names=list(layout.names) or None,
            ),
            parse_options=pa_csv.ParseOptions(delimiter=layout.sep, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=types,
                include_columns=names,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                **convert,
            ),
        )

    def pieces(self, names: list[str], rows: int, limit: int | None) -> Iterator[pa.Table]:
        """See :class:`buff.io.formats.FileSource`."""
        readings = self._readings(names, limit)
        self._tell(readings)
        schema = pa.schema([(name, reading.kind) for name, reading in readings.items()])
        yield schema.empty_table()
        text = {name for name, r in readings.items() if r.convert or (self._layout.blanks and not _is_number(r.kind))}
        types = {name: pa.string() if name in text else r.kind for name, r in readings.items()}
        with self._open(types, names) as reader:
            for batch in reader:
                columns = [r.read(self._trimmed(batch[name])) for name, r in readings.items()]
                yield pa.Table.from_arrays(columns, schema=schema)

    def _readings(self, names: list[str], limit: int | None) -> dict[str, Reading]:
        options = self._options
        found = {name: ColumnReading(name, options.decimal or "", options.thousands or "") for name in names}
        n_seen = 0
        with self._open(dict.fromkeys(names, pa.string()), names) as reader:
            for batch in reader:
                for name, column in found.items():
                    column.look(self._trimmed(batch[name]))
                n_seen += batch.num_rows
                if limit is not None and n_seen >= limit:
                    break
        return {name: column.decide() for name, column in found.items()}

    def _trimmed(self, column: pa.Array) -> pa.Array:
        """Text without the blanks around it, where the file has such beside its separators."""
        if not self._layout.blanks or not pa.types.is_string(column.type):
            return column
        return pc.utf8_trim_whitespace(column)

    def _tell(self, readings: dict[str, Reading]) -> None:
        notes = [*self._layout.notes]
        if self._index:
            notes.append(f"the first column {self._index[0]!r} holds row labels and is left out")
        notes += [f"column {name!r} {reading.note}" for name, reading in readings.items() if reading.note]
        for note in notes:
            warn(f"{self._path}: {note}", TableNotice)

    def close(self) -> None:
        """Nothing is held open between passes."""


class TsvSource(CsvSource):
    """A table as :class:`CsvSource` reads it, with tabulators."""

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
        # pyarrow before 24 repeats the header after a batch without rows
        for batch in piece.cast(self._schema).to_batches():
            if batch.num_rows:
                self._writer.write_batch(batch)

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()
        self._stream.close()


class TsvSink(CsvSink):
    """A table as :class:`CsvSink` writes it, with tabulators."""

    delimiter = "\t"


def _is_number(kind: pa.DataType) -> bool:
    """A type that the parser itself trims."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
