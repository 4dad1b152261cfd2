"""ForestDiffusion as a peer: run by another interpreter, tables exchanged as files."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from benchmarks.case import Bench
from benchmarks.costs import Cost
from benchmarks.methods import Trial

__all__ = ["Coding", "ForestDiffusion", "ForestDiffusionCells", "Kinds"]

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
            result = _worked(bench.forest_diffusion, Path(folder), task | columns | asdict(settings))
            generated = coding.decode(result["generated"])
            return Trial(generated, Cost(*result["training"].tolist()), Cost(*result["sampling"].tolist()))


@dataclass
class ForestDiffusionCells:
    """Completions of the table that it was trained on, by its diffusion; ``python`` has it installed.

    Trained on ``duplicate_K`` noise draws a row in place of its 100, else by its defaults.
    """

    python: Path
    duplicate_K: int = 10
    n_draws: int = 24
    name: str = "ForestDiffusion"

    def fit(self, table: np.ndarray, seed: int) -> None:
        nothing = np.empty(0, dtype=int)
        task = {"X": table, "seed": seed, "n_jobs": 1, "n_draws": self.n_draws, "duplicate_K": self.duplicate_K}
        task |= {"n_t": 50, "n_estimators": 100, **dict.fromkeys(("categorical", "binary", "integer"), nothing)}
        with TemporaryDirectory() as folder:
            result = _worked(self.python, Path(folder), task)
        self.found = result["generated"]
        fit, draw = (Cost(*result[name].tolist()).cpu for name in ("training", "sampling"))
        self.costs = {"fit_cpu": fit, "draw_cpu": draw / self.n_draws}

    def draws(self, table: np.ndarray, m: int) -> np.ndarray:
        return self.found[:m]


def _worked(python: Path | None, folder: Path, task: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
    """What the other interpreter makes of a task; RuntimeError with its last lines if it fails."""
    source, target = folder / "task.npz", folder / "result.npz"
    np.savez(source, **task)
    words = [str(word) for word in (python, "-m", "benchmarks.forest_diffusion_worker", source, target)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words[0]} could not run ForestDiffusion:\n{done.stderr[-1500:]}")
    return dict(np.load(target))
