"""Members of an archive, read in no more memory than they declare, and without a byte that is not theirs."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

from buff.errors import ArchiveError
from buff.protocols import Array
from buff.records import read_array

__all__ = ["Members", "array_of", "bytes_of", "digest", "json_of", "to_json"]

#: Bytes that an archive may unpack to: a small model may be small all the more, a large one not a thousandfold.
_SMALL, _RATIO = 2**26, 200
#: Bytes of the manifest, which lists members and holds nothing else.
_MANIFEST = 2**25
#: Nested lists and mappings in JSON.
_DEPTH = 64


class Members:
    """The members of a zip file by name.

    Parameters
    ----------
    file : binary file

    Raises
    ------
    ArchiveError
        A name twice; members that are encrypted, or in all larger than a model of this file could be.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file)
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if info.filename in self._infos:
                raise ArchiveError(f"the member {info.filename!r} is there twice")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArchiveError(f"the member {info.filename!r} is encrypted, or packed in another way than deflate")
            self._infos[info.filename] = info
        size, unpacked = file.seek(0, io.SEEK_END), sum(info.file_size for info in self._infos.values())
        if unpacked > max(_SMALL, _RATIO * size):
            raise ArchiveError(f"{size} bytes that would unpack to {unpacked}, more than any model does")

    @property
    def names(self) -> set[str]:
        """All names."""
        return set(self._infos)

    def read(self, name: str, size: int | None = None, sha256: str | None = None) -> bytes:
        """A member, which has this size and digest where they are given.

        Raises
        ------
        ArchiveError
            If it is not there, or another.
        """
        info = self._infos.get(name)
        if info is None:
            raise ArchiveError(f"the member {name!r} is lost")
        if size is not None and info.file_size != size:
            raise ArchiveError(f"the member {name!r} has {info.file_size} bytes, and {size} in the manifest")
        with self._zip.open(info) as stream:
            content = stream.read(info.file_size)
        if len(content) != info.file_size or (sha256 is not None and digest(content) != sha256):
            raise ArchiveError(f"the member {name!r} was changed: its digest is not that of the manifest")
        return content

    def manifest(self, name: str) -> Any:
        """A member in JSON that may not be large."""
        info = self._infos.get(name)
        if info is not None and info.file_size > _MANIFEST:
            raise ArchiveError(f"{name} of {info.file_size} bytes")
        return json_of(self.read(name), name)

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Members of a format that lists no digests."""
        return {name: self.read(name) for name in names}


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def to_json(value: Any, default: Any = None) -> bytes:
    """JSON without NaN and infinities."""
    return json.dumps(value, allow_nan=False, default=default).encode()


def json_of(content: bytes, name: str) -> Any:
    """What JSON says, without NaN, infinities, keys twice, and more than some levels.

    Raises
    ------
    ArchiveError

    Examples
    --------
    >>> json_of(b'{"a": [1, 2]}', "record.json")
    {'a': [1, 2]}
    """
    try:
        value = json.loads(content, parse_constant=_refused, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{name} is not readable: {str(error)[:200]}") from None
    _check_depth(value, name, 0)
    return value


def _check_depth(value: Any, name: str, depth: int) -> None:
    if depth > _DEPTH:
        raise ArchiveError(f"{name} has more than {_DEPTH} levels")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        _check_depth(part, name, depth + 1)


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of a record")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def bytes_of(array: Array) -> bytes:
    """An array in NumPy's format."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def array_of(content: bytes, name: str) -> Array:
    """The array in NumPy's format, no larger than the bytes that are there.

    Raises
    ------
    ArchiveError
        Python objects, a header that is none, or another number of bytes than the shape says.

    Examples
    --------
    >>> array_of(bytes_of(np.arange(3)), "numbers")
    array([0, 1, 2])
    """
    stream = io.BytesIO(content)
    array = read_array(stream, name)
    if stream.tell() != len(content):
        raise ArchiveError(f"{name} has bytes after its end")
    return array
