"""What a fit will cost, before it starts, and what its nodes have cost."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from buff.errors import check_memory
from buff.records import checked_number, checked_record, require

__all__ = ["PROCESS", "CostEstimate", "NodeRecord", "NodeRecords", "workers_within"]

#: Bytes of a process with NumPy, SciPy, scikit-learn and XGBoost loaded, measured on Linux.
PROCESS = 300 * 2**20


@dataclass(frozen=True)
class CostEstimate:
    """Cost of a fit.

    Attributes
    ----------
    n_rows, n_dims, n_conditions : int
        Rows, scores and features of the condition.
    n_draws : int
        Noise draws a row.
    times : tuple of float
        Nodes with a model to train.
    n_workers : int
        Processes at a time.
    memory : int
        Bytes that all processes hold together at most.
    disk : int
        Bytes of the saved model, at most.
    cpu_seconds : float or None
        Training time on one core, extrapolated from a trial of a second; None if it was not asked for.
    n_models : int
        One for each class of rows that is learned apart; ``n_draws`` is then that of the largest.
    n_chained : int
        Columns of a chain of conditional distributions beside the flow, of which so much time is a part:
    chain_seconds : float
    """

    n_rows: int
    n_dims: int
    n_conditions: int
    n_draws: int
    times: tuple[float, ...]
    n_workers: int
    memory: int
    disk: int
    cpu_seconds: float | None = None
    n_models: int = 1
    n_chained: int = 0
    chain_seconds: float = 0.0

    @classmethod
    def combined(cls, plans: Sequence["CostEstimate"]) -> "CostEstimate":
        """The cost of fits one after the other, whose rows are all in memory."""
        largest = max(plans, key=lambda plan: plan.memory)
        n, seconds = sum(plan.n_rows for plan in plans), [plan.cpu_seconds for plan in plans]
        return replace(
            largest,
            n_rows=n,
            n_draws=min(plan.n_draws for plan in plans),
            memory=largest.memory + (n - largest.n_rows) * 8 * largest.n_dims,
            disk=sum(plan.disk for plan in plans),
            cpu_seconds=None if None in seconds else sum(s for s in seconds if s),
            n_models=len(plans),
        )

    def with_step(self, nbytes: int, max_memory: int | None, advice: str) -> "CostEstimate":
        """The cost of a fit of which another step holds so many bytes.

        Raises
        ------
        MemoryError
            If that is more than ``max_memory``; ``advice`` says what to change.
        """
        needed = PROCESS + nbytes
        check_memory(needed, max_memory, advice)
        return replace(self, memory=max(self.memory, needed))

    @property
    def seconds(self) -> float | None:
        """Wall-clock time with ``n_workers`` cores free."""
        if self.cpu_seconds is None:
            return None
        rounds = -(-len(self.times) // self.n_workers)
        return (self.cpu_seconds - self.chain_seconds) * rounds / max(len(self.times), 1) + self.chain_seconds

    def with_chain(self, n_columns: int, memory: int, disk: int, cpu_seconds: float) -> "CostEstimate":
        """The cost of a fit that also learns a chain of columns, after the flow and by one process."""
        return replace(
            self,
            memory=max(self.memory, PROCESS + memory),
            disk=self.disk + disk,
            cpu_seconds=(self.cpu_seconds or 0.0) + cpu_seconds,
            n_chained=n_columns,
            chain_seconds=cpu_seconds,
        )

    def __str__(self) -> str:
        beside = f", {self.n_conditions} features of conditions and repeated values" if self.n_conditions else ""
        lines = [
            f"table      {self.n_rows:,} rows, {self.n_dims} dimensions" + beside,
            f"training   {len(self.times)} nodes x {self.n_rows * self.n_draws:,} rows "
            f"({self.n_draws} noise draws a row), {self.n_workers} at a time" + self._models,
            *(
                [f"chain      {self.n_chained} columns given any others, {self.chain_seconds:.0f} s"]
                if self.n_chained
                else []
            ),
            f"memory     {self.memory / 2**20:,.0f} MiB",
            f"model      at most {self.disk / 2**20:,.1f} MiB",
        ]
        if self.seconds is not None:
            lines.append(f"time       {self.seconds / 60:.1f} min ({self.cpu_seconds or 0:.0f} s of CPU time)")
        return "\n".join(lines)

    @property
    def _models(self) -> str:
        return f", {self.n_models} classes apart" if self.n_models > 1 else ""


@dataclass(frozen=True)
class NodeRecord:
    """What is known of a node's training.

    Attributes
    ----------
    t : float
        Time of the node.
    rounds : int
        Boosting rounds in use; 0 where the velocity is known exactly.
    explained : float
        Share of the variance left by the linear base that the trees explain, for the rows of the training with noise
        that they have not seen; NaN without trees. Most of that variance is noise, so that good fields have small
        values; below 0 trees follow noise, as they do with few rows: more ``noise_budget`` or fewer rounds help.
    seconds : float
        CPU time of the training.
    label : str
        Class of rows that it was trained on; empty for all.
    """

    t: float
    rounds: int
    explained: float
    seconds: float
    label: str = ""


class NodeRecords(tuple[NodeRecord, ...]):
    """The records of all nodes; prints as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = [f"{'t':>8} {'rounds':>7} {'explained':>10} {'CPU [s]':>8}"]
        lines += [f"{r.t:8.4f} {r.rounds:7d} {r.explained:10.4f} {r.seconds:8.2f}  {r.label}".rstrip() for r in self]
        return "\n".join(lines)

    def to_list(self) -> list[dict[str, Any]]:
        """JSON-serialisable form; NaN becomes None."""
        return [asdict(r) | {"explained": None if np.isnan(r.explained) else r.explained} for r in self]

    @classmethod
    def from_list(cls, records: Iterable[dict[str, Any]]) -> "NodeRecords":
        """Inverse of :meth:`to_list`.

        Raises
        ------
        ArchiveError
            Records that lack numbers, or hold others than such as training gives.
        """
        keys = [f.name for f in fields(NodeRecord)]
        records = list(records)
        for record in records:
            checked_record(record, "the record of a node", keys)
            checked_number(record["t"], "t of a node", 0, 1)
            checked_number(record["seconds"], "seconds of a node", 0)
            require(type(record["rounds"]) is int and record["rounds"] >= 0, "the rounds of a node are no number")
            require(isinstance(record["label"], str), "the label of a node is no text")
            if record["explained"] is not None:
                checked_number(record["explained"], "explained of a node")
        rows: list[dict[str, Any]] = [
            {key: np.nan if record[key] is None else record[key] for key in keys} for record in records
        ]
        return cls(NodeRecord(**row) for row in rows)


def workers_within(max_memory: int | None, n_most: int, total: Callable[[int], int], advice: str) -> int:
    """Processes to train with: ``n_most``, or as many as ``total`` (bytes of k of them) lets into ``max_memory``.

    Raises
    ------
    MemoryError
        If one is too much; ``advice`` says what to change.
    """
    n = max(1, n_most)
    while max_memory is not None and n > 1 and total(n) > max_memory:
        n -= 1
    check_memory(total(n), max_memory, advice)
    return n
