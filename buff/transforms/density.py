"""Columns as atoms and values with their density: what a likelihood in the table's own units needs."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from buff.protocols import Array, Indices, Mask, Numbers, Values
from buff.tables.kinds import KINDS
from buff.transforms.atom_ranks import AtomRanks
from buff.transforms.atoms import atoms_of
from buff.transforms.encoders import ColumnEncoder, RankedEncoder
from buff.transforms.transformer import TableTransformer
from buff.transforms.unseen import UnseenNumbers, open_ends_of, without_small_gaps

__all__ = ["CellColumn", "Cells", "cell_columns"]

_LOG_ROOT = 0.5 * np.log(2 * np.pi)
#: Scores in the context of other columns stay within, and values of no density at all have this one.
_REACH, _FARTHEST = 4.2, 37.0
#: State of numbers that the training did not have.
_UNSEEN = -3


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of one column, arrays of shape (n,): see :class:`buff.chains.ScoreCells`."""

    z: Array
    state: Indices
    low: Array
    high: Array
    log_slope: Array


class CellColumn:
    """Values of one column as cells, and back.

    Parameters
    ----------
    encoder : RankedEncoder
        NotImplementedError for another: such a column has no ranks, and so no density.
    intervals : array of shape (k, 2)
        Ranks of the atoms that are told apart.
    whole : bool
        Whether values on a lattice count by probability, not by density.
    open_ends : bool
        Whether values may lie beyond those of the training: they follow exponentials from the outermost knots on, cut
        at bounds of the schema and at 0 where no value had the other sign.
    """

    def __init__(self, encoder: ColumnEncoder, intervals: Numbers, *, whole: bool, open_ends: bool) -> None:
        if not isinstance(encoder, RankedEncoder):
            raise NotImplementedError(
                f"column {encoder.name!r} has no density: {type(encoder).__name__} is no RankedEncoder; densities, "
                f"imputers and given='any' take other columns, or another kind or order of it in schema"
            )
        self.encoder, self.whole = encoder, whole
        ranks = encoder.ranks
        bands = np.column_stack([ranks.starts, ranks.starts + ranks.masses])
        chosen = np.isin(bands[:, 0], intervals[:, 0]) if len(intervals) else np.zeros(len(bands), bool)
        self.ranks = AtomRanks(np.asarray(intervals, np.float64), bands[~chosen])
        self.is_open = open_ends and encoder.is_number
        self.line = without_small_gaps(ranks.decoding) if self.is_open else ranks.decoding
        self.ends = open_ends_of(ranks, self.line) if self.is_open else (None, None)
        self.unseen = UnseenNumbers.of(ranks) if self.is_open else None

    @property
    def name(self) -> str:
        """Of the column."""
        return self.encoder.name

    def encode(self, values: Array, known: Array | None = None) -> Cells:
        """Cells of values (n,) of natural dtype; those that are not ``known`` may be anything.

        Raises
        ------
        ValueError, TypeError
            Levels and types that were not fitted, and missing values where there were none.
        """
        n = len(values)
        cells = Cells(
            *(np.full(n, np.nan, np.float32), np.full(n, -2), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n))
        )
        rows = np.arange(n) if known is None else np.flatnonzero(known)
        if len(rows):
            encoded = self._encode(values[rows])
            for name in Cells.__annotations__:
                getattr(cells, name)[rows] = getattr(encoded, name)
        return cells

    def _encode(self, values: Values) -> Cells:
        ranks, low, high, log_slope = self.encoder.ranks, *self._levels(values)
        middle = 0.5 * (low + high)
        state = _state_of(self.ranks.intervals, middle)
        s_low, s_high = (ndtri(self.ranks.of_values(u)) for u in (low, high))
        point = (state < 0) & (low == high)
        if point.any() and self.encoder.is_number:
            self._mend_tails(self._numbers(values), point, s_low)
            s_high[point] = s_low[point]
        z = np.clip(ndtri(np.clip(middle, ranks.margin, 1 - ranks.margin)), -_REACH, _REACH)
        # values beyond the outermost knots count as half a row from the end where nothing lies there
        lowest, highest = (_FARTHEST if end else -ndtri(ranks.margin) for end in self.ends)
        s_low, s_high = (np.clip(s, -lowest, highest) for s in (s_low, s_high))
        of_scores = 0.5 * s_low**2 + _LOG_ROOT - np.log(max(self.ranks.rest, 1e-12))
        log_slope = np.asarray(np.where(point, log_slope + of_scores, log_slope))
        atom = state >= 0
        log_slope[atom] = 0.0
        if self.unseen is not None:
            x = self._numbers(values)
            new = ~np.isnan(x) & ~np.isin(x, ranks.atoms)
            state, log_slope = np.where(new, _UNSEEN, state), np.where(new, self.unseen.log_probability(x), log_slope)
            log_slope[~new] += np.log1p(-self.unseen.share)
        s_low[state != -1] = s_high[state != -1] = np.nan
        return Cells(z.astype(np.float32), state, s_low, s_high, log_slope)

    def decode(self, state: Indices, s: Numbers) -> Array:
        """Values of natural dtype, of states and scores of values."""
        z = self.ranks.scores(state, s, snapped=False)
        if not self.is_open:
            return self.encoder.decode(z[:, None])
        ranks = self.encoder.ranks
        u = ndtr(z)
        x = self.line.value(u)
        below, above = self.ends
        value = state < 0
        if below is not None:
            rows = value & (x < -below.start)
            x[rows] = -below.value(ndtr(s[rows]) * self.ranks.rest)
        if above is not None:
            rows = value & (x > above.start)
            x[rows] = above.value(ndtr(-s[rows]) * self.ranks.rest)
        x = ranks.within_bounds(x * ranks.unit)
        # between atoms the line of an open column has slopes, so that it does not lead back to them
        x[~value] = ranks.decode(z[~value])
        return self.encoder.restored(x)

    def _numbers(self, values: Values) -> Array:
        """Values as the polyline knows them."""
        ranks = self.encoder.ranks
        x = self.encoder.numbers(values)
        x = ranks.lattice.nearest(x) if ranks.lattice and ranks.lattice.noisy else x
        return x / ranks.unit

    def _levels(self, values: Values) -> tuple[Array, Array, Array]:
        """Ranks among all of both ends of what each value owns, and the logarithm of their slope or width."""
        ranks = self.encoder.ranks
        x = self._numbers(values)
        line = self.line
        low, high, log_slope = np.zeros(len(x)), np.zeros(len(x)), np.zeros(len(x))
        if len(line.x):
            cell = ranks.lattice.spacing if ranks.lattice else 0.0
            low, high = self._level(x - 0.5 * cell), self._level(x + 0.5 * cell)
            log_slope = self._log_slope(x) - np.log(ranks.unit) + self.encoder.log_stretch(values)
            if cell:
                log_slope = np.full(len(x), 0.0 if self.whole else -np.log(cell * ranks.unit))
        if len(ranks.atoms):
            i = np.minimum(np.searchsorted(ranks.atoms, x), len(ranks.atoms) - 1)
            on_atom = ranks.atoms[i] == x
            low = np.where(on_atom, ranks.starts[i], low)
            high = np.where(on_atom, ranks.starts[i] + ranks.masses[i], high)
            log_slope[on_atom] = 0.0
        gone = np.isnan(x)
        return np.where(gone, 0.0, low), np.where(gone, ranks.missing, high), np.where(gone, 0.0, log_slope)

    def _level(self, x: Numbers) -> Array:
        ranks = self.encoder.ranks
        u = np.clip(self.line.level(x), ranks.missing, 1.0)
        below, above = self.ends
        if above is not None:
            rows = x > above.start
            u[rows] = 1 - above.survival(x[rows])
        if below is not None:
            rows = x < -below.start
            u[rows] = ranks.missing + below.survival(-x[rows])
        return u

    def _log_slope(self, x: Numbers) -> Array:
        line = self.line
        i = np.clip(np.searchsorted(line.x, x, side="right") - 1, 0, len(line.x) - 2)
        run = line.x[i + 1] - line.x[i]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(run > 0, (line.u[i + 1] - line.u[i]) / run, 0.0)
            slope = np.where((x < line.x[0]) | (x > line.x[-1]), 0.0, slope)
            out = np.log(slope)
        below, above = self.ends
        if above is not None:
            rows = x > above.start
            out[rows] = above.log_density(x[rows])
        if below is not None:
            rows = x < -below.start
            out[rows] = below.log_density(-x[rows])
        return out

    def _mend_tails(self, x: Numbers, point: Mask, s: Numbers) -> None:
        """Scores far out, where ranks have no digits left."""
        below, above = self.ends
        tiny = 1e-300
        if above is not None:
            rows = point & (x > above.start)
            s[rows] = -ndtri(np.maximum(above.survival(x[rows]) / self.ranks.rest, tiny))
        if below is not None:
            rows = point & (x < -below.start)
            s[rows] = ndtri(np.maximum(below.survival(-x[rows]) / self.ranks.rest, tiny))


def cell_columns(space: TableTransformer, *, open_ends: bool) -> list[CellColumn]:
    """Columns of a fitted transformer, without constant ones.

    Examples
    --------
    >>> x = np.random.default_rng(0).exponential(size=(1000, 1))
    >>> column = cell_columns(TableTransformer().fit(x), open_ends=True)[0]
    >>> cells = column.encode(x[:, 0])
    >>> bool(abs(np.exp(cells.log_slope - 0.5 * cells.low**2) / np.sqrt(2 * np.pi) - np.exp(-x[:, 0])).mean() < 0.1)
    True
    """
    atoms = iter(atoms_of(space))
    found = []
    for encoder, schema in zip(space.encoders_, space.schema_, strict=True):
        if not encoder.names:
            continue
        atom = next(atoms)
        whole = KINDS[schema.kind].is_whole
        found.append(CellColumn(encoder, atom.intervals, whole=whole, open_ends=open_ends))
    return found


def _state_of(intervals: Numbers, u: Numbers) -> Indices:
    if not len(intervals):
        return np.full(len(u), -1)
    i = np.clip(np.searchsorted(intervals[:, 0], u, side="right") - 1, 0, None)
    width = intervals[i, 1] - intervals[i, 0]
    inside = np.abs(u - intervals[i].mean(axis=1)) < 0.49 * width
    return np.where(inside, i, -1)
