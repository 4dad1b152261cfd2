"""Where unfolded truth still moves from one iteration to the next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from buff.protocols import Numbers, Weights
from buff.tables import Columns
from buff.transforms import TableTransformer
from buff.unfolding.refolding import bins_for, column_bins

__all__ = ["Moving", "moving", "named_moves"]

#: Statistical errors of the measured events that an iteration moves a bin or a frequent value by, to be told of.
_FACTOR = 1.0
#: The same where draws for measured events follow simulated truth: those fluctuate by one error, the worst bin by more.
_OF_DRAWS = 3.0


@dataclass(frozen=True)
class Moving:
    """A frequent value or a bin of truth, and the unfolded events there before and after an iteration.

    Attributes
    ----------
    name : str
        Column.
    place : str
        Such as "at 0" or "from 1 to 2.5"; "" where the column holds no numbers.
    before, after : float
        Events.
    sigmas : float
        The difference in statistical errors of the measured events.
    """

    name: str
    place: str
    before: float
    after: float
    sigmas: float

    def __str__(self) -> str:
        where = f"{self.name} {self.place}".rstrip()
        return f"{where}, {self.before:,.0f} events before and {self.after:,.0f} after"


@dataclass(frozen=True, eq=False)
class _Move:
    """The bin of a column that an iteration moved most: its dimension, its number and whose events are there."""

    dimension: int
    inside: Numbers
    moving: Moving


def moving(
    space: TableTransformer,
    simulated: Numbers,
    before: tuple[Numbers, Weights],
    after: tuple[Numbers, Weights],
    effective: float,
) -> list[_Move]:
    r"""Columns that an iteration moved by more than the statistical error of the measured events, at the worst place.

    .. math:: |N' - N| > \sqrt{N' \sum N' / n}

    for the events N and N' before and after, in bins with as many simulated events each and at frequent values, and n
    measured events of equal weight: what they say of truth is not more precise, with any detector. Where
    both are not the same events with other weights, as after the first draws, three errors.

    Parameters
    ----------
    space : TableTransformer
        Of truth.
    simulated : array of shape (n, features)
        Features of simulated truth, see :mod:`buff.unfolding.features`.
    before, after : pairs of features of shape (m, features) and weights of shape (m,)
        Truth; sums of weights are those of ``after``.
    effective : float
        Measured events of equal weight.
    """
    found, total, same = [], after[1].sum(), before[0] is after[0]
    scale = total / before[1].sum()
    for column in column_bins(space, simulated, bins_for(effective)):
        now, size, values = column(after[0]), column.size, column.values
        counts = np.bincount(now, after[1], size)
        earlier = scale * np.bincount(now if same else column(before[0]), before[1], size)
        error = np.sqrt(np.maximum(counts, earlier) * total / effective)
        sigmas = np.divide(np.abs(counts - earlier), error, out=np.zeros(size), where=error > 0)
        worst = int(np.argmax(sigmas))
        if sigmas[worst] > (_FACTOR if same else _OF_DRAWS):
            place = f"at {values[worst]:g}" if worst < len(values) else ""
            told = Moving(column.name, place, float(earlier[worst]), float(counts[worst]), float(sigmas[worst]))
            found.append(_Move(column.dimension, now == worst, told))
    return found


def named_moves(moves: Sequence[_Move], space: TableTransformer, events: Columns) -> tuple[Moving, ...]:
    """The same with the ends of bins, in the units of the events that ``after`` was of."""
    names = list(space.get_feature_names_out())
    columns = {str(name): values for name, values in zip(events.names, events.arrays, strict=True)}
    told = []
    for move in moves:
        values, place = columns.get(names[move.dimension]), move.moving.place
        if not place and values is not None and values.dtype.kind in "biuf":
            inside = values[move.inside]
            place = f"from {inside.min():.3g} to {inside.max():.3g}" if len(inside) else ""
        told.append(replace(move.moving, place=place))
    return tuple(told)
