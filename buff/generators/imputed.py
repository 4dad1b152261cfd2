"""What an imputer gives back: tables in their container, centers of draws, words for rows that no draw could mend."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from buff.errors import warn
from buff.protocols import Array, Indices, TableLike, Values
from buff.tables import Columns
from buff.tables.categories import factorize
from buff.tables.frames import with_index

__all__ = ["center_of_draws", "in_container", "warn_of_broken_relations"]

#: Rows that are named.
_NAMED = 10


def in_container(X: TableLike, columns: Columns, arrays: Sequence[Array]) -> Any:
    """The table in its container; of lists, an array."""
    table = columns.template.restore(tuple(arrays))
    return np.array(table) if columns.template.container == "list" else with_index(table, X)


def center_of_draws(encoder: Any, draws: Values) -> Array:
    """Median (m, n) -> (n,), rounded down to a value that was drawn; of categories, the most frequent."""
    if encoder.is_number:
        if draws.dtype.kind == "f" and not encoder.ranks.lattice:
            return np.median(draws, axis=0).astype(draws.dtype)
        return np.sort(draws, axis=0)[(len(draws) - 1) // 2]
    levels, codes = factorize(draws.ravel())
    counts = (codes.reshape(draws.shape)[:, :, None] == np.arange(len(levels))).sum(axis=0)
    own = np.empty(len(levels), draws.dtype)
    own[:] = levels
    return own[counts.argmax(axis=1)]


def warn_of_broken_relations(rows: Indices, n_open: int) -> None:
    """Say which rows break a relation of the table, whatever is drawn."""
    if not len(rows):
        return
    own = np.unique(rows)
    shown = ", ".join(map(str, own[:_NAMED])) + (", ..." if len(own) > _NAMED else "")
    warn(
        f"in {len(own)} of {n_open} rows ({shown}) no draw kept the relations_ of the known cells: do these contradict?"
    )
