"""Time of an event, by what draws it: compiled kernels of every instruction set beside XGBoost, in alternating runs."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.records import Comparison, Measurement, Quantity, Target

#: Repetitions, of which the median counts, and events of a run.
REPEATS, EVENTS = 5, 20_000
SINGLE, ROW = "single events", "sample(1)"
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
    """Backends of this processor."""
    from buff import kernels

    module = kernels.native()
    return ["xgboost", *(name for name, _ in module.backends())] if module else ["xgboost"]


def medians(
    work: Callable[[], Any], n: int, repeats: int = REPEATS, compiled: bool = False
) -> dict[str, dict[str, float]]:
    """Microseconds an event of each backend, or of the compiled ones: CPU and wall."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names()[int(compiled) :]}
    for repeat in range(repeats + 1):
        for name, own in times.items():
            with backend(name):
                start = time.process_time(), time.perf_counter()
                work()
                spent = time.process_time() - start[0], time.perf_counter() - start[1]
            if repeat:  # the first warms up
                own.append((spent[0] / n * 1e6, spent[1] / n * 1e6))
    return {name: dict(zip(("cpu", "wall"), np.median(own, axis=0), strict=True)) for name, own in times.items()}


def models(bench: Bench, seed: int) -> Iterator[tuple[str, Any, Any]]:
    """Tables with their fitted models and conditions to ask for."""
    from buff import BUFF
    from buff.datasets import INDEPENDENT_OBSERVABLES, load_jets

    n = bench.rows(10_000, 500)
    tiny: dict[str, Any] = {"n_steps": 4, "n_estimators": 3, "noise_budget": 5_000} if bench.quick else {}
    settings = tiny | {"random_state": seed, "n_jobs": 1}
    tops = load_jets("t", n=n)
    X = tops.to_numpy(INDEPENDENT_OBSERVABLES)
    pt = tops.to_numpy(["jet_pt"])[:, 0]
    yield "jets", BUFF(**settings).fit(X), None
    yield "conditional", BUFF(**settings).fit(X, condition=pt), pt
    whole = load_jets(n=n // 5)
    labels = np.asarray(whole["jet_class"])
    yield "classes", BUFF(**settings).fit(whole.to_numpy(INDEPENDENT_OBSERVABLES), condition=labels), labels
    import pandas as pd

    columns = {name: np.asarray(whole[name]) for name in (*INDEPENDENT_OBSERVABLES, "multiplicity", "z_g", "jet_class")}
    yield "mixed", BUFF(**settings).fit(pd.DataFrame(columns)), None


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        for table, model, condition in models(bench, seed):
            yield from sampled(bench, table, model, condition, seed)
            if table == "jets":
                yield from by_batch(bench, model, seed)
                yield from one_by_one(model, seed)
                yield Measurement("file", seed, {"megabytes": size(model)}, table)
        yield from trees(bench, seed)


def sampled(bench: Bench, table: str, model: Any, condition: Any, seed: int) -> Iterator[Measurement]:
    """Whole samples, on one thread and on two."""
    n = bench.rows(EVENTS, 2_000) or EVENTS
    given = None if condition is None else np.resize(condition, n)
    for threads in (1, 2):
        model.set_params(n_jobs=threads)
        where = table if threads == 1 else f"{table}, 2 threads"
        draw = partial(model.sample, n, condition=given, random_state=seed)
        for name, values in medians(draw, n).items():
            yield Measurement(name, seed, values, where)
    model.set_params(n_jobs=1)


def by_batch(bench: Bench, model: Any, seed: int) -> Iterator[Measurement]:
    for n in (1, 10, 100, 1_000, 10_000, 100_000, *(() if bench.quick else (1_000_000,))):
        repeats = 1 if n > 50_000 else REPEATS
        for name, values in medians(partial(model.sample, n, random_state=seed), n, repeats).items():
            yield Measurement(name, seed, values, f"jets, {n:,} at once")


def one_by_one(model: Any, seed: int) -> Iterator[Measurement]:
    """Events of the sampler for event loops beside tables of one row."""
    n, sampler = 2_000, model.sampler(seed)
    for name, values in medians(lambda: [sampler.draw(i) for i in range(n)], n, compiled=True).items():
        yield Measurement(f"{SINGLE}, {name}", seed, values, "jets")
    start = time.process_time(), time.perf_counter()
    with backend("xgboost"):
        for i in range(50):
            model.sample(1, first_event=i, random_state=seed)
    spent = time.process_time() - start[0], time.perf_counter() - start[1]
    yield Measurement(ROW, seed, {"cpu": spent[0] / 50 * 1e6, "wall": spent[1] / 50 * 1e6}, "jets")


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
        what = f"{f} features, depth {depth}, {layout} leaves"
        for name, values in medians(partial(forest, x), visits).items():
            yield Measurement(name, seed, {"visit": values["cpu"] * 1e3}, what)


def size(model: Any) -> float:
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.buff")
        model.save(path)
        return path.stat().st_size / 1e6


RATIOS = {name: Comparison(name, "xgboost", "cpu") for name in COMPILED}
CASE = Case(
    "speed",
    "time of an event by backend, batch, threads, width and depth",
    (
        Quantity("cpu", "CPU an event", "us", 2),
        Quantity("wall", "time an event", "us", 2),
        Quantity("visit", "CPU a visit of a node", "ns", 3),
        Quantity("megabytes", "file", "MB", 2),
    ),
    measure,
    tuple(RATIOS.values()),
    (
        Target(RATIOS["avx512"].name, "cpu", 1 / 10, "jets"),
        Target(RATIOS["avx2"].name, "cpu", 1 / 6, "jets"),
        Target(RATIOS["scalar"].name, "cpu", 1 / 2, "jets"),
        *(Target(RATIOS["avx512"].name, "cpu", 1 / 4, table) for table in ("conditional", "classes", "mixed")),
        Target(f"{SINGLE}, avx512", "cpu", 30, "jets"),
        Target("file", "megabytes", 1.5, "jets"),
    ),
)
