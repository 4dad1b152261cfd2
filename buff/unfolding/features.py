"""What classifiers see of an event: its normal scores, and which frequent values it has."""

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr

from buff.protocols import Array, Integers, Numbers
from buff.tables import Columns
from buff.transforms import TableTransformer
from buff.transforms.quantile_map import QuantileMap

__all__ = ["COMBINATIONS", "combinations", "features", "frequent_values"]

#: Frequent values of a table that are told apart, the largest first, and the least share that each of them has.
_MOST, _LEAST = 8, 0.001
#: Combinations of frequent values that an event may have.
COMBINATIONS = 2**_MOST
#: A column of so many values is nothing but frequent ones. Among more, one has this many times the share of its
#: neighbours: the mode of a distribution of whole numbers has not.
_FEW_VALUES, _EXCESS = 16, 3.0
#: A level this close to the end of an interval, as a share of it, is not inside.
_EDGE = 0.01


def features(space: TableTransformer, columns: Columns) -> Array:
    """Normal scores, and a flag for each frequent value: float32 of shape (n, scores + frequent values).

    A value that many events share is a step in what depends on the column, as high as it likes: trees that see scores
    alone, in bins that other values fall into as well, draw it towards what is beside it.
    """
    z = space.transform(columns)
    u = ndtr(z.astype(np.float64))
    flags = [(u[:, j] > low) & (u[:, j] < high) for j, _, low, high in _frequent(space)]
    return np.column_stack([z, *flags]).astype(np.float32) if flags else z


def combinations(space: TableTransformer, z: Numbers) -> Integers:
    """Which of the frequent values each row of features z has, as a number below ``COMBINATIONS``."""
    n = len(frequent_values(space))
    return np.asarray((z[:, z.shape[1] - n :] > 0) @ (1 << np.arange(n)))


def frequent_values(space: TableTransformer) -> list[tuple[int, float]]:
    """Dimension of the scores and value of each frequent value, in the order of the flags."""
    return [(j, value) for j, value, _, _ in _frequent(space)]


def _frequent(space: TableTransformer) -> Iterator[tuple[int, float, float, float]]:
    """Dimension, value and levels of each frequent value."""
    found, j = [], 0
    for encoder in space.encoders_:
        ranks = getattr(encoder, "ranks", None)
        if isinstance(ranks, QuantileMap):
            chosen = np.flatnonzero(_chosen(ranks))
            atoms = zip(ranks.masses[chosen], ranks.atoms[chosen] * ranks.unit, ranks.starts[chosen], strict=True)
            found += [(mass, j, value, start) for mass, value, start in atoms]
        j += len(encoder.names)
    largest = sorted(found, key=lambda atom: -atom[0])[:_MOST]
    yield from ((j, x, a + _EDGE * m, a + (1 - _EDGE) * m) for m, j, x, a in sorted(largest, key=lambda f: f[1:]))


def _chosen(ranks: QuantileMap) -> Array:
    masses = ranks.masses
    chosen = np.asarray(masses >= _LEAST)
    if len(masses) > _FEW_VALUES:
        beside = np.pad(masses, 1)
        chosen &= masses >= _EXCESS * np.maximum(beside[:-2], beside[2:])
    elif ranks.missing + masses.sum() > 1 - 1e-9:
        chosen[:1] = False  # all others say that it is the first
    return chosen
