"""A model as one file: a zip of JSON, arrays and trees, without pickle, so that loading runs no code.

FORMAT.md describes it byte by byte.
"""

import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO

import numpy as np

from buff.archive.members import Members, array_of, bytes_of, digest, json_of, to_json
from buff.errors import ArchiveError
from buff.files import whole_file
from buff.protocols import Array
from buff.records import joined, nested
from buff.version import __version__

__all__ = ["FORMAT", "Archive", "read_archive", "write_archive"]

#: Raised by one whenever files of the version before cannot be read as they are; all from the first on are read.
FORMAT = 2
_MANIFEST, _RECORD = "manifest.json", "record.json"
#: A member that packs better than this is kept as it is: readers take what unpacks to far more for an attack.
_PACKED = 100
_SHA256 = re.compile("[0-9a-f]{64}")
#: What reading damaged zip files raises.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError, OverflowError)


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
        Trees, weights of networks in safetensors.
    """

    kind: str
    record: dict[str, Any]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    blobs: Mapping[str, bytes] = field(default_factory=dict)

    def under(self, prefix: str) -> "Archive":
        """This archive as a part of another one: see :meth:`part`."""
        arrays, blobs = (joined({prefix: part}) for part in (self.arrays, self.blobs))
        return Archive(self.kind, {prefix: {"kind": self.kind, "record": self.record}}, arrays, blobs)

    def part(self, prefix: str) -> "Archive":
        """The archive that was put :meth:`under` a prefix.

        Examples
        --------
        >>> whole = Archive("Flow", {"n": 3}, {"x": np.arange(2)}).under("first")
        >>> whole.part("first")
        Archive(kind='Flow', record={'n': 3}, arrays={'x': array([0, 1])}, blobs={})
        """
        inner = self.record[prefix]
        return Archive(inner["kind"], inner["record"], nested(self.arrays, prefix), nested(self.blobs, prefix))


def write_archive(path: str | os.PathLike[str], archive: Archive) -> None:
    """Write a model; the file appears under its name only when it is whole.

    Raises
    ------
    FileNotFoundError
        The folder does not exist.
    TypeError, ValueError
        What cannot be kept without pickle.
    """
    contents = {_RECORD: to_json(archive.record, _plain)}
    contents |= {f"arrays/{key}.npy": bytes_of(array) for key, array in archive.arrays.items()}
    contents |= {f"blobs/{key}": bytes(blob) for key, blob in archive.blobs.items()}
    members = {name: [len(content), digest(content)] for name, content in contents.items()}
    manifest = {"buff": __version__, "format": FORMAT, "kind": archive.kind, "members": members}
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in ({_MANIFEST: to_json(manifest)} | contents).items():
            zipped.writestr(_dated(name), content, _packing(content))


def _dated(name: str) -> zipfile.ZipInfo:
    """A member without the time of day: equal models are equal files."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    return info


def _packing(content: bytes) -> int:
    dense = len(content) > 2**16 and len(zlib.compress(content, 1)) * _PACKED < len(content)
    return zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED


def read_archive(path: str | os.PathLike[str]) -> Archive:
    """Read a model.

    Raises
    ------
    FileNotFoundError
    ArchiveError
        The file is no model, is cut short or damaged, holds more or less than its manifest says, or has a format that
        this version does not read.
    """
    with open(path, "rb") as file:
        try:
            return _read(file)
        except ArchiveError as error:
            raise ArchiveError(f"{path} {_is_no_model(error)}: {error}") from None
        except _DAMAGE as error:
            raise ArchiveError(f"{path} is not a buff model, or is cut short or damaged: {error}") from error


class _OtherFile(ArchiveError):
    """A whole file of something else, or of another version."""


def _is_no_model(error: ArchiveError) -> str:
    return "is not read" if isinstance(error, _OtherFile) else "is cut short or damaged"


def _read(file: BinaryIO) -> Archive:
    members = Members(file)
    if _MANIFEST not in members.names:
        raise _OtherFile("it is a zip file, but not a buff model: it has no manifest.json")
    manifest = members.manifest(_MANIFEST)
    if not isinstance(manifest, dict) or not {"format", "kind"} <= set(manifest):
        raise _OtherFile("it is a zip file, but not a buff model: its manifest.json is of something else")
    number, kind = manifest["format"], manifest["kind"]
    if type(number) is not int or not 1 <= number <= FORMAT:
        raise _OtherFile(
            f"it has format {str(number)[:40]} of buff {str(manifest.get('buff'))[:40]}, and buff {__version__} reads "
            f"formats 1 to {FORMAT}: use the version that wrote it, or fit again"
        )
    if not isinstance(kind, str):
        raise _OtherFile("it is a zip file, but not a buff model: its manifest.json is of something else")
    record, contents = _first(members, manifest) if number == 1 else _listed(members, manifest)
    if not isinstance(record, dict):
        raise ArchiveError("its record is no mapping")
    arrays, blobs = {}, {}
    for name, content in contents.items():
        if name.startswith("arrays/") and name.endswith(".npy"):
            arrays[name.removeprefix("arrays/").removesuffix(".npy")] = array_of(content, name)
        elif name.startswith("blobs/"):
            blobs[name.removeprefix("blobs/")] = content
        else:
            raise ArchiveError(f"the member {name!r} is of no model")
    return Archive(kind, record, arrays, blobs)


def _first(members: Members, manifest: dict[str, Any]) -> tuple[Any, dict[str, bytes]]:
    """Record and members of format 1, which lists none of them."""
    return manifest.get("record"), members.read_all(sorted(members.names - {_MANIFEST}))


def _listed(members: Members, manifest: dict[str, Any]) -> tuple[Any, dict[str, bytes]]:
    """Record and members, which are those that the manifest lists."""
    listed = manifest.get("members")
    if not isinstance(listed, dict) or _RECORD not in listed:
        raise ArchiveError("its manifest lists no members")
    more, less = members.names - {_MANIFEST} - set(listed), set(listed) - members.names
    if more or less:
        raise ArchiveError(f"members lost: {sorted(less)[:5]}, members that are not listed: {sorted(more)[:5]}")
    contents = {}
    for name, entry in listed.items():
        fits = isinstance(entry, list) and [type(part) for part in entry] == [int, str]
        if not fits or entry[0] < 0 or not _SHA256.fullmatch(entry[1]):
            raise ArchiveError(f"its manifest says {str(entry)[:80]} of the member {name!r}")
        contents[name] = members.read(name, entry[0], entry[1])
    return json_of(contents.pop(_RECORD), _RECORD), contents


def _plain(value: Any) -> Any:
    """NumPy's numbers and dates, which parameters may be, as JSON can hold them."""
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, date):  # bounds of columns of dates
        return value.isoformat()
    raise TypeError(f"a model's file cannot hold {value!r}: give plain numbers, strings, lists and mappings")
