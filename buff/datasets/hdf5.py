"""HDF5 files whose layout is known."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from buff.errors import MissingExtraError

__all__ = ["Hdf5Content", "read_hdf5", "write_hdf5"]


@dataclass(frozen=True)
class Hdf5Content:
    """What was read of a file: datasets and attributes, by name."""

    arrays: dict[str, NDArray[Any]]
    attributes: dict[str, Any]


def read_hdf5(
    path: str | Path, names: Sequence[str], optional: Sequence[str] = (), rows: slice = slice(None)
) -> Hdf5Content:
    """Rows of the datasets ``names``, and of those of ``optional`` that the file has.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it lacks one of ``names``, is cut short or is not HDF5.
    MissingExtraError
        Without h5py (extra ``hep``).
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "hep") from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with h5py.File(path, "r") as file:
            there = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
            missing = [name for name in names if name not in there]
            if missing:
                raise ValueError(f"{path} has no dataset {', '.join(missing)}; it has {', '.join(there) or 'none'}")
            wanted = [name for name in (*names, *optional) if name in there]
            return Hdf5Content({name: file[name][rows] for name in wanted}, dict(file.attrs))
    except OSError as error:
        raise ValueError(f"{path} is cut short or not an HDF5 file: {error}") from error


def write_hdf5(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as datasets, compressed; the file appears under its name when it is whole.

    Raises
    ------
    FileNotFoundError
        When there is no such folder.
    MissingExtraError
        Without h5py (extra ``hep``).
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "hep") from error
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    hidden = path.with_name(f".{path.name}.part")
    try:
        with h5py.File(hidden, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array, compression="gzip")
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)
