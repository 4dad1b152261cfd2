"""A pyarrow table of numbers and strings as metrics and peers take it."""

import numpy as np
import pyarrow as pa

from benchmarks.forest_diffusion import Kinds

__all__ = ["by_name", "from_objects", "kinds", "to_objects"]

MISSING = "?"


def by_name(table: pa.Table) -> dict[str, np.ndarray]:
    """Arrays by column name; None where a string is missing."""
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def kinds(table: pa.Table) -> Kinds:
    """Strings of two levels are binary, of more categorical; integers are integers."""
    levels = {i: len(set(table[i].to_pylist())) for i, field in enumerate(table.schema) if _is_text(field)}
    return Kinds(
        [i for i, n in levels.items() if n != 2],
        [i for i, n in levels.items() if n == 2],
        [i for i, field in enumerate(table.schema) if pa.types.is_integer(field.type)],
    )


def to_objects(table: pa.Table) -> np.ndarray:
    """Array of shape (n, d) of strings and numbers, with "?" for a missing string."""
    columns = [table[i].fill_null(MISSING) if _is_text(field) else table[i] for i, field in enumerate(table.schema)]
    return np.stack([np.asarray(column.to_pylist(), dtype=object) for column in columns], axis=1)


def from_objects(X: np.ndarray, schema: pa.Schema) -> pa.Table:
    """Inverse of :func:`to_objects`; integers are rounded."""
    return pa.table([_column(x, field) for x, field in zip(X.T, schema, strict=True)], schema=schema)


def _column(x: np.ndarray, field: pa.Field) -> pa.Array:
    if _is_text(field):
        return pa.array([None if value == MISSING else value for value in x], field.type)
    numbers = x.astype(float)
    return pa.array(np.rint(numbers) if pa.types.is_integer(field.type) else numbers).cast(field.type)


def _is_text(field: pa.Field) -> bool:
    return pa.types.is_string(field.type)
