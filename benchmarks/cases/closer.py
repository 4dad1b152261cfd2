"""What brings events closer to the truth at the same cost, each step alone and all together, on 10,000 top jets."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.data import Halves, jets
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity, Target

#: Rows to learn from, and samples of each model.
ROWS, SAMPLES = 10_000, 2
#: Each step by the parameters of :class:`buff.BUFF` that it changes, and what was there before.
FRAME = {"solver": "ifab2", "grid": "dense1.5"}
BOTH = {"tree_features": "both"}
SMOOTH = {"bandwidth": 0.05}
POLYNOMIAL = {"smooth_degree": 3}
OLD_SPACE = {"bandwidth": 0.0, "smooth_degree": 0, "noise_budget": 150_000}
BEFORE = {"solver": "ab2", "grid": "uniform", "tree_features": "scores"} | OLD_SPACE
JUDGES = ("trees", "mlp", "trees_principal", "mlp_principal")

QUANTITIES = (
    *(Quantity(f"excess_{name}", f"AUC - floor, {name.replace('_', ', ')}") for name in JUDGES),
    *(Quantity(f"auc_{name}", f"AUC {name.replace('_', ', ')}") for name in JUDGES),
    Quantity("w1", "W1 x 1000", digits=1),
    Quantity("sliced", "sliced W1 x 1000", digits=1),
    Quantity("narrowest", "smallest width ratio, principal axes", digits=2),
    Quantity("widest", "largest width ratio, principal axes", digits=2),
    Quantity("closer", "closer to training"),
    Quantity("train_cpu", "train CPU", "s", 1),
    Quantity("sample_cpu", "sample CPU", "µs/event", 1),
)


@dataclass(frozen=True)
class Variant:
    """A model by name."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


ENDS = (Variant("before", BEFORE), Variant("all", {}))
STEPS = (
    Variant("1 frame of the solver", BEFORE | FRAME),
    Variant("2 trees see both frames", BEFORE | BOTH),
    Variant("3 smoothed quantiles", BEFORE | SMOOTH),
    Variant("4 polynomial and both frames", BEFORE | BOTH | POLYNOMIAL),
    Variant("1 + 2 + 3", BEFORE | FRAME | BOTH | SMOOTH),
)
FEW_STEPS = tuple(
    Variant(f"{name}, {n} steps", options | {"n_steps": n})
    for n, (name, options) in product((2, 4, 8), (("before", BEFORE), ("all", {})))
)


def measure(bench: Bench) -> Iterator[Measurement]:
    """What was there before and everything together with all seeds, then each step, then few steps with the first."""
    halves, floors = {}, {}
    for seed in bench.seeds:
        half = jets(bench, "t", seed)
        half = Halves(*(np.asarray(part)[: bench.rows(ROWS, 400)] for part in (half.train, half.test)))
        halves[seed], floors[seed] = half, judge(half, half.train[: len(half.test)], seed)
        yield Measurement(FLOOR, seed, {name: v for name, v in floors[seed].items() if name != "closer"})
        for variant in ENDS:
            yield Measurement(variant.name, seed, measured(variant, half, floors[seed], seed, bench))
    for variant, seed in (*product(STEPS, bench.seeds), *product(FEW_STEPS, bench.seeds[:1])):
        yield Measurement(variant.name, seed, measured(variant, halves[seed], floors[seed], seed, bench))


def measured(variant: Variant, half: Halves, floor: Mapping[str, float], seed: int, bench: Bench) -> dict[str, float]:
    """Figures of one model, mean over its samples."""
    from buff import BUFF

    options = dict(variant.options) | ({"n_estimators": 3} if bench.quick else {})
    start = time.process_time()
    model = BUFF(**options, random_state=seed, n_jobs=1).fit(half.train)
    trained = time.process_time()
    tables = [np.asarray(model.sample(len(half.test), random_state=1000 * (k + 1) + seed)) for k in range(SAMPLES)]
    sampled = time.process_time()
    found = [judge(half, table, seed) for table in tables]
    values = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    values |= {f"excess_{name}": values[f"auc_{name}"] - floor[f"auc_{name}"] for name in JUDGES}
    costs = {"train_cpu": trained - start, "sample_cpu": 1e6 * (sampled - trained) / SAMPLES / len(half.test)}
    return values | costs


def judge(half: Halves, table: np.ndarray, seed: int) -> dict[str, float]:
    """What tells a table from the rows held out."""
    from buff.metrics import principal_axes, report

    found = report(half.test, table, train=half.train, seeds=1, floor=False, n_bootstrap=0, random_state=seed)
    real, made = principal_axes(half.test.astype(float), table.astype(float))
    widths = made.std(axis=0) / real.std(axis=0)
    assert found.scores.wasserstein
    assert found.memorisation
    return {f"auc_{name}": getattr(found.scores, name).value for name in JUDGES} | {
        "w1": 1000 * found.scores.wasserstein.value,
        "sliced": 1000 * found.scores.sliced.value,
        "narrowest": float(widths.min()),
        "widest": float(widths.max()),
        "closer": found.memorisation.share_closer.value,
    }


TO_BEFORE = Comparison("all", "before", "train_cpu")
CASE = Case(
    "closer",
    "10,000 top jets: frame of the solver, trees that see it, smooth quantiles and a polynomial, alone and together",
    QUANTITIES,
    measure,
    (TO_BEFORE, *(Comparison("all", "before", f"excess_{name}", "difference") for name in JUDGES)),
    (
        Target("all", "excess_trees", 0.036),
        Target("all", "excess_mlp", 0.02),
        Target("all", "excess_trees_principal", 0.05),
        Target("all", "excess_mlp_principal", 0.05),
        Target(TO_BEFORE.name, "train_cpu", 1.6),
    ),
)
