"""Top jets: buff beside the floor, the BUFF recipe and a Gaussian copula, quality and cost in one run."""

from collections.abc import Iterator

from benchmarks.case import Bench, Case
from benchmarks.contest import contest
from benchmarks.data import jets
from benchmarks.methods import BUFF, COPULA, COSTS, RECIPE
from benchmarks.quality import QUALITY
from benchmarks.records import FLOOR, Comparison, Measurement, Target


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        yield from contest(jets(bench, "t", seed, bench.rows(None, 400)), (RECIPE, COPULA, BUFF), seed, bench)


TO_FLOOR = Comparison(BUFF.name, FLOOR, "w1")
PRICES = ("train_cpu", "train_wall", "sample_wall", "sample_cpu")
TO_RECIPE = tuple(Comparison(BUFF.name, RECIPE.name, price) for price in PRICES)
CASE = Case(
    "jets",
    "nine independent observables of top jets: quality and cost of buff, the BUFF recipe and a copula",
    (*QUALITY, *COSTS),
    measure,
    (TO_FLOOR, *TO_RECIPE),
    (
        Target(BUFF.name, "auc_trees", 0.53),
        Target(BUFF.name, "auc_mlp", 0.53),
        Target(TO_FLOOR.name, "w1", 1.3),
        Target(BUFF.name, "correlation", 0.02),
        Target(TO_RECIPE[0].name, "train_cpu", 1 / 3),
        Target(TO_RECIPE[0].name, "sample_cpu", 1 / 20),
        Target(BUFF.name, "memory_over_plan", 1.2),
    ),
)
