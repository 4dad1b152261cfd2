"""Every sampler on the same two fields, trees and a network: quality against the number of field evaluations.

Seed 0 takes all of them; the others show how far the curves that are drawn depend on it, at ``STEPS``. Tables of
``default trees`` compare solvers and grids at the default number of steps alone, with every seed.
"""

import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.data import Halves, jets
from benchmarks.records import FLOOR, Measurement, Quantity

#: Steps every sampler takes, and further ones for those whose curves are drawn.
STEPS, MORE_STEPS = (4, 8, 16), (1, 2, 32, 64)
CURVES = (
    *("euler", "midpoint_nodes", "heun", "rk4_nodes", "ab2", "ab3", "ifab2", "edm", "ipndm", "deis2"),
    *("dpmpp_2m", "unipc2"),
    *("ddpm", "dpmpp_2m_sde", "euler_maruyama", "edm_stochastic_nodes", "restart_nodes"),
)
#: Samplers tried on every grid, and their steps.
ON_GRIDS, GRID_STEPS = ("euler", "ab2", "ifab2", "heun", "dpmpp_2m"), 8
GRIDS = (
    *("power", "dense", "dense1.5", "cosine", "sigmoid", "logit_normal", "shifted", "karras", "lu", "vp", "iddpm"),
    *("fpcd", "cosine_alpha_bar"),
)
UNIFORM = "uniform"
#: Of default trees: grids, solvers of which all but Heun's call once a step, and steps.
DEFAULT_TREES, DEFAULT_GRIDS, DEFAULT_STEPS = "default trees", (UNIFORM, "dense1.5"), 10
DEFAULT_SOLVERS = ("euler", "ab2", "ifab2", "ifab3", "dpmpp_2m", "heun")
#: Trees are trained once on this many uniform steps; samplers that call between them get trees of their own up to
#: so many steps.
FINEST, OWN_TREES_UP_TO = 64, 4
MOST_NFE, EVENTS = 200, 5000
QUANTITIES = (
    Quantity("nfe", "field evaluations", "", 0),
    Quantity("w1", "W1 x 1000", digits=1),
    Quantity("auc_trees", "AUC trees"),
    Quantity("sample_cpu", "sample CPU", "µs/event", 1),
    Quantity("train_cpu", "train CPU", "s", 1),
)


class Source(Protocol):
    """A model of the table whose field is handed to samplers."""

    name: str
    space: Any
    train_cpu: float

    def field(self, sampler: str, grid: str, n_steps: int) -> Any:
        """The velocity where the sampler needs it; None if that is too dear."""


class Trees:
    """Boosted trees: one training serves all samplers on nested uniform grids, another all those on one other grid."""

    name = "trees"

    def __init__(self, X: np.ndarray, seed: int, bench: Bench, finest: int | None = FINEST) -> None:
        self.X, self.options = X, {"random_state": seed} | ({"noise_budget": 3000} if bench.quick else {})
        self.by_grid: dict[str, Any] = {}
        self.train_cpu = 0.0
        if finest is not None:
            finest = 8 if bench.quick else min(finest, max(STEPS)) if seed else finest
            self.finest = self._fit("heun", UNIFORM, finest)
            self.space = self.finest.space_

    def field(self, sampler: str, grid: str, n_steps: int) -> Any:
        if grid != UNIFORM or UNIFORM in self.by_grid:
            if grid not in self.by_grid:
                self.by_grid[grid] = self._fit("heun", grid, n_steps)
            return field_of(self.by_grid[grid])
        known = field_of(self.finest)
        if all(min(abs(t - node) for node in known.times) < 1e-9 for t in nodes(sampler, grid, n_steps)):
            return known
        return field_of(self._fit(sampler, grid, n_steps)) if n_steps <= OWN_TREES_UP_TO else None

    def _fit(self, sampler: str, grid: str, n_steps: int) -> Any:
        from buff import BUFF

        return BUFF(n_steps, sampler, grid=grid, **self.options).fit(self.X)


def field_of(model: Any) -> Any:
    return model.model_.field


class Network:
    """A flow-matching network, which knows every time."""

    name = "network"

    def __init__(self, X: np.ndarray, seed: int, bench: Bench) -> None:
        from buff_baselines import NeuralFlow

        options = {"random_state": seed} | ({"n_iterations": 50} if bench.quick else {})
        start = time.process_time()
        self.model = NeuralFlow(**options).fit(X)
        self.space, self.train_cpu = self.model.space_, time.process_time() - start

    def field(self, sampler: str, grid: str, n_steps: int) -> Any:
        return self.model.field_


def measure(bench: Bench) -> Iterator[Measurement]:
    n_events = bench.rows(EVENTS, 300)
    for seed in bench.seeds:
        half = jets(bench, "t", seed, bench.rows(None, 400))
        if bench.wants(DEFAULT_TREES):
            yield from measure_defaults(bench, half, seed, n_events)
        if bench.only and set(bench.only) <= {DEFAULT_TREES}:
            continue
        yield Measurement(FLOOR, seed, judge(half, half.train[:n_events], seed))
        for make in (Trees, Network):
            source: Source = make(half.train, seed, bench)
            for sampler, grid, n_steps in plans(bench, full=seed == 0):
                values = run(source, sampler, grid, n_steps, half, seed, n_events)
                if values:
                    yield Measurement(f"{sampler}, {n_steps} steps", seed, values, f"{source.name}, {grid} grid")


def measure_defaults(bench: Bench, half: Halves, seed: int, n_events: int) -> Iterator[Measurement]:
    """Trees of each grid, at all nodes of which every solver asks."""
    trees = Trees(half.train, seed, bench, finest=None)
    steps = 4 if bench.quick else DEFAULT_STEPS
    for grid in DEFAULT_GRIDS:
        model = trees.by_grid[grid] = trees._fit("heun", grid, steps)
        trees.space = model.space_
        for sampler in DEFAULT_SOLVERS:
            values = run(trees, sampler, grid, steps, half, seed, n_events)
            if values:
                yield Measurement(f"{sampler}, {steps} steps", seed, values, f"{DEFAULT_TREES}, {grid} grid")


def plans(bench: Bench, full: bool = True) -> Iterator[tuple[str, str, int]]:
    """Sampler, grid and steps of every entry; the curves at ``STEPS`` alone if not in full."""
    from buff.solvers import SOLVERS

    fixed = [name for name, solver in SOLVERS.items() if not solver.adaptive] if full else CURVES
    for name in ("euler", "ab2", "ddpm") if bench.quick else fixed:
        for n in sorted((*STEPS, *(MORE_STEPS if full and name in CURVES else ()))):
            steps = fitting_steps(name, n)
            if steps is not None and not (bench.quick and steps > 8):
                yield name, UNIFORM, steps
    for grid in () if not full else GRIDS[:1] if bench.quick else GRIDS:
        yield from ((name, grid, GRID_STEPS) for name in ON_GRIDS)


def fitting_steps(sampler: str, n: int) -> int | None:
    """n, or three quarters of it for rules that need a multiple of three; None beyond the evaluations allowed."""
    for steps in (n, 3 * n // 4):
        try:
            nfe = solver_and_grid(sampler, UNIFORM, steps)[0].nfe(solver_and_grid(sampler, UNIFORM, steps)[1])
        except ValueError:
            continue
        return steps if nfe <= MOST_NFE else None
    return None


def run(
    source: Source, sampler: str, grid: str, n_steps: int, half: Halves, seed: int, n_events: int
) -> dict[str, float] | None:
    """Generate with one sampler and judge."""
    from buff.randomness import EventNoise
    from buff.solvers import integrate

    field = source.field(sampler, grid, n_steps)
    if field is None:
        return None
    solver, times = solver_and_grid(sampler, grid, n_steps)
    noise = EventNoise(seed)
    x0 = noise(np.empty((n_events, source.space.n_dims_), np.float32))
    start = time.process_time()
    x1 = integrate(solver, field, x0, times, None, noise)
    spent = time.process_time() - start
    values = {"nfe": solver.nfe(times), "sample_cpu": 1e6 * spent / n_events, "train_cpu": source.train_cpu}
    if not np.isfinite(x1).all():  # a sampler with far too few steps may diverge
        return values
    return values | judge(half, source.space.inverse_transform(x1), seed)


def solver_and_grid(sampler: str, grid: str, n_steps: int) -> tuple[Any, Any]:
    from buff.grids import get_grid
    from buff.solvers import get_solver

    return get_solver(sampler), get_grid(grid, n_steps)


def nodes(sampler: str, grid: str, n_steps: int) -> tuple[float, ...]:
    solver, times = solver_and_grid(sampler, grid, n_steps)
    return solver.nodes(times)


def judge(half: Halves, generated: np.ndarray, seed: int) -> dict[str, float]:
    from buff.metrics import c2st, wasserstein

    real = half.test[: len(generated)]
    auc = c2st(real, generated, n_splits=2, seeds=1, n_permutations=1, random_state=seed)
    return {"w1": 1000 * wasserstein(half.test, generated, n_bootstrap=0).value, "auc_trees": auc.value}


CASE = Case(
    "solvers", "every sampler on trees and on a network: quality against field evaluations", QUANTITIES, measure
)
