"""Real tables: Z -> mu mu collisions and white wine, beside ForestDiffusion."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.contest import contest
from benchmarks.data import halves, wine, zmumu
from benchmarks.forest_diffusion import ForestDiffusion, Kinds
from benchmarks.methods import BUFF, COPULA, COSTS, RECIPE, Method
from benchmarks.quality import QUALITY, quality
from benchmarks.records import FLOOR, Comparison, Measurement, Target


@dataclass(frozen=True)
class RealTable:
    """A table, who learns it, and what ForestDiffusion is to be told of its columns, where it does."""

    name: str
    load: Callable[[Bench], np.ndarray]
    kinds: Kinds | None = None
    methods: Sequence[Method] = (RECIPE, COPULA, BUFF)


def distinct_wine(bench: Bench) -> np.ndarray:
    """Every wine once. A fifth of the table repeats other rows, by which a classifier knows real ones again."""
    return np.unique(wine(bench), axis=0)


TABLES = (
    RealTable("Z -> mu mu", zmumu, Kinds(binary=(3, 9))),
    RealTable("white wine", wine, Kinds(integer=(11,))),
    RealTable("white wine, distinct rows", distinct_wine, None, (COPULA, BUFF)),
)
PEER = ForestDiffusion(n_t=20, duplicate_K=10)


def measure(bench: Bench) -> Iterator[Measurement]:
    for table in TABLES:
        rows = table.load(bench)
        for seed in bench.seeds:
            half = halves(rows, seed, bench.rows(None, 300))
            yield from contest(half, table.methods, seed, bench, table.name)
            if table.kinds and bench.with_forest_diffusion(seed):
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
