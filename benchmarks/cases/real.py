"""Real tables: Z -> mu mu collisions and white wine, beside ForestDiffusion."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.contest import contest
from benchmarks.data import halves, wine, zmumu
from benchmarks.forest_diffusion import ForestDiffusion, Kinds
from benchmarks.methods import BUFF, COPULA, COSTS, RECIPE
from benchmarks.quality import QUALITY, quality
from benchmarks.records import FLOOR, Comparison, Measurement, Target


@dataclass(frozen=True)
class RealTable:
    """A table, and what ForestDiffusion is to be told of its columns."""

    name: str
    load: Callable[[Bench], np.ndarray]
    kinds: Kinds


TABLES = (
    RealTable("Z -> mu mu", zmumu, Kinds(binary=(3, 9))),
    RealTable("white wine", wine, Kinds(integer=(11,))),
)
PEER = ForestDiffusion(n_t=20, duplicate_K=10)


def measure(bench: Bench) -> Iterator[Measurement]:
    for table in TABLES:
        rows = table.load(bench)
        for seed in bench.seeds:
            half = halves(rows, seed, bench.rows(None, 300))
            yield from contest(half, (RECIPE, COPULA, BUFF), seed, bench, table.name)
            if bench.with_forest_diffusion(seed):
                trial = PEER.trial(half.train, table.kinds, len(half.test), seed, bench)
                values = quality(half, trial.generated, seed) | trial.costs()
                yield Measurement(PEER.name, seed, values, table.name)


CASE = Case(
    "real",
    "collisions and wine: buff beside ForestDiffusion, the BUFF recipe and a copula",
    (*QUALITY, *COSTS),
    measure,
    (
        Comparison(BUFF.name, FLOOR, "w1"),
        Comparison(BUFF.name, PEER.name, "train_cpu"),
        Comparison(BUFF.name, PEER.name, "sample_cpu"),
    ),
    (Target(BUFF.name, "auc_trees", 0.60),),
)
