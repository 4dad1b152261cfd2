"""A row of weight 2 and two copies of a row, made the same thing."""

from typing import Any

import numpy as np

from buff.protocols import Array
from buff.tables import Columns
from buff.transforms import TableTransformer

__all__ = ["merge_duplicates"]


def merge_duplicates(
    space: TableTransformer, target: Columns, features: Array, sample_weight: Any
) -> tuple[Columns, Array, Array | None]:
    """Rows that are the same as one row with their weight together, in an order that is theirs alone.

    Noise is drawn for rows: a row of weight 2 and two copies of it are then given the same. Rows that all differ and
    weigh the same stay as they are.
    """
    weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)
    if weights is not None and np.shape(weights) == (len(target),):
        kept = weights > 0
        target, features, weights = target.take(kept), features[kept], weights[kept]
    key = np.ascontiguousarray(np.hstack([space.encode(target, 0.0), features]) + np.float32(0))
    _, first, place = np.unique(key.view(f"V{key[0].nbytes}")[:, 0], return_index=True, return_inverse=True)
    if len(first) == len(target) and (weights is None or np.ptp(weights) == 0):
        return target, features, weights
    return target.take(first), features[first], np.bincount(place, weights)
