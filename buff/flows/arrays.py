"""Arithmetic on a device: arrays of its library, and linear maps that agree bit by bit wherever they are done."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from buff.protocols import Array
from buff.records import checked_array, checked_record

__all__ = ["ReproducibleLinear", "device_arrays", "to_numpy"]

#: Features are rounded to multiples of 2^-22, as fine as single precision; states stay below 2^6.
_UNIT, _LARGEST = 2.0**-22, 2.0**6
#: Rows multiplied at a time.
_BLOCK = 8192


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

    def to_device(self, device: str) -> "ReproducibleLinear":
        """The same map where the arithmetic is done."""
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
