"""Networks of states and of the frame of the Gaussian part, and trees: quality at equal training time."""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.cases.closer import top_jets
from benchmarks.cases.networks import SAMPLED, Network
from benchmarks.cases.transport import JUDGES, judge
from benchmarks.methods import BUFF
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity

FORMS = {"states": "none", "frame": "gaussian"}
SECONDS = (20, 80)
METHODS = (
    BUFF,
    *(
        Network(
            f"network of {form}, {n} s",
            {"frame": frame, "hidden": (128,) * 3, "max_seconds": float(n), "learning_rate": 2e-3} | SAMPLED,
        )
        for n in SECONDS
        for form, frame in FORMS.items()
    ),
)
QUANTITIES = (
    *(Quantity(f"excess_{name}", f"AUC - floor, {name}") for name in JUDGES),
    *(Quantity(f"auc_{name}", f"AUC {name}") for name in JUDGES),
    Quantity("train_cpu", "train CPU", "s", 1),
    Quantity("sample_cpu", "sample CPU", "µs/event", 1),
)


def measure(bench: Bench) -> Iterator[Measurement]:
    """Floor and every method, on the halves of ``closer``."""
    for seed in bench.seeds:
        half = top_jets(bench, seed)
        n = len(half.test)
        floor = judge(half.test, half.train[:n], seed)
        yield Measurement(FLOOR, seed, floor)
        for method in filter(lambda own: bench.wants(own.name), METHODS):
            start = time.process_time()
            model = (method.quick() if bench.quick else method).fit(np.asarray(half.train), None, seed, 1)
            trained = time.process_time()
            table = model.sample(n, random_state=1000 + seed)
            sampled = time.process_time()
            values = judge(half.test, table, seed)
            values |= {f"excess_{k}": values[f"auc_{k}"] - floor[f"auc_{k}"] for k in JUDGES}
            values |= {"train_cpu": trained - start, "sample_cpu": 1e6 * (sampled - trained) / n}
            yield Measurement(method.name, seed, values)


CASE = Case(
    "frames",
    "networks of states and of the Gaussian frame beside trees: quality at equal training time",
    QUANTITIES,
    measure,
    tuple(
        Comparison(f"network of frame, {n} s", f"network of states, {n} s", f"excess_{k}", "difference")
        for n in SECONDS
        for k in JUDGES
    ),
)
