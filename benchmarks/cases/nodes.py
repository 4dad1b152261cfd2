"""Where quality comes from: number of nodes, solver, and trees for one column or for all."""

from collections.abc import Iterator
from itertools import product

from benchmarks.case import Bench, Case
from benchmarks.contest import contest
from benchmarks.data import jets
from benchmarks.methods import COSTS, Buff
from benchmarks.quality import QUALITY
from benchmarks.records import Measurement

METHODS = tuple(
    Buff(f"{layout} trees, {solver}, {n} steps", {"layout": layout, "solver": solver, "n_steps": n})
    for layout, solver, n in product(("scalar", "vector"), ("euler", "ab2", "heun"), (5, 10, 20))
)


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        yield from contest(jets(bench, "t", seed, bench.rows(None, 300)), METHODS, seed, bench)


CASE = Case("nodes", "steps, solver and tree layout on top jets", (*QUALITY, *COSTS), measure)
