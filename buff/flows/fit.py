"""The fit of a flow: what it costs, its nodes one by one or in parallel, the model that they make."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from joblib import effective_n_jobs
from tqdm import tqdm

from buff.errors import check_memory, check_resources, check_whole
from buff.flows.cache import NodeCache, fingerprint
from buff.flows.cost import PROCESS, CostEstimate, NodeRecord, NodeRecords
from buff.flows.data import FlowMatchingData
from buff.flows.model import FlowModel
from buff.flows.nodes import LinearVelocity, NodeModel, fit_node
from buff.flows.regression import Base, RegressionSource
from buff.flows.smooth import MarginalCalibration, SmoothedTrees
from buff.flows.trial import trial_seconds
from buff.flows.workers import in_processes
from buff.grids import TimeGrid, get_grid
from buff.protocols import Array
from buff.randomness import SampleRequest, seed_from, training_seed
from buff.solvers import SOLVERS, Solver, get_solver
from buff.trees import Booster, TreeSettings

__all__ = [
    "FlowSettings",
    "calibrate",
    "estimate_cost",
    "limit_memorisation",
    "run_nodes",
    "train_flow",
    "train_nodes",
    "with_fine_bins",
    "workers_within",
]

#: Number, trees and record of a node.
Fitted: TypeAlias = tuple[int, Booster | SmoothedTrees | None, NodeRecord]


#: Bytes of gradients, Hessians and predictions for a row and an output while trees grow.
_GRADIENTS = {"scalar": 12, "vector": 19, "sketch": 39}
#: Draws a row beyond which more noise has shown no gain.
_MOST_DRAWS = 100
#: Events from which a calibration is read, and rows from which on a flow needs none: within 2 percent of the width it
#: is right, and bending it costs as much as it gains.
_CALIBRATION_DRAWS, _ENOUGH_ROWS = 15_000, 5_000
#: Variances of a single row that a split by conditions must explain: chance explains one.
_ROWS_A_SPLIT = 6.0
#: Share of distinct conditions from which on they are taken to name rows, and values of a feature told apart then.
_NAMED, _FINE_BINS = 0.01, 256


@dataclass(frozen=True)
class FlowSettings:
    """How a flow is trained and solved.

    Parameters
    ----------
    n_steps : int
        Steps from source to data.
    solver : str
        Name of a solver that stays on nodes: see :func:`buff.solvers.get_solver`.
    grid : str or TimeGrid
        Where the steps lie in time: see :func:`buff.grids.get_grid`.
    trees : TreeSettings
        How the regressor of a node is grown, and on which device.
    noise_budget : int
        Rows a node is trained on: each row is used with so many noise draws that this is reached.
    n_jobs : int or None
        Nodes trained at a time; never changes a model.
    max_memory : int or None
        Bytes that a fit may take.
    cache_dir : path or None
        Folder of finished nodes, from which a fit that was killed goes on.
    verbose : int
        Whether to show progress.

    Raises
    ------
    ValueError, TypeError
        Naming the parameter, what was found and what is valid.

    Examples
    --------
    >>> FlowSettings(n_steps=2, solver="heun").times
    (0.0, 0.5, 1.0)
    """

    n_steps: int = 10
    solver: str | Solver = "ab2"
    grid: str | TimeGrid = "uniform"
    trees: TreeSettings = field(default_factory=TreeSettings)
    noise_budget: int = 150_000
    n_jobs: int | None = None
    max_memory: int | None = None
    cache_dir: str | os.PathLike[str] | None = None
    verbose: int = 0

    def __post_init__(self) -> None:
        check_whole("n_steps", self.n_steps, 1)
        check_whole("noise_budget", self.noise_budget, 1)
        check_resources(self)
        if not isinstance(self.cache_dir, str | os.PathLike | None):
            raise TypeError(f"cache_dir must be a folder or None, found {self.cache_dir!r}")
        if self.cache_dir is not None and Path(self.cache_dir).exists() and not Path(self.cache_dir).is_dir():
            raise ValueError(f"cache_dir must be a folder, found the file {os.fspath(self.cache_dir)!r}")

    @property
    def time_grid(self) -> TimeGrid:
        """The times where the solver stops."""
        return get_grid(self.grid, int(self.n_steps))

    @property
    def times(self) -> tuple[float, ...]:
        """The times at which the solver calls the field: where trees are needed.

        Raises
        ------
        ValueError
            The solver chooses its times as it goes.
        """
        rule = get_solver(self.solver)
        if rule.adaptive:
            fixed = [name for name, other in SOLVERS.items() if not other.adaptive]
            raise ValueError(
                f"solver={self.solver!r} chooses its times as it goes, and trees exist at the nodes of a grid only: "
                f"choose one of {', '.join(fixed)}"
            )
        return rule.nodes(self.time_grid)


def train_flow(
    data: FlowMatchingData, settings: FlowSettings, *, calibrated: Array | None = None, seed: int | None = None
) -> FlowModel:
    """:func:`buff.flows.fit_flow` for data that are ready."""
    cost = estimate_cost(data, settings)
    cache, seed = _cache(data, settings, cost, seed)
    rng = np.random.default_rng(training_seed(seed))
    data = data.standardized(rng)
    base = data.base(rng)
    gaussian = base.gaussian_part(data.source.noise) if data.source.independent else None
    trees = limit_memorisation(with_fine_bins(settings.trees, data), data, base, cost.n_draws)
    part = gaussian if gaussian and trees.sees_both(data.n_dims, data.n_conditions) else base
    nodes, records = train_nodes(data, part, replace(settings, trees=trees), cost, seed, cache)
    device = trees.device
    model = FlowModel(
        nodes=nodes,
        times=settings.times,
        solver=get_solver(settings.solver),
        grid=settings.time_grid,
        standardizer=data.standardizer and data.standardizer.to_device(device),
        gaussian=gaussian and gaussian.to_device(device),
        source_noise=data.source.noise,
        device=device,
        seed=seed,
        records=records,
        cost=cost,
    )
    few = data.condition is None and len(data) < _ENOUGH_ROWS
    return model if calibrated is None or not few else calibrate(model, calibrated, settings.n_jobs)


def limit_memorisation(
    settings: TreeSettings, data: FlowMatchingData, base: LinearVelocity, n_draws: int
) -> TreeSettings:
    """Settings under which trees do not memorise which row came with which condition or source.

    All noise draws of a row share its condition. Where conditions tell rows apart, a split that isolates one row
    fits ``n_draws`` targets that agree, though it has seen a single event: splits must count in rows. Conditions shared
    by many rows, such as classes, change nothing. Rows that start at samples of their own, without noise, are single
    events likewise, in units of the variance of their targets.
    """
    if not data.random:
        return replace(settings, min_split_loss=_ROWS_A_SPLIT * base.spread)
    named = data.condition_uniqueness
    return settings if named < _NAMED else replace(settings, min_split_loss=_ROWS_A_SPLIT * n_draws * named)


def with_fine_bins(settings: TreeSettings, data: RegressionSource) -> TreeSettings:
    """Settings with bins that follow conditions which shift the mean steeply.

    Such conditions tell rows apart and have more values than bins; rows that start at samples of their own, without
    noise, do the same.
    """
    if not isinstance(data, FlowMatchingData):
        return settings
    steep = not data.random or (data.condition_uniqueness >= _NAMED and data.condition_values > settings.max_bin)
    return replace(settings, max_bin=max(_FINE_BINS, settings.max_bin)) if steep else settings


def train_nodes(
    data: RegressionSource,
    base: Base,
    settings: FlowSettings,
    cost: CostEstimate,
    seed: int,
    cache: NodeCache | None = None,
) -> tuple[tuple[NodeModel, ...], NodeRecords]:
    """The models of all nodes and their records: in parallel, with progress, resumable.

    A node's noise depends on ``seed`` and its number only, so the result does not depend on how many workers there
    are, nor on which nodes ``cache`` already held.
    """
    times, trees = settings.times, settings.trees
    held = {i: cache.load(i, data.n_dims, trees.device) if cache else None for i in range(len(times))}
    fitted: dict[int, tuple[Booster | SmoothedTrees | None, NodeRecord]] = {i: kept for i, kept in held.items() if kept}
    jobs = [
        (i, (data, base, times[i], trees, cost.n_draws, training_seed(seed, i)), cache)
        for i in range(len(times))
        if i not in fitted
    ]
    with tqdm(total=len(times), initial=len(fitted), desc="nodes", unit="node", disable=not settings.verbose) as bar:
        for i, booster, record in run_nodes(jobs, cost.n_workers, trees.device):
            fitted[i] = booster, record
            bar.update()
    nodes = (NodeModel.of(base, times[i], fitted[i][0], trees.device) for i in range(len(times)))
    return tuple(nodes), NodeRecords(fitted[i][1] for i in range(len(times)))


def run_nodes(jobs: list[Any], n_workers: int, device: str) -> Iterator[Fitted]:
    """Fit nodes, in this process or in so many; they come as they are ready, with their numbers."""
    if device == "cuda" or n_workers == 1 or len(jobs) < 2:  # one context serves all nodes of a GPU
        return (_fit_one(*job) for job in jobs)
    return in_processes(_fit_one, jobs, n_workers)


def _fit_one(i: int, task: tuple[Any, ...], cache: NodeCache | None) -> Fitted:
    trees, record = fit_node(*task)
    if cache and trees:
        cache.store(i, trees, record)
    return i, trees, record


def calibrate(model: FlowModel, smooth: Array, n_jobs: int | None = None) -> FlowModel:
    """The model with a calibration of the scores named by ``smooth`` (d,), read from events that it draws."""
    if not smooth.any() or all(node.trees is None for node in model.nodes):
        return model
    request = SampleRequest(_CALIBRATION_DRAWS, seed_from(training_seed(model.seed)), n_jobs=n_jobs)
    return replace(model, calibration=MarginalCalibration.of(model.sample(request), smooth))


def _cache(
    data: FlowMatchingData, settings: FlowSettings, cost: CostEstimate, seed: int | None
) -> tuple[NodeCache | None, int]:
    """Where finished nodes are kept, and the seed: a fit that is to be resumed must not draw a new one."""
    if settings.cache_dir is None:
        return None, seed_from(seed)
    shown = "none" if seed is None else seed
    key = fingerprint(data, settings.trees, cost.n_draws, times=settings.times, seed=shown)
    return NodeCache(Path(settings.cache_dir) / key), int(key, 16) if seed is None else seed


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


def estimate_cost(data: RegressionSource, settings: FlowSettings, *, trial: bool = False) -> CostEstimate:
    """Noise draws and workers within the memory, disk and, after a trial of a second or two, time of a fit.

    Raises
    ------
    MemoryError
        Even one worker would need more than ``settings.max_memory``.
    """
    trees, max_memory = with_fine_bins(settings.trees, data), settings.max_memory
    n, d, c = len(data), data.n_dims, data.n_conditions
    times = tuple(t for t in settings.times if trees.n_estimators and not data.has_closed_form(t) and d)
    n_draws = int(np.clip(round(settings.noise_budget / n), 1, _MOST_DRAWS if data.random else 1))
    worker = PROCESS + _node_bytes(n * n_draws, d, c, trees)
    shared = PROCESS + 2 * n * (2 * d + c + 1) * 4

    def total(k: int) -> int:
        return shared + (k * worker if k > 1 else worker - PROCESS)  # a single worker is the process itself

    advice = f"lower noise_budget (now {settings.noise_budget:,} rows a node), fit fewer rows, or raise max_memory"
    n_workers = workers_within(max_memory, min(effective_n_jobs(settings.n_jobs), len(times)), total, advice)
    plan = CostEstimate(n, d, c, n_draws, times, n_workers, total(n_workers), _disk_bytes(len(times), d, trees))
    return replace(plan, cpu_seconds=trial_seconds(data, plan, trees)) if trial and times else plan


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
