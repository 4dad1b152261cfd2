"""Arrays where the arithmetic is done."""

from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["device_arrays", "to_numpy"]


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
