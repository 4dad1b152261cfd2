"""How much noise training needs: rows of noise and data a node."""

from collections.abc import Iterator

from benchmarks.case import Bench, Case
from benchmarks.contest import contest
from benchmarks.data import jets
from benchmarks.methods import COSTS, Buff
from benchmarks.quality import QUALITY
from benchmarks.records import Measurement

METHODS = tuple(Buff(f"{rows:,} rows a node", {"noise_budget": rows}) for rows in (30_000, 100_000, 300_000, 1_000_000))


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        yield from contest(jets(bench, "t", seed, bench.rows(None, 300)), METHODS, seed, bench)


CASE = Case("noise", "rows of noise and data a node on top jets", (*QUALITY, *COSTS), measure)
