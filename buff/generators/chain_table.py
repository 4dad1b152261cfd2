"""A table as a chain of columns: from columns to cells, and drawn cells back to columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from buff.archive import Archive
from buff.chains import UNKNOWN, Chain, ChainCost, ChainSettings, ScoreCells
from buff.chains.cells import VALUE
from buff.chains.column import ColumnSettings
from buff.chains.mixture import UNIT_SCORES
from buff.flows import SampleRequest
from buff.protocols import Array, Indices, Mask, Numbers, Weights
from buff.randomness import EventNoise
from buff.records import require
from buff.transforms import TableTransformer
from buff.transforms.density import CellColumn, cell_columns
from buff.transforms.encoders import NumberEncoder
from buff.trees.conditional import ConditionalSettings

__all__ = ["ChainTable", "chain_settings"]

#: Stream of an event's random numbers that columns are drawn from, and streams between two tries.
_STREAM = 2**31 + 16
#: Share of values, not atoms, of a column that has units of its own, and what scores add to these.
_ALL_VALUES, _LEVEL = 0.999, 0.02


def chain_settings(
    *,
    n_estimators: int = 60,
    max_depth: int = 6,
    learning_rate: float = 0.1,
    reg_lambda: float = 200.0,
    any_given: bool = False,
) -> ChainSettings:
    """Settings of a chain by the parameters that users have."""
    shared: dict[str, Any] = {"n_estimators": n_estimators, "learning_rate": learning_rate}
    values = ConditionalSettings(max_depth=max_depth, reg_lambda=reg_lambda, **shared)
    atoms = ConditionalSettings(max_depth=min(max_depth, 4), reg_lambda=5.0, min_child_weight=5.0, **shared)
    # rows used with several sets of given columns are alike, and their locations need a weaker penalty
    ridge = 10.0 if any_given else 30.0
    return ChainSettings(ColumnSettings(values, atoms, ridge=ridge), any_given=any_given)


@dataclass(frozen=True, eq=False)
class ChainTable:
    """A chain with the columns that it is learned from.

    Attributes
    ----------
    space : TableTransformer
        Ranks of the columns.
    columns : list of CellColumn
        Those that are not constant.
    chain : Chain
    """

    space: TableTransformer
    columns: list[CellColumn]
    chain: Chain

    @classmethod
    def fit(
        cls,
        space: TableTransformer,
        arrays: Sequence[Array],
        settings: ChainSettings,
        *,
        open_ends: bool,
        known: Sequence[Array] | None = None,
        learned: Mask | None = None,
        order: Sequence[int] | None = None,
        context: Numbers | None = None,
        weights: Weights | None = None,
        seed: int = 0,
    ) -> "ChainTable":
        """Learn from the columns that ``space`` was fitted to, and contexts (n, c).

        Of cells that are not ``known``, bool (n,) a column, nothing is learned; of known ones, those that are
        ``learned``, bool of shape (n, columns of the table), or all.
        """
        columns = cell_columns(space, open_ends=open_ends)
        table = cls(space, columns, None)  # type: ignore[arg-type]
        cells = table.cells(arrays, known)
        numbers = table.order_of(order)
        ranks = [column.ranks for column in columns]
        targets = None if learned is None else learned[:, list(table.positions)]
        options: dict[str, Any] = {"order": numbers, "context": context, "weights": weights, "seed": seed}
        if not settings.any_given:
            options["units"] = np.stack([_units(column) for column in columns])
        return cls(space, columns, Chain.fit(cells, ranks, settings, targets=targets, **options))

    @classmethod
    def cost(
        cls, space: TableTransformer, arrays: Sequence[Array], settings: ChainSettings, context: Numbers | None = None
    ) -> ChainCost:
        """What :meth:`fit` would cost, with ends that are not open."""
        columns = cell_columns(space, open_ends=False)
        cells = cls(space, columns, None).cells(arrays)  # type: ignore[arg-type]
        return ChainCost.of(cells, [column.ranks for column in columns], settings, context)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of the chain, in its order."""
        return tuple(self.columns[j].name for j in self.chain.order)

    def order_of(self, first: Sequence[int] | None) -> Indices:
        """Numbers of the columns of the chain in the order in which they are drawn.

        ``first`` are numbers of columns of the table that come first; else those that are nothing but atoms do.
        """
        positions = self.positions
        if first is not None:
            first_ones = [positions[j] for j in first if j in positions]
            return np.array(first_ones + [i for i in positions.values() if i not in first_ones], np.intp)
        mixed = [column.ranks.rest > 1e-9 for column in self.columns]
        return np.argsort(mixed, kind="stable")

    @property
    def positions(self) -> dict[int, int]:
        """Numbers in the chain of the columns of the table."""
        names = {column.name: i for i, column in enumerate(self.columns)}
        return {j: names[name] for j, name in enumerate(self.space.template_.names) if name in names}

    def cells(self, arrays: Sequence[Array], known: Sequence[Array] | None = None) -> ScoreCells:
        """Cells of columns of the table, of which some are known, bool (n,) each."""
        parts = []
        for j, i in self.positions.items():
            encoded = self.columns[i].encode(arrays[j], None if known is None else known[j])
            parts.append(ScoreCells(*(getattr(encoded, name)[:, None] for name in ScoreCells.__annotations__)))
        return ScoreCells.stack(parts)

    def draw(
        self,
        batch: SampleRequest,
        given: ScoreCells | None = None,
        *,
        attempt: int = 0,
    ) -> list[Array]:
        """Columns of the table for one batch of events; ``given`` cells come back to the accuracy of their ranks."""
        d = len(self.columns)
        noise = EventNoise(batch.seed, batch.first_event, _STREAM + attempt + batch.stream, batch.chosen, batch.words)
        u = noise.uniform(batch.n, 2 * d)
        context = batch.condition
        if context is not None and len(context) == 1:
            context = np.broadcast_to(context, (batch.n, context.shape[1]))
        return self.decode(*self.chain.sample(u, given, context))

    def decode(self, state: Indices, s: Numbers) -> list[Array]:
        """Columns of the table from states and scores of values (n, d)."""
        n, found = len(state), []
        for j, encoder in enumerate(self.space.encoders_):
            i = self.positions.get(j)
            if i is None:
                found.append(encoder.decode(np.empty((n, 0), np.float32)))
            else:
                found.append(self.columns[i].decode(np.where(state[:, i] == UNKNOWN, -1, state[:, i]), s[:, i]))
        return found

    def to_archive(self) -> Archive:
        """As parts of a file, without the space."""
        part = self.chain.to_archive()
        is_open = any(column.is_open for column in self.columns)
        return Archive("chain", part.record | {"open_ends": is_open}, part.arrays, part.blobs)

    @classmethod
    def from_archive(cls, space: TableTransformer, archive: Archive) -> "ChainTable":
        """Inverse of :meth:`to_archive`."""
        columns = cell_columns(space, open_ends=bool(archive.record["open_ends"]))
        chain = Chain.from_archive(archive)
        sizes = [len(columns[j].ranks.intervals) for j in chain.order] if len(chain.order) == len(columns) else None
        require(sizes == [len(ranks.intervals) for ranks in chain.ranks], "the chain is not one of the table's columns")
        return cls(space, columns, chain)


def _units(column: CellColumn) -> Array:
    """Values of a column at :data:`~buff.chains.mixture.UNIT_SCORES`, of about unit width; never quite level."""
    if not isinstance(column.encoder, NumberEncoder) or column.ranks.rest < _ALL_VALUES:
        return UNIT_SCORES
    x = np.asarray(column.decode(np.full(len(UNIT_SCORES), VALUE), UNIT_SCORES))
    if x.dtype.kind not in "iuf":
        return UNIT_SCORES
    p = np.exp(-0.5 * UNIT_SCORES**2)
    mean = np.average(x.astype(np.float64), weights=p)
    x = (x - mean) / max(np.sqrt(np.average((x - mean) ** 2, weights=p)), 1e-300)
    units: Array = (1 - _LEVEL) * np.maximum.accumulate(x) + _LEVEL * UNIT_SCORES
    return units if np.isfinite(units).all() else UNIT_SCORES
