"""The one door through which samples and weights enter the metrics."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from buff.tables.weights import check_weights

__all__ = [
    "LARGEST",
    "Rows",
    "Seed",
    "as_pair",
    "as_rows",
    "as_weights",
    "centre_and_scale",
    "open_pair",
    "subsample",
    "weighted_sum",
]

#: Numbers beyond this cannot be squared and summed.
LARGEST = 1e150
#: An array of float64.
Rows: TypeAlias = npt.NDArray[np.float64]
#: Anything ``numpy.random.default_rng`` takes.
Seed: TypeAlias = int | Sequence[int] | np.random.SeedSequence | np.random.Generator | None


def as_rows(x: npt.ArrayLike, name: str, *, missing: bool = False) -> Rows:
    """Checked (n, d) array of finite numbers; a 1-D array becomes one column.

    Parameters
    ----------
    x : array-like of shape (n, d) or (n,)
        The sample.
    name : str
        What to call it in errors.
    missing : bool
        Whether nan is allowed.

    Returns
    -------
    array of shape (n, d)

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If there is no row or column, too many axes, or a value is not finite or above 1e150 in size.

    Examples
    --------
    >>> as_rows([1, 2, 3], "real").shape
    (3, 1)
    >>> as_rows([1.0, float("nan")], "real")
    Traceback (most recent call last):
    ValueError: real: column 0 holds 1 value(s) that are not finite, the first nan in row 1; drop or fill them
    """
    array: npt.NDArray[Any] = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name}: numbers expected, found dtype {array.dtype}; encode text and categories as numbers, "
            "or give the table to buff.metrics.report"
        )
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: shape (n, d) or (n,) expected, found {array.shape}")
    rows = np.asarray(array, dtype=np.float64).reshape(len(array), -1) if array.size else np.empty((0, 0))
    if rows.size == 0:
        raise ValueError(f"{name}: at least one row and one column are needed, found shape {array.shape}")
    bad = np.isinf(rows) if missing else ~np.isfinite(rows)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{name}: column {column} holds {bad[:, column].sum()} value(s) that are not finite, the first "
            f"{rows[row, column]} in row {row}; drop or fill them"
        )
    large = np.abs(rows) > LARGEST
    if large.any():
        row, column = np.argwhere(large)[0]
        raise ValueError(
            f"{name}: column {column} holds {rows[row, column]:g} in row {row}, too large to be squared; "
            "rescale the column"
        )
    return rows


def as_pair(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    names: tuple[str, str] = ("real", "generated"),
    missing: bool = False,
) -> tuple[Rows, Rows]:
    """Both samples, checked, with equally many columns; of tables that name them, with the same ones."""
    of_x, of_y = (getattr(table, "names", None) if hasattr(table, "to_arrow") else None for table in (first, second))
    if of_x and of_y and of_x != of_y:
        raise ValueError(
            f"{names[0]} has the columns {', '.join(of_x)}, {names[1]} {', '.join(of_y)}: select the same of both, "
            "in one order"
        )
    x, y = as_rows(first, names[0], missing=missing), as_rows(second, names[1], missing=missing)
    d, found = x.shape[1], y.shape[1]
    if d != found:
        raise ValueError(f"{names[0]} has {d} column(s), {names[1]} {found}: give both the same columns")
    return x, y


def as_weights(weights: npt.ArrayLike | None, n: int, name: str, *, signed: bool = True) -> Rows:
    """Checked weights of n rows; None stands for ones.

    Parameters
    ----------
    weights : array-like of shape (n,) or None
        Event weights.
    n : int
        Number of rows they belong to.
    name : str
        What to call them in errors.
    signed : bool
        Whether negative weights mean anything to the metric.

    Raises
    ------
    TypeError
        If the weights are no real numbers.
    ValueError
        If the length differs from n, a weight is not finite, the sum is not positive, or a weight is negative
        where the metric cannot use it.

    Examples
    --------
    >>> as_weights([1.0, -0.5], 2, "real_weights")
    array([ 1. , -0.5])
    >>> as_weights([1.0, -0.5], 2, "real_weights", signed=False)
    Traceback (most recent call last):
    ValueError: real_weights has 1 negative values of 2, the first -0.5 in row 1: this metric has no use for them; \
take wasserstein, separation_power or correlation_distance, or buff.weights.positive_weights first
    """
    advice = (
        "this metric has no use for them; take wasserstein, separation_power or correlation_distance, or "
        "buff.weights.positive_weights first"
    )
    return check_weights(weights, n, name, signed=signed, advice=advice)


def weighted_sum(w: Rows, x: Rows) -> Rows:
    """``w @ x`` for every column of x (n, d), by pairwise sums: equal on every processor, unlike a matrix product.

    Examples
    --------
    >>> weighted_sum(np.array([1.0, 2.0]), np.array([[0.0, 5.0], [2.0, 5.0]]))
    array([ 4., 15.])
    """
    return np.array([np.add.reduce(w * column) for column in x.T])


def centre_and_scale(x: Rows, w: Rows, names: Sequence[object] | None = None) -> tuple[Rows, Rows]:
    """Weighted mean and standard deviation of every column; a constant column has scale 1.

    Raises
    ------
    ValueError
        If signed weights give a column a negative variance.

    Examples
    --------
    >>> centre_and_scale(np.array([[0.0, 5.0], [2.0, 5.0]]), np.ones(2))
    (array([1., 5.]), array([1., 1.]))
    """
    mean = weighted_sum(w, x) / w.sum()
    variance = weighted_sum(w, (x - mean) ** 2) / w.sum()
    for column in np.flatnonzero(variance < 0).tolist():
        raise ValueError(
            f"column {names[column] if names else column} has variance {variance[column]:g} and so no "
            "standard deviation: too many negative weights far from its mean; use standardise=False"
        )
    # a mean is rounded to one part in 2^52, which must not turn a constant into a scale
    constant = np.ptp(x, axis=0) == 0
    return mean, np.where(constant | (variance == 0), 1.0, np.sqrt(variance))


def open_pair(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    real_weights: npt.ArrayLike | None,
    generated_weights: npt.ArrayLike | None,
    *,
    standardise: bool = True,
) -> tuple[Rows, Rows, Rows, Rows]:
    """Checked samples, in units of the real standard deviation where asked, and checked weights."""
    x, y = as_pair(real, generated)
    w = as_weights(real_weights, len(x), "real_weights")
    v = as_weights(generated_weights, len(y), "generated_weights")
    if standardise:
        mean, scale = centre_and_scale(x, w)
        x, y = (x - mean) / scale, (y - mean) / scale
    return x, y, w, v


def subsample(x: Rows, w: Rows, max_rows: int | None, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """At most ``max_rows`` rows with their weights, drawn without replacement."""
    if max_rows is None or len(x) <= max_rows:
        return x, w
    rows = rng.choice(len(x), max_rows, replace=False)
    return x[rows], w[rows]
