"""Atoms of a column: missing values, spikes, sentinels, and all values of columns that have few."""

from dataclasses import dataclass

import numpy as np

from buff.protocols import Array
from buff.transforms.encoders import ColumnEncoder, RankedEncoder
from buff.transforms.quantile_map import QuantileMap
from buff.transforms.transformer import TableTransformer

__all__ = ["DimensionAtoms", "atoms_of"]

#: A column of so many labels or fewer is nothing but atoms; of numbers, more are left to a flow, which knows from the
#: start how a column rises with others.
_MOST_LEVELS, _MOST_NUMBERS = 64, 16
#: A value among others is a spike if it holds this share, and so many times that of the usual atom beside it.
_SPIKE_SHARE, _SPIKE_EXCESS = 0.05, 10.0
#: At an end of the column, where sentinels lie, a smaller share is enough.
_END_SHARE = 0.001
#: Atoms on either side that a spike is compared with.
_BESIDE = 4
#: Spikes of a column, the largest first.
_MOST_SPIKES = 4
#: Share of values that repeat in a part that is smooth all the same, and share of the most frequent value of a part
#: that is nearly so.
_RARE, _FREQUENT = 0.01, 0.1


@dataclass(frozen=True)
class DimensionAtoms:
    """Atoms of one dimension of unit space.

    Attributes
    ----------
    intervals : array of shape (k, 2)
        Ranks, rising, that each of them owns.
    smooth : bool
        Whether the other values hardly ever repeat.
    fine : bool
        Whether they are numbers of which none is frequent.
    missing : bool
        Whether the first atom are missing entries.
    """

    intervals: Array
    smooth: bool = False
    fine: bool = False
    missing: bool = False


def atoms_of(space: TableTransformer) -> list[DimensionAtoms]:
    """Atoms of every dimension of the unit space of a table.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.where(rng.random(1000) < 0.25, -25.0, rng.exponential(size=1000))
    >>> atoms_of(TableTransformer().fit(x[:, None]))[0].intervals.round(1)
    array([[0. , 0.2]])
    """
    return [own for encoder in space.encoders_ for own in _of_encoder(encoder)]


def _of_encoder(encoder: ColumnEncoder) -> list[DimensionAtoms]:
    if isinstance(encoder, RankedEncoder):
        return [_of_ranks(encoder.ranks, encoder.is_label)]
    return [DimensionAtoms(np.empty((0, 2)), encoder.is_smooth, encoder.is_smooth) for _ in encoder.names]


def _of_ranks(ranks: QuantileMap, labels: bool) -> DimensionAtoms:
    masses, starts = ranks.masses, ranks.starts
    if ranks.missing == 1:
        return DimensionAtoms(np.array([[0.0, 1.0]]))
    rest = 1 - ranks.missing - masses.sum()
    if rest < 1e-9 and len(masses) <= (_MOST_LEVELS if labels else _MOST_NUMBERS):
        chosen = np.ones(len(masses), bool)
    elif labels:
        chosen = np.zeros(len(masses), bool)
    else:
        chosen = _spikes(ranks)
    intervals = np.column_stack([starts, starts + masses])[chosen]
    if ranks.missing:
        intervals = np.concatenate([[[0.0, ranks.missing]], intervals])
    left = masses[~chosen]
    fine = not labels and float(left.max(initial=0.0)) <= _FREQUENT
    return DimensionAtoms(intervals, not labels and float(left.sum()) <= _RARE, fine, ranks.missing > 0)


def _spikes(ranks: QuantileMap) -> Array:
    masses, atoms = ranks.masses, ranks.atoms
    chosen = np.zeros(len(masses), bool)
    if not len(masses):
        return chosen
    usual = _usual(masses) if len(masses) > 2 * _MOST_SPIKES else np.zeros(len(masses))
    at_end = np.zeros(len(masses), bool)
    at_end[[0, -1]] = atoms[0] <= ranks.line.x[0], atoms[-1] >= ranks.line.x[-1]
    least = np.where(at_end, _END_SHARE, _SPIKE_SHARE)
    chosen = (masses >= least) & (masses >= _SPIKE_EXCESS * usual)
    largest = np.argsort(-masses, kind="stable")
    chosen[[i for i in largest if chosen[i]][_MOST_SPIKES:]] = False
    return chosen


def _usual(masses: Array) -> Array:
    """Median of the masses of the atoms beside each, up to four on either side: the mode of a lattice is no spike."""
    beside = np.pad(masses, _BESIDE, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(beside, 2 * _BESIDE + 1)
    return np.asarray(np.nanmedian(np.delete(around, _BESIDE, axis=1), axis=1))
