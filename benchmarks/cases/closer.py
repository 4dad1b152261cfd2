"""What brings events closer to the truth at the same cost, steps alone and together, on tables of many kinds."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.data import Halves, adult, halves, jets, wide_table, wine, zmumu
from benchmarks.mixed_tables import by_name
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity, Target

#: Samples of a model whose marginals are compared: one sample's W1 is as uncertain as that of as many real rows.
MARGINAL_SAMPLES = 8
#: Each step by the parameters of :class:`buff.BUFF` that it changes, and what was there before.
FRAME = {"solver": "ifab2", "grid": "dense1.5"}
BOTH = {"tree_features": "both"}
SMOOTH = {"bandwidth": 0.05}
POLYNOMIAL = {"smooth_degree": 3}
OLD_SPACE = {"bandwidth": 0.0, "smooth_degree": 0, "noise_budget": 150_000, "relations": None, "atoms": "apart"}
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
    Quantity("mean_error", "rms error of conditional means"),
    Quantity("width", "conditional width / truth"),
    Quantity("train_cpu", "train CPU", "s", 1),
    Quantity("sample_cpu", "sample CPU", "µs/event", 1),
)


@dataclass(frozen=True)
class Variant:
    """A model by name, and how many samples of it are judged."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 1


COPULA = Variant("Gaussian copula", {"n_estimators": 0})
ENDS = (Variant("before", BEFORE, 2), Variant("all", {}, 2))
#: What tables whose columns mostly repeat their values are spared.
AXES = Variant('all, tree_features="both"', BOTH, 2)
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


@dataclass(frozen=True)
class Problem:
    """A table, the variants that learn it, and with how many of the seeds."""

    name: str
    load: Callable[[Bench, int], Halves]
    variants: Sequence[Variant]
    seeds: int | None = None


def top_jets(bench: Bench, seed: int) -> Halves:
    """10,000 top jets to learn, and as many others."""
    half = jets(bench, "t", seed)
    return Halves(*(np.asarray(part)[: bench.rows(10_000, 400)] for part in (half.train, half.test)))


def shipped_jets(bench: Bench, seed: int) -> Halves:
    """Halves of the top jets that come with the package, in a split that no other case takes."""
    from buff.datasets import INDEPENDENT_OBSERVABLES, load_jets

    parts = load_jets("t").split(0.5, random_state=1234 + seed)
    return Halves(*(part.to_numpy(INDEPENDENT_OBSERVABLES)[: bench.rows(10_000, 400)] for part in parts))


def census(bench: Bench, seed: int) -> Halves:
    """4,000 rows of a census, and as many others."""
    table, n = adult(bench, "train"), bench.rows(4000, 400)
    order = np.random.default_rng(seed).permutation(table.num_rows)
    return Halves(table.take(order[:n]), table.take(order[n : 2 * n]))


def wide(d: int, n: int) -> Callable[[Bench, int], Halves]:
    """Made tables of many columns."""
    return lambda bench, seed: halves(wide_table(bench.rows(2 * n, 400), d, seed), seed)


PROBLEMS = (
    Problem("top jets", top_jets, (*ENDS, COPULA)),
    Problem("top jets that come with buff", shipped_jets, ENDS, 1),
    Problem("Z -> mu mu", lambda bench, seed: halves(zmumu(bench), seed, bench.rows(None, 400)), ENDS),
    Problem("white wine", lambda bench, seed: halves(wine(bench), seed, bench.rows(None, 400)), (*ENDS, AXES)),
    Problem("census", census, (*ENDS, AXES)),
    Problem("steps alone, top jets", top_jets, STEPS, 2),
    Problem("few steps, top jets", top_jets, FEW_STEPS, 1),
    Problem("30 columns", wide(30, 5000), (Variant("before", BEFORE), Variant("all")), 1),
    Problem("60 columns", wide(60, 2500), (Variant("before", BEFORE), Variant("all")), 1),
)


def measure(bench: Bench) -> Iterator[Measurement]:
    """Every table with its seeds, then conditions."""
    for problem in filter(lambda own: bench.wants(own.name), PROBLEMS):
        for seed in bench.seeds[: problem.seeds]:
            half = problem.load(bench, seed)
            floor = judge(half, _head(half.train, len(half.test)), seed)
            own = {name: value for name, value in floor.items() if name != "closer"}
            yield Measurement(FLOOR, seed, own, problem.name)
            for variant in problem.variants:
                yield Measurement(variant.name, seed, measured(variant, half, floor, seed, bench), problem.name)
    if bench.wants("x | c"):
        for seed, variant in product(bench.seeds, ENDS):
            yield Measurement(variant.name, seed, conditional(variant, seed, bench), "x | c")


def measured(variant: Variant, half: Halves, floor: Mapping[str, float], seed: int, bench: Bench) -> dict[str, float]:
    """Figures of one model, mean over its samples."""
    model, trained = fitted(variant, half.train, None, seed, bench)
    start, n = time.process_time(), len(half.test)
    tables = [model.sample(n, random_state=1000 * (k + 1) + seed) for k in range(MARGINAL_SAMPLES)]
    sampled = time.process_time() - start
    found = [judge(half, table, seed) for table in tables[: variant.samples]]
    values = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    aucs = {name: f"auc_{name}" for name in JUDGES if f"auc_{name}" in floor}
    values |= {f"excess_{name}": values[auc] - floor[auc] for name, auc in aucs.items()}
    if isinstance(half.test, np.ndarray):
        values["w1"] = float(np.mean([marginal_distance(half.test, table) for table in tables]))
    return values | {"train_cpu": trained, "sample_cpu": 1e6 * sampled / len(tables) / n}


def fitted(variant: Variant, X: Any, condition: Any, seed: int, bench: Bench) -> tuple[Any, float]:
    """The model and the CPU seconds of its training."""
    from buff import BUFF

    options = dict(variant.options) | ({"n_estimators": 3} if bench.quick else {})
    start = time.process_time()
    model = BUFF(**options, random_state=seed, n_jobs=1).fit(X, condition=condition)
    return model, time.process_time() - start


def judge(half: Halves, table: Any, seed: int) -> dict[str, float]:
    """What tells a table from the rows held out."""
    from buff.metrics import principal_axes, report

    real, made, train = (by_name(t) if hasattr(t, "column_names") else t for t in (half.test, table, half.train))
    found = report(real, made, train=train, seeds=1, floor=False, n_bootstrap=0, random_state=seed)
    values = {f"auc_{name}": getattr(found.scores, name) for name in JUDGES}
    values |= {"w1": found.scores.wasserstein, "sliced": found.scores.sliced}
    scale = {"w1": 1000.0, "sliced": 1000.0}
    out = {name: scale.get(name, 1.0) * own.value for name, own in values.items() if own is not None}
    if found.memorisation:
        out["closer"] = found.memorisation.share_closer.value
    if isinstance(real, np.ndarray):
        axes = principal_axes(real.astype(float), np.asarray(made, float))
        widths = axes[1].std(axis=0) / axes[0].std(axis=0)
        out |= {"narrowest": float(widths.min()), "widest": float(widths.max())}
        out |= {f"width_{k}": float(w) for k, w in enumerate(widths)}
    return out


def marginal_distance(real: np.ndarray, made: np.ndarray) -> float:
    """Mean over the columns of W1 in standard deviations, times 1000."""
    from buff.metrics import wasserstein

    return 1000 * wasserstein(real, made, n_bootstrap=0).value


def conditional(variant: Variant, seed: int, bench: Bench) -> dict[str, float]:
    """x | c from N(c, 1), 4,000 rows: errors of mean and width at given c, in units of the width."""
    rng = np.random.default_rng(seed)
    c = rng.standard_normal(bench.rows(4000, 400) or 4000)
    model, trained = fitted(variant, (c + rng.standard_normal(len(c)))[:, None], c, seed, bench)
    at = np.linspace(-1.5, 1.5, 7)
    drawn = np.array([np.ravel(model.sample(4000, condition=np.full(4000, place), random_state=seed)) for place in at])
    error = float(np.sqrt(np.mean((drawn.mean(axis=1) - at) ** 2)))
    return {"mean_error": error, "width": float(drawn.std(axis=1).mean()), "train_cpu": trained}


def _head(table: Any, n: int) -> Any:
    return table.slice(0, n) if hasattr(table, "column_names") else table[:n]


TO_BEFORE = Comparison("all", "before", "train_cpu")
#: Marginals of the copula are exact: no generator that learns from a sample can be expected to do better.
TO_COPULA = Comparison("all", COPULA.name, "w1")
CASE = Case(
    "closer",
    "frame of the solver, trees that see it, smooth quantiles and a polynomial: alone and together, on many tables",
    QUANTITIES,
    measure,
    (TO_BEFORE, TO_COPULA, *(Comparison("all", "before", f"excess_{name}", "difference") for name in JUDGES)),
    (
        Target("all", "excess_trees", 0.036, "top jets"),
        Target("all", "excess_mlp", 0.02, "top jets"),
        Target("all", "excess_trees_principal", 0.05, "top jets"),
        Target("all", "excess_mlp_principal", 0.05, "top jets"),
        Target(TO_COPULA.name, "w1", 1.1, "top jets"),
        Target(TO_BEFORE.name, "train_cpu", 1.6, "top jets"),
    ),
)
