"""Five classes of jets: one model with the class as condition beside a model for each class."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.data import Halves, jets
from benchmarks.methods import BUFF, run_trial
from benchmarks.quality import QUALITY, floor, quality
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity, Target

CLASSES = {"g": "gluon", "q": "light quark", "t": "top", "w": "W", "z": "Z"}
EVERY = "mean over the classes"
ONE, FIVE = "one model", "five models"

Data: TypeAlias = Mapping[str, Halves]


@dataclass(frozen=True)
class Generated:
    """Rows of each class, and the CPU seconds of training for all of them."""

    rows: Mapping[str, np.ndarray]
    train_cpu: float


def from_five_models(data: Data, seed: int, bench: Bench) -> Generated:
    trials = {name: run_trial(BUFF, half.train, len(half.test), seed, bench) for name, half in data.items()}
    rows = {name: trial.generated for name, trial in trials.items()}
    return Generated(rows, sum(trial.training.cpu for trial in trials.values()))


def from_one_model(data: Data, seed: int, bench: Bench) -> Generated:
    X = np.concatenate([half.train for half in data.values()])
    given = np.repeat(list(data), [len(half.train) for half in data.values()])
    wanted = np.repeat(list(data), [len(half.test) for half in data.values()])
    trial = run_trial(BUFF, X, len(wanted), seed, bench, given, wanted)
    return Generated({name: trial.generated[wanted == name] for name in data}, trial.training.cpu)


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        data = {name: jets(bench, name, seed, bench.rows(None, 300)) for name in CLASSES}
        yield from by_class(FLOOR, {name: floor(half, seed) for name, half in data.items()}, seed)
        for method, generate in ((FIVE, from_five_models), (ONE, from_one_model)):
            generated = generate(data, seed, bench)
            found = {name: quality(half, generated.rows[name], seed) for name, half in data.items()}
            yield from by_class(method, found, seed, {"train_cpu": generated.train_cpu})


def by_class(
    method: str, found: Mapping[str, Mapping[str, float]], seed: int, cost: Mapping[str, float] | None = None
) -> Iterator[Measurement]:
    """A measurement of each class, then their mean with the cost of all."""
    for name, values in found.items():
        yield Measurement(method, seed, values, CLASSES[name])
    means = {quantity: fmean(values[quantity] for values in found.values()) for quantity in found["t"]}
    yield Measurement(method, seed, means | dict(cost or {}), EVERY)


DIFFERENCES = tuple(Comparison(ONE, FIVE, auc, "difference") for auc in ("auc_trees", "auc_mlp"))
CASE = Case(
    "classes",
    "five classes of jets: one conditional model beside five models",
    (*QUALITY, Quantity("train_cpu", "train CPU", "s", 1)),
    measure,
    (*DIFFERENCES, Comparison(ONE, FIVE, "train_cpu")),
    tuple(Target(difference.name, difference.quantity, 0.02, EVERY) for difference in DIFFERENCES),
)
