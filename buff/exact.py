"""Sums and solutions that are the same bits whatever library of linear algebra adds them up.

Libraries add in an order of their own, which depends on the processor. What decides about a rounding, a branch or a
rank must not depend on that.
"""

import numpy as np

from buff.protocols import Array

__all__ = ["convolved", "dot", "products", "residual", "solve"]

#: Bits of a factor whose products and sums, of up to 2^17 rows, a double holds.
_BITS = 17


def dot(a: Array, b: Array) -> float:
    """``sum_i a_i b_i`` in the order of NumPy's pairwise sums.

    Examples
    --------
    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    return float(np.add.reduce(np.asarray(a, np.float64) * b))


def products(a: Array, b: Array) -> Array:
    """``a.T @ b`` of (n, f) and (n, g), float64, with an error far below the last bit, for up to 2^17 rows.

    Factors are split into whole multiples of a unit, whose products and sums are exact in any order, and a small rest.

    Examples
    --------
    >>> x = np.array([[0.1, 3.0], [0.2, 5.0]])
    >>> bool(np.allclose(products(x, x), x.T @ x, rtol=1e-15))
    True
    """
    (high, low), (other_high, other_low) = _split(a), _split(b)
    total: Array = high.T @ other_high + (high.T @ other_low + (low.T @ other_high + low.T @ other_low))
    return total


def solve(a: Array, b: Array) -> Array:
    """``a^-1 b`` for a square matrix and (n, k) right-hand sides, refined until only the last bit is in doubt."""
    x = np.linalg.solve(a, b)
    return x + np.linalg.solve(a, residual(a, b, x))


def residual(a: Array, b: Array, x: Array) -> Array:
    """``b - a x``, where both nearly cancel, to many digits."""
    (high, low), (other_high, other_low) = _split(a.T), _split(x)
    left: Array = b - high.T @ other_high
    return left - (high.T @ other_low + (low.T @ other_high + low.T @ other_low))


def convolved(x: Array, kernel: Array) -> Array:
    """``numpy.convolve(x, kernel, "same")`` for kernels of odd length that are no longer than x."""
    reach, total = len(kernel) // 2, np.zeros(len(x))
    padded = np.concatenate([np.zeros(reach), x, np.zeros(reach)])
    for k, share in enumerate(kernel[::-1]):
        total += share * padded[k : k + len(x)]
    return total


def _split(x: Array) -> tuple[Array, Array]:
    x = np.asarray(x, np.float64)
    largest = np.abs(x).max(axis=0, initial=0.0)
    unit = 2.0 ** (np.ceil(np.log2(np.where(largest > 0, largest, 1.0))) - _BITS)
    high = np.rint(x / unit) * unit
    return high, x - high
