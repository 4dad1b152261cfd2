"""Nodes of a field: their regression problems, their models, and the processes that train them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import numpy as np
from joblib import Parallel, delayed
from joblib.parallel import LokyBackend, get_active_backend
from threadpoolctl import threadpool_limits

from buff import kernels
from buff.flows.cache import NodeCache
from buff.flows.cost import NodeRecord
from buff.flows.data import FlowMatchingData, Problem
from buff.flows.linear import GaussianPart, LinearVelocity, ReproducibleLinear
from buff.flows.smooth import PolynomialRidge, SmoothedTrees, affordable_degree
from buff.protocols import Array
from buff.trees import Booster, FlatForest, TreeSettings, device_arrays, flattened, stored_trees

__all__ = ["Base", "NodeFrame", "NodeModel", "RegressionSource", "fit_node", "limit_memorisation", "run_nodes"]

#: Number, trees and record of a node.
Fitted: TypeAlias = tuple[int, Booster | SmoothedTrees | None, NodeRecord]

#: Rows on which a node is validated, and early stopping decides.
_VALIDATION_ROWS = 20_000
#: Variances of a single row that a split by conditions must explain: chance explains one.
_ROWS_A_SPLIT = 6.0
#: Share of distinct conditions from which on they are taken to name rows, and values of a feature told apart then.
_NAMED, _FINE_BINS = 0.01, 256


class Base(Protocol):
    """The part of a field that needs no trees."""

    def at(self, t: float) -> tuple[Array, Array]:
        """``weights`` (d + c, d) and ``bias`` (d,) of ``[x, c] @ weights + bias`` at time t."""
        ...


class RegressionSource(Protocol):
    """What nodes are trained on."""

    @property
    def n_dims(self) -> int: ...
    @property
    def n_conditions(self) -> int: ...
    @property
    def random(self) -> bool: ...
    def __len__(self) -> int: ...
    def base(self, rng: np.random.Generator) -> Base: ...
    def problem(self, t: float, n_draws: int, rng: Any, device: str = "cpu") -> Problem: ...
    def to_device(self, device: str) -> "RegressionSource": ...
    def subset(self, n: int, rng: np.random.Generator) -> "RegressionSource": ...
    def held_out(self, n: int, rng: np.random.Generator) -> "RegressionSource": ...
    def has_closed_form(self, t: float) -> bool: ...
    def is_uninformative(self, t: float) -> bool: ...


@dataclass(frozen=True, eq=False)
class NodeFrame:
    """The frame at a node: trees see ``[x, y, c]`` and predict ``U^T (v - u_Gauss)`` in units of its width.

    Attributes
    ----------
    gaussian : GaussianPart
    t : float
    target_scale : float32 array of shape (d,)
        Units of the targets: standard deviations that the Gaussian part leaves.
    frame_scale : float32 array of shape (d,)
        The same over a(t): from predictions to dy/dt.
    """

    gaussian: GaussianPart
    t: float
    target_scale: Array
    frame_scale: Array

    @classmethod
    def of(cls, gaussian: GaussianPart, t: float, device: str = "cpu") -> "NodeFrame":
        """The frame at time t."""
        xp, _ = device_arrays(device)
        residual = gaussian.residual_scales(t)
        single = (xp.asarray(part, xp.float32) for part in (residual, residual / gaussian.scales(t)))
        return cls(gaussian.to_device(device), t, *single)

    def features(self, x: Array, condition: Array | None = None, y: Array | None = None) -> Array:
        """``[x, y, c]`` of shape (n, 2 d + c); y is worked out unless it is known."""
        xp, _ = device_arrays("cpu" if isinstance(x, np.ndarray) else "cuda")
        y = self.gaussian.to_frame(x, self.t) if y is None else y
        return xp.concatenate([x, y] if condition is None else [x, y, condition], axis=1)

    def targets(self, residual: Array) -> Array:
        """What trees learn of ``v - u_Gauss`` (n, d)."""
        return self.gaussian.rotate(residual) / self.target_scale

    def velocity(self, prediction: Array) -> Array:
        """Inverse of :meth:`targets`."""
        return self.gaussian.rotate_back(prediction * self.target_scale)


@dataclass(frozen=True)
class NodeModel:
    """Velocity at a node: the linear base and the trees' correction to it.

    Attributes
    ----------
    linear : ReproducibleLinear
        From features ``[x_t, condition]``, (n, d + c) -> (n, d).
    trees : FlatForest, Booster, SmoothedTrees or None
        From the features ``[x_t, condition]`` to velocities, or as ``frame`` says. A booster where bytes cannot hold
        the trees.
    frame : NodeFrame or None
    """

    linear: ReproducibleLinear
    trees: Booster | FlatForest | SmoothedTrees | None = None
    frame: NodeFrame | None = None

    @classmethod
    def of(cls, base: Base, t: float, trees: Booster | SmoothedTrees | None, device: str = "cpu") -> "NodeModel":
        """The model at time t."""
        frame = NodeFrame.of(base, t, device) if isinstance(base, GaussianPart) else None
        if isinstance(trees, SmoothedTrees):
            trees = replace(trees, trees=flattened(trees.trees))
        flat = trees if trees is None or isinstance(trees, SmoothedTrees) else flattened(trees)
        return cls(ReproducibleLinear.of(*base.at(t), device), flat, frame)

    def __call__(self, x: Array, condition: Array | None = None) -> Array:
        velocity = self.linear(_joined(x, condition))
        if self.trees is None:
            return velocity
        if self.frame is None:
            return velocity + self.trees(_joined(x, condition))
        return velocity + self.frame.velocity(self.trees(self.frame.features(x, condition)))

    def trees_bytes(self) -> bytes:
        """Inverse of :func:`buff.flows.smooth.load_trees`."""
        assert self.trees is not None
        return self.trees.to_bytes() if isinstance(self.trees, SmoothedTrees) else stored_trees(self.trees)

    def packed(self) -> bytes:
        """The node as the kernels read it; its trees are a forest or none."""
        frame, trees = self.frame, self.trees
        parts = [self.linear.packed(), kernels.integers(frame is not None)]
        if frame is not None:
            parts += [kernels.sized(frame.target_scale), kernels.sized(frame.frame_scale)]
            parts.append(trees.ridge.packed() if isinstance(trees, SmoothedTrees) else kernels.integers(0))
        forest = trees.trees if isinstance(trees, SmoothedTrees) else trees
        own = forest.packed() if isinstance(forest, FlatForest) else b""
        return b"".join([*parts, kernels.integers(forest is not None), own])

    @property
    def frame_velocity(self) -> Callable[[Array, Array, Array | None], Array] | None:
        """dy/dt from x, y and the condition, where the trees are asked in a frame."""
        return None if self.frame is None else self._frame_velocity

    def _frame_velocity(self, x: Array, y: Array, condition: Array | None = None) -> Array:
        assert self.frame is not None
        if self.trees is None:
            return 0 * y
        return self.trees(self.frame.features(x, condition, y)) * self.frame.frame_scale


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


def fit_node(
    data: RegressionSource, base: Base, t: float, settings: TreeSettings, n_draws: int, seed: np.random.SeedSequence
) -> tuple[Booster | SmoothedTrees | None, NodeRecord]:
    """Train the model at time t.

    Parameters
    ----------
    data : FlowMatchingData or TeacherTrajectories
    base : LinearVelocity or StepVelocity
    t : float
    settings : TreeSettings
    n_draws : int
        Noise draws a row.
    seed : numpy.random.SeedSequence
        Of the node: noise depends on nothing else.

    Returns
    -------
    trees : Booster or None
        None where nothing is left to learn.
    record : NodeRecord
    """
    start = time.process_time()
    if data.has_closed_form(t) or not settings.n_estimators or not data.n_dims:
        return None, NodeRecord(t, 0, np.nan, 0.0)
    d = data.n_dims
    training, validating, choosing, growing = seed.spawn(4)
    rng, validation_rng = _generator(training, settings.device), _generator(validating, settings.device)
    data = data.to_device(settings.device)
    held_out = data.held_out(_VALIDATION_ROWS, np.random.default_rng(choosing))
    validation = _residual_problem(held_out, base, t, 1, validation_rng, settings.device)
    problem = _residual_problem(data, base, t, n_draws, rng, settings.device)
    ridge = _fit_ridge(base, problem, n_draws, settings)
    left = validation if ridge is None else (validation[0], validation[1] - ridge(validation[0][:, d:]), validation[2])
    number = int(growing.generate_state(1)[0]) >> 1  # XGBoost takes 31 bits
    grown = Booster.fit(*problem[:2], settings, weights=problem[2], fresh=left, seed=number)
    trees = SmoothedTrees(grown, ridge, d) if ridge else grown
    record = NodeRecord(t, trees.rounds, _explained(trees, *validation), time.process_time() - start)
    return trees, record


def _residual_problem(
    data: RegressionSource, base: Base, t: float, n_draws: int, rng: Any, device: str
) -> tuple[Array, Array, Array | None]:
    """Features, what the linear base leaves of the targets, weights."""
    features, targets, weights = data.problem(t, n_draws, rng, device)
    node, d = NodeModel.of(base, t, None, device), data.n_dims
    targets -= node.linear(features)
    if node.frame:
        features = node.frame.features(features[:, :d], features[:, d:])
        targets = node.frame.targets(targets)
    if data.is_uninformative(t):  # only the condition may be used
        features[:, : features.shape[1] - data.n_conditions] = 0
    return features, targets, weights


def _fit_ridge(base: Base, problem: Problem, n_draws: int, settings: TreeSettings) -> PolynomialRidge | None:
    """The polynomial part of a problem in the frame, which is taken off its targets."""
    features, targets, weights = problem
    d = targets.shape[1]
    n_inputs, n_rows = features.shape[1] - d, len(features) // n_draws
    degree, triples = affordable_degree(settings.smooth_degree, n_inputs, n_rows, settings.smooth_rows)
    if not degree or not isinstance(base, GaussianPart):
        return None
    w = features[:, d:]
    ridge = PolynomialRidge.fit(w, targets, weights, degree=degree, triples=triples, n_draws=n_draws)
    for start in range(0, len(w), 2**16):
        rows = slice(start, start + 2**16)
        targets[rows] -= ridge(w[rows])
    return ridge


def _joined(x: Array, condition: Array | None) -> Array:
    xp, _ = device_arrays("cpu" if isinstance(x, np.ndarray) else "cuda")
    return x if condition is None else xp.concatenate([x, condition], axis=1)


def _explained(trees: Booster | SmoothedTrees, features: Array, targets: Array, weights: Array | None) -> float:
    xp, _ = device_arrays(trees.device)
    w = xp.ones(len(targets), xp.float32) if weights is None else weights
    error = (w[:, None] * (targets - trees(features)) ** 2).sum()
    total = (w[:, None] * targets**2).sum()
    return float(1 - error / total) if total > 0 else 0.0


def _generator(seed: np.random.SeedSequence, device: str) -> Any:
    if device == "cuda":
        import cupy

        return cupy.random.default_rng(int(seed.generate_state(1, np.uint64)[0]))
    return np.random.default_rng(seed)


def run_nodes(jobs: list[Any], n_workers: int, device: str) -> Iterator[Fitted]:
    """Fit nodes, in this process or in so many; they come as they are ready, with their numbers."""
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
