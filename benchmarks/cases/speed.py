"""Time of an event, by what draws it: compiled kernels of every instruction set beside XGBoost, in alternating runs."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.exports import exported
from benchmarks.records import Comparison, Measurement, Quantity, Target

#: Repetitions, of which the median counts, and events of a run.
REPEATS, EVENTS, THREADED = 3, 20_000, 2**16
#: Measured Z + jets events and draws of each.
MEASURED, DRAWS = 1_000, 50
ROW, OLD = "sample(1), XGBoost", "jets, defaults of 0.1.0"
#: Defaults of 0.1.0.
BEFORE: Mapping[str, Any] = {
    "solver": "ab2",
    "grid": "uniform",
    "tree_features": "scores",
    "smooth_degree": 0,
    "bandwidth": 0,
    "atoms": "apart",
    "relations": None,
    "noise_budget": 150_000,
}
#: Features, depth and leaves of forests.
SHAPES = (
    *((f, 8, "scalar") for f in (3, 9, 16, 40)),
    *((9, depth, "scalar") for depth in (4, 6)),
    (9, 8, "vector"),
)
COMPILED = ("scalar", "avx2", "avx512", "neon")


@contextmanager
def backend(name: str) -> Iterator[None]:
    before = os.environ.get("BUFF_BACKEND")
    os.environ["BUFF_BACKEND"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["BUFF_BACKEND"]
        else:
            os.environ["BUFF_BACKEND"] = before


def names() -> list[str]:
    """Backends of this processor, and XGBoost."""
    from buff import kernels

    module = kernels.native()
    return ["xgboost", *(name for name, _ in module.backends())] if module else ["xgboost"]


def medians(
    work: Callable[[], Any], n: int, repeats: int = REPEATS, compiled: bool = False
) -> dict[str, dict[str, float]]:
    """Microseconds an event of each backend, or of the compiled ones: CPU and wall."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names()[int(compiled) :]}
    warm = int(repeats > 1)
    for repeat in range(repeats + warm):
        for name, own in times.items():
            with backend(name):
                start = time.process_time(), time.perf_counter()
                work()
                spent = time.process_time() - start[0], time.perf_counter() - start[1]
            if repeat >= warm:  # the first warms up
                own.append((spent[0] / n * 1e6, spent[1] / n * 1e6))
    return {name: dict(zip(("cpu", "wall"), np.median(own, axis=0), strict=True)) for name, own in times.items()}


def fits(bench: Bench, seed: int) -> Iterator[tuple[str, Any, Any]]:
    """Tables with their fitted models and conditions to ask for."""
    import pandas as pd

    from buff import BUFF
    from buff.datasets import INDEPENDENT_OBSERVABLES, load_jets

    n = bench.rows(10_000, 500)
    tiny: dict[str, Any] = {"n_steps": 4, "n_estimators": 3, "noise_budget": 5_000} if bench.quick else {}
    settings = tiny | {"random_state": seed, "n_jobs": 1}
    tops = load_jets("t", n=n)
    X, pt = tops.to_numpy(INDEPENDENT_OBSERVABLES), tops.to_numpy(["jet_pt"])[:, 0]
    yield "jets", BUFF(**settings).fit(X), None
    settings |= {} if bench.quick else {"noise_budget": 40_000}  # trees of the same size: drawing costs the same
    yield OLD, BUFF(**BEFORE | settings).fit(X), None
    yield "conditional", BUFF(**settings).fit(X, condition=pt), pt
    whole = load_jets(n=n // 5)
    labels = np.asarray(whole["jet_class"])
    yield "classes", BUFF(**settings).fit(whole.to_numpy(INDEPENDENT_OBSERVABLES), condition=labels), labels
    columns = {name: np.asarray(whole[name]) for name in (*INDEPENDENT_OBSERVABLES, "multiplicity", "z_g", "jet_class")}
    yield "mixed", BUFF(**settings).fit(pd.DataFrame(columns)), None


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        for table, model, condition in fits(bench, seed):
            yield from sampled(bench, table, model, condition, seed)
            if table == "jets":
                yield from threaded(bench, model, seed)
                yield from by_batch(bench, model, seed)
                yield from one_by_one(bench, model, seed)
                yield from (Measurement(name, seed, values, "files") for name, values in exported(bench, model, seed))
        yield from posterior(bench, seed)
        yield from trees(bench, seed)


def _measurements(found: Mapping[str, Mapping[str, float]], seed: int, table: str) -> Iterator[Measurement]:
    for name, values in found.items():
        yield Measurement(name, seed, values, table)


def sampled(bench: Bench, table: str, model: Any, condition: Any, seed: int) -> Iterator[Measurement]:
    """Whole samples on one thread."""
    n = bench.rows(EVENTS, 2_000) or EVENTS
    given = None if condition is None else np.resize(condition, n)
    yield from _measurements(medians(partial(model.sample, n, condition=given, random_state=seed), n), seed, table)


def threaded(bench: Bench, model: Any, seed: int) -> Iterator[Measurement]:
    """Many events on one thread and on two."""
    n = bench.rows(THREADED, 2_000) or THREADED
    for threads in (1, 2):
        model.set_params(n_jobs=threads)
        draw = partial(model.sample, n, random_state=seed, batch_size=n // 16)
        yield from _measurements(medians(draw, n, 1 if bench.quick else 3), seed, f"jets, {threads} threads")
    model.set_params(n_jobs=1)


def by_batch(bench: Bench, model: Any, seed: int) -> Iterator[Measurement]:
    """Calls for few and for many events; the largest with the first seed only."""
    sizes = [1, 10, 100, 1_000, 10_000]
    sizes += [] if bench.quick else [100_000]
    sizes += [] if bench.quick or seed else [1_000_000]
    for n in sizes:
        found = medians(partial(model.sample, n, random_state=seed), n, 1 if n > 50_000 else REPEATS)
        yield from _measurements(found, seed, f"jets, {n:,} at once")


def one_by_one(bench: Bench, model: Any, seed: int) -> Iterator[Measurement]:
    """Events of the sampler for event loops beside tables of one row."""
    n, sampler = bench.rows(2_000, 50) or 2_000, model.sampler(seed)
    found = medians(lambda: [sampler.draw(i) for i in range(n)], n, compiled=True)
    yield from _measurements(found, seed, "single events")
    few = bench.rows(50, 5) or 50
    start = time.process_time(), time.perf_counter()
    with backend("xgboost"):
        for i in range(few):
            model.sample(1, first_event=i, random_state=seed)
    spent = time.process_time() - start[0], time.perf_counter() - start[1]
    yield Measurement(ROW, seed, {"cpu": spent[0] / few * 1e6, "wall": spent[1] / few * 1e6}, "single events")


def posterior(bench: Bench, seed: int) -> Iterator[Measurement]:
    """Truth for measured Z + jets events, time a draw."""
    from buff import BUFF, Unfolder
    from buff.datasets import load_omnifold

    events = load_omnifold(bench.file("zjets_nominal.parquet"))
    order = np.random.default_rng(seed).permutation(len(events))
    n, few = bench.rows(10_000, 600) or 10_000, bench.rows(MEASURED, 20) or MEASURED
    truth, reco = (table.to_numpy().astype(np.float64)[order] for table in (events.truth, events.reco))
    tiny = BUFF(n_steps=4, n_estimators=3, noise_budget=5_000) if bench.quick else None
    unfolder = Unfolder("conditional", generator=tiny, random_state=seed, n_jobs=1).fit(truth[:n], reco[:n])
    draw = partial(unfolder.sample, reco[n : n + few], DRAWS, random_state=seed)
    yield from _measurements(medians(draw, few * DRAWS, 1 if bench.quick else REPEATS), seed, "Z + jets posteriors")


def trees(bench: Bench, seed: int) -> Iterator[Measurement]:
    """Nanoseconds a visit of a node, by number of features, depth and kind of leaves."""
    from buff.trees import Booster, FlatForest, TreeSettings

    rng, n = np.random.default_rng(seed), bench.rows(10_000, 1_000) or 10_000
    for f, depth, layout in SHAPES:
        x = rng.standard_normal((n, f)).astype(np.float32)
        y = np.stack([np.sin(x[:, k] * (k + 1)) + rng.standard_normal(n) for k in range(3)], axis=1)
        settings = TreeSettings(n_estimators=12, max_depth=depth, layout=layout, reg_lambda=1.0)
        forest = FlatForest.of(Booster.fit(x, y, settings))
        visits = n * forest.n_trees * forest.depth
        what = f"trees, {f} features, depth {depth}, {layout} leaves"
        for name, values in medians(partial(forest, x), visits).items():
            yield Measurement(name, seed, {"visit": values["cpu"] * 1e3}, what)


RATIOS = {name: Comparison(name, "xgboost", "cpu") for name in COMPILED}
SINGLE = {name: Comparison(name, ROW, "cpu") for name in COMPILED}
CASE = Case(
    "speed",
    "time of an event by backend, batch, threads, width and depth; files and exports",
    (
        Quantity("cpu", "CPU an event", "us", 2),
        Quantity("wall", "time an event", "us", 2),
        Quantity("visit", "CPU a visit of a node", "ns", 3),
        Quantity("megabytes", "size", "MB", 2),
        Quantity("seconds", "CPU until it is there", "s", 3),
        Quantity("latency", "CPU of a single event", "us", 1),
        Quantity("same", "values equal", "", 4),
        Quantity("away", "largest difference", "widths", 6),
    ),
    measure,
    (*RATIOS.values(), *(Comparison(name, "xgboost", "visit") for name in COMPILED), *SINGLE.values()),
    (
        Target(RATIOS["avx512"].name, "cpu", 1 / 10, "jets"),
        Target(RATIOS["avx2"].name, "cpu", 1 / 6, "jets"),
        Target(RATIOS["scalar"].name, "cpu", 1 / 2, "jets"),
        *(
            Target(RATIOS["avx512"].name, "cpu", 1 / 4, table)
            for table in ("conditional", "classes", "mixed", "Z + jets posteriors")
        ),
        Target(SINGLE["avx512"].name, "cpu", 1 / 300, "single events"),
        Target("avx512", "cpu", 30, "single events"),
        Target("C++", "latency", 10, "files"),
        Target("model", "megabytes", 1.5, "files"),
    ),
)
