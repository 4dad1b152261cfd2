"""Levels of a categorical column, and the order in which they stand as atoms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from buff.protocols import Array, Indices, Values

__all__ = ["ORDERS", "codes_of", "factorize", "indicators", "order_levels"]

ORDERS = ("lexical", "frequency", "similar", "onehot")
#: Means of fewer rows than about this many are noise and are drawn to the overall mean.
_PRIOR_ROWS = 10


def factorize(values: Values) -> tuple[list[Any], Indices]:
    """Sorted distinct values and the number of each row's value among them, -1 where missing."""
    encoded = pa.array(values, from_pandas=True).dictionary_encode()
    found = encoded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=found.__getitem__)
    position = np.empty(len(found) + 1, np.intp)
    position[order] = np.arange(len(found))
    position[-1] = -1
    return [found[i] for i in order], position[_indices(encoded)]


def codes_of(values: Values, levels: Sequence[Any], name: str) -> Indices:
    """Position of each value among ``levels``, -1 where missing; other values raise ValueError."""
    try:
        found, codes = factorize(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise TypeError(f"column {name!r} mixes types, its known values are {_shown(levels)}") from error
    number = {level: i for i, level in enumerate(levels)}
    unknown = [value for value in found if value not in number]
    if unknown:
        raise ValueError(f"column {name!r} holds the unknown value {unknown[0]!r}; known values: {_shown(levels)}")
    return np.array([number[value] for value in found] + [-1], np.intp)[codes]


def indicators(codes: Indices, n_levels: int) -> Array:
    """One column a level, 1 where it is the value of the row; shape (n, n_levels), float32."""
    return (codes[:, None] == np.arange(n_levels)).astype(np.float32)


def order_levels(strategy: str, codes: Indices, n_levels: int, weights: Values, features: Values) -> Indices:
    """The levels in order.

    Parameters
    ----------
    strategy : {"lexical", "frequency", "similar", "onehot"}
        "frequency" starts with the most frequent level. "similar" puts levels next to each other in whose
        rows the other columns are alike: levels stand in the order of their scores on the first axis of the
        between-level covariance of ``features``, which for indicator features in the chi-squared metric is
        the first axis of correspondence analysis (Benzecri 1973). The others keep the order of the codes.
    codes : array of shape (n,)
        Levels of the rows, -1 where missing.
    weights : array of shape (n,)
        Counted as rows: 1 on average.
    features : array of shape (n, f)
        The other columns, on comparable scales.
    """
    known = codes >= 0
    shares = np.bincount(codes[known], weights[known], minlength=n_levels)
    if strategy == "frequency" or (strategy == "similar" and not features.shape[1]):
        return np.argsort(-shares, kind="stable")
    if strategy != "similar":
        return np.arange(n_levels)
    scores = _first_axis(codes[known], shares, weights[known], features[known])
    # levels that are alike keep their order: the last bits of a matrix product depend on the processor
    largest = np.abs(scores).max(initial=0.0) or 1.0
    return np.argsort(np.round(scores / largest, 9), kind="stable")


def _first_axis(codes: Indices, shares: Values, weights: Values, features: Values) -> Array:
    sums = [np.bincount(codes, weights * f, minlength=len(shares)) for f in features.T]
    means = np.stack(sums, axis=1) / np.maximum(shares, 1e-300)[:, None]
    means -= np.average(means, axis=0, weights=shares)
    means *= (shares / (shares + _PRIOR_ROWS))[:, None]
    between = means.T @ (shares[:, None] * means)
    axis = np.linalg.eigh(between)[1][:, -1]
    return means @ (axis * np.sign(axis[np.argmax(np.round(np.abs(axis), 9))]))


def _indices(encoded: pa.DictionaryArray) -> Indices:
    codes: Indices = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.intp)
    return codes


def _shown(levels: Sequence[Any]) -> str:
    head = ", ".join(repr(level) for level in sorted(levels)[:20])
    return f"{head}, ... ({len(levels)} in all)" if len(levels) > 20 else head
