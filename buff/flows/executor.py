"""All nodes of a field: in parallel, with progress, resumable."""

import os
from collections.abc import Iterator
from typing import Any

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from buff.flows.cache import NodeCache
from buff.flows.cost import CostEstimate
from buff.flows.data import Base, RegressionSource
from buff.flows.nodes import NodeRecord, fit_node
from buff.randomness import training_seed
from buff.trees import Booster, TreeSettings

__all__ = ["train_field"]

Fitted = tuple[int, Booster | None, NodeRecord]


def train_field(
    data: RegressionSource,
    base: Base,
    times: tuple[float, ...],
    settings: TreeSettings,
    plan: CostEstimate,
    *,
    seed: int,
    cache: NodeCache | None = None,
    verbose: int = 0,
) -> list[tuple[Booster | None, NodeRecord]]:
    """Models and records of the nodes ``times``.

    A node's noise depends on ``seed`` and its number only, so the result does not depend on how many workers
    there are, nor on which nodes ``cache`` already held.
    """
    fitted: dict[int, tuple[Booster | None, NodeRecord]] = {}
    for i in range(len(times)):
        kept = cache.load(i, data.n_dims, settings.device) if cache else None
        if kept:
            fitted[i] = kept
    missing = [i for i in range(len(times)) if i not in fitted]
    jobs = [
        (i, (data, base, times[i], settings, plan.n_draws, training_seed(seed, i)), cache) for i in missing
    ]
    bar = tqdm(total=len(times), initial=len(fitted), desc="nodes", unit="node", disable=not verbose)
    with bar:
        for i, trees, record in _run(jobs, plan.n_workers, settings.device):
            fitted[i] = trees, record
            bar.update()
    return [fitted[i] for i in range(len(times))]


def _run(jobs: list[Any], n_workers: int, device: str) -> Iterator[Fitted]:
    if device == "cuda" or n_workers == 1 or len(jobs) < 2:  # one context serves all nodes of a GPU
        return (_fit_one(*job) for job in jobs)
    results = Parallel(n_workers, return_as="generator_unordered")(
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
