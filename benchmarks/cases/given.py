"""Any cells given: a chain of columns, inpainting along a plain flow, and a flow that learned from rows with gaps."""

from collections.abc import Iterator

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.cases.imputation import QUANTITIES, Deleted, judge, timed_fit
from benchmarks.completions import AnyGiven, InpaintedFlow, MaskedFlow
from benchmarks.data import halves, jets, zmumu
from benchmarks.records import Comparison, Measurement

METHODS = (AnyGiven(), InpaintedFlow(), InpaintedFlow(5, "flow, inpainting, 5 repeats"), MaskedFlow())
#: Shares of the cells of new rows that are not given.
SHARES = (0.2, 0.6)
#: Rows to learn from, and new rows.
_ROWS, _NEW = 2000, 500


def measure(bench: Bench) -> Iterator[Measurement]:
    n, new = (bench.rows(usual, 300) or usual for usual in (_ROWS, _NEW))
    for seed in bench.seeds:
        pairs = {"jets": jets(bench, "t", seed, n)}
        pairs |= {"zmumu": halves(zmumu(bench), seed, n)}
        for name, pair in pairs.items():
            for method in (own for own in METHODS if bench.wants(own.name)):
                cost = timed_fit(method, pair.train.astype(float), seed)
                for share in SHARES:
                    ends = pair.train.min(axis=0), pair.train.max(axis=0)
                    truth = np.clip(pair.test[:new], *ends).astype(float)
                    missing = np.random.default_rng([seed, 1]).random(truth.shape) < share
                    missing[missing.all(axis=1), 0] = False
                    values = judge(method, Deleted(truth, missing)) | cost
                    yield Measurement(method.name, seed, values, f"{name}, {share:.0%} drawn")


CASE = Case(
    "given",
    "cells of new rows drawn given the others: a chain, inpainting along a flow, and a flow of masked columns",
    QUANTITIES,
    measure,
    tuple(Comparison(METHODS[0].name, METHODS[1].name, cost) for cost in ("fit_cpu", "draw_cpu")),
)
