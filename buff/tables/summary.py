"""What a column holds, in a few words."""

from typing import Any

import numpy as np

from buff.protocols import Array
from buff.tables.categories import factorize

__all__ = ["summary_of"]


def summary_of(known: Array, kind: str) -> str:
    """The range, or the first levels, of the known values."""
    if not len(known):
        return "always missing"
    if kind == "constant":
        return str(known[0])
    if kind in ("categorical", "boolean"):
        levels = factorize(known)[0]
        shown = ", ".join(repr(level) for level in levels[:4])
        return f"{len(levels)}: {shown}{', ...' if len(levels) > 4 else ''}"
    if kind == "datetime":
        return " .. ".join(_rough_time(time) for time in (known.min(), known.max()))
    return f"{float(known.min()):.3g} .. {float(known.max()):.3g}"


def _rough_time(time: Any) -> str:
    """To the month or three digits: the summary is no place for a value of a single row."""
    if time.dtype.kind == "M":
        return str(time.astype("M8[M]"))
    return f"{time / np.timedelta64(1, 's'):.3g} s"
