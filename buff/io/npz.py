"""NPZ: NumPy arrays in a zip file, read and written a few rows at a time."""

import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from buff.io.arrays import SCHEMA, VALID, ArraySource, Layout
from buff.io.tables import TableError, to_numpy

__all__ = ["NpySink", "NpySource", "NpzSink", "NpzSource"]


class NpzSource(ArraySource):
    """Arrays that are streamed from the zip file; those in Fortran order are held as a whole."""

    def __init__(self, path: Path, inner: str = "") -> None:
        self._zip = zipfile.ZipFile(path)
        self._open: dict[str, IO[bytes]] = {}
        self._fortran: dict[str, np.ndarray[Any, Any]] = {}
        members = [name.removesuffix(".npy") for name in self._zip.namelist() if name.endswith(".npy")]
        self._headers = {name: self._header(name) for name in members}
        arrays = {name: Layout(dtype, shape) for name, (shape, _, dtype) in self._headers.items()}
        super().__init__(arrays, self._stored_schema() if SCHEMA in arrays else None)

    def _header(self, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        stream = self._zip.open(f"{name}.npy")
        self._open[name] = stream
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        return shape, fortran, dtype

    def _stored_schema(self) -> pa.Schema:
        return pa.ipc.read_schema(pa.py_buffer(self._take(SCHEMA, 0, self._headers[SCHEMA][0][0]).tobytes()))

    def _take(self, array: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        shape, fortran, dtype = self._headers[array]
        if dtype.hasobject:
            raise TableError(f"{array} holds Python objects, which are not read")
        if start == 0:
            self._header(array)
        if fortran and len(shape) > 1:
            if start == 0:
                values = np.frombuffer(self._open[array].read(), dtype)
                self._fortran[array] = values.reshape(shape, order="F")
            return self._fortran[array][start:stop]
        rest = shape[1:]
        size = (stop - start) * int(np.prod(rest)) * dtype.itemsize
        return np.frombuffer(self._open[array].read(size), dtype).reshape(stop - start, *rest)

    def close(self) -> None:
        """Let go of the file."""
        for stream in self._open.values():
            stream.close()
        self._zip.close()


class NpySource(ArraySource):
    """One array: of shape (n,), (n, d) with columns x0, x1, ..., or of records, mapped into memory."""

    def __init__(self, path: Path, inner: str = "") -> None:
        self._array = np.load(path, mmap_mode="r")
        shape, fields = self._array.shape, self._array.dtype.names
        width = shape[1] if len(shape) == 2 else 1
        labels = tuple(f"x{j}" for j in range(width))
        arrays = {
            name: Layout(self._array.dtype[name], shape + self._array.dtype[name].shape) for name in fields or ()
        } or {"x0" if len(shape) == 1 else "x": Layout(self._array.dtype, shape, labels)}
        super().__init__(arrays, None)

    def _take(self, array: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        rows = self._array[start:stop]
        return np.asarray(rows[array] if self._array.dtype.names else rows)

    def close(self) -> None:
        """Let go of the file."""
        del self._array


class NpySink:
    """NPY holds no names, and is not written."""

    def __init__(self, path: Path, schema: pa.Schema, inner: str = "") -> None:
        raise TableError("NPY keeps no names of columns: write NPZ, parquet or feather")

    def write(self, piece: pa.Table) -> None:
        """Never reached."""

    def close(self) -> None:
        """Never reached."""


@dataclass(frozen=True)
class _Spool:
    """Pieces of a column on disk until the number of rows and the widest string are known."""

    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    kinds: list[np.dtype[Any]] = field(default_factory=list)

    def append(self, values: np.ndarray[Any, Any]) -> None:
        npy.write_array(self.file, values)
        self.kinds.append(values.dtype)

    def pieces(self) -> Iterator[np.ndarray[Any, Any]]:
        self.file.seek(0)
        yield from (npy.read_array(self.file) for _ in self.kinds)


class NpzSink:
    """One array a column, strings at the width of the longest one; Arrow's types in an array of bytes."""

    def __init__(self, path: Path, schema: pa.Schema, inner: str = "") -> None:
        self._path = path
        self._schema = schema
        self._spools = {name: _Spool() for column in schema.names for name in (column, VALID + column)}
        self._with_nulls: set[str] = set()
        self._n = 0

    def write(self, piece: pa.Table) -> None:
        """Append rows."""
        for name in piece.column_names:
            values, valid = to_numpy(piece[name])
            self._spools[name].append(values.astype(str) if values.dtype == object else values)
            self._spools[VALID + name].append(np.ones(len(values), bool) if valid is None else valid)
            self._with_nulls |= set() if valid is None else {name}
        self._n += piece.num_rows

    def close(self) -> None:
        """Put the pieces together."""
        try:
            self._assemble()
        finally:
            for spool in self._spools.values():
                spool.file.close()

    def _assemble(self) -> None:
        with zipfile.ZipFile(self._path, "w") as archive:
            stored = np.frombuffer(self._schema.serialize().to_pybytes(), np.uint8)
            _copy(archive, SCHEMA, stored.dtype, len(stored), iter([stored]))
            for name, spool in self._spools.items():
                if not name.startswith(VALID) or name.removeprefix(VALID) in self._with_nulls:
                    _copy(archive, name, np.result_type(*spool.kinds), self._n, spool.pieces())


def _copy(
    archive: zipfile.ZipFile, name: str, kind: np.dtype[Any], n: int, pieces: Iterator[np.ndarray[Any, Any]]
) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        header = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": (n,)}
        npy.write_array_header_2_0(member, header)
        for piece in pieces:
            member.write(piece.astype(kind).tobytes())
