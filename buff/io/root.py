"""ROOT trees and RNTuples through uproot; ``file.root:tree`` names one of several."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from buff.errors import MissingExtraError
from buff.io.tables import TableError, from_numpy, to_numpy

__all__ = ["RootSink", "RootSource"]

_SEVERAL = ("std::vector", "std::array", "std::set", "std::map", "ROOT::RVec", "std::bitset")
_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")


def _uproot() -> Any:
    try:
        import uproot
    except ImportError as error:
        raise MissingExtraError("uproot", "hep") from error
    return uproot


class RootSource:
    """A tree of flat branches; others are left out, and refused when they are asked for."""

    def __init__(self, path: Path, inner: str = "") -> None:
        self._file = _uproot().open(path)
        self.tree = self._named(inner)
        self._tree = self._file[self.tree]
        names = list(dict.fromkeys(self._tree.keys()))
        reasons = {name: _reason(self._tree, name) for name in names}
        self.names = [name for name in names if not reasons[name] and f"{name}" not in _parents(names)]
        self.skipped = {name: reason for name, reason in reasons.items() if reason}

    def _named(self, inner: str) -> str:
        """The tree that is asked for, or the only one."""
        kinds = self._file.classnames(cycle=False)
        trees: list[str] = [name for name, kind in kinds.items() if kind in _TREES]
        shown = " ".join(trees) or "none"
        if not inner:
            if len(trees) != 1:
                raise TableError(f"choose a tree as file.root:tree; the file has {shown}")
            return trees[0]
        name = inner.split(";")[0].strip("/")
        if name not in kinds:
            raise TableError(f"no tree {inner!r} in the file; it has {shown}")
        if kinds[name] not in _TREES:
            raise TableError(f"{inner!r} is a {kinds[name]}, no tree; the file has the trees {shown}")
        return inner

    def pieces(self, names: list[str], rows: int, limit: int | None) -> Iterator[pa.Table]:
        """See :class:`buff.io.formats.FileSource`."""
        # by a filter: names given as expressions would be taken for formulas or patterns
        chosen = {"filter_name": set(names).__contains__, "library": "np"}
        # what is learned from it is written to a tree of this name
        tree = {"tree": self.tree.split(";")[0].strip("/")}
        yield _table(names, self._tree.arrays(entry_stop=0, **chosen)).replace_schema_metadata(tree)
        for start in range(0, self._tree.num_entries, rows):
            piece = self._tree.arrays(entry_start=start, entry_stop=start + rows, **chosen)
            yield _table(names, piece).replace_schema_metadata(tree)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _parents(names: list[str]) -> set[str]:
    """Groups of branches, which hold nothing themselves."""
    known = set(names)
    return {name for name in names if any(other.startswith(f"{name}/") for other in known)}


def _reason(tree: Any, name: str) -> str:
    """Why a branch is no column; "" if it is one."""
    branch = tree[name]
    if hasattr(branch, "interpretation"):
        kind = type(branch.interpretation).__name__
        flat = kind == "AsStrings" or (kind == "AsDtype" and not branch.interpretation.to_dtype.shape)
    else:
        flat = not str(getattr(branch, "typename", "")).startswith(_SEVERAL)
    return "" if flat else f"branch {name!r} has several values an event; choose flat branches"


def _table(names: list[str], arrays: Mapping[str, np.ndarray[Any, Any]]) -> pa.Table:
    return pa.table({name: _column(name, np.asarray(arrays[name])) for name in names})


def _column(name: str, values: np.ndarray[Any, Any]) -> pa.Array:
    text = values.dtype == object and all(isinstance(value, str) for value in values)
    if values.ndim > 1 or (values.dtype == object and not text):
        raise TableError(f"branch {name!r} has several values an event; choose flat branches")
    return from_numpy(values)


class RootSink:
    """A TTree of numbers and strings; a missing number is NaN."""

    def __init__(self, path: Path, schema: pa.Schema, inner: str = "") -> None:
        self._file = _uproot().recreate(path)
        name = inner or (schema.metadata or {}).get(b"tree", b"events").decode()
        self._tree = self._file.mktree(name, {field.name: _branch(field) for field in schema})

    def write(self, piece: pa.Table) -> None:
        """Append rows."""
        self._tree.extend({name: _values(name, piece[name]) for name in piece.column_names})

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _branch(field: pa.Field) -> Any:
    empty, _ = to_numpy(pa.chunked_array([], field.type))
    if empty.dtype.kind == "M" or empty.dtype == np.float16:
        raise TableError(f"column {field.name!r} is {field.type}, which ROOT has no branch for: cast it")
    return "string" if empty.dtype == object else empty.dtype


def _values(name: str, column: pa.ChunkedArray) -> Any:
    values, valid = to_numpy(column)
    if valid is not None and values.dtype.kind != "f":
        raise TableError(f"column {name!r} has empty cells, which ROOT has for floats only: cast it")
    if values.dtype != object:
        return values
    try:
        import awkward
    except ImportError as error:
        raise MissingExtraError("awkward", "hep") from error
    return awkward.Array(values.tolist())
