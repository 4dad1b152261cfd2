"""Two tables as one problem: what belongs together, and which rows are the same."""

from numbers import Real
from typing import Any

import numpy as np

from buff.protocols import Array
from buff.tables import Columns
from buff.transforms import TableTransformer

__all__ = ["as_pair", "check_noise", "check_same_columns", "merge_duplicates"]


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


def check_noise(noise: Any, paired: bool) -> float:
    """The noise that a transport starts from.

    Raises
    ------
    ValueError
        Neither "auto" nor a finite number that is not negative.
    """
    if isinstance(noise, str) and noise == "auto":
        return 1.0 if paired else 0.0
    if isinstance(noise, bool) or not isinstance(noise, Real) or not 0 <= float(noise) < float("inf"):
        raise ValueError(f"noise must be 'auto' or a finite number that is not negative, found {noise!r}")
    return float(noise)


def as_pair(given: Any, name: str) -> tuple[Any, Any]:
    """The parts for the source and the target of unpaired tables.

    Raises
    ------
    TypeError
        No pair.
    """
    if given is None:
        return None, None
    if not isinstance(given, tuple) or len(given) != 2:
        raise TypeError(f"{name} of unpaired tables must be a pair (of X, of y), found {type(given).__name__}")
    return given


def check_same_columns(
    source: Columns, target: Columns, source_space: TableTransformer, space: TableTransformer
) -> None:
    """Raise ValueError where unpaired tables differ in columns, or in the dimensions these take."""
    if len(source.names) != len(target.names):
        raise ValueError(
            f"X has {len(source.names)} columns and y has {len(target.names)}: unpaired tables need the same columns"
        )
    for a, b, name, other in zip(source_space.encoders_, space.encoders_, source.names, target.names, strict=True):
        if name != other and source.template.is_frame and target.template.is_frame:
            raise ValueError(f"X has the column {name!r} where y has {other!r}: unpaired tables need the same columns")
        if len(a.names) != len(b.names):
            raise ValueError(
                f"column {name!r} takes {len(a.names)} dimensions in X and {len(b.names)} in y: drop it if it is "
                f"constant in one of them, or give its kind in schema"
            )
