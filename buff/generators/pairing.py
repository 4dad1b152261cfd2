"""Two tables as one problem: what belongs together, and which rows are the same."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from buff.errors import check_range, check_rows
from buff.flows import ConditionalStandardizer, FlowMatchingData, LinearVelocity, ReproducibleLinear, Source
from buff.protocols import Array, Indices, Numbers, WeightsLike
from buff.tables import Columns
from buff.transforms import TableTransformer

__all__ = ["as_pair", "check_noise", "check_same_columns", "merge_duplicates", "paired_data", "repeated"]


def paired_data(
    bounds: tuple[Array, Array], features: Numbers, condition: Numbers | None, sample_weight: WeightsLike, noise: float
) -> tuple[FlowMatchingData, ReproducibleLinear | None]:
    """Flow from the linear prediction of a row's scores, plus noise, to the scores.

    Parameters
    ----------
    bounds : pair of arrays of shape (n, d)
        Scores of both ends of the ranks that the values of the target own.
    features : array of shape (n, c)
        Of the source.
    condition : array of shape (n, k), optional
        What else the target depends on.
    sample_weight : array of shape (n,), optional
    noise : float
        With 0 the features are no condition of the field, and the start is their prediction.

    Returns
    -------
    data : FlowMatchingData
    prediction : ReproducibleLinear or None
        Where flows start, from features and conditions, if there is no noise.
    """
    both = features if condition is None else np.hstack([features, condition])
    rows, weights = merge_duplicates(np.hstack([bounds[0], both]), sample_weight)
    data = FlowMatchingData.of((bounds[0][rows], bounds[1][rows]), both[rows], weights)
    if noise:
        return replace(data, source=Source(noise)), None
    both, scores = np.asarray(data.condition), data.targets(np.random.default_rng(0))
    prediction = ConditionalStandardizer.of(LinearVelocity.from_noise(scores, both, data.weights)).shift
    condition = None if condition is None else both[:, features.shape[1] :]
    return replace(data, condition=condition, source=Source(0.0, prediction(both))), prediction


def merge_duplicates(key: Numbers, sample_weight: WeightsLike) -> tuple[Indices, Array | None]:
    """Distinct rows of ``key`` (n, k) in an order independent of the input's, with the summed weights of duplicates.

    Noise is drawn for rows: a row of weight 2 and two copies of it are then given the same. Rows that all differ and
    weigh the same stay as they are.
    """
    weights, rows = None if sample_weight is None else np.asarray(sample_weight, np.float64), np.arange(len(key))
    if weights is not None and np.shape(weights) == (len(key),):
        rows = np.flatnonzero(weights > 0)
        weights = weights[rows]
    key = np.ascontiguousarray(key[rows] + np.float32(0))
    _, first, place = np.unique(key.view(f"V{key[0].nbytes}")[:, 0], return_index=True, return_inverse=True)
    if len(first) == len(rows) and (weights is None or np.ptp(weights) == 0):
        return rows, weights
    return rows[first], np.bincount(place, weights)


def check_noise(noise: Any, paired: bool) -> float:
    """The noise that a transport starts from.

    Raises
    ------
    ValueError, TypeError
        Neither "auto" nor a finite number that is not negative.
    """
    if isinstance(noise, str) and noise == "auto":
        return 1.0 if paired else 0.0
    return check_range("noise (or 'auto')", noise, 0, math.inf, "[)")


def as_pair(given: object, name: str) -> tuple[Any, Any]:
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


def repeated(features: Numbers, n: int, draws: int) -> Array:
    """Features of conditions (n, c) or (1, c) for so many draws of each of n rows, which follow each other."""
    if len(features) != 1:
        check_rows(len(features), n)
    return np.broadcast_to(features, (n, features.shape[1])).repeat(draws, axis=0)
