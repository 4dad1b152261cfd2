"""Networks of states and of the Gaussian frame, trees, and trees on what a network leaves: quality against training."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.cases.closer import top_jets
from benchmarks.cases.networks import SAMPLED, Network
from benchmarks.cases.transport import JUDGES, judge
from benchmarks.methods import Buff, Method
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity
from buff import BUFF
from buff.fields import NodeField
from buff.flows import (
    FlowMatchingData,
    FlowSettings,
    GaussianPart,
    NodeModel,
    SampleRequest,
    estimate_cost,
    train_nodes,
)
from buff.solvers import get_solver, integrate
from buff.tables import read

FORMS = {"states": "none", "frame": "gaussian"}
SECONDS = (20, 80)


def network(form: str, seconds: int) -> Network:
    """A small network in one of the forms."""
    options = {"frame": FORMS[form], "hidden": (128,) * 3, "max_seconds": float(seconds), "learning_rate": 2e-3}
    return Network(f"network of {form}, {seconds} s", options | SAMPLED)


@dataclass(frozen=True)
class _Left(FlowMatchingData):
    """Pairs whose targets are what a field leaves of the velocity."""

    known: Any = None

    def problem(self, t: float, n_draws: int, rng: Any, device: str = "cpu") -> Any:
        features, targets, weights = super().problem(t, n_draws, rng, device)
        return features, targets - self.known(features, t), weights


class _Nothing(GaussianPart):
    """Frames of the Gaussian part, whose velocity is left to the network."""

    def at(self, t: float) -> tuple[Any, Any]:
        weights, bias = super().at(t)
        return 0 * weights, 0 * bias


@dataclass(frozen=True)
class _Sum:
    """The velocity of a network at a node, and what trees add to it."""

    network: Any
    t: float
    node: NodeModel

    def __call__(self, x: Any, condition: Any = None) -> Any:
        return self.network(x, self.t) + self.node(x)


@dataclass(frozen=True)
class Corrected:
    """A network, and trees at the nodes of buff's default grid that learn what it leaves."""

    name: str
    of: Network
    options: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, X: Any, condition: Any, seed: int, n_jobs: int) -> "CorrectedFlow":
        """Train the network, then the trees."""
        flow = self.of.fit(X, condition, seed, n_jobs)
        settings = BUFF(**self.options, n_jobs=n_jobs).flow_settings
        left = _Left(FlowMatchingData.of(flow.space_.bounds(read(X))).scores, known=flow.field_)
        part = left.base(np.random.default_rng(seed)).gaussian_part()
        frames = _Nothing(part.mean, part.basis, part.variances)
        nodes, _ = train_nodes(left, frames, settings, estimate_cost(left, settings), seed)
        return CorrectedFlow(flow.space_, flow.field_, part, nodes, settings)

    def quick(self) -> Self:
        return replace(self, of=self.of.quick(), options={"n_steps": 4, "n_estimators": 5})


@dataclass(frozen=True)
class CorrectedFlow:
    """What :class:`Corrected` learned."""

    space: Any
    network: Any
    part: GaussianPart
    nodes: tuple[NodeModel, ...]
    settings: FlowSettings

    @property
    def field(self) -> NodeField:
        """Network and trees at the nodes between the ends, where the Gaussian part is the velocity."""
        times = self.settings.times
        between = (t not in (0.0, 1.0) for t in times)
        sums = tuple(
            _Sum(self.network, t, node) if inside else NodeModel.of(self.part, t, None)
            for inside, t, node in zip(between, times, self.nodes, strict=True)
        )
        return NodeField(times, sums, gaussian=self.part)

    def sample(self, n: int, random_state: int) -> Any:
        """Events, in the container of the training."""
        x0 = SampleRequest(n, random_state).batch(0, n).noise()(np.empty((n, len(self.part.mean)), np.float32))
        settings = self.settings
        return self.space.inverse_transform(integrate(get_solver(settings.solver), self.field, x0, settings.time_grid))


METHODS: tuple[Method, ...] = (
    Buff(),
    *(network(form, n) for n in SECONDS for form in FORMS),
    Corrected("network of frame, 20 s, and trees", network("frame", 20)),
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
    "networks of states and of the Gaussian frame beside trees, and with trees on them: quality against training time",
    QUANTITIES,
    measure,
    tuple(
        Comparison(f"network of frame, {n} s", f"network of states, {n} s", f"excess_{k}", "difference")
        for n in SECONDS
        for k in JUDGES
    ),
)
