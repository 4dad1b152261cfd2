"""What a fit of showers will cost, and whether showers may be turned."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from buff.flows.cost import PROCESS, workers_within
from buff.generators.shower_angles import AngleWalk
from buff.generators.shower_cascade import CascadeSettings, ShowerCascade
from buff.generators.shower_rings import RingWalk
from buff.physics import Geometry, SplitTree
from buff.protocols import Array, Numbers

__all__ = ["ShowerPlan", "looks_symmetric", "plan_showers"]

#: Showers of a trial.
_TRIAL = 500
#: Standard deviations by which the mean energy of a sector may differ from that of all.
_FAR = 5.0


@dataclass(frozen=True)
class ShowerPlan:
    """Cost of a fit.

    Attributes
    ----------
    n_showers, n_splits, n_models, n_workers : int
        Showers, divisions of a shower, models that these share, models at a time.
    memory, disk : int
        Bytes of training, and of the file at most.
    cpu_seconds : float or None
        Training time on one core, from a trial; None if it was not asked for.
    """

    n_showers: int
    n_splits: int
    n_models: int
    n_workers: int
    memory: int
    disk: int
    cpu_seconds: float | None = None

    def __str__(self) -> str:
        lines = [
            f"showers    {self.n_showers:,}, {self.n_splits:,} divisions each",
            f"training   {self.n_models} models, {self.n_workers} at a time",
            f"memory     {self.memory / 2**20:,.0f} MiB",
            f"model      at most {self.disk / 2**20:,.1f} MiB",
        ]
        if self.cpu_seconds is not None:
            lines.append(f"time       {self.cpu_seconds:.0f} s of CPU time")
        return "\n".join(lines)


def plan_showers(
    geometry: Geometry,
    n: int,
    n_conditions: int,
    settings: CascadeSettings,
    max_memory: int | None,
    *,
    trial: tuple[Array, Array] | None = None,
) -> ShowerPlan:
    """The plan, with as many workers as memory allows.

    Raises
    ------
    MemoryError
        If even one needs more than ``max_memory``.
    """
    models = list(_models(geometry))
    n_splits = sum(count for _, count, _ in models)
    kept = 8 * 3 * n * geometry.n_voxels
    rows = [min(2 * settings.max_rows, n * count) * (4 * (f + n_conditions) + 32) for _, count, f in models]
    worker = max(6 * min(settings.max_rows, n * count) * 4 * (40 + f) for _, count, f in models)

    def total(k: int) -> int:
        return PROCESS + kept + sum(rows) + worker * k + (PROCESS * k if k > 1 else 0)

    advice = f"lower max_rows (now {settings.max_rows:,}), fit fewer showers, or raise max_memory"
    workers = workers_within(max_memory, min(settings.n_jobs, len(models)), total, advice)
    grown = {True: settings.angles, False: settings.rings}
    own = [grown[key.startswith("angles")] for key, _, _ in models]
    disk = sum((s.n_estimators << s.max_depth) * (2 * 24 + 4 * s.n_levels) for s in own)
    plan = ShowerPlan(n, n_splits, len(models), workers, total(workers), disk)
    return plan if trial is None else replace(plan, cpu_seconds=_trial(geometry, plan, settings, *trial))


def _models(geometry: Geometry) -> Iterator[tuple[str, int, int]]:
    """Name, divisions and features of each model."""
    tree = SplitTree.of(geometry)
    rings, angles = RingWalk(geometry, tree, {}), AngleWalk(geometry, tree)
    yield "total", 1, 1
    yield from ((f"layers/{j}", 1, j + 2) for j in range(1, len(tree.layers) + 1))
    if rings.shares_models:
        n_r = geometry.layers[0].n_r
        yield from ((f"rings/{k}", len(geometry.layers), 6 + k + n_r) for k in range(n_r - 1))
    else:
        first = len(tree.layers) + 1
        yield from ((f"rings/{j}", 1, j + 2 + len(geometry.layers)) for j in range(first, first + len(tree.rings)))
    counts: dict[str, int] = {}
    for i, _, split, _ in angles.numbered():
        key = f"angles/{geometry.layers[i].n_alpha}/{split.a}+{split.b}"
        counts[key] = counts.get(key, 0) + 1
    yield from ((key, count, 30) for key, count in counts.items())


def _trial(
    geometry: Geometry, plan: ShowerPlan, settings: CascadeSettings, showers: Numbers, energies: Numbers
) -> float:
    """CPU seconds, from a fit of few showers with few trees."""
    rows = np.random.default_rng(0).permutation(len(showers))[:_TRIAL]
    few = {
        name: replace(getattr(settings, name), n_estimators=max(1, getattr(settings, name).n_estimators // 10))
        for name in ("rings", "angles")
    }
    start = time.process_time()
    short = replace(settings, n_jobs=1, cache_dir=None, **few)
    ShowerCascade.fit(geometry, showers[rows], energies[rows], np.zeros((len(rows), 0)), short, symmetric=False)
    spent = time.process_time() - start
    largest = max(count for _, count, _ in _models(geometry))
    growth = min(len(showers), settings.max_rows / max(largest, 1)) / len(rows)
    return spent * max(growth, 1.0) * 2  # ten times the trees on rows of which most of the cost is context


def looks_symmetric(geometry: Geometry, showers: Numbers) -> bool:
    """Whether no sector of any layer has a mean energy far from that of all sectors."""
    total = np.maximum(showers.sum(axis=1, dtype=float), 1e-30)
    for x in geometry.split(showers):
        if x.shape[1] > 1:
            share = x.sum(axis=2, dtype=float) / total[:, None]
            apart = share - share.mean(axis=1, keepdims=True)
            error = apart.std(axis=0) / np.sqrt(len(x))
            if (np.abs(apart.mean(axis=0)) > _FAR * np.maximum(error, 1e-30)).any():
                return False
    return True
