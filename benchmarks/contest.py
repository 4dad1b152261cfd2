"""Several methods on one table, with the floor first."""

from collections.abc import Iterator, Sequence

from benchmarks.case import Bench
from benchmarks.data import Halves
from benchmarks.methods import Method, run_trial
from benchmarks.quality import floor, quality
from benchmarks.records import FLOOR, Measurement

__all__ = ["contest"]


def contest(half: Halves, methods: Sequence[Method], seed: int, bench: Bench, table: str = "") -> Iterator[Measurement]:
    """Train each method on one half and judge as many events as the other half has."""
    yield Measurement(FLOOR, seed, floor(half, seed), table)
    for method in filter(lambda own: bench.wants(own.name), methods):
        trial = run_trial(method, half.train, len(half.test), seed, bench)
        values = quality(half, trial.generated, seed) | trial.costs()
        yield Measurement(method.name, seed, values, table)
