"""A fifth of the cells deleted at random and drawn again: errors, distributions and coverage on five tables."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.completions import Chain, Chained, Forests
from benchmarks.data import abalone, higgs, jets, wine, zmumu
from benchmarks.forest_diffusion import ForestDiffusionCells
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity, Target

#: Draws of each cell: 17 of 25 places of a truth among 24 draws are within the 4th and the 21st.
_DRAWS, _LOW, _HIGH = 24, 4, 20
_DELETED = 0.2
QUANTITIES = (
    Quantity("mae", "absolute error of the median", "sd"),
    Quantity("w1", "W1 of a draw", "sd"),
    Quantity("coverage", "68 % intervals cover"),
    Quantity("auc", "AUC, complete rows"),
    Quantity("fit_cpu", "fit CPU", "s", 1),
    Quantity("draw_cpu", "CPU of a draw", "s", 2),
)
METHODS = (Chain(), Chained(), Forests())
TABLES = ("jets", "wine", "zmumu", "higgs", "abalone")


@dataclass(frozen=True)
class Deleted:
    """A table of which some cells were deleted."""

    truth: np.ndarray
    missing: np.ndarray

    @property
    def table(self) -> np.ndarray:
        return np.where(self.missing, np.nan, self.truth)


def tables(bench: Bench, seed: int, n: int) -> Iterator[tuple[str, np.ndarray]]:
    yield "jets", jets(bench, "t", seed, n).train
    for name, read in (("wine", wine), ("zmumu", zmumu), ("higgs", higgs), ("abalone", abalone)):
        table = read(bench)
        yield name, table[np.random.default_rng(seed).permutation(len(table))[:n]]


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        for name, truth in tables(bench, seed, bench.rows(800, 200) or 800):
            if name not in (set(TABLES) & set(bench.only) or TABLES):
                continue
            rng = np.random.default_rng([seed, 1])
            half = Deleted(truth.astype(float), rng.random(truth.shape) < _DELETED)
            yield Measurement(FLOOR, seed, _floor(half, rng), name)
            for method in _methods(bench, seed):
                cost = timed_fit(method, half.table, seed)
                yield Measurement(method.name, seed, judge(method, half) | cost, name)


def _methods(bench: Bench, seed: int) -> list:
    methods = list(METHODS)
    if bench.forest_diffusion is not None and bench.with_forest_diffusion(seed):
        methods.append(ForestDiffusionCells(bench.forest_diffusion))
    return [method for method in methods if bench.wants(method.name) or set(bench.only) <= set(TABLES)]


def timed_fit(method, table: np.ndarray, seed: int) -> dict[str, float]:
    start = time.process_time()
    method.fit(table, seed)
    return {"fit_cpu": time.process_time() - start, **getattr(method, "costs", {})}


def judge(method, half: Deleted) -> dict[str, float]:
    """Errors of completions by a fitted method."""
    start = time.process_time()
    draws = method.draws(half.table, _DRAWS)
    done = time.process_time()
    values = _errors(half, np.median(draws, axis=0), draws[0])
    if len(draws) > 1:
        equal = (draws == half.truth).sum(axis=0)  # ties are broken at random
        below = (draws < half.truth).sum(axis=0) + np.random.default_rng(0).integers(equal + 1)
        values["coverage"] = float(((below >= _LOW) & (below <= _HIGH))[half.missing].mean())
    return values | {"draw_cpu": (done - start) / len(draws)}


def _errors(half: Deleted, center: np.ndarray, draw: np.ndarray) -> dict[str, float]:
    from buff.metrics import c2st

    spread = half.truth.std(axis=0)
    errors, distances = [], []
    for j, missing in enumerate(half.missing.T):
        errors.append(np.abs(center - half.truth)[missing, j].mean() / spread[j])
        sorted_pair = np.sort(draw[missing, j]), np.sort(half.truth[missing, j])
        distances.append(np.abs(sorted_pair[0] - sorted_pair[1]).mean() / spread[j])
    # a row and its own completion would be twins
    auc = c2st(half.truth[::2], draw[1::2], seeds=1, n_permutations=20).value
    return {"mae": float(np.mean(errors)), "w1": float(np.mean(distances)), "auc": float(auc)}


def _floor(half: Deleted, rng: np.random.Generator) -> dict[str, float]:
    """W1 of the missing cells and as many others of their columns."""
    spread, distances = half.truth.std(axis=0), []
    for j, missing in enumerate(half.missing.T):
        others = rng.choice(half.truth[~missing, j], missing.sum(), replace=False)
        distances.append(np.abs(np.sort(others) - np.sort(half.truth[missing, j])).mean() / spread[j])
    return {"w1": float(np.mean(distances)), "auc": 0.5, "coverage": 0.68}


CASE = Case(
    "imputation",
    "a fifth of the cells deleted and drawn again on five tables, beside other imputers",
    QUANTITIES,
    measure,
    tuple(Comparison(METHODS[0].name, other.name, "mae") for other in METHODS[1:]),
    (Target(METHODS[0].name, "coverage", 0.70),),
)
