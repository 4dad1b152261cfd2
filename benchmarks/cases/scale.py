"""A million rows of ten columns to learn, ten million events to a file: time, and memory beside the plan."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.costs import Meter, in_fresh_process
from benchmarks.records import Comparison, Measurement, Quantity, Target

COLUMNS = ("mass", "pt", "eta", "phi", "multiplicity", "width", "tau21", "impact", "charge", "energy")
ROWS, EVENTS, BATCH = 1_000_000, 10_000_000, 100_000
TENTH, ALL = "sample a tenth of the events", "sample all events"
CONSTANT = Comparison(ALL, TENTH, "memory")


def events(n: int, seed: int = 0) -> np.ndarray:
    """Made events: a resonance, falling pT, uniform angles, counts, an exact zero, a sign and a product."""
    rng = np.random.default_rng(seed)
    pt = 25 + rng.exponential(30, n)
    eta = rng.normal(0, 1.5, n)
    multiplicity = rng.poisson(5 + 0.2 * pt)
    width = rng.beta(2, 8, n) * 30 / pt
    columns = (
        np.clip(91.2 + 1.25 * rng.standard_cauchy(n), 60, 120),
        pt,
        eta,
        rng.uniform(-np.pi, np.pi, n),
        multiplicity,
        width,
        rng.beta(3 + width, 2, n),
        np.where(rng.random(n) < 0.4, 0, rng.exponential(1, n)),
        rng.choice([-1, 1], n),
        pt * np.cosh(np.clip(eta, -4, 4)),
    )
    return np.column_stack(columns).astype(np.float32)


def measure(bench: Bench) -> Iterator[Measurement]:
    n_rows, n_events = (4_000, 20_000) if bench.quick else (ROWS, EVENTS)
    for seed in bench.seeds:
        with TemporaryDirectory() as folder:
            model = Path(folder, "model.buff")
            yield Measurement("fit", seed, in_fresh_process(fit, n_rows, seed, bench, model))
            for name, n in ((TENTH, n_events // 10), (ALL, n_events)):
                values = in_fresh_process(sample, n, seed, bench, model, Path(folder, "events.parquet"))
                yield Measurement(name, seed, values)


def fit(n_rows: int, seed: int, bench: Bench, path: Path) -> dict[str, float]:
    """Train within the memory that the plan of the same settings asks for."""
    from buff import BUFF

    X = events(n_rows)
    tiny: dict[str, Any] = {"n_steps": 4, "n_estimators": 5} if bench.quick else {}
    model = BUFF(**tiny, n_jobs=bench.n_jobs, random_state=seed)
    planned = model.plan(X).memory
    with Meter() as meter:
        model.set_params(max_memory=planned).fit(X)
    model.save(path)
    return {
        "wall": meter.cost.wall,
        "cpu": meter.cost.cpu,
        "rate": n_rows / meter.cost.wall,
        "memory": meter.cost.memory / 1e6,
        "memory_over_plan": meter.cost.memory / planned,
    }


def sample(n_events: int, seed: int, bench: Bench, path: Path, target: Path) -> dict[str, float]:
    """Write the events batch after batch."""
    import buff
    from buff.io import TableWriter

    model = buff.load(path).set_params(n_jobs=bench.n_jobs)
    with Meter() as meter, TableWriter(target, names=COLUMNS) as out:
        for first in range(0, n_events, BATCH):
            n = min(BATCH, n_events - first)
            out.write(model.sample(n, random_state=seed, first_event=first))
    values = {"wall": meter.cost.wall, "cpu": meter.cost.cpu, "rate": n_events / meter.cost.wall}
    return values | {"memory": meter.cost.memory / 1e6}


CASE = Case(
    "scale",
    "a million rows of ten columns to learn, ten million events to a file",
    (
        Quantity("wall", "time", "s", 1),
        Quantity("cpu", "CPU", "s", 1),
        Quantity("rate", "rows or events", "1/s", 0),
        Quantity("memory", "peak memory", "MB", 0),
        Quantity("memory_over_plan", "peak / plan", "", 2),
    ),
    measure,
    (CONSTANT,),
    (Target("fit", "memory_over_plan", 1.2), Target(CONSTANT.name, "memory", 1.1)),
)
