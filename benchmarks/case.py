"""What a case is: quantities, a generator of measurements, and targets on the figures they make."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.records import Comparison, Measurement, Quantity, Target

__all__ = ["Bench", "Case"]


@dataclass(frozen=True)
class Bench:
    """What the command line settles for every case.

    Attributes
    ----------
    data : Path
        Folder of the tables, see the README of this folder.
    seeds : tuple of int
        One repetition each: of the split, the training, the sampling and the classifiers.
    quick : bool
        Few rows, nodes and trees: shows that everything runs, its figures mean nothing.
    n_jobs : int
        Processes that training may use.
    forest_diffusion : Path or None
        Python interpreter of an environment with ForestDiffusion; None leaves it out.
    forest_diffusion_seeds : int or None
        How many of the seeds it takes part in; None is all.
    only : tuple of str
        Methods or tables to measure; empty for all.
    """

    data: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    quick: bool = False
    n_jobs: int = 1
    forest_diffusion: Path | None = None
    forest_diffusion_seeds: int | None = None
    only: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        """Whether a method or table is to be measured."""
        return not self.only or name in self.only

    def file(self, name: str) -> Path:
        """A file of the data folder; FileNotFoundError if it is not there."""
        path = self.data / name
        if not path.is_file():
            raise FileNotFoundError(f"no {path}")
        return path

    def rows(self, usual: int | None, quick: int) -> int | None:
        return quick if self.quick else usual

    def with_forest_diffusion(self, seed: int) -> bool:
        """Whether it takes part; says how to get it if it is not there."""
        if self.forest_diffusion is None:
            sys.stderr.write("without ForestDiffusion: see benchmarks/README.md, then give --fd-python\n")
            return False
        return seed in self.seeds[: self.forest_diffusion_seeds]


@dataclass(frozen=True)
class Case:
    """A declared experiment.

    Attributes
    ----------
    name, summary : str
        Name on the command line, and one sentence.
    quantities : tuple of Quantity
        Columns of the printed table.
    measure : callable
        Bench -> iterator of Measurement; the record is saved after each.
    comparisons, targets
        What is made of the measurements.
    """

    name: str
    summary: str
    quantities: tuple[Quantity, ...]
    measure: Callable[[Bench], Iterator[Measurement]]
    comparisons: tuple[Comparison, ...] = ()
    targets: tuple[Target, ...] = ()
