"""What a chain will cost: rows and columns counted, its time from one column that is learned for a trial."""

import time
from dataclasses import dataclass, replace

import numpy as np

from buff.chains.cells import ScoreCells
from buff.chains.chain import Chain, ChainSettings, n_copies
from buff.protocols import Numbers
from buff.transforms.atom_ranks import AtomRanks

__all__ = ["ChainCost"]

#: Rows and columns of the trial, and boosting rounds of its two chains.
_TRIAL_ROWS, _TRIAL_COLUMNS, _TRIAL_ROUNDS = 8_000, 4, (3, 15)
#: Copies of the features of the base, float64, that are held at a time.
_BASES = 4


@dataclass(frozen=True)
class ChainCost:
    """Cost of a chain of conditional distributions.

    Attributes
    ----------
    n_rows, n_dims : int
        Rows that a column is learned from, and columns.
    memory, disk : int
        Bytes at most.
    cpu_seconds : float
    """

    n_rows: int
    n_dims: int
    memory: int
    disk: int
    cpu_seconds: float

    @classmethod
    def of(
        cls, cells: ScoreCells, ranks: list[AtomRanks], settings: ChainSettings, context: Numbers | None = None
    ) -> "ChainCost":
        """Of a chain that is learned from these cells (n, d) and contexts (n, c); takes about a second."""
        n, d = cells.z.shape
        c = 0 if context is None else context.shape[1]
        copies = n_copies(settings, n)
        column = settings.column
        features = 3 * (c + d) + d
        base = 1 + c + d + (c + d) * (c + d + 1) // 2 + column.n_cosines + d
        memory = n * copies * (4 * features * 2 + 8 * base * _BASES + 4 * column.values.n_levels * 3)
        leaves = min(2**column.values.max_depth, int(n * copies / max(column.values.min_child_weight, 1)) + 1)
        split = 24 + 4 * column.values.n_levels
        disk = d * (column.values.n_estimators * 2 * leaves * split + 16 * base * (c + d))
        return cls(n * copies, d, memory, disk, _trial_seconds(cells, ranks, settings, context))


def _trial_seconds(
    cells: ScoreCells, ranks: list[AtomRanks], settings: ChainSettings, context: Numbers | None
) -> float:
    """CPU seconds, from two chains of a few rows and columns: what a round costs, and what is spent without."""
    n, d = cells.z.shape
    copies = n_copies(settings, n)
    rng = np.random.default_rng(0)
    few = np.sort(rng.permutation(n)[: max(2, _TRIAL_ROWS // copies)])
    own = np.sort(rng.permutation(d)[:_TRIAL_COLUMNS])
    part, given = cells.take(few).columns(own), None if context is None else context[few]
    spent = []
    for rounds in _TRIAL_ROUNDS:
        column = settings.column
        values, atoms = (replace(s, n_estimators=rounds) for s in (column.values, column.atoms))
        short = replace(settings, column=replace(column, values=values, atoms=atoms), n_rows=copies * len(few))
        start = time.process_time()
        Chain.fit(part, [ranks[j] for j in own], short, context=given)
        spent.append(time.process_time() - start)
    c = 0 if context is None else context.shape[1]
    wider = d / len(own) * (3 * (c + d) + d / 2) / (3 * (c + len(own)) + len(own) / 2)
    few_rounds, more_rounds = _TRIAL_ROUNDS
    one_round = max(spent[1] - spent[0], 0.0) / (more_rounds - few_rounds)
    alone = max(spent[0] - few_rounds * one_round, 0.0) * d / len(own)
    return float((alone + settings.column.values.n_estimators * one_round * wider) * n / len(few))
