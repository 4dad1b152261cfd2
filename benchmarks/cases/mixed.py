"""Census rows of strings, integers, spikes and missing entries: fidelity, and use to train a classifier."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.case import Bench, Case
from benchmarks.data import Halves, adult
from benchmarks.forest_diffusion import ForestDiffusion
from benchmarks.methods import BUFF, COPULA, COSTS, Buff, Trial, run_trial
from benchmarks.mixed_tables import by_name, from_objects, kinds, to_objects
from benchmarks.quality import QUALITY, floor, quality
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity

#: An indicator column costs ForestDiffusion a regressor a node: fewer nodes, draws and rows than on narrow tables.
PEER = ForestDiffusion(n_t=10, duplicate_K=5)
ORDERS = tuple(Buff(f"buff, {order} order", {"categories": order}) for order in ("frequency", "lexical", "onehot"))
UTILITY = Quantity("utility", "utility AUC")
#: A second code of another column, and the two columns of most levels.
LEFT_OUT = ("education", "native_country", "occupation")


@dataclass(frozen=True)
class Census:
    """A share of the census, and who learns it."""

    name: str
    rows: int
    without: Sequence[str]
    methods: Sequence[Buff]
    with_peer: bool = False

    def of(self, table: pa.Table) -> pa.Table:
        return table.drop_columns(list(self.without))


TABLES = (
    Census("census", 4000, (), (COPULA, BUFF, *ORDERS)),
    Census("census, 12 columns", 1000, LEFT_OUT, (COPULA, BUFF), with_peer=True),
)


def measure(bench: Bench) -> Iterator[Measurement]:
    train, test = adult(bench, "train"), adult(bench, "test")
    for census in TABLES:
        for seed in bench.seeds:
            yield from contest(census, census.of(train), by_name(census.of(test)), seed, bench)


def contest(census: Census, table: pa.Table, held_out: Any, seed: int, bench: Bench) -> Iterator[Measurement]:
    """Train each method on some rows; judge on others, and on the classifier that its events train."""
    n = bench.rows(census.rows, 400) or census.rows
    order = np.random.default_rng(seed).permutation(table.num_rows)
    train, test = table.take(order[:n]), table.take(order[n : 2 * n])
    half = Halves(by_name(train), by_name(test))
    values = floor(half, seed) | {"utility": use(half, half.train, held_out)}
    yield Measurement(FLOOR, seed, values, census.name)
    for name, trial in trials(census, train, n, seed, bench):
        generated = by_name(trial.generated)
        values = quality(half, generated, seed) | trial.costs() | {"utility": use(half, generated, held_out)}
        yield Measurement(name, seed, values, census.name)


def trials(census: Census, train: pa.Table, n: int, seed: int, bench: Bench) -> Iterator[tuple[str, Trial]]:
    for method in filter(lambda own: bench.wants(own.name), census.methods):
        yield method.name, run_trial(method, train, n, seed, bench)
    if census.with_peer and bench.with_forest_diffusion(seed):
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
