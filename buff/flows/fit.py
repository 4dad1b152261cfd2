"""The fit of a flow: what it costs, its nodes one by one or in parallel, the model that they make."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from joblib import effective_n_jobs
from scipy.special import ndtr
from tqdm import tqdm

from buff.errors import check_resources, check_whole
from buff.flows.cache import NodeCache, cache_in
from buff.flows.conditional import limit_memorisation, with_fine_bins
from buff.flows.cost import PROCESS, CostEstimate, NodeRecord, NodeRecords, workers_within
from buff.flows.data import FlowMatchingData
from buff.flows.model import FlowModel
from buff.flows.nodes import NodeModel, SmoothedTrees, fit_node
from buff.flows.regression import Base, RegressionSource
from buff.flows.trial import trial_seconds
from buff.flows.workers import in_processes
from buff.grids import TimeGrid, get_grid
from buff.kernels import integers, sized
from buff.protocols import Array, Mask, Numbers
from buff.randomness import SampleRequest, seed_from, training_seed
from buff.solvers import SOLVERS, Solver, get_solver
from buff.trees import Booster, TreeSettings

__all__ = [
    "CALIBRATION_DRAWS",
    "ENOUGH_ROWS",
    "FlowSettings",
    "MarginalCalibration",
    "calibrate",
    "estimate_cost",
    "train_flow",
    "train_nodes",
]

#: Number, trees and record of a node.
Fitted: TypeAlias = tuple[int, Booster | SmoothedTrees | None, NodeRecord]


#: Bytes of gradients, Hessians and predictions for a row and an output while trees grow.
_GRADIENTS = {"scalar": 12, "vector": 19, "sketch": 39}
#: Draws a row beyond which more noise has shown no gain.
_MOST_DRAWS = 100
#: Events from which a calibration is read, and rows from which on a flow needs none: within 2 percent of the width it
#: is right, and bending it costs as much as it gains.
CALIBRATION_DRAWS, ENOUGH_ROWS = 15_000, 5_000
#: Scores between which drawn events are made normal. More of them, or farther out, would follow these events' noise.
_LEVELS = np.linspace(-2.3, 2.3, 21, dtype=np.float32)


@dataclass(frozen=True)
class FlowSettings:
    """How a flow is trained and solved.

    The defaults suit any pair of ends. ``"ifab2"`` and ``"dense1.5"``, those of :class:`buff.BUFF`, gain from the
    Gaussian part of a field, which only starts from independent noise have.

    Parameters
    ----------
    n_steps : int
        Steps from source to data.
    solver : str
        Name of a solver that stays on nodes: see :func:`buff.solvers.get_solver`.
    grid : str, TimeGrid or sequence of float
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
    grid: str | TimeGrid | Sequence[float] = "uniform"
    trees: TreeSettings = field(default_factory=TreeSettings)
    noise_budget: int = 120_000
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
    if settings.cache_dir is None:
        cache, seed = None, seed_from(seed)
    else:
        cache, seed = cache_in(settings.cache_dir, data, settings.trees, cost.n_draws, settings.times, seed)
    rng = np.random.default_rng(training_seed(seed))
    data = data.standardized(rng)
    base = data.base(rng)
    gaussian = base.gaussian_part(data.source.noise) if data.source.independent else None
    trees = settings.trees
    if _identifies_rows(data):
        trees = limit_memorisation(with_fine_bins(trees, data), data, base, cost.n_draws)
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
    few = data.condition is None and len(data) < ENOUGH_ROWS
    return model if calibrated is None or not few else calibrate(model, calibrated, settings.n_jobs)


def _identifies_rows(data: RegressionSource) -> TypeGuard[FlowMatchingData]:
    """Whether conditions, or sources without noise, may tell which row a point belongs to."""
    return isinstance(data, FlowMatchingData) and (data.condition is not None or not data.random)


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
    request = SampleRequest(CALIBRATION_DRAWS, seed_from(training_seed(model.seed)), n_jobs=n_jobs)
    return replace(model, calibration=MarginalCalibration.of(model.sample(request), smooth))


def estimate_cost(data: RegressionSource, settings: FlowSettings, *, trial: bool = False) -> CostEstimate:
    """Noise draws and workers within the memory, disk and, after a trial of a second or two, time of a fit.

    Raises
    ------
    MemoryError
        Even one worker would need more than ``settings.max_memory``.
    """
    trees, max_memory = settings.trees, settings.max_memory
    if _identifies_rows(data):
        trees = with_fine_bins(trees, data)
    n, d, c = len(data), data.n_dims, data.n_conditions
    times = tuple(t for t in settings.times if trees.n_estimators and not data.has_closed_form(t) and d)
    n_draws = int(np.clip(round(settings.noise_budget / n), 1, _MOST_DRAWS if data.random else 1))
    worker = PROCESS + _node_bytes(n * n_draws, d, c, trees)
    shared = PROCESS + 2 * n * (2 * d + c + 1) * 4

    def total(k: int) -> int:
        return shared + (k * worker if k > 1 else worker - PROCESS)  # a single worker is the process itself

    advice = f"lower noise_budget (now {settings.noise_budget:,} rows a node), fit fewer rows, or raise max_memory"
    n_workers = max(1, min(effective_n_jobs(settings.n_jobs), len(times)))
    if max_memory is not None:
        n_workers = workers_within(max_memory, n_workers, total, advice)
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


@dataclass(frozen=True, eq=False)
class MarginalCalibration:
    """``z_j = G_j^-1(F_j(x_j))``: a rising map for each column that gives drawn events the marginals they should have.

    F is the distribution function of drawn events and G the one wanted, both known at the same levels: between
    quantiles the map is a line, beyond them a shift. Trees that are regularised stop short of the edges: what they
    carry from noise to data is narrower than the data, the more so the fewer the rows.

    Attributes
    ----------
    quantiles : array of shape (k, d)
        Of drawn events, at k levels.
    smooth : bool array of shape (d,)
        Columns that are corrected; the others stay as they are.
    wanted : array of shape (k, d), optional
        Quantiles of the distribution they should have at the same levels; 21 of a standard normal one between -2.3 and
        2.3 unless told otherwise.

    Examples
    --------
    >>> narrow = 0.9 * np.random.default_rng(0).standard_normal((20_000, 1))
    >>> calibration = MarginalCalibration.of(narrow, smooth=np.array([True]))
    >>> float(calibration(narrow).std().round(2))
    1.0
    """

    quantiles: Array
    smooth: Array
    wanted: Array | None = None

    @classmethod
    def of(cls, drawn: Numbers, smooth: Mask) -> "MarginalCalibration":
        """Standard normal marginals, as those of a training are, for columns of numbers that hardly ever repeat.

        Scores of repeated values are left alone: shifting the levels of one such column against another would break
        relations between them, such as charges that add up to zero.
        """
        return cls(np.quantile(drawn, ndtr(_LEVELS), axis=0).astype(np.float32), smooth)

    def packed(self) -> bytes:
        """A map to normal scores as the kernels read it."""
        arrays = (self.quantiles.T.astype(np.float32), _LEVELS, self.smooth.astype(np.uint8))
        return integers(len(_LEVELS)) + b"".join(map(sized, arrays))

    def __call__(self, x: Numbers) -> Array:
        """Events of shape (n, d), corrected, float32."""
        return self._mapped(x, self.quantiles, self.targets)

    def inverse(self, z: Numbers) -> Array:
        """Events that are corrected to z (n, d), float32."""
        return self._mapped(z, self.targets, self.quantiles)

    @property
    def targets(self) -> Array:
        """Quantiles that events should have, (k, d)."""
        return np.repeat(_LEVELS[:, None], len(self.smooth), axis=1) if self.wanted is None else self.wanted

    def _mapped(self, x: Numbers, here: Array, there: Array) -> Array:
        mapped = np.array(x, np.float32)
        for j in np.flatnonzero(self.smooth):
            old, new, column = here[:, j], there[:, j], x[:, j]
            shift = np.where(column < old[0], new[0] - old[0], new[-1] - old[-1])
            inside = (column >= old[0]) & (column <= old[-1])
            mapped[:, j] = np.where(inside, np.interp(column, old, new), column + shift)
        return mapped
