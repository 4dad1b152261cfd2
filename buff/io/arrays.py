"""Files that hold named arrays: which columns they make up, and how to read those in step."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from buff.io.tables import TableError, from_numpy

__all__ = ["SCHEMA", "VALID", "ArraySource", "Layout"]

#: Where buff keeps what arrays cannot say: the Arrow types, and which cells hold a value.
SCHEMA, VALID = "_arrow_schema", "_valid/"


@dataclass(frozen=True)
class Layout:
    """Type and shape of an array, and names for its second axis if the file has them."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """A column: an array, or a column or field of one."""

    array: str
    index: int | str | None
    shape: tuple[int, ...]


class ArraySource(ABC):
    """Columns from arrays of shape (n,), (n, d) or of records: ``a``, ``a_0 a_1 ...``, ``a/field``.

    An array of more axes is listed, so that nobody overlooks it, and refused when it is asked for.
    """

    def __init__(self, arrays: Mapping[str, Layout], schema: pa.Schema | None) -> None:
        self._arrays = dict(arrays)
        self._schema = schema
        self._places = {
            name: place
            for array, layout in arrays.items()
            if layout.shape and not array.startswith(VALID) and array != SCHEMA
            for name, place in _places(array, layout)
        }
        self.names = list(self._places)

    @abstractmethod
    def _take(self, array: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Rows of an array; those of the next call start where this one stopped."""

    def pieces(self, names: list[str], rows: int, limit: int | None) -> Iterator[pa.Table]:
        """See :class:`buff.io.formats.FileSource`."""
        shapes = {name: self._places[name].shape for name in names}
        for name, shape in shapes.items():
            if len(shape) > 1:
                flat = " ".join(other for other, place in self._places.items() if len(place.shape) == 1)
                raise TableError(f"{name} has shape {shape}, a column (n,); choose from: {flat}")
        lengths = {name: shape[0] for name, shape in shapes.items()}
        n = next(iter(lengths.values()), 0)
        if set(lengths.values()) - {n}:
            raise TableError(f"columns differ in length, choose some of one length: {lengths}")
        for start in range(0, max(n, 1), rows):
            yield self._piece(names, start, min(start + rows, n))

    def _piece(self, names: list[str], start: int, stop: int) -> pa.Table:
        arrays = dict.fromkeys(self._places[name].array for name in names)
        read = {array: self._take(array, start, stop) for array in arrays}
        return pa.table({name: self._column(name, read, start, stop) for name in names})

    def _column(self, name: str, read: Mapping[str, np.ndarray[Any, Any]], start: int, stop: int) -> pa.Array:
        place = self._places[name]
        values = read[place.array]
        if isinstance(place.index, str):
            values = values[place.index]
        elif place.index is not None:
            values = values[:, place.index]
        valid = self._take(VALID + name, start, stop) if VALID + name in self._arrays else None
        kinds = {} if self._schema is None else {field.name: field.type for field in self._schema}
        return from_numpy(values, valid, kinds.get(name))


def _places(array: str, layout: Layout) -> Iterator[tuple[str, _Place]]:
    shape = layout.shape
    if layout.dtype.names:
        for field in layout.dtype.names:
            yield f"{array}/{field}", _Place(array, field, shape + layout.dtype[field].shape)
    elif len(shape) == 2:
        labels = layout.labels or tuple(f"{array}_{j}" for j in range(shape[1]))
        yield from ((label, _Place(array, j, shape[:1])) for j, label in enumerate(labels))
    else:
        yield array, _Place(array, None, shape)
