"""Scores in, fitted flow out."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import LokyBackend, get_active_backend
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from buff.errors import check_jobs, check_whole
from buff.flows.cache import NodeCache, fingerprint
from buff.flows.calibration import MarginalCalibration
from buff.flows.cost import CostEstimate, make_plan
from buff.flows.data import NOISE, FlowMatchingData, Source
from buff.flows.linear import GaussianPart
from buff.flows.model import FlowModel
from buff.flows.nodes import Base, NodeModel, NodeRecord, NodeRecords, RegressionSource, fit_node, limit_memorisation
from buff.flows.request import SampleRequest
from buff.flows.smooth import SmoothedTrees
from buff.grids import TimeGrid, get_grid
from buff.protocols import Array
from buff.randomness import seed_from, training_seed
from buff.solvers import SOLVERS, Solver, get_solver
from buff.trees import Booster, TreeSettings

__all__ = ["FlowSettings", "calibrate", "estimate_cost", "fit_flow", "train_flow", "train_nodes"]

Fitted: TypeAlias = tuple[int, Booster | SmoothedTrees | None, NodeRecord]

#: Events from which a calibration is read, and rows from which on a flow needs none: within 2 percent of the width it
#: is right, and bending it costs as much as it gains.
_CALIBRATION_DRAWS, _ENOUGH_ROWS = 15_000, 5_000


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
        if self.max_memory is not None:
            check_whole("max_memory", self.max_memory, 1)
        check_jobs(self.n_jobs)
        if not isinstance(self.verbose, bool | Integral) or self.verbose < 0:
            raise ValueError(f"verbose must be 0 or 1, found {self.verbose!r}")
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


def fit_flow(
    x1: Array | tuple[Array, Array],
    settings: FlowSettings | None = None,
    *,
    condition: Array | None = None,
    sample_weight: Array | None = None,
    source: Source = NOISE,
    calibrated: Array | None = None,
    seed: int | None = None,
) -> FlowModel:
    r"""Learn the flow from a source to the rows of ``x1``, given their conditions.

    At each time t of the solver's nodes the velocity :math:`u(x, t, c) = E[x_1 - x_0 \mid x_t = x, c]`, with
    :math:`x_t = t x_1 + (1 - t) x_0`, is its best linear part in closed form plus trees (conditional flow matching,
    Lipman et al., 2022, arXiv:2210.02747).

    Parameters
    ----------
    x1 : array of shape (n, d), or pair of such arrays
        Scores of about unit width. A pair (low, high) of normal scores spans the ranks that repeated values own: each
        noise draw places the row anew between them, uniformly in rank (uniform dequantization).
    settings : FlowSettings
    condition : array of shape (n, c), optional
        Features of about unit width.
    sample_weight : array of shape (n,), optional
        Not negative; rows of weight 0 are left out.
    source : Source
        Where the flow starts; standard normal noise unless told otherwise.
    calibrated : bool array of shape (d,), optional
        Scores whose marginals are made standard normal in the end, for less than 5,000 rows without condition: see
        :class:`~buff.flows.MarginalCalibration`.
    seed : int, optional
        Of the training; None asks the operating system (with a ``cache_dir``, the data and settings decide).

    Returns
    -------
    FlowModel
        With ``records`` of its nodes and the ``cost`` that was expected.

    Raises
    ------
    ValueError
        Shapes that do not agree, values that are not finite.
    MemoryError
        The fit needs more than ``settings.max_memory``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> c = rng.standard_normal((500, 1)).astype(np.float32)
    >>> x1 = (c + 0.1 * rng.standard_normal((500, 1))).astype(np.float32)
    >>> model = fit_flow(x1, FlowSettings(n_steps=4, noise_budget=5_000), condition=c, seed=0)
    >>> x = model.sample(SampleRequest(1000, seed=1, condition=np.full((1, 1), 2.0, np.float32)))
    >>> bool(abs(x.mean() - 2) < 0.1)
    True
    """
    data = FlowMatchingData.of(x1, condition, sample_weight, source)
    return train_flow(data, settings or FlowSettings(), calibrated=calibrated, seed=seed)


def train_flow(
    data: FlowMatchingData, settings: FlowSettings, *, calibrated: Array | None = None, seed: int | None = None
) -> FlowModel:
    """:func:`fit_flow` for data that are ready."""
    cost = estimate_cost(data, settings)
    cache, seed = _cache(data, settings, cost, seed)
    rng = np.random.default_rng(training_seed(seed))
    data = data.standardized(rng)
    base = data.base(rng)
    gaussian = GaussianPart.of_moments(base, data.source.noise) if data.source.independent else None
    trees = limit_memorisation(settings.trees, data, base, cost.n_draws)
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
        for i, booster, record in _run(jobs, cost.n_workers, trees.device):
            fitted[i] = booster, record
            bar.update()
    nodes = (NodeModel.of(base, times[i], fitted[i][0], trees.device) for i in range(len(times)))
    return tuple(nodes), NodeRecords(fitted[i][1] for i in range(len(times)))


def estimate_cost(data: RegressionSource, settings: FlowSettings, *, trial: bool = False) -> CostEstimate:
    """Noise draws, workers, memory, disk and, after a trial of a second or two, time of a fit.

    Raises
    ------
    MemoryError
        The fit would need more than ``settings.max_memory``.
    """
    return make_plan(
        data,
        settings.times,
        settings.trees,
        noise_budget=settings.noise_budget,
        n_workers=effective_n_jobs(settings.n_jobs),
        max_memory=settings.max_memory,
        trial=trial,
    )


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


def _run(jobs: list[Any], n_workers: int, device: str) -> Iterator[Fitted]:
    if device == "cuda" or n_workers == 1 or len(jobs) < 2:  # one context serves all nodes of a GPU
        return (_fit_one(*job) for job in jobs)
    # from their start on: a worker that is still importing when its parent is killed would wait for minutes
    own = isinstance(get_active_backend()[0], LokyBackend)
    watched = {"initializer": _end_with, "initargs": (os.getpid(),)} if own else {}
    results = Parallel(n_workers, return_as="generator_unordered", **watched)(
        delayed(_fit_apart)(os.getpid(), *job) for job in jobs
    )
    return results  # type: ignore[no-any-return]


def _fit_one(i: int, task: tuple[Any, ...], cache: NodeCache | None) -> Fitted:
    trees, record = fit_node(*task)
    if cache and trees:
        cache.store(i, trees, record)
    return i, trees, record


def _fit_apart(parent: int, i: int, task: tuple[Any, ...], cache: NodeCache | None) -> Fitted:
    if os.getpid() != parent:
        # a process that so much as looks at a GPU reserves memory there
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with threadpool_limits(1):
        return _fit_one(i, task, cache)


@lru_cache(maxsize=1)
def _end_with(parent: int) -> None:
    """End this process when its parent is gone: a fit that is killed leaves no workers behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
