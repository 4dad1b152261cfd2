"""The first columns of a chain: which may be given, and which may be integrated out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from buff.protocols import Array

__all__ = ["column_numbers", "count_prefix", "require_integrable", "require_prefix"]


def column_numbers(columns: Sequence[Any], names: Sequence[str], what: str) -> list[int]:
    """Numbers of columns by name or number.

    Raises
    ------
    ValueError, TypeError
        Unknown columns, a column twice, a single name.

    Examples
    --------
    >>> column_numbers(["y", 0], ("x", "y"), "order")
    [1, 0]
    """
    if isinstance(columns, str):
        raise TypeError(f"{what} must be a list of columns, found {columns!r}")
    found: list[int] = []
    for column in columns:
        j = list(names).index(column) if column in names else column
        if not isinstance(j, int | np.integer) or not 0 <= j < len(names):
            raise ValueError(f"{what} names the unknown column {column!r}; the columns are {list(names)}")
        if int(j) in found:
            raise ValueError(f"{what} names the column {column!r} twice")
        found.append(int(j))
    return found


def count_prefix(given: Sequence[str], order: Sequence[str]) -> int:
    """Number of given columns, which are the first of the order.

    Raises
    ------
    ValueError
        They are others.
    """
    own = {name for name in given if name in order}
    if own != set(order[: len(own)]):
        raise ValueError(
            f"given must be the first columns of the order {list(order)}, found {list(given)}: fit with "
            f"order={list(given)}"
        )
    return len(own)


def require_prefix(known: Array, order: Sequence[str]) -> None:
    """Raise ValueError where cells are known, bool (n, d) in the order, and those before them are not."""
    off = known[:, 1:] & ~known[:, :-1]
    if off.any():
        j = int(np.argwhere(off)[0][1])
        raise ValueError(
            f"given has {order[j + 1]!r} and not {order[j]!r}, which comes before it in the order {list(order)}: fit "
            f"with order=[{order[j + 1]!r}, ...], or use BUFF(given='any')"
        )


def require_integrable(known: Array, order: Sequence[str]) -> None:
    """Raise ValueError where a cell is not known and one after it in the order is."""
    off = known[:, 1:] & ~known[:, :-1]
    if off.any():
        row, j = np.argwhere(off)[0]
        raise ValueError(
            f"column {order[j]!r} is missing in row {row} and was not when fitted: it can be integrated out only if "
            f"{order[j + 1]!r} and all columns after it in order_ are missing too; fit with an order that ends with "
            f"{order[j]!r}"
        )
