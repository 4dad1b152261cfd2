"""Jets smeared row by row and carried back by pairs: are they told apart from the truth, and do posteriors cover it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.cases.closer import BEFORE, top_jets
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity, Target

JUDGES = ("trees", "mlp")
#: Standard deviation of what a measurement adds to each column, in units of the column's own.
RESOLUTION = 0.2
#: Parameters of :class:`buff.BUFFTransport`: those of 0.1.0, a polynomial of as many terms as that of BUFF, today's.
_SHARED = ("solver", "grid", "tree_features", "bandwidth", "smooth_degree", "noise_budget")
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "of 0.1.0": {name: BEFORE[name] for name in _SHARED},
    "20 rows a coefficient": {"smooth_rows": 20},
    "default": {},
}
#: Events whose posteriors are looked at, and draws of each.
_EVENTS, _DRAWS = 1000, 40

QUANTITIES = (
    *(Quantity(f"excess_{name}", f"AUC - floor, {name}") for name in JUDGES),
    *(Quantity(f"auc_{name}", f"AUC {name}") for name in JUDGES),
    Quantity("coverage", "coverage of 68 % intervals"),
    Quantity("energy", "energy score", digits=4),
    Quantity("train_cpu", "train CPU", "s", 1),
    Quantity("sample_cpu", "sample CPU", "µs/event", 1),
)


def measure(bench: Bench) -> Iterator[Measurement]:
    """Floor and every variant; rows that are carried back are never judged beside their own truth."""
    for seed in bench.seeds:
        half = top_jets(bench, seed)
        n, rng = len(half.test) // 2, np.random.default_rng([seed, 1])
        train, test = (smeared(part, half.train.std(axis=0), rng) for part in (half.train, half.test))
        floor = judge(half.test[:n], half.train[:n], seed)
        yield Measurement(FLOOR, seed, floor)
        for name in filter(bench.wants, VARIANTS):
            model, trained = fitted(name, train, half.train, seed, bench)
            start = time.process_time()
            back = model.transform(test[n:])
            costs = {"train_cpu": trained, "sample_cpu": 1e6 * (time.process_time() - start) / len(back)}
            values = judge(half.test[:n], back, seed)
            values |= {f"excess_{k}": values[f"auc_{k}"] - floor[f"auc_{k}"] for k in JUDGES}
            events = slice(n, n + _EVENTS)
            yield Measurement(name, seed, values | posterior(model, test[events], half.test[events], seed) | costs)


def smeared(rows: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows with independent normal errors."""
    return (rows + RESOLUTION * spread * rng.standard_normal(rows.shape)).astype(np.float32)


def fitted(name: str, source: np.ndarray, target: np.ndarray, seed: int, bench: Bench) -> tuple[Any, float]:
    """The model and the CPU seconds of its training."""
    from buff import BUFFTransport

    options = dict(VARIANTS[name]) | ({"n_estimators": 3} if bench.quick else {})
    start = time.process_time()
    model = BUFFTransport(**options, random_state=seed, n_jobs=1).fit(source, target)
    return model, time.process_time() - start


def judge(real: np.ndarray, made: np.ndarray, seed: int) -> dict[str, float]:
    """AUC of classifiers."""
    from buff.metrics import c2st

    pair = np.asarray(real, float), np.asarray(made, float)
    return {f"auc_{k}": float(c2st(*pair, k, seeds=1, n_permutations=0, random_state=seed).value) for k in JUDGES}


def posterior(model: Any, reco: np.ndarray, truth: np.ndarray, seed: int) -> dict[str, float]:
    """Coverage, mean over the columns, and ``E|x - truth| - E|x - x'| / 2`` in standard deviations of the columns."""
    draws = model.sample(reco, _DRAWS, random_state=seed + 1).reshape(len(reco), _DRAWS, -1)
    low, high = np.quantile(draws, (0.16, 0.84), axis=1)
    unit, pairs = truth.std(axis=0), np.array_split(draws, 2, axis=1)
    error, width = (np.linalg.norm(d / unit, axis=-1).mean() for d in (draws - truth[:, None], pairs[0] - pairs[1]))
    return {"coverage": float(((low <= truth) & (truth <= high)).mean()), "energy": float(error - width / 2)}


CASE = Case(
    "transport",
    "top jets smeared row by row and carried back by a flow that learned from pairs",
    QUANTITIES,
    measure,
    (
        Comparison("default", "20 rows a coefficient", "train_cpu"),
        Comparison("default", "20 rows a coefficient", "sample_cpu"),
        *(Comparison("default", "20 rows a coefficient", f"excess_{k}", "difference") for k in JUDGES),
    ),
    (Target("default", "auc_trees", 0.6), Target("default", "auc_mlp", 0.6)),
)
