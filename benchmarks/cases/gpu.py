"""Training and sampling on a processor and on a CUDA device, same trees asked of both."""

import sys
from collections.abc import Iterator

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.costs import in_fresh_process
from benchmarks.data import jets, wide_table
from benchmarks.methods import COSTS, Buff, run_trial
from benchmarks.records import Comparison, Measurement

CPU, GPU = Buff("CPU", {"device": "cpu"}), Buff("GPU", {"device": "cuda"})
WIDE_ROWS, WIDE_COLUMNS, EVENTS = 50_000, 50, 100_000


def measure(bench: Bench) -> Iterator[Measurement]:
    if problem := in_fresh_process(cuda_problem):
        sys.stderr.write(f"nothing to measure, no CUDA device can be used here: {problem}\n")
        return
    tables = {
        "jets, 9 columns": jets(bench, "t", 0, bench.rows(None, 400)).train,
        f"made, {WIDE_COLUMNS} columns": wide_table(bench.rows(WIDE_ROWS, 400), WIDE_COLUMNS, seed=0),
    }
    for name, X in tables.items():
        for seed in bench.seeds:
            for method in (CPU, GPU):
                trial = run_trial(method, X, bench.rows(EVENTS, 500), seed, bench)
                yield Measurement(method.name, seed, trial.costs(), name)


def cuda_problem() -> str:
    """What a small fit on a CUDA device says, nothing if it works."""
    X = np.random.default_rng(0).normal(size=(100, 2))
    try:
        GPU.quick().fit(X, None, seed=0, n_jobs=1).sample(10)
    except Exception as problem:
        return str(problem).splitlines()[0]
    return ""


CASE = Case(
    "gpu",
    "seconds on a processor and on a CUDA device, jets and a table of fifty columns",
    COSTS,
    measure,
    tuple(Comparison(GPU.name, CPU.name, cost) for cost in ("train_wall", "sample_wall")),
)
