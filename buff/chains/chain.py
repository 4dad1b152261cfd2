"""A chain of conditional distributions: columns in an order, each given those before it, or given any others too."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from buff.archive import Archive
from buff.chains.cells import UNKNOWN, ScoreCells
from buff.chains.column import N_FOLDS, ChainColumn, ColumnSettings
from buff.chains.completion import GaussianCompletion
from buff.chains.context import Context, TrainingRows
from buff.chains.exclusions import Exclusions
from buff.chains.mixture import UNIT_SCORES, GaussianMixtures, MixtureBase, in_units
from buff.protocols import Array, Indices, Mask, Numbers, Values, Weights
from buff.records import checked_array, require
from buff.transforms.atom_ranks import AtomRanks

__all__ = ["Chain", "ChainSettings", "n_copies"]

#: Times that a row is used at most, each with other columns given.
_MOST_COPIES = 8
#: From a number of a column to its distribution by mixtures, of all rows but those of each fold, and of all.
Mixtures: TypeAlias = Callable[[int], list[MixtureBase]]


@dataclass(frozen=True)
class ChainSettings:
    """How a chain is learned.

    Attributes
    ----------
    column : ColumnSettings
    any_given : bool
        Whether columns learn to be drawn given any of the later ones too.
    n_patterns : int
        Random sets of given columns.
    n_rows : int
        Rows that columns are then learned on: each row of the table is used with so many sets that this is reached.
    """

    column: ColumnSettings
    any_given: bool = False
    n_patterns: int = 64
    n_rows: int = 40_000


@dataclass(frozen=True, eq=False)
class Chain:
    r"""Density and draws of rows of cells, in an order of columns :math:`x_1, ..., x_d`.

    .. math:: p(x | g) = \prod_{j \notin g} p(x_j | x_1, ..., x_{j-1}, x_{g > j})

    with the columns g that are given: exact for each g, since a column is drawn given all that are known then. Without
    ``any_given``, g can only be the first columns. Contexts c, such as conditions, are given always.

    Attributes
    ----------
    order : int array of shape (d,)
    ranks : tuple of AtomRanks
        Of the columns, in this order.
    completion : GaussianCompletion
        Of contexts and columns.
    columns : tuple of ChainColumn
    any_given : bool
    exclusions : Exclusions or None
        Atoms that are never drawn together, with ``any_given``: densities know nothing of them.
    """

    order: Indices
    ranks: tuple[AtomRanks, ...]
    completion: GaussianCompletion
    columns: tuple[ChainColumn, ...]
    any_given: bool = False
    exclusions: Exclusions | None = None

    @classmethod
    def fit(
        cls,
        cells: ScoreCells,
        ranks: Sequence[AtomRanks],
        settings: ChainSettings,
        *,
        order: Indices | None = None,
        context: Numbers | None = None,
        weights: Weights | None = None,
        targets: Mask | None = None,
        units: Array | None = None,
        seed: int = 0,
    ) -> "Chain":
        """Learn from cells of n rows and d columns, contexts (n, c) and nonnegative weights (n,).

        ``units``, of shape (d, m), are values of the columns at :data:`~buff.chains.mixture.UNIT_SCORES`: mixtures of
        Gaussians are tried in these, too.

        ``targets``, bool of shape (n, d), says which of the known cells are learned, and not only told to others.
        """
        n, d = cells.z.shape
        order = np.arange(d) if order is None else np.asarray(order, np.intp)
        rng = np.random.default_rng(seed)
        cells = cells.columns(order)
        learned = cells.known if targets is None else cells.known & targets[:, order]
        z = np.hstack([np.empty((n, 0), np.float32) if context is None else context, cells.z])
        ordered = tuple(ranks[j] for j in order)
        exclusions = None
        if settings.any_given:
            used = slice(None) if weights is None else np.flatnonzero(weights)
            exclusions = Exclusions.of(cells.state[used], learned[used], _n_states(ordered))
        chain = cls(order, ordered, GaussianCompletion.fit(z, weights), (), settings.any_given, exclusions)
        given = np.zeros((n, d), bool)
        training = TrainingRows(
            np.ones(n) if weights is None else weights / weights.mean(), rng.integers(N_FOLDS, size=n)
        )
        if settings.any_given:
            copies = n_copies(settings, n)
            rows = np.tile(np.arange(n), copies)
            cells, z, given = cells.take(rows), z[rows], _patterns(len(rows), d, settings.n_patterns, rng)
            # innovations of earlier columns are made with what is given, so that they tell a given column
            learned = learned[rows] & ~given
            training = TrainingRows(2 * training.weights[rows] / copies, training.folds[rows])
        mixtures: list[Mixtures] = []
        if not settings.any_given:
            c = z.shape[1] - d
            if units is not None:
                units = np.vstack([np.tile(UNIT_SCORES, (c, 1)), units[order]])
            mixtures = _mixtures(chain.completion(z), training, units, seed)
        s = cells.place(rng)
        innovations = np.empty((len(z), 0), np.float32)
        columns: list[ChainColumn] = []
        for j in range(d):
            known = chain._context(z, given, j, innovations)
            rows = np.flatnonzero(learned[:, j])
            target = known.take(rows), cells.state[rows, j], s[rows, j]
            how: dict[str, Any] = {"seed": (seed + j) % 2**31}
            if len(rows) == len(z) and known.raw.shape[1]:
                how["mixtures"] = [mixture(known.raw.shape[1]) for mixture in mixtures]
            column, r = ChainColumn.fit(*target, settings.column, training.take(rows), **how)
            columns.append(column)
            innovation = column.innovations(known, cells.state[:, j], s[:, j])
            innovation[rows] = r
            innovations = np.column_stack([innovations, innovation])
        return replace(chain, columns=tuple(columns))

    def sample(
        self,
        u: Numbers,
        given: ScoreCells | None = None,
        context: Numbers | None = None,
    ) -> tuple[Indices, Array]:
        """States and scores of values, (n, d) each, of all columns in the order of the table.

        Parameters
        ----------
        u : array of shape (n, 2 d)
            Uniform numbers.
        given : ScoreCells, optional
            Of n rows; cells that are not known are drawn.
        context : array of shape (n, c), optional
        """
        n, d = len(u), len(self.order)
        state, s = np.full((n, d), UNKNOWN), np.full((n, d), np.nan)
        c = 0 if context is None else context.shape[1]
        z = np.full((n, c + d), np.nan, np.float32)
        if context is not None:
            z[:, :c] = context
        if given is not None:
            given = given.columns(self.order)
            state, s, z[:, c:] = given.state.copy(), 0.5 * (given.low + given.high), given.z
        known = state != UNKNOWN
        self._require_allowed(known)
        innovations = np.empty((n, 0), np.float32)
        for j, column in enumerate(self.columns):
            now = self._context(z, known, j, innovations)
            rows = np.flatnonzero(~known[:, j])
            if len(rows):
                violations = None if self.exclusions is None else self.exclusions.violations(j, state[rows])
                uniform = u[rows, 2 * j : 2 * j + 2]
                state[rows, j], s[rows, j] = column.sample(now.take(rows), uniform, violations)
                scores = self.ranks[j].scores(state[rows, j], s[rows, j])
                z[rows, c + j] = np.clip(scores, -4.2, 4.2)
            innovations = np.column_stack([innovations, column.innovations(now, state[:, j], s[:, j])])
        back = np.argsort(self.order)
        return state[:, back], s[:, back]

    def log_density(self, cells: ScoreCells, context: Numbers | None = None, n_given: int = 0) -> Array:
        """Logarithm of the density of each row, of the columns after the first ``n_given``, given these."""
        cells = cells.columns(self.order)
        told = self._told(cells, 0.5 * (cells.low + cells.high), context)
        terms = [column.log_density(now, cells.columns([j])) for j, (column, now) in enumerate(told)]
        return sum(terms[n_given:], np.zeros(len(cells)))

    def pit(self, cells: ScoreCells, place: Numbers, context: Numbers | None = None) -> Array:
        """Distribution functions (n, d) of cells given those before them, uniform where the model is right."""
        cells, place = cells.columns(self.order), place[:, self.order]
        s = cells.low + (cells.high - cells.low) * place
        told = self._told(cells, s, context)
        values = [column.pit(now, cells.state[:, j], s[:, j], place[:, j]) for j, (column, now) in enumerate(told)]
        return np.column_stack(values)[:, np.argsort(self.order)]

    def _told(self, cells: ScoreCells, s: Array, context: Numbers | None) -> Iterator[tuple[ChainColumn, Context]]:
        """Each column with what it is told of cells in the order of the chain, which are at ``s`` (n, d)."""
        z = cells.z if context is None else np.hstack([context, cells.z])
        nothing = np.zeros(cells.state.shape, bool)
        innovations = np.empty((len(cells), 0), np.float32)
        for j, column in enumerate(self.columns):
            now = self._context(z, nothing, j, innovations)
            yield column, now
            innovations = np.column_stack([innovations, column.innovations(now, cells.state[:, j], s[:, j])])

    def _require_allowed(self, known: Values) -> None:
        """Without ``any_given``, only the first columns may be known."""
        if not self.any_given and (known[:, 1:] & ~known[:, :-1]).any():
            raise ValueError("only the first columns of the chain can be given")

    def _context(self, z: Array, given: Array, j: int, innovations: Array) -> Context:
        """What column j is told, where ``given`` (n, d) says which of the later columns are."""
        d = given.shape[1]
        c = z.shape[1] - d
        chosen = np.delete(np.arange(c + d), c + j) if self.any_given else np.arange(c + j)
        raw = z[:, chosen].astype(np.float32)
        later = given[:, j + 1 :] if self.any_given else given[:, :0]
        if later.shape[1]:
            raw[:, c + j :][~later] = np.nan
        completed = self.completion.of(chosen)(raw)
        told = later.astype(np.float32)
        if later.shape[1]:  # how much is not known depends on what is given
            known = np.insert(~np.isnan(raw), c + j, False, axis=1)
            told = np.column_stack([told, self.completion.log_sd(known, c + j)])
        return Context(raw, completed, told, innovations)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
        """Nothing but what :meth:`to_archive` says under a name of its own."""
        return {}, {}, {}

    def to_archive(self) -> Archive:
        """As parts of a file."""
        arrays: dict[str, Array] = {"order": self.order, "correlation": self.completion.correlation}
        arrays |= {} if self.exclusions is None else self.exclusions.to_arrays()
        record: dict[str, Any] = {"any_given": self.any_given}
        blobs: dict[str, bytes] = {}
        for j, (ranks, column) in enumerate(zip(self.ranks, self.columns, strict=True)):
            arrays |= {f"{j}/intervals": ranks.intervals, f"{j}/small": ranks.small}
            part = column.to_archive().under(str(j))
            record |= part.record
            arrays |= part.arrays
            blobs |= part.blobs
        return Archive("chain", record, arrays, blobs)

    @classmethod
    def from_archive(cls, archive: Archive) -> "Chain":
        """Inverse of :meth:`to_archive`."""
        arrays = archive.arrays
        order = np.asarray(checked_array(arrays["order"], "order", (None,), kinds="i"), np.intp)
        require(np.array_equal(np.sort(order), np.arange(len(order))), "order is no order of the columns")
        ranks = tuple(AtomRanks.from_arrays(arrays, str(j)) for j in range(len(order)))
        columns = tuple(ChainColumn.from_archive(archive.part(str(j))) for j in range(len(order)))
        for rank, column in zip(ranks, columns, strict=True):
            checked_array(column.classes, "classes", kinds="i", high=len(rank.intervals) - 1)
        completion = GaussianCompletion.from_arrays(arrays)
        any_given = bool(archive.record["any_given"])
        exclusions = Exclusions.from_arrays(arrays, _n_states(ranks)) if any_given else None
        return cls(order, ranks, completion, columns, any_given, exclusions)


def _n_states(ranks: Sequence[AtomRanks]) -> tuple[int, ...]:
    """Of columns: their atoms and, as one, their values."""
    return tuple(len(rank.intervals) + 1 for rank in ranks)


def n_copies(settings: ChainSettings, n: int) -> int:
    """Times that each of n rows is used, with other columns given."""
    return int(np.clip(-(-settings.n_rows // n), 1, _MOST_COPIES)) if settings.any_given else 1


def _mixtures(z: Array, rows: TrainingRows, units: Array | None, seed: int) -> list[Mixtures]:
    """Of scores, and of values in units, each of all rows but those of each fold, and of all.

    There are none where rows are too few, or columns.
    """
    if z.shape[1] < 2:
        return []
    learned = [*(np.flatnonzero(rows.folds != k) for k in range(N_FOLDS)), np.arange(len(z))]
    kinds: list[Mixtures] = []
    for unit in [None] if units is None else [None, units]:
        x = z if unit is None else in_units(z, unit)
        found = [GaussianMixtures.fit(x[used], rows.weights[used], seed % 2**31) for used in learned]
        if not all(found):
            break
        kinds.append(partial(_given, [mixture for mixture in found if mixture], unit))
    return kinds


def _given(mixtures: Sequence[GaussianMixtures], units: Array | None, j: int) -> list[MixtureBase]:
    """Distributions of column j given those before it."""
    return [mixture.given(j, units) for mixture in mixtures]


def _patterns(n: int, d: int, n_patterns: int, rng: np.random.Generator) -> Array:
    """Which columns are given in each of n rows: a few random sets, of any number of columns."""
    rates = np.linspace(0, 1, n_patterns)
    sets = rng.random((n_patterns, d)) < rates[:, None]
    return sets[rng.integers(n_patterns, size=n)]
