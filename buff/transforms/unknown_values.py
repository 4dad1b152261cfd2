"""Rows with values that a transformer of tables has no scores for: labels and gaps that it was not fitted to."""

from collections.abc import Sequence

import numpy as np

from buff.protocols import Array, Mask, Values
from buff.tables.categories import factorize
from buff.tables.columns import Columns, is_missing
from buff.transforms.encoders import ColumnEncoder, ConstantEncoder, RankedEncoder
from buff.transforms.transformer import TableTransformer

__all__ = ["scores_of_known"]


def scores_of_known(space: TableTransformer, columns: Columns) -> tuple[Array, Mask, dict[str, object]]:
    """Scores of any rows of a table, with the rows that hold a value without scores.

    Parameters
    ----------
    space : TableTransformer
    columns : Columns
        Those of ``space``.

    Returns
    -------
    scores : float32 array of shape (n, n_dims_)
        An unknown value has those of a known one.
    unknown : bool array of shape (n,)
    found : mapping
        A value for each column that holds such; None is a missing one.

    Examples
    --------
    >>> from buff.tables import read
    >>> space = TableTransformer().fit([[1.0, "a"], [2.0, "b"], [3.0, "a"]])
    >>> scores, unknown, found = scores_of_known(space, read([[1.0, "a"], [2.0, "c"]]))
    >>> scores.shape, unknown.tolist(), found
    ((2, 2), [False, True], {'x1': 'c'})
    """
    Z, off = np.zeros((len(columns), space.n_dims_), np.float32), np.zeros(len(columns), bool)
    found: dict[str, object] = {}
    stop = 0
    for encoder, values in zip(space.encoders_, columns.arrays, strict=True):
        start, stop = stop, stop + len(encoder.names)
        unknown = _unknown(encoder, values)
        if unknown.any():
            row = np.argmax(unknown)
            found[encoder.name] = None if is_missing(values[row : row + 1])[0] else values[row]
        Z[~unknown, start:stop] = encoder.encode(values[~unknown])
        off |= unknown
    return Z, off, found


def _unknown(encoder: ColumnEncoder, values: Values) -> Array:
    missing = is_missing(values)
    if isinstance(encoder, ConstantEncoder):
        same: Array = missing if encoder.value is None else values == encoder.decode(np.empty((len(values), 0)))
        return ~same
    if encoder.ranks.missing if isinstance(encoder, RankedEncoder) else getattr(encoder, "missing", False):
        missing = np.zeros(len(values), bool)
    if not encoder.is_label:
        return missing
    return missing | (_not_among(encoder.levels, values) & ~is_missing(values))


def _not_among(levels: Sequence[object], values: Values) -> Array:
    found, codes = factorize(values)
    unknown: Array = np.array([value not in levels for value in found] + [True], bool)[codes]
    return unknown
