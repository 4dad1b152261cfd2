"""Census rows of strings, integers, spikes and missing entries: fidelity, and use to train a classifier."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from benchmarks.case import Bench, Case
from benchmarks.data import Halves, adult
from benchmarks.forest_diffusion import ForestDiffusion
from benchmarks.methods import BUFF, COPULA, COSTS, Trial, run_trial
from benchmarks.mixed_tables import by_name, from_objects, kinds, to_objects
from benchmarks.quality import QUALITY, floor, quality
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity

ROWS = 4000
#: A hundred indicator columns make a node cost minutes: half the nodes and draws it gets on narrow tables.
PEER = ForestDiffusion(n_t=10, duplicate_K=5)
UTILITY = Quantity("utility", "utility AUC")


def measure(bench: Bench) -> Iterator[Measurement]:
    everything, held_out = adult(bench, "train"), by_name(adult(bench, "test"))
    n = bench.rows(ROWS, 400)
    for seed in bench.seeds:
        order = np.random.default_rng(seed).permutation(everything.num_rows)
        train, test = everything.take(order[:n]), everything.take(order[n : 2 * n])
        half = Halves(by_name(train), by_name(test))
        yield Measurement(FLOOR, seed, floor(half, seed) | {"utility": use(half, half.train, held_out)})
        for name, trial in trials(train, n, seed, bench):
            generated = by_name(trial.generated)
            values = quality(half, generated, seed) | trial.costs()
            yield Measurement(name, seed, values | {"utility": use(half, generated, held_out)})


def trials(train: pa.Table, n: int, seed: int, bench: Bench) -> Iterator[tuple[str, Trial]]:
    for method in (COPULA, BUFF):
        yield method.name, run_trial(method, train, n, seed, bench)
    if bench.with_forest_diffusion(seed):
        trial = PEER.trial(to_objects(train), kinds(train), n, seed, bench)
        yield PEER.name, replace(trial, generated=from_objects(trial.generated, train.schema))


def use(half: Halves, generated: dict[str, np.ndarray], held_out: dict[str, np.ndarray]) -> float:
    """Area under the curve, on real rows, of trees that learned the income from generated ones."""
    from buff.metrics import utility

    scores = utility(half.train, generated, held_out, "income", "classification", n_bootstrap=0)
    return scores.synthetic.auc.value


CASE = Case(
    "mixed",
    "census rows with strings, integers, spikes and missing entries, beside ForestDiffusion",
    (*QUALITY, UTILITY, *COSTS),
    measure,
    tuple(Comparison(BUFF.name, PEER.name, cost) for cost in ("train_cpu", "sample_cpu")),
)
