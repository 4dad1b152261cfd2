"""Measured events that the simulation does not know."""

import numpy as np
from scipy.spatial import cKDTree

from buff.preprocessing import Columns
from buff.protocols import Array

__all__ = ["outside_support"]

#: Simulated events that stand for all in the search for neighbours.
_MAX_NEIGHBOURS = 20_000
#: How much farther from its nearest simulated event a measured one may be than simulated ones are from each other.
_MARGIN = 2.0


def outside_support(simulated: Columns, measured: Columns, seed: int = 0) -> Array:
    """Which measured events lie where no simulated event does.

    An event is outside if a label in it never occurs in the simulation; if one of its numbers is farther beyond the
    simulated ones than the last hundredth of these reaches; or if, with all numbers in units of their standard
    deviation, its nearest simulated neighbour is twice as far as any simulated event's.

    Returns
    -------
    array of bool of shape (n,)
    """
    outside = np.zeros(len(measured), bool)
    numbers = []
    for known, values in zip(simulated.arrays, measured.arrays, strict=True):
        if known.dtype.kind in "OUS":
            outside |= ~np.isin(values, np.unique(known))
        else:
            numbers.append((_number(known), _number(values)))
            outside |= _beyond(*numbers[-1])
    if len(numbers) > 1:
        x, y = (np.column_stack(parts) for parts in zip(*numbers, strict=True))
        outside |= _far(x, y, np.random.default_rng(seed))
    return outside


def _number(values: Array) -> Array:
    return (values.astype(np.int64) if values.dtype.kind in "mM" else values).astype(np.float64)


def _beyond(known: Array, values: Array) -> Array:
    low, high = known.min(), known.max()
    inner = np.quantile(known, [0.01, 0.99])
    return np.asarray((values < 2 * low - inner[0]) | (values > 2 * high - inner[1]))


def _far(x: Array, y: Array, rng: np.random.Generator) -> Array:
    scale = x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    if len(x) > _MAX_NEIGHBOURS:
        x = x[rng.choice(len(x), _MAX_NEIGHBOURS, replace=False)]
    tree = cKDTree(x / scale)
    among_simulated = tree.query(x / scale, k=2)[0][:, 1].max()
    return np.asarray(tree.query(y / scale)[0] > _MARGIN * among_simulated)
