"""Columns without any value, whose kind only another table of the same columns can tell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from buff.tables.columns import Columns, Template, is_missing

__all__ = ["with_kinds"]


def with_kinds(columns: Columns, like: Template, dtypes: Sequence[np.dtype[Any]]) -> Columns:
    """The table, in which columns without any value are of the kind that another table gives them.

    Parameters
    ----------
    columns : Columns
    like : Template
        Of the other table, with the same columns.
    dtypes : sequence of dtype
        Natural dtypes of its columns.

    Raises
    ------
    TypeError
        Such a column, and containers that differ.

    Examples
    --------
    >>> from buff.tables import read
    >>> import pandas as pd
    >>> known, empty = read(pd.DataFrame({"a": ["u"]})), read(pd.DataFrame({"a": [None]}))
    >>> empty.arrays[0].dtype, with_kinds(empty, known.template, [known.arrays[0].dtype]).arrays[0]
    (dtype('float64'), array([None], dtype=object))
    """
    own = columns.template
    if not own.schema:
        return columns
    fields = pa.ipc.read_schema(pa.py_buffer(own.schema))
    odd = [
        j
        for j, (values, dtype) in enumerate(zip(columns.arrays, dtypes, strict=True))
        if (values.dtype.kind != dtype.kind or pa.types.is_null(fields.field(j).type)) and is_missing(values).all()
    ]
    if not odd:
        return columns
    if own.container != like.container:
        raise TypeError(
            f"column {columns.names[odd[0]]!r} holds no value, and {own.container} says no kind of it: give it the "
            f"dtype of the fit, or the container, {like.container}"
        )
    arrays = tuple(_nothing(len(columns), dtypes[j]) if j in odd else a for j, a in enumerate(columns.arrays))
    parts: dict[str, Any] = {
        key: tuple(getattr(like if j in odd else own, key)[j] for j in range(len(columns.names)))
        for key in ("dtypes", "categories", "ordered")
    }
    nulls = tuple(True if j in odd else of for j, of in enumerate(own.nulls))
    return replace(columns, arrays=arrays, template=replace(own, **parts, nulls=nulls, schema=_schema(own, like, odd)))


def _nothing(n: int, dtype: np.dtype[Any]) -> Any:
    """Missing values; whole numbers and truth values have none of their own."""
    if dtype.kind in "mM":
        return np.full(n, "NaT", dtype)
    return np.full(n, None, object) if dtype.kind in "Ob" else np.full(n, np.nan)


def _schema(own: Template, like: Template, odd: Sequence[int]) -> bytes:
    mine, theirs = (pa.ipc.read_schema(pa.py_buffer(template.schema)) for template in (own, like))
    fields = [theirs.field(j) if j in odd else mine.field(j) for j in range(len(own.names))]
    metadata = dict(mine.metadata or {})
    if b"pandas" in metadata:
        about, known = json.loads(metadata[b"pandas"]), _described(theirs.metadata or {})
        names = [own.names[j] for j in odd]
        about["columns"] = [known.get(c["name"], c) if c["name"] in names else c for c in about["columns"]]
        metadata[b"pandas"] = json.dumps(about).encode()
    return bytes(pa.schema(fields, metadata).serialize().to_pybytes())


def _described(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    about = json.loads(metadata.get(b"pandas", b"{}"))
    return {column["name"]: column for column in about.get("columns", ())}
