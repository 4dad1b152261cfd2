"""What a run leaves behind: measurements, the figures made of them, and whether the targets are met."""

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from math import isfinite, nan
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

__all__ = [
    "FLOOR",
    "Comparison",
    "Figure",
    "Machine",
    "Measurement",
    "Quantity",
    "Record",
    "Target",
    "Verdict",
]

#: The method that is no generator: real rows in place of generated ones.
FLOOR = "floor (real rows)"
PACKAGES = ("buff-flow", "numpy", "scipy", "scikit-learn", "xgboost", "joblib", "pyarrow")


@dataclass(frozen=True)
class Quantity:
    """A number that a case measures; ``unit`` is printed, ``digits`` are those after the point."""

    name: str
    label: str
    unit: str = ""
    digits: int = 3

    @property
    def heading(self) -> str:
        return f"{self.label} [{self.unit}]" if self.unit else self.label


@dataclass(frozen=True)
class Measurement:
    """What one method did on one table with one seed."""

    method: str
    seed: int
    values: Mapping[str, float]
    table: str = ""


@dataclass(frozen=True)
class Comparison:
    """One method beside another, seed by seed: a ratio or a difference of the same quantity."""

    method: str
    against: str
    quantity: str
    kind: Literal["ratio", "difference"] = "ratio"

    @property
    def name(self) -> str:
        return f"{self.method} {'/' if self.kind == 'ratio' else '-'} {self.against}"

    def of(self, value: float, against: float) -> float:
        if self.kind == "difference":
            return value - against
        return value / against if against else nan


@dataclass(frozen=True)
class Target:
    """An upper limit on the mean of a figure.

    ``method`` may be the name of a comparison; the table ``""`` stands for every table.
    """

    method: str
    quantity: str
    at_most: float
    table: str = ""


@dataclass(frozen=True)
class Figure:
    """A quantity of one method on one table over the seeds, with the floor beside it."""

    table: str
    method: str
    quantity: str
    values: tuple[float, ...]
    floor: float | None = None

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; nan for a single one."""
        return stdev(self.values) if len(self.values) > 1 else nan


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured."""

    target: Target
    table: str
    measured: float

    @property
    def met(self) -> bool:
        return self.measured <= self.target.at_most


@dataclass(frozen=True)
class Machine:
    """Where a run took place."""

    cores: int
    platform: str
    python: str
    versions: Mapping[str, str]

    @classmethod
    def here(cls) -> "Machine":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cls(cores, platform.platform(), platform.python_version(), dict(_versions(PACKAGES)))


@dataclass(frozen=True)
class Record:
    """One run of one case."""

    case: str
    started: str
    settings: Mapping[str, Any]
    machine: Machine
    quantities: tuple[Quantity, ...]
    comparisons: tuple[Comparison, ...] = ()
    targets: tuple[Target, ...] = ()
    measurements: tuple[Measurement, ...] = field(default=())

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables, in the order of measurement."""
        return tuple(dict.fromkeys(m.table for m in self.measurements))

    def figures(self) -> tuple[Figure, ...]:
        """Every method and comparison, in the order of measurement."""
        return (*self._measured(), *self._compared())

    def digits(self, figure: Figure) -> int:
        """Digits after the point to print: those of the quantity, three for a ratio."""
        if figure.method in {c.name for c in self.comparisons if c.kind == "ratio"}:
            return 3
        return next(q.digits for q in self.quantities if q.name == figure.quantity)

    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(
            Verdict(target, figure.table, figure.mean)
            for target in self.targets
            for figure in self.figures()
            if (figure.method, figure.quantity) == (target.method, target.quantity)
            and target.table in ("", figure.table)
        )

    def save(self, path: Path) -> None:
        """One JSON: the measurements, from which all else follows, and the figures for a reader."""
        figures = [asdict(f) | {"mean": f.mean, "spread": f.spread, "seeds": len(f.values)} for f in self.figures()]
        verdicts = [asdict(v) | {"met": v.met} for v in self.verdicts()]
        path.parent.mkdir(parents=True, exist_ok=True)
        content = _without_nan(asdict(self) | {"figures": figures, "verdicts": verdicts})
        path.write_text(json.dumps(content, indent=1, default=str) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Record":
        content = json.loads(path.read_text())
        return cls(
            content["case"],
            content["started"],
            content["settings"],
            Machine(**content["machine"]),
            tuple(Quantity(**q) for q in content["quantities"]),
            tuple(Comparison(**c) for c in content["comparisons"]),
            tuple(Target(**t) for t in content["targets"]),
            tuple(Measurement(**m) for m in content["measurements"]),
        )

    def values(self, table: str, method: str, quantity: str) -> dict[int, float]:
        """Value by seed, where there is one."""
        rows = [m for m in self.measurements if (m.table, m.method) == (table, method)]
        found = {m.seed: m.values.get(quantity) for m in rows}
        return {seed: value for seed, value in found.items() if value is not None and isfinite(value)}

    def _measured(self) -> Iterator[Figure]:
        for table, method in dict.fromkeys((m.table, m.method) for m in self.measurements):
            for quantity in (q.name for q in self.quantities):
                if values := self.values(table, method, quantity):
                    floor = self.values(table, FLOOR, quantity) if method != FLOOR else {}
                    beside = fmean(floor.values()) if floor else None
                    yield Figure(table, method, quantity, tuple(values.values()), beside)

    def _compared(self) -> Iterator[Figure]:
        for table in self.tables:
            for comparison in self.comparisons:
                mine = self.values(table, comparison.method, comparison.quantity)
                other = self.values(table, comparison.against, comparison.quantity)
                if shared := sorted(mine.keys() & other.keys()):
                    values = tuple(comparison.of(mine[seed], other[seed]) for seed in shared)
                    yield Figure(table, comparison.name, comparison.quantity, values)


def _versions(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    for package in packages:
        with suppress(PackageNotFoundError):
            yield package, version(package)


def _without_nan(content: Any) -> Any:
    """JSON has no nan: null stands for it."""
    if isinstance(content, Mapping):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not isfinite(content) else content
