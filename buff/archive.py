"""A model as one file: a zip of JSON, arrays and boosters, without pickle, so that loading runs no code."""

import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from buff.errors import ArchiveError
from buff.protocols import Array

__all__ = ["FORMAT", "Archive", "nested", "read_archive", "write_archive"]

T = TypeVar("T")

#: Raised by one whenever files of the version before cannot be read as they are.
FORMAT = 1


@dataclass(frozen=True)
class Archive:
    """What a model's file holds.

    Attributes
    ----------
    kind : str
        Name of the estimator.
    record : dict
        JSON-serialisable facts.
    arrays : mapping from name to array
    blobs : mapping from name to bytes
        Boosters in UBJSON.
    """

    kind: str
    record: dict[str, Any]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    blobs: Mapping[str, bytes] = field(default_factory=dict)


def nested(parts: Mapping[str, T], prefix: str) -> dict[str, T]:
    """The parts whose names start with ``prefix/``, without it.

    Examples
    --------
    >>> nested({"a/b": 1, "c/d": 2}, "a")
    {'b': 1}
    """
    return {key.removeprefix(f"{prefix}/"): a for key, a in parts.items() if key.startswith(f"{prefix}/")}


def write_archive(path: str | os.PathLike[str], archive: Archive) -> None:
    """Write a model; the file appears under its name only when it is whole."""
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: name a file in a folder that exists")
    manifest = {"buff": _version(), "format": FORMAT, "kind": archive.kind, "record": archive.record}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("manifest.json", json.dumps(manifest, allow_nan=False, default=_plain))
            for key, array in archive.arrays.items():
                buffer = io.BytesIO()
                np.save(buffer, array, allow_pickle=False)
                zipped.writestr(f"arrays/{key}.npy", buffer.getvalue())
            for key, blob in archive.blobs.items():
                zipped.writestr(f"blobs/{key}", blob)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def read_archive(path: str | os.PathLike[str]) -> Archive:
    """Read a model.

    Raises
    ------
    FileNotFoundError
    ArchiveError
        The file is no model, is cut short or damaged, or has a format that this version does not read.
    """
    with open(path, "rb") as file:
        try:
            return _read(file, path)
        except ArchiveError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError) as error:
            raise ArchiveError(f"{path} is not a buff model, or is cut short or damaged: {error}") from error


def _read(file: BinaryIO, path: str | os.PathLike[str]) -> Archive:
    with zipfile.ZipFile(file) as zipped:
        manifest = _manifest(zipped, path)
        names = zipped.namelist()
        arrays = {
            name.removeprefix("arrays/").removesuffix(".npy"): np.load(io.BytesIO(zipped.read(name)))
            for name in names
            if name.startswith("arrays/")
        }
        blobs = {name.removeprefix("blobs/"): zipped.read(name) for name in names if name.startswith("blobs/")}
    return Archive(manifest["kind"], manifest["record"], arrays, blobs)


def _manifest(zipped: zipfile.ZipFile, path: str | os.PathLike[str]) -> dict[str, Any]:
    if "manifest.json" not in zipped.namelist():
        raise ArchiveError(f"{path} is a zip file, but not a buff model: it has no manifest.json")
    manifest = json.loads(zipped.read("manifest.json"))
    if not isinstance(manifest, dict) or not {"format", "kind", "record"} <= set(manifest):
        raise ArchiveError(f"{path} is a zip file, but not a buff model: its manifest.json is of something else")
    if manifest.get("format") != FORMAT:
        raise ArchiveError(
            f"{path} has format {manifest.get('format')} of buff {manifest.get('buff')}, and buff {_version()} reads "
            f"format {FORMAT}: use the version that wrote it, or fit again"
        )
    return manifest


def _plain(value: Any) -> Any:
    """NumPy's numbers and dates, which parameters may be, as JSON can hold them."""
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, date):  # bounds of columns of dates
        return value.isoformat()
    raise TypeError(f"a model's file cannot hold {value!r}: give plain numbers, strings, lists and mappings")


def _version() -> str:
    try:
        return version("buff-flow")
    except PackageNotFoundError:  # run from a source tree
        return "0+source"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
