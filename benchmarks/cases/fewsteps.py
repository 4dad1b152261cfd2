"""Few field evaluations: students of trees and of a network, and trees whose noise is paired with near rows.

The names of methods end with their number of field evaluations an event.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.cases.networks import MINUTES, TOYS, toy
from benchmarks.contest import contest
from benchmarks.data import jets
from benchmarks.methods import COSTS, Buff, Method
from benchmarks.quality import QUALITY
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity, Target

SLICED = Quantity("sliced_w1", "sliced W1 x 1000", digits=1)


@dataclass(frozen=True)
class Taught:
    """A method whose model is kept in a file for students."""

    teacher: Method
    file: Path

    @property
    def name(self) -> str:
        return self.teacher.name

    def fit(self, X: Any, condition: Any, seed: int, n_jobs: int) -> Any:
        model = self.teacher.fit(X, condition, seed, n_jobs)
        model.save(self.file)
        return model

    def quick(self) -> Self:
        return replace(self, teacher=self.teacher.quick())


@dataclass(frozen=True)
class Student:
    """What a model in a file teaches in ``n_steps`` evaluations; its cost leaves out that of the teacher."""

    name: str
    file: Path
    n_steps: int
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, X: Any, condition: Any, seed: int, n_jobs: int) -> Any:
        import buff

        return buff.load(self.file).distill(self.n_steps, method=self.method, n_jobs=n_jobs, **self.options)

    def quick(self) -> Self:
        return replace(self, options={"n_samples": 2000, "n_estimators": 5})


@dataclass(frozen=True)
class NeuralStudent(Student):
    """Likewise for a network."""

    def fit(self, X: Any, condition: Any, seed: int, n_jobs: int) -> Any:
        import buff_baselines
        import torch

        torch.set_num_threads(1)
        teacher = buff_baselines.load(self.file)
        return buff_baselines.distill(teacher, self.n_steps, self.method, random_state=seed, **self.options)

    def quick(self) -> Self:
        return replace(self, options={"n_iterations": 5})


#: Trees with all evaluations, and a network of one minute of training; its rule asks twice a step.
FULL = Buff("buff, 10")
NETWORK = replace(MINUTES[1], name="flow network, 20")
#: The default solver asks once a step.
PAIRED = tuple(
    Buff(f"{coupling} pairs, {n}", {"n_steps": n, "coupling": coupling})
    for n in (1, 2, 4, 8)
    for coupling in ("independent", "transport")
)


def students(file: Path) -> tuple[Student, ...]:
    """In one step both ways to distill are the same."""
    ways = (("velocity", 4), ("velocity", 2), ("reflow", 2), ("velocity", 1))
    return tuple(Student(f"student by {method}, {n}", file, n, method) for method, n in ways)


def neural_students(file: Path) -> tuple[NeuralStudent, ...]:
    ways, options = (("progressive", 2), ("progressive", 1), ("consistency", 2)), {"n_iterations": 1000}
    return tuple(NeuralStudent(f"network by {method}, {n}", file, n, method, options) for method, n in ways)


def measure(bench: Bench) -> Iterator[Measurement]:
    for part in (trees, toys, networks):
        for seed in bench.seeds:
            yield from part(seed, bench)


def trees(seed: int, bench: Bench) -> Iterator[Measurement]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "teacher.buff"
        methods: tuple[Method, ...] = (Taught(FULL, file), *students(file), *PAIRED)
        yield from contest(jets(bench, "t", seed, bench.rows(None, 400)), methods, seed, bench, "top jets")


def networks(seed: int, bench: Bench) -> Iterator[Measurement]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "teacher.safetensors"
        methods: tuple[Method, ...] = (Taught(NETWORK, file), *neural_students(file))
        half = jets(bench, "t", seed, bench.rows(None, 400))
        yield from (m for m in contest(half, methods, seed, bench, "top jets") if m.method != FLOOR)


def toys(seed: int, bench: Bench) -> Iterator[Measurement]:
    """Distances alone, all in this process."""
    for name in TOYS:
        half = toy(name, seed, bench)
        yield Measurement(FLOOR, seed, sliced(half.test, half.train), name)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "teacher.buff"
            methods: tuple[Method, ...] = (Taught(FULL, file), *students(file), *PAIRED)
            for method in methods:
                model = (method.quick() if bench.quick else method).fit(half.train, None, seed, bench.n_jobs)
                generated = model.sample(len(half.test), random_state=seed + 1)
                yield Measurement(method.name, seed, sliced(half.test, generated), name)


def sliced(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    from buff.metrics import sliced_wasserstein

    return {SLICED.name: 1000 * sliced_wasserstein(real, generated, n_bootstrap=0).value}


STUDENTS = ("student by velocity, 4", "student by velocity, 2", "student by reflow, 2", "student by velocity, 1")
CASE = Case(
    "fewsteps",
    "students and couplings: quality at 1, 2, 4, 8 field evaluations",
    (*QUALITY, SLICED, *COSTS),
    measure,
    tuple(
        Comparison(student, FULL.name, quantity, "difference")
        for student in STUDENTS
        for quantity in ("auc_trees", "auc_mlp")
    ),
    tuple(Target(f"student by velocity, 2 - {FULL.name}", auc, 0.03, "top jets") for auc in ("auc_trees", "auc_mlp")),
)
