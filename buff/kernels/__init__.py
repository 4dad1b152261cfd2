"""Arithmetic that is the same bits on every machine: compiled kernels, sums that are exact in any order, maps by them.

Libraries of linear algebra add in an order of their own, which depends on the processor. What decides about a rounding,
a branch or a rank must not depend on that.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from buff.kernels.backends import BACKENDS, VARIABLE, backend, chosen_for, is_exact, sources, why
from buff.protocols import Array
from buff.records import checked_array, checked_record

__all__ = [
    "BACKENDS",
    "PolynomialRidge",
    "ReproducibleLinear",
    "affordable_degree",
    "backend",
    "chosen",
    "device_arrays",
    "dot",
    "doubles",
    "integers",
    "is_exact",
    "monomials",
    "n_terms",
    "native",
    "number",
    "optional",
    "products",
    "residual",
    "sized",
    "solve",
    "sources",
    "to_numpy",
    "why",
]

#: Bits of a factor whose products and sums, of up to 2^17 rows, a double holds.
_BITS = 17
#: Features are rounded to multiples of 2^-22, as fine as single precision; states stay below 2^6.
_UNIT, _LARGEST = 2.0**-22, 2.0**6
#: Rows multiplied at a time.
_BLOCK = 8192
#: Coordinates are cut here: beyond, a polynomial goes wherever it likes.
_FARTHEST = 3.5
#: Rows by which coefficients are drawn towards 0, and rows of a problem that they are fitted to, at most.
_RIDGE, _ROWS = 10.0, 50_000
#: Monomials count in units of 1 / 2^11, and targets in 1 / 2^17 of the largest: both have 17 bits at most.
_FINE, _WHOLE = 2.0**11, 2.0**17
#: Coefficients at most: beyond, they cost more than the trees.
_MOST_TERMS = 1000


def native() -> Any:
    """The compiled module; None where it is absent, disagrees with NumPy, or is not wanted."""
    return chosen()[0]


def number() -> int:
    """The number by which the compiled module knows the instructions that :func:`backend` names."""
    return chosen()[1]


def chosen() -> tuple[Any, int]:
    """:func:`native` and :func:`number` together, for calls that take microseconds; (None, -1) for XGBoost."""
    return chosen_for(os.environ.get(VARIABLE, ""))


def sized(array: Any) -> bytes:
    """An array as the kernels read it: its length, its numbers."""
    return np.uint64(array.size).tobytes() + np.ascontiguousarray(array).tobytes()


def integers(*values: Any) -> bytes:
    """Whole numbers as the kernels read them."""
    return np.array(values, np.int32).tobytes()


def doubles(*values: float) -> bytes:
    """Numbers as the kernels read them."""
    return np.array(values, np.float64).tobytes()


def optional(values: tuple[float, ...]) -> bytes:
    """Numbers that may be missing: 0, or 1 and the numbers."""
    return np.int32(bool(values)).tobytes() + doubles(*values)


@cache
def device_arrays(device: str) -> tuple[ModuleType, Any]:
    """Array library of a device and its inverse normal distribution function."""
    if device == "cuda":
        import cupy
        from cupyx.scipy.special import ndtri as cuda_ndtri

        return cupy, cuda_ndtri
    from scipy.special import ndtri

    return np, ndtri


def to_numpy(x: Any) -> Any:
    """The array in the memory of the processor."""
    return x if isinstance(x, np.ndarray) else x.get()


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


def _split(x: Array) -> tuple[Array, Array]:
    x = np.asarray(x, np.float64)
    largest = np.abs(x).max(axis=0, initial=0.0)
    unit = 2.0 ** (np.ceil(np.log2(np.where(largest > 0, largest, 1.0))) - _BITS)
    high = np.rint(x / unit) * unit
    return high, x - high


@dataclass(frozen=True)
class ReproducibleLinear:
    """``x @ weights + bias``, float32.

    BLAS adds in an order that depends on the number of rows and of threads. Features and weights are therefore
    rounded to grids on which all products and sums fit into the 53 bits of a double: they are exact in any order.

    Attributes
    ----------
    weights : float64 array of shape (f, d)
        On its grid, in units of that of the features.
    bias : float32 array of shape (d,)

    Examples
    --------
    >>> double = ReproducibleLinear.of(2 * np.eye(1), np.ones(1))
    >>> double(np.array([[0.25], [3.0]], np.float32)).ravel().tolist()
    [1.5, 7.0]
    """

    weights: Array
    bias: Array

    @classmethod
    def of(cls, weights: Array, bias: Array, device: str = "cpu") -> "ReproducibleLinear":
        """The map with these weights (f, d) and bias (d,), rounded to their grid."""
        xp, _ = device_arrays(device)
        largest_sum = np.abs(weights).sum(axis=0).max(initial=1.0) * _LARGEST
        unit = 2.0 ** np.ceil(np.log2(largest_sum / _UNIT / 2.0**53))
        rounded = np.rint(weights / unit) * (unit * _UNIT)
        return cls(xp.asarray(rounded), xp.asarray(bias, xp.float32))

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays in the memory of the processor: weights and bias."""
        return {"weights": to_numpy(self.weights), "bias": to_numpy(self.bias)}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], name: str, shape: tuple[int | None, int | None] = (None, None)
    ) -> "ReproducibleLinear":
        """Inverse of :meth:`to_arrays`, of the arrays under a name; ``shape`` is that of the weights.

        Raises
        ------
        ArchiveError
            Arrays that are lost, have other shapes, or hold what is not finite.
        """
        checked_record(arrays, f"the linear part {name}", (f"{name}/weights", f"{name}/bias"))
        weights = checked_array(arrays[f"{name}/weights"], f"{name}/weights", shape)
        return cls(weights, checked_array(arrays[f"{name}/bias"], f"{name}/bias", weights.shape[1:]))

    def packed(self) -> bytes:
        """The map as the kernels read it."""
        weights, bias = np.asarray(self.weights, np.float64), np.asarray(self.bias, np.float32)
        return integers(*weights.shape) + sized(weights) + sized(bias)

    def to_device(self, device: str) -> "ReproducibleLinear":
        """A copy whose arrays are on the device."""
        xp, _ = device_arrays(device)
        return ReproducibleLinear(xp.asarray(self.weights), xp.asarray(self.bias))

    def __call__(self, features: Array) -> Array:
        xp, _ = device_arrays("cpu" if isinstance(features, np.ndarray) else "cuda")
        values = xp.empty((len(features), len(self.bias)), xp.float32)
        for start in range(0, len(features), _BLOCK):
            rows = slice(start, start + _BLOCK)
            values[rows] = xp.rint(features[rows].astype(xp.float64) / _UNIT) @ self.weights
        values += self.bias
        return values


@dataclass(frozen=True)
class PolynomialRidge:
    r"""``sum_k beta_k phi_k(w)`` with the monomials ``w_i``, ``w_i w_j`` and ``w_i w_j w_k``, w cut to [-3.5, 3.5].

    Coefficients minimise :math:`\sum_n |r_n - \beta \phi(w_n)|^2 + \lambda |\beta|^2`. Monomials are products in single
    precision and sums are exact, so that a row has the same result in any batch.

    Attributes
    ----------
    degree : int
        2 or 3.
    linear : ReproducibleLinear
        From the monomials to the d outputs.
    triples : bool
        Whether there are products of three different inputs, or of two at most.

    Examples
    --------
    >>> w = np.random.default_rng(0).standard_normal((2000, 2)).astype(np.float32)
    >>> ridge = PolynomialRidge.fit(w, w[:, :1] * w[:, 1:], degree=2)
    >>> bool(abs(ridge(w) - w[:, :1] * w[:, 1:])[abs(w).max(axis=1) < 3].max() < 0.05)
    True
    """

    degree: int
    linear: ReproducibleLinear
    triples: bool = True

    @classmethod
    def fit(
        cls,
        w: Array,
        targets: Array,
        weights: Array | None = None,
        *,
        degree: int = 3,
        triples: bool = True,
        n_draws: int = 1,
    ) -> "PolynomialRidge":
        """Coefficients for inputs (n, f) and targets (n, d) of which every ``n_draws`` belong to one row of a table."""
        size, n = n_terms(w.shape[1], degree, triples) + 1, min(len(w), _ROWS)
        gram, moments = np.zeros((size, size)), np.zeros((size, targets.shape[1]))
        xp, _ = device_arrays("cpu" if isinstance(w, np.ndarray) else "cuda")
        heaviest = 1.0 if weights is None else _power_of_two(weights[:n])
        unit = _power_of_two(targets[:n]) / _WHOLE
        terms = xp.full((min(n, _BLOCK), size), _FINE)
        with threadpool_limits(1):
            for start in range(0, n, _BLOCK):
                rows = slice(start, min(start + _BLOCK, n))
                part = terms[: rows.stop - start]
                # whole numbers, whose products and sums are exact in any order
                own = monomials(w[rows], degree, triples)
                own *= xp.float32(_FINE)
                part[:, :-1] = xp.rint(own, out=own)
                scaled = part if weights is None else xp.rint(part * (weights[rows, None] / heaviest))
                gram += to_numpy(scaled.T @ part)
                moments += to_numpy(scaled.T @ xp.rint(targets[rows] / xp.float64(unit)))
        gram *= heaviest / _FINE**2
        moments *= heaviest * unit / _FINE
        # draws of a row are not independent: what counts are rows
        gram[np.diag_indices(size - 1)] += _RIDGE * min(n_draws, -(-_ROWS * n_draws // len(w)))
        solution = solve(gram + 1e-9 * np.eye(size), moments)
        device = "cpu" if isinstance(w, np.ndarray) else "cuda"
        return cls(degree, ReproducibleLinear.of(solution[:-1], solution[-1], device), triples)

    def __call__(self, w: Array) -> Array:
        xp, _ = device_arrays("cpu" if isinstance(w, np.ndarray) else "cuda")
        starts = range(0, len(w), _BLOCK)
        blocks = [self.linear(monomials(w[i : i + _BLOCK], self.degree, self.triples)) for i in starts]
        return xp.concatenate(blocks) if blocks else xp.empty((0, len(self.linear.bias)), xp.float32)

    def packed(self) -> bytes:
        """The polynomial as the kernels read it."""
        return integers(self.degree, self.triples) + self.linear.packed()


def _power_of_two(values: Array) -> float:
    """The next power of two that no value exceeds."""
    largest = float(abs(values).max()) if values.size else 0.0
    return float(2.0 ** np.ceil(np.log2(largest))) if largest > 0 else 1.0


def monomials(w: Array, degree: int, triples: bool = True) -> Array:
    """Products of one to ``degree`` inputs, w_i before w_i w_j before w_i w_j w_k: float32 of shape (n, terms).

    Without ``triples``, those of three are ``w_i w_j^2`` alone.
    """
    xp, _ = device_arrays("cpu" if isinstance(w, np.ndarray) else "cuda")
    w = xp.clip(w, xp.float32(-_FARTHEST), xp.float32(_FARTHEST))
    f = w.shape[1]
    terms = xp.empty((len(w), n_terms(f, degree, triples)), xp.float32)
    terms[:, :f] = w
    stop, pairs = f, [f]
    for i in range(f):
        start, stop = stop, stop + f - i
        pairs.append(stop)
        xp.multiply(w[:, i : i + 1], w[:, i:], out=terms[:, start:stop])
    last, squares = stop, None if triples else w * w
    for i in range(f if degree == 3 else 0):
        others = terms[:, pairs[i] : last] if squares is None else squares
        start, stop = stop, stop + others.shape[1]
        xp.multiply(w[:, i : i + 1], others, out=terms[:, start:stop])
    return terms


def affordable_degree(degree: int, n_inputs: int, n_rows: int, rows_a_term: int = 20) -> tuple[int, bool]:
    """``degree`` or less, and whether with triples, as the numbers of inputs and of rows allow; 0 for none."""
    most = min(_MOST_TERMS, n_rows // rows_a_term)
    fitting = (k for k in ((3, True), (3, False), (2, True)) if k[0] <= degree and n_terms(n_inputs, *k) <= most)
    return next(fitting, (0, True))


def n_terms(f: int, degree: int, triples: bool = True) -> int:
    """Number of the monomials of f inputs."""
    cubic = f * (f + 1) * (f + 2) // 6 if triples else f * f
    return f + f * (f + 1) // 2 + (cubic if degree == 3 else 0)
