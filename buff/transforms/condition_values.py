"""Values of conditions, in the dtypes that the training had, from text or from other dtypes."""

from typing import Any

import numpy as np

from buff.protocols import Array, Values
from buff.transforms.encoders import ColumnEncoder

__all__ = ["in_dtype", "value_of_text"]

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KINDS = {"b": "boolean", "O": "boolean", "f": "number", "M": "date", "m": "duration"}


def value_of_text(name: str, encoder: ColumnEncoder, text: str, what: str = "condition") -> Array:
    """One value of a column, in its natural dtype; nothing is a missing value.

    Raises
    ------
    ValueError
        Text that is no value of the column, with the known values if they are few.
    """
    dtype, levels = np.dtype(encoder.dtype), encoder.levels
    try:
        if dtype.kind == "b" or (dtype.kind == "O" and levels and isinstance(levels[0], bool)):
            return np.array([_TRUTH[text.lower()]], dtype)
        if dtype.kind == "O":
            return np.array([text or None], object)
        if dtype.kind in "iu":
            return np.array([int(text)], dtype)
        if dtype.kind == "f":
            return np.array([float(text or "nan")], dtype)
        if dtype.kind == "m":
            return np.array([int(text)]).astype(dtype)
        return np.array([np.datetime64(text) if text else np.datetime64("NaT", "s")]).astype(dtype)
    except (KeyError, ValueError, OverflowError) as error:
        known = f"; it held {', '.join(map(str, levels[:20]))}" if levels else ""
        kind = _KINDS.get(dtype.kind, "whole number")
        raise ValueError(f"{what} {name!r} is a {kind}, found {text!r}{known}") from error


def in_dtype(values: Values, dtype: np.dtype[Any]) -> Array:
    """Values in the natural dtype of a column, where nothing is lost.

    Examples
    --------
    >>> in_dtype(np.array([1, 2]), np.dtype("float32")), in_dtype(np.array([0.5]), np.dtype("int64"))
    (array([1., 2.], dtype=float32), array([0.5]))
    """
    if values.dtype == dtype:
        return values
    if values.dtype.kind in "biuf" and dtype.kind in "iuf":
        if dtype.kind == "f":
            return values.astype(dtype)
        whole = values.dtype.kind != "f" or bool(np.all(values == np.rint(values)))
        return values.astype(dtype) if whole else values
    if dtype.kind == "M" and values.dtype.kind in "MO":
        return values.astype(dtype)
    if values.dtype.kind == "m" and dtype.kind == "m":
        return values.astype(dtype)
    return values.astype(object) if dtype.kind == "O" else values
