"""HDF5: a dataset a column, or datasets of shape (n, d), with names in their attribute ``columns``."""

from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from buff.errors import MissingExtraError
from buff.io.arrays import SCHEMA, VALID, ArraySource, Layout
from buff.io.tables import to_numpy

__all__ = ["Hdf5Sink", "Hdf5Source"]

#: Attribute of a dataset: the name of its column, which may hold what HDF5 takes for a path.
_NAME = "column"


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "hep") from error
    return h5py


class Hdf5Source(ArraySource):
    """All datasets of a file, also those in groups (``group/name``)."""

    def __init__(self, path: Path, inner: str = "") -> None:
        h5py = _h5py()
        self._file = h5py.File(path, "r")
        arrays: dict[str, Layout] = {}

        self._datasets: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

        def collect(path: str, item: Any) -> None:
            if not isinstance(item, h5py.Dataset):
                return
            stored = item.attrs.get(_NAME, path)
            name = stored.decode() if isinstance(stored, bytes) else str(stored)
            if h5py.check_vlen_dtype(item.dtype) not in (None, str, bytes):
                self.skipped[name] = f"dataset {name!r} holds lists of several values an event; choose others"
                return
            arrays[name] = Layout(item.dtype, item.shape or (), _labels(item))
            self._datasets[name] = path

        self._file.visititems(collect)
        stored = self._file.attrs.get(SCHEMA)
        schema = None if stored is None else pa.ipc.read_schema(pa.py_buffer(stored.tobytes()))
        order = {} if schema is None else dict.fromkeys(name for name in schema.names if name in arrays)
        super().__init__({name: arrays[name] for name in order | arrays}, schema)

    def _take(self, array: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        dataset = self._file[self._datasets[array]]
        is_text = _h5py().check_string_dtype(dataset.dtype) is not None
        values = (dataset.asstr() if is_text else dataset)[start:stop]
        return np.asarray(values)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _labels(dataset: Any) -> tuple[str, ...]:
    names = np.asarray(dataset.attrs.get("columns", ())).ravel().tolist()
    fits = len(dataset.shape or ()) == 2 and len(names) == dataset.shape[1]
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names) if fits else ()


def _free_key(name: str) -> str:
    """HDF5 takes a slash in a name for a group."""
    prefix, rest = (VALID, name.removeprefix(VALID)) if name.startswith(VALID) else ("", name)
    return prefix + rest.replace("%", "%25").replace("/", "%2F") if "/" in rest or "%" in rest else name


class Hdf5Sink:
    """A growing dataset a column; dates as integers since 1970; Arrow's types in an attribute of the file."""

    def __init__(self, path: Path, schema: pa.Schema, inner: str = "") -> None:
        self._h5py = _h5py()
        self._disk = _Disk(path, "w+")
        self._file = self._h5py.File(self._disk, "w", track_order=True)
        self._file.attrs[SCHEMA] = np.void(schema.serialize().to_pybytes())
        self._n = 0
        self._keys: dict[str, str] = {}

    def write(self, piece: pa.Table) -> None:
        """Append rows."""
        for name in piece.column_names:
            values, valid = to_numpy(piece[name])
            self._append(name, values.view(np.int64) if values.dtype.kind == "M" else values, None)
            if valid is not None or VALID + name in self._keys:
                self._append(VALID + name, np.ones(len(values), bool) if valid is None else valid, True)
        self._n += piece.num_rows
        self._disk.raise_failure()

    def _append(self, name: str, values: np.ndarray[Any, Any], fill: bool | None) -> None:
        key = self._keys.setdefault(name, _free_key(name))
        if key not in self._file:
            kind = self._h5py.string_dtype() if values.dtype == object else values.dtype
            self._file.create_dataset(
                key, (self._n,), kind, maxshape=(None,), chunks=(1 << 14,), shuffle=True,
                compression="gzip", compression_opts=1, fillvalue=fill,
            )  # fmt: skip
            if key != name:  # of fixed length: HDF5 does not come back from some damaged texts of any length
                self._file[key].attrs[_NAME] = np.bytes_(name.encode())
        dataset = self._file[key]
        dataset.resize(self._n + len(values), axis=0)
        dataset[self._n :] = values

    def close(self) -> None:
        """Finish the file."""
        try:
            self._file.close()
        finally:
            self._disk.close()
        self._disk.raise_failure()


class _Disk(FileIO):
    """A file whose first failure is kept for later: HDF5 does not outlive a write that fails."""

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._failure: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all; once that has failed, nothing."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        try:
            while len(rest) and self._failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._failure = error
        return size

    def raise_failure(self) -> None:
        """Raise the OSError that was kept, if there is one."""
        if self._failure is not None:
            raise self._failure
