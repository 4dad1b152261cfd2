"""Parquet and feather (Arrow IPC): the formats that keep every type."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from buff.io.tables import is_index

__all__ = ["FeatherSink", "FeatherSource", "ParquetSink", "ParquetSource"]


class ParquetSource:
    """A parquet file; decoded a few row groups at a time."""

    def __init__(self, path: Path, inner: str = "") -> None:
        # a large file must not be mapped into memory as a whole, nor its column chunks be fetched ahead
        self._file = pq.ParquetFile(path, memory_map=False, pre_buffer=False)
        self.names = [name for name in self._file.schema_arrow.names if not is_index(name)]

    def pieces(self, names: list[str], rows: int, limit: int | None) -> Iterator[pa.Table]:
        """See :class:`buff.io.formats.FileSource`."""
        fields = self._file.schema_arrow
        schema = pa.schema([fields.field(name) for name in names])
        yield schema.empty_table()
        for batch in self._file.iter_batches(batch_size=rows, columns=names):
            yield pa.Table.from_batches([batch]).select(names).cast(schema)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ParquetSink:
    """A parquet file, a row group each piece."""

    def __init__(self, path: Path, schema: pa.Schema, inner: str = "") -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, piece: pa.Table) -> None:
        """Append rows."""
        self._writer.write_table(piece)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


class FeatherSource:
    """An Arrow IPC file or stream."""

    def __init__(self, path: Path, inner: str = "") -> None:
        self._file = pa.OSFile(str(path))
        self._reader: Any
        is_file = self._file.read(6) == b"ARROW1"
        self._file.seek(0)
        self._reader = pa.ipc.open_file(self._file) if is_file else pa.ipc.open_stream(self._file)
        self.names = [name for name in self._reader.schema.names if not is_index(name)]

    def pieces(self, names: list[str], rows: int, limit: int | None) -> Iterator[pa.Table]:
        """See :class:`buff.io.formats.FileSource`."""
        schema = pa.schema([self._reader.schema.field(name) for name in names])
        yield schema.empty_table()
        for batch in self._batches():
            yield pa.Table.from_batches([batch]).select(names)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if not hasattr(self._reader, "num_record_batches"):
            yield from self._reader
            return
        for i in range(self._reader.num_record_batches):
            yield self._reader.get_batch(i)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class FeatherSink:
    """An Arrow IPC file with LZ4 compression."""

    def __init__(self, path: Path, schema: pa.Schema, inner: str = "") -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4", emit_dictionary_deltas=True)
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, schema, options=options)
        self._categories: dict[str, pa.Array] = {}

    def write(self, piece: pa.Table) -> None:
        """Append rows."""
        for j, field in enumerate(piece.schema):
            if pa.types.is_dictionary(field.type):
                piece = piece.set_column(j, field, self._grown(field, piece.column(j)))
        self._writer.write_table(piece)

    def _grown(self, field: pa.Field, column: pa.ChunkedArray) -> pa.Array:
        # an IPC file may only append to a dictionary: old categories keep their codes
        values = column.cast(field.type.value_type).combine_chunks()
        known = self._categories.get(field.name, pa.array([], field.type.value_type))
        fresh = pc.unique(values.filter(pc.invert(pc.is_in(values, known)))).drop_null()
        self._categories[field.name] = known = pa.concat_arrays([known, fresh])
        codes = pc.index_in(values, known).cast(field.type.index_type)
        return pa.DictionaryArray.from_arrays(codes, known, ordered=field.type.ordered)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
        self._file.close()
