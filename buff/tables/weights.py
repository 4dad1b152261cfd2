"""The one check of event weights, for models, metrics, plots, unfolding and files."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from buff.protocols import WeightsLike

__all__ = ["check_weights"]


def check_weights(
    weights: WeightsLike,
    n: int | None = None,
    name: str = "sample_weight",
    *,
    signed: bool = True,
    advice: str = "they must be at least 0",
    positive_sum: bool = True,
) -> NDArray[np.float64]:
    """Finite, real weights of ``n`` rows as float64; None stands for ones.

    Parameters
    ----------
    weights : array-like of shape (n,), or None
        Event weights; masked entries count as not finite.
    n : int, optional
        Number of rows; any number of weights passes without it.
    name : str
        What to call them in errors.
    signed : bool
        Whether negative weights are allowed.
    advice : str
        What to do about negative weights where they are not.
    positive_sum : bool
        Whether the sum must be positive.

    Raises
    ------
    TypeError
        For text, complex numbers and other things that are no real numbers.
    ValueError
        For another shape, weights that are not finite, a sum that is not positive, and negative weights unless
        ``signed``.

    Examples
    --------
    >>> check_weights([1, -0.5], 2)
    array([ 1. , -0.5])
    >>> check_weights([1, -0.5], 2, "real_weights", signed=False)
    Traceback (most recent call last):
    ValueError: real_weights has 1 negative values of 2, the first -0.5 in row 1: they must be at least 0
    """
    if weights is None:
        return np.ones(n or 0)
    w = _as_floats(weights, name)
    if w.ndim != 1 or (n is not None and len(w) != n):
        expected = "(n,)" if n is None else f"({n},)"
        raise ValueError(f"{name}: shape {expected} expected, one weight a row; found {w.shape}")
    odd = np.flatnonzero(~np.isfinite(w))
    if len(odd):
        raise ValueError(
            f"{name}: {len(odd)} of {len(w)} values are not finite (NaN or infinity), the first {w[odd[0]]} in row "
            f"{odd[0]}: drop those rows"
        )
    negative = np.flatnonzero(w < 0)
    if not signed and len(negative):
        first = f"the first {w[negative[0]]:g} in row {negative[0]}"
        raise ValueError(f"{name} has {len(negative)} negative values of {len(w)}, {first}: {advice}")
    with np.errstate(over="ignore"):
        if positive_sum and not w.sum() > 0:
            what = f", zero in all {len(w)} rows" if not w.any() else ""
            raise ValueError(f"{name}: the sum must be positive, found {w.sum():g}{what}")
    return w


def _as_floats(weights: ArrayLike, name: str) -> NDArray[np.float64]:
    if isinstance(weights, np.ma.MaskedArray):
        weights = np.ma.filled(weights.astype(np.float64), np.nan)
    w = np.asarray(weights.detach().cpu() if hasattr(weights, "detach") else weights)
    if w.dtype.kind == "O" and not any(isinstance(value, complex | str) for value in w.ravel()):
        try:
            return w.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}: real numbers expected, one a row: {error}") from error
    if w.dtype.kind not in "biuf":
        raise TypeError(f"{name}: real numbers expected, found dtype {w.dtype}")
    return w.astype(np.float64)
