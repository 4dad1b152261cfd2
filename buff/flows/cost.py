"""What a fit will cost, before it starts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from buff.flows.data import FlowMatchingData
from buff.flows.linear import GaussianPart, LinearVelocity
from buff.flows.nodes import RegressionSource, fit_node
from buff.randomness import training_seed
from buff.trees import TreeSettings

__all__ = ["CostEstimate", "make_plan"]

#: Bytes of a process with NumPy, SciPy, scikit-learn and XGBoost loaded, measured on Linux.
_PROCESS = 300 * 2**20
#: Bytes of gradients, Hessians and predictions for a row and an output while trees grow.
_GRADIENTS = {"scalar": 12, "vector": 19, "sketch": 39}
#: Draws a row beyond which more noise has shown no gain.
_MOST_DRAWS = 100
#: Size of the trial that tells how fast this machine is.
_TRIAL_ROWS, _TRIAL_ROUNDS, _TRIAL_DIMS = 20_000, 3, 32


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
        needed = _PROCESS + nbytes
        if max_memory is not None and needed > max_memory:
            raise MemoryError(
                f"the fit needs {needed / 2**20:,.0f} MiB and max_memory allows {max_memory / 2**20:,.0f} MiB: {advice}"
            )
        return replace(self, memory=max(self.memory, needed))

    @property
    def seconds(self) -> float | None:
        """Wall-clock time with ``n_workers`` cores free."""
        if self.cpu_seconds is None:
            return None
        rounds = -(-len(self.times) // self.n_workers)
        return self.cpu_seconds * rounds / max(len(self.times), 1)

    def __str__(self) -> str:
        lines = [
            f"table      {self.n_rows:,} rows, {self.n_dims} dimensions, {self.n_conditions} of condition",
            f"training   {len(self.times)} nodes x {self.n_rows * self.n_draws:,} rows "
            f"({self.n_draws} noise draws a row), {self.n_workers} at a time" + self._models,
            f"memory     {self.memory / 2**20:,.0f} MiB",
            f"model      at most {self.disk / 2**20:,.1f} MiB",
        ]
        if self.seconds is not None:
            lines.append(f"time       {self.seconds / 60:.1f} min ({self.cpu_seconds or 0:.0f} s of CPU time)")
        return "\n".join(lines)

    @property
    def _models(self) -> str:
        return f", {self.n_models} classes apart" if self.n_models > 1 else ""


def make_plan(
    data: RegressionSource,
    times: tuple[float, ...],
    settings: TreeSettings,
    *,
    noise_budget: int,
    n_workers: int,
    max_memory: int | None,
    trial: bool = False,
) -> CostEstimate:
    """Choose noise draws and workers within the memory.

    Raises
    ------
    MemoryError
        If even one worker needs more than ``max_memory``.
    """
    n, d, c = len(data), data.n_dims, data.n_conditions
    times = tuple(t for t in times if settings.n_estimators and not data.has_closed_form(t) and d)
    n_draws = int(np.clip(round(noise_budget / n), 1, _MOST_DRAWS if data.random else 1))
    worker = _PROCESS + _node_bytes(n * n_draws, d, c, settings)
    shared = _PROCESS + 2 * n * (2 * d + c + 1) * 4

    def total(k: int) -> int:
        return shared + (k * worker if k > 1 else worker - _PROCESS)  # a single worker is the process itself

    n_workers = max(1, min(n_workers, len(times)))
    while max_memory is not None and n_workers > 1 and total(n_workers) > max_memory:
        n_workers -= 1
    if max_memory is not None and total(n_workers) > max_memory:
        raise MemoryError(
            f"the fit needs {total(n_workers) / 2**20:,.0f} MiB and max_memory allows {max_memory / 2**20:,.0f} MiB: "
            f"lower noise_budget (now {noise_budget:,} rows a node), fit fewer rows, or raise max_memory"
        )
    plan = CostEstimate(n, d, c, n_draws, times, n_workers, total(n_workers), _disk_bytes(len(times), d, settings))
    return replace(plan, cpu_seconds=_trial_seconds(data, plan, settings)) if trial and times else plan


def _node_bytes(rows: int, d: int, c: int, settings: TreeSettings) -> int:
    """Peak of a node: float32 features and targets while the quantised matrix is made, or gradients while training.

    Trees with shared leaves hold gradients more often, and histograms of all outputs that their splits see (sum of
    gradients and of Hessians, in double precision, for every value told apart of every feature in every leaf).
    """
    layout = settings.layout_for(d)
    f = (2 * d if settings.sees_both(d, c) else d) + c
    quantised, labels = rows * f, rows * d * 4
    building = rows * 4 * f + 2 * rows * 4 * d + quantised
    growing = rows * 4 * (d + f) + quantised + labels + rows * d * _GRADIENTS[layout]
    seen = {"scalar": 1, "vector": d, "sketch": min(d, settings.n_sketch)}[layout]
    histograms = f * settings.max_bin * seen * 16 << settings.max_depth
    return max(building, growing + histograms)


def _disk_bytes(n_nodes: int, d: int, settings: TreeSettings) -> int:
    shared = settings.layout_for(d) != "scalar"
    per_split = 24 + (4 * d if shared else 0)
    trees = settings.n_estimators * (1 if shared else d)
    return n_nodes * trees * (2 << settings.max_depth) * per_split


def _trial_seconds(data: RegressionSource, plan: CostEstimate, settings: TreeSettings) -> float:
    few = data.subset(max(2, _TRIAL_ROWS // plan.n_draws), np.random.default_rng(0))
    if isinstance(few, FlowMatchingData):
        few = narrowed(few, _TRIAL_DIMS)
    base = few.base(np.random.default_rng(0))
    both = settings.sees_both(data.n_dims, data.n_conditions)
    if both and isinstance(base, LinearVelocity) and few.has_closed_form(1.0):
        base = GaussianPart.of_moments(base)
    layout = settings.layout_for(data.n_dims)
    short = replace(settings, n_estimators=_TRIAL_ROUNDS, early_stopping=None, device="cpu", layout=layout)
    start = time.process_time()
    fit_node(few, base, plan.times[len(plan.times) // 2], short, plan.n_draws, training_seed(0))
    spent = time.process_time() - start
    wider = _tree_cost(data, layout, both) / _tree_cost(few, layout, both)
    return spent * settings.n_estimators / _TRIAL_ROUNDS * len(data) / len(few) * len(plan.times) * wider


def narrowed(data: FlowMatchingData, n_dims: int) -> FlowMatchingData:
    """The first ``n_dims`` scores alone, where they start from noise: enough to tell what all of them cost."""
    if n_dims >= data.n_dims or not data.source.independent:
        return data
    return replace(data, scores=data.scores.each(lambda part: part[:, :n_dims]), standardizer=None)


def _tree_cost(data: RegressionSource, layout: str, both: bool) -> int:
    """Features that a round of boosting looks at, times outputs that are looked at one by one."""
    features = (1 + both) * data.n_dims + data.n_conditions
    return features if layout == "sketch" else features * data.n_dims
