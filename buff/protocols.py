"""The shapes of the things that buff's parts hand to each other: signatures, no behaviour.

One convention everywhere: ``t = 0`` is noise ``x0``, ``t = 1`` is data ``x1``, and a field is called as
``field(x, t, condition)``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Array",
    "BinsLike",
    "ConditionLike",
    "Field",
    "FlagsLike",
    "HasArrow",
    "Indices",
    "Integers",
    "Mask",
    "Noise",
    "Numbers",
    "RandomState",
    "Scores",
    "TableLike",
    "Values",
    "Weights",
    "WeightsLike",
]

#: An array of NumPy, CuPy or PyTorch: solvers use operators only, so any of them will do.
Array: TypeAlias = Any
#: Real numbers in single or double precision, of the shape that the docstring says.
Numbers: TypeAlias = NDArray[np.floating[Any]]
#: Normal scores, (n, d) for n events of d dimensions, or (n,) of one of them.
Scores: TypeAlias = NDArray[np.floating[Any]]
#: Weights of n events, (n,).
Weights: TypeAlias = NDArray[np.floating[Any]]
#: A column of n values in its natural dtype, (n,).
Values: TypeAlias = NDArray[Any]
#: What is true of each entry.
Mask: TypeAlias = NDArray[np.bool_]
#: Codes and counts.
Integers: TypeAlias = NDArray[np.integer[Any]]
#: Row numbers.
Indices: TypeAlias = NDArray[np.intp]
#: What becomes weights of events, (n,); None stands for ones.
WeightsLike: TypeAlias = ArrayLike | None
#: What becomes one boolean an event, (n,).
FlagsLike: TypeAlias = ArrayLike
#: A number of bins or their rising edges, or one of these for each of several columns.
BinsLike: TypeAlias = ArrayLike
#: Standard normal numbers of the shape, library and precision of its argument; a fresh draw each call.
Noise: TypeAlias = Callable[[Array], Array]
#: What :func:`buff.randomness.seed_from` takes.
RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | np.random.SeedSequence | None


class HasArrow(Protocol):
    """A table of any library that gives itself away as an Arrow table."""

    def to_arrow(self) -> Any:
        """The table, as ``pyarrow.Table``."""
        ...


#: What :func:`buff.tables.read` takes.
TableLike: TypeAlias = ArrayLike | Mapping[str, ArrayLike] | HasArrow
#: Conditions of events: a table, or an array of one number or label an event; one row may hold for all.
ConditionLike: TypeAlias = TableLike | None


class Field(Protocol):
    """The velocity dx/dt, the one thing solvers know."""

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        """Velocity at ``x`` of shape (n, d), time ``t`` in [0, 1] and ``condition`` of shape (n, c)."""
        ...
