"""The shapes of the things that buff's parts hand to each other: signatures, no behaviour.

One convention everywhere: ``t = 0`` is noise ``x0``, ``t = 1`` is data ``x1``, and a field is called as
``field(x, t, condition)``.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

__all__ = ["Array", "Coupling", "Field", "Indices", "Noise"]

#: An array of NumPy, CuPy or PyTorch: solvers use operators only, so any of them will do.
Array: TypeAlias = Any
#: Row numbers.
Indices: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]
#: Standard normal numbers of the shape, library and precision of its argument; a fresh draw each call.
Noise: TypeAlias = Callable[[Array], Array]
#: ``(x0, x1, rng) -> (rows of x0, rows of x1)``: which noise goes with which datum.
Coupling: TypeAlias = Callable[[Array, Array, np.random.Generator], tuple[Indices, Indices]]


class Field(Protocol):
    """The velocity dx/dt, the one thing solvers know."""

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        """Velocity at ``x`` of shape (n, d), time ``t`` in [0, 1] and ``condition`` of shape (n, c)."""
        ...
