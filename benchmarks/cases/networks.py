"""Trees beside networks of the same preprocessing and samplers: quality against training time, on jets and toys."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.contest import contest
from benchmarks.data import Halves, jets
from benchmarks.methods import BUFF, COSTS, Buff
from benchmarks.quality import QUALITY
from benchmarks.records import Comparison, Measurement, Target

TOYS = ("moons", "pinwheel", "checkerboard")
TOY_ROWS = 4000


@dataclass(frozen=True)
class Network:
    """A baseline with the options given, trained for so many seconds of one core."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "NeuralFlow"

    def fit(self, X: Any, condition: Any, seed: int, n_jobs: int) -> Any:
        import buff_baselines
        import torch

        torch.set_num_threads(1)
        options = {"n_iterations": 10**6, **self.options, "random_state": seed}
        return getattr(buff_baselines, self.kind)(**options).fit(X, condition=condition)

    def quick(self) -> Self:
        return replace(self, options={**self.options, "max_seconds": 1.0, "hidden": (32, 32)})


#: Twenty evaluations, with which networks are about as good as they get, however little they were trained.
SAMPLED = {"solver": "heun", "n_steps": 10}
#: Networks of states; those of the Gaussian frame, which are the default, stand in ``frames``.
_STATES = {"frame": "none"} | SAMPLED
MINUTES = {n: Network(f"flow network, {n} min", {"max_seconds": 60.0 * n} | _STATES) for n in (1, 5, 20)}
EDM = Network("EDM network, 5 min", {"max_seconds": 300.0}, "NeuralDiffusion")
#: The trees at a third of their usual price, and at a few times of it.
SMALL = Buff("buff, smaller", {"noise_budget": 40_000})
LARGE = Buff("buff, larger", {"noise_budget": 400_000, "n_estimators": 16, "n_steps": 16})


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        half = jets(bench, "t", seed, bench.rows(None, 400))
        yield from contest(half, (SMALL, BUFF, LARGE, *MINUTES.values(), EDM), seed, bench, "top jets")
        for name in TOYS:
            yield from contest(toy(name, seed, bench), (BUFF, MINUTES[1]), seed, bench, name)


def toy(name: str, seed: int, bench: Bench) -> Halves:
    """Half of the rows of a two-dimensional toy to learn from, half to judge."""
    from buff.datasets import TOYS as MAKERS

    rows = np.asarray(MAKERS[name]().sample(2 * bench.rows(TOY_ROWS, 300), random_state=seed))
    return Halves(rows[: len(rows) // 2], rows[len(rows) // 2 :])


DEAR = MINUTES[20].name
CASE = Case(
    "networks",
    "trees beside flow-matching and EDM networks: quality against training time",
    (*QUALITY, *COSTS),
    measure,
    (
        Comparison(BUFF.name, DEAR, "train_cpu"),
        Comparison(BUFF.name, DEAR, "sample_cpu"),
        Comparison(BUFF.name, DEAR, "auc_trees", "difference"),
    ),
    (
        Target(BUFF.name, "auc_trees", 0.53, "top jets"),
        Target(f"{BUFF.name} / {DEAR}", "train_cpu", 0.1, "top jets"),
        Target(f"{BUFF.name} / {DEAR}", "sample_cpu", 0.1, "top jets"),
    ),
)
