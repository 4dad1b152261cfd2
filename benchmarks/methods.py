"""The generators that are compared, each trained and sampled in a process of its own under a meter."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any, Protocol, Self

from benchmarks.case import Bench
from benchmarks.costs import Cost, Meter, in_fresh_process
from benchmarks.records import Quantity

__all__ = ["BUFF", "COPULA", "COSTS", "RECIPE", "Buff", "Method", "Recipe", "Trial", "run_trial"]

#: Rows drawn before the clock starts: the first call of a predictor prepares more than it predicts.
WARM_UP = 100

COSTS = (
    Quantity("train_cpu", "train CPU", "s", 1),
    Quantity("train_wall", "train", "s", 1),
    Quantity("sample_wall", "sample", "µs/event", 1),
    Quantity("sample_cpu", "sample CPU", "µs/event", 1),
    Quantity("memory", "peak memory", "MB", 0),
    Quantity("memory_over_plan", "peak / plan", "", 2),
)


class Method(Protocol):
    """A generator by name; ``fit`` returns something with ``sample``."""

    @property
    def name(self) -> str: ...

    def fit(self, X: Any, condition: Any, seed: int, n_jobs: int) -> Any: ...

    def quick(self) -> Self:
        """The same with as few nodes and trees as will do to see it run."""
        ...


@dataclass(frozen=True)
class Buff:
    """:class:`buff.BUFF` with the options given, its defaults otherwise."""

    name: str = "buff"
    options: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, X: Any, condition: Any, seed: int, n_jobs: int) -> Any:
        from buff import BUFF

        return BUFF(**self.options, random_state=seed, n_jobs=n_jobs).fit(X, condition=condition)

    def quick(self) -> Self:
        return replace(self, options={"n_steps": 4, "n_estimators": 5, **self.options})


@dataclass(frozen=True)
class Recipe:
    """:class:`buff.generators.published.PublishedBUFF`; it knows no conditions."""

    name: str = "BUFF recipe"
    options: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, X: Any, condition: Any, seed: int, n_jobs: int) -> Any:
        from buff.generators.published import PublishedBUFF

        return PublishedBUFF(**self.options, random_state=seed, n_jobs=n_jobs).fit(X)

    def quick(self) -> Self:
        tiny = {"n_nodes": 5, "n_steps": 5, "noise_draws": 2, "n_estimators": 5}
        return replace(self, options={**tiny, **self.options})


@dataclass(frozen=True)
class Trial:
    """What came out of a method, and what it cost.

    Attributes
    ----------
    generated : table
        In the container of the training table.
    training, sampling : Cost
    planned_memory : float
        Bytes announced before training; nan where a method has no plan.
    """

    generated: Any
    training: Cost
    sampling: Cost
    planned_memory: float = nan

    def costs(self) -> dict[str, float]:
        """Values of :data:`COSTS`."""
        events = len(self.generated)
        return {
            "train_cpu": self.training.cpu,
            "train_wall": self.training.wall,
            "sample_wall": self.sampling.wall / events * 1e6,
            "sample_cpu": self.sampling.cpu / events * 1e6,
            "memory": self.training.memory / 1e6,
            "memory_over_plan": self.training.memory / self.planned_memory,
        }


BUFF = Buff()
#: Exact marginals and a Gaussian for all the rest: what buff is without its trees.
COPULA = Buff("Gaussian copula", {"n_estimators": 0})
RECIPE = Recipe()


def run_trial(
    method: Method, X: Any, n_samples: int, seed: int, bench: Bench, condition: Any = None, wanted: Any = None
) -> Trial:
    """Train on X, draw ``n_samples`` rows under the conditions ``wanted``, both metered."""
    chosen = method.quick() if bench.quick else method
    return in_fresh_process(_trial, chosen, X, n_samples, seed, bench.n_jobs, condition, wanted)


def _trial(method: Method, X: Any, n_samples: int, seed: int, n_jobs: int, condition: Any, wanted: Any) -> Trial:
    import xgboost  # noqa: F401  (loading libraries is no part of training)

    import buff.generators  # noqa: F401

    with Meter() as training:
        model = method.fit(X, condition, seed, n_jobs)
    few = min(WARM_UP, n_samples)
    model.sample(few, **_under(None if wanted is None else wanted[:few]), random_state=seed)
    with Meter() as sampling:
        generated = model.sample(n_samples, **_under(wanted), random_state=seed + 1)
    planned = model.plan_.memory if hasattr(model, "plan_") else nan
    return Trial(generated, training.cost, sampling.cost, planned)


def _under(wanted: Any) -> dict[str, Any]:
    """The recipe has no such argument at all."""
    return {} if wanted is None else {"condition": wanted}
