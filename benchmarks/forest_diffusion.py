"""ForestDiffusion as a peer: run by another interpreter, tables exchanged as files."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np

from benchmarks.case import Bench
from benchmarks.costs import Cost
from benchmarks.methods import Trial

__all__ = ["Coding", "ForestDiffusion", "Kinds"]

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Kinds:
    """Numbers of the columns that are not continuous; those named nowhere are."""

    categorical: Sequence[int] = ()
    binary: Sequence[int] = ()
    integer: Sequence[int] = ()


@dataclass(frozen=True)
class Coding:
    """Codes 0, 1, ... in place of the values of some columns, as ForestDiffusion wants its categories."""

    levels: Mapping[int, np.ndarray]

    @classmethod
    def of(cls, X: np.ndarray, columns: Sequence[int]) -> Self:
        return cls({column: np.unique(X[:, column]) for column in columns})

    def encode(self, X: np.ndarray) -> np.ndarray:
        coded = X.copy()
        for column, levels in self.levels.items():
            coded[:, column] = np.searchsorted(levels, X[:, column])
        return coded.astype(float)

    def decode(self, coded: np.ndarray) -> np.ndarray:
        X = coded.astype(np.result_type(coded, *self.levels.values()))
        for column, levels in self.levels.items():
            X[:, column] = levels[coded[:, column].astype(int)]
        return X


@dataclass(frozen=True)
class ForestDiffusion:
    """ForestDiffusion 1.0.6, flow matching, its defaults but for the three numbers below.

    Attributes
    ----------
    n_t, duplicate_K, n_estimators : int
        Nodes, noise draws a row, and rounds: its own defaults are 50, 100 and 100.

    References
    ----------
    A. Jolicoeur-Martineau, K. Fatras and T. Kachman (2023), arXiv:2309.09968.
    """

    n_t: int = 20
    duplicate_K: int = 10
    n_estimators: int = 100

    @property
    def name(self) -> str:
        return "ForestDiffusion"

    def quick(self) -> Self:
        return replace(self, n_t=4, duplicate_K=2, n_estimators=5)

    def trial(self, X: np.ndarray, kinds: Kinds, n_samples: int, seed: int, bench: Bench) -> Trial:
        """Train on X and draw rows; RuntimeError with its last lines if the other interpreter fails."""
        settings = self.quick() if bench.quick else self
        coding = Coding.of(X, (*kinds.categorical, *kinds.binary))
        task = {"X": coding.encode(X), "n_samples": n_samples, "seed": seed, "n_jobs": bench.n_jobs}
        columns = {name: np.asarray(numbers, dtype=int) for name, numbers in asdict(kinds).items()}
        with TemporaryDirectory() as folder:
            source, target = Path(folder, "task.npz"), Path(folder, "result.npz")
            np.savez(source, **task, **columns, **asdict(settings))
            command = [bench.forest_diffusion, "-m", "benchmarks.forest_diffusion_worker", source, target]
            words = [str(word) for word in command]
            done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{words[0]} could not run ForestDiffusion:\n{done.stderr[-1500:]}")
            result = np.load(target)
            generated = coding.decode(result["generated"])
            return Trial(generated, Cost(*result["training"].tolist()), Cost(*result["sampling"].tolist()))
