"""Splittings of training jets, kind by kind of node: what the flows of splittings are fitted to."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from buff.errors import check_memory, check_range, check_resources, check_whole
from buff.flows import CostEstimate, FlowMatchingData, FlowSettings, estimate_cost
from buff.generators.parameters import resolve_device
from buff.physics import JetKinematics, Nodes, Splittings, SplittingTree
from buff.physics.context import node_context, root_context
from buff.protocols import Array, Numbers, Weights
from buff.trees import TreeSettings

__all__ = [
    "KINDS",
    "LEAST_ROWS",
    "NodeKind",
    "SplittingRows",
    "checked_settings",
    "context_of",
    "held_bytes",
    "kind_of",
    "plan_stages",
    "splitting_rows",
]

#: Rows below which a kind of node is drawn from its margins alone.
LEAST_ROWS = 50
#: Rows kept of a kind, in units of its budget.
_SURPLUS = 1.25


@dataclass(frozen=True)
class NodeKind:
    """Nodes that share a flow.

    Attributes
    ----------
    name : str
    targets : tuple of str
        What is drawn of :class:`~buff.physics.Splittings`, in this order.
    n_estimators, max_depth, learning_rate, noise_budget
        Of its trees: see :class:`buff.BUFF`.
    """

    name: str
    targets: tuple[str, ...]
    n_estimators: int
    max_depth: int
    learning_rate: float
    noise_budget: int


_ALL = ("n_soft", "z", "share", "balance", "angle")
#: The jet, its two children, what is larger than 7, than 3 particles, threes and pairs.
KINDS = (
    NodeKind("root", _ALL, 30, 6, 0.35, 300_000),
    NodeKind("kids", _ALL, 20, 7, 0.5, 250_000),
    NodeKind("big", _ALL, 15, 8, 0.7, 170_000),
    NodeKind("mid", _ALL, 14, 8, 0.7, 180_000),
    NodeKind("three", ("n_soft", "z", "share", "angle"), 12, 8, 0.7, 150_000),
    NodeKind("two", ("z", "angle"), 10, 8, 0.7, 150_000),
)

#: Kinds of deeper nodes by their particles, up to 8.
_BY_SIZE = np.array([5, 5, 5, 4, 3, 3, 3, 3, 2])


def kind_of(nodes: Nodes) -> Array:
    """Number of each node's kind in :data:`KINDS`."""
    by_depth = np.minimum(nodes.depth, 2)
    return np.where((nodes.n >= 4) & (by_depth < 2), by_depth, _BY_SIZE[np.minimum(nodes.n, 8)])


def _settings(kind: NodeKind, effort: float, override: Mapping[str, Any], common: FlowSettings) -> FlowSettings:
    """Settings of a kind's flow: its own, times the effort, then what is asked for."""
    where = f"stages[{kind.name!r}]"
    if not isinstance(override, Mapping):
        raise TypeError(f"{where} must be a mapping of settings, found {override!r}")
    known = ("n_steps", "n_estimators", "noise_budget", *(field.name for field in fields(TreeSettings)))
    if unknown := sorted(set(override) - set(known)):
        raise ValueError(f"{where} has the unknown settings {unknown}, they are {sorted(set(known))}")
    for name, least in (("n_steps", 1), ("n_estimators", 0), ("noise_budget", 1), ("max_depth", 1)):
        if name in override:
            check_whole(f"{name} of {where}", override[name], least)
    asked = {**override}
    steps = asked.pop("n_steps", common.n_steps)
    rounds = asked.pop("n_estimators", max(1, round(kind.n_estimators * min(1.0, effort**0.5))))
    budget = asked.pop("noise_budget", max(1, round(kind.noise_budget * effort)))
    trees = {"max_depth": kind.max_depth, "learning_rate": kind.learning_rate} | asked
    return replace(
        common, n_steps=steps, noise_budget=budget, trees=replace(common.trees, n_estimators=rounds, **trees)
    )


def checked_settings(model: Any) -> dict[str, FlowSettings]:
    """Settings of every kind of node of a JetBUFF.

    Raises
    ------
    ValueError, TypeError
        Naming the parameter that is off, what it is and what it may be.
    """
    check_whole("n_steps", model.n_steps, 1)
    check_resources(model)
    check_range("effort", model.effort, 0, 100, "(]")
    check_range("exponent", model.exponent, -math.inf, math.inf, "()")
    if model.max_particles is not None:
        check_whole("max_particles", model.max_particles, 1)
    for name, least, ends in (("radius", 0, "()"), ("max_odds", 1, "[)")):
        if getattr(model, name) is not None:
            check_range(name, getattr(model, name), least, math.inf, ends)
    asked, known = dict(model.stages or {}), [kind.name for kind in KINDS]
    if unknown := sorted(set(asked) - set(known)):
        raise ValueError(f"stages has the unknown kinds {unknown}, they are {known}")
    common = FlowSettings(
        n_steps=int(model.n_steps),
        solver=model.solver,
        grid=model.grid,
        trees=TreeSettings(device=resolve_device(model.device)),
        n_jobs=model.n_jobs,
        max_memory=model.max_memory,
        cache_dir=None if model.cache_dir is None else os.fspath(model.cache_dir),
        verbose=model.verbose,
    )
    _ = common.times  # refuses grids and solvers that have no nodes
    return {kind.name: _settings(kind, float(model.effort), asked.get(kind.name, {}), common) for kind in KINDS}


@dataclass(frozen=True, eq=False)
class SplittingRows:
    """Nodes of one kind with their splittings, jets (an entry a node), context and weights."""

    nodes: Nodes
    jets: JetKinematics
    splittings: Splittings
    context: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        parts = (vars(self.nodes), vars(self.jets), vars(self.splittings), {"context": self.context})
        nbytes = sum(values.nbytes for part in parts for values in part.values())
        return int(nbytes + (0 if self.weights is None else self.weights.nbytes))

    @classmethod
    def join(cls, parts: list["SplittingRows"]) -> "SplittingRows":
        """All rows of the parts."""
        weights = None if parts[0].weights is None else np.concatenate([part.weights for part in parts])
        nodes = Nodes.join([part.nodes for part in parts])
        names = vars(parts[0].jets)
        return cls(
            replace(nodes, jet=np.arange(len(nodes))),
            JetKinematics(**{name: np.concatenate([getattr(part.jets, name) for part in parts]) for name in names}),
            Splittings.join([part.splittings for part in parts]),
            np.concatenate([part.context for part in parts]),
            weights,
        )


def context_of(k: int, nodes: Nodes, jets: JetKinematics, scale: Numbers, features: Numbers, radius: float) -> Array:
    """Context of nodes of kind k: what surrounds them, and the features (n_jets, c) of their jets."""
    if KINDS[k].name == "root":
        context = root_context(jets.take(nodes.jet), scale[nodes.jet])
    else:
        context = node_context(nodes, jets, scale, radius)
    return np.concatenate([context.T, features[nodes.jet].T]).T if features.shape[1] else context


def splitting_rows(
    tree: SplittingTree,
    particles: Numbers,
    scale: Numbers,
    features: Numbers,
    weights: Weights | None,
    budgets: Mapping[str, int],
    seed: int,
    chunk: int = 10_000,
) -> dict[str, SplittingRows]:
    """Rows of every kind there is, thinned to a little more than its budget, chunk by chunk of jets."""
    rng = np.random.default_rng([seed, 2])
    parts: dict[str, list[SplittingRows]] = {kind.name: [] for kind in KINDS}
    kept = dict.fromkeys(parts, 1.0)
    for start in range(0, len(particles), chunk):
        chosen = slice(start, start + chunk)
        cloud = particles[chosen]
        jets = JetKinematics.of(cloud[..., 0], cloud[..., 1], cloud[..., 2])
        nodes, splittings = tree.encode(cloud[..., 0], cloud[..., 1], cloud[..., 2])
        kinds = kind_of(nodes)
        for k, kind in enumerate(KINDS):
            i = np.flatnonzero(kinds == k)
            if start == 0:
                kept[kind.name] = _SURPLUS * budgets[kind.name] / max(len(i) * len(particles) / len(cloud), 1)
            if kept[kind.name] < 1:
                i = i[rng.random(len(i)) < kept[kind.name]]
            if len(i):
                few = nodes.take(i)
                context = np.ascontiguousarray(context_of(k, few, jets, scale[chosen], features[chosen], tree.radius))
                few_weights = None if weights is None else weights[chosen][few.jet]
                rows = SplittingRows(few, jets.take(few.jet), splittings.take(i), context, few_weights)
                parts[kind.name].append(rows)
    return {name: SplittingRows.join(part) for name, part in parts.items() if part}


def held_bytes(rows: Mapping[str, SplittingRows], n_jets: int, budgets: Mapping[str, int], cloud: Array) -> int:
    """Bytes beside those of a flow's training: rows of all kinds of ``n_jets``, and their particles.

    Parameters
    ----------
    rows : mapping
        Rows of the jets ``cloud``, from which those of ``n_jets`` are extrapolated up to the budgets.
    """
    factor, most = n_jets / len(cloud), {name: _SURPLUS * budget for name, budget in budgets.items()}
    kept = sum(part.nbytes * min(factor, max(1.0, most[name] / len(part))) for name, part in rows.items())
    return int(kept + factor * cloud.nbytes)


def plan_stages(
    rows: Mapping[str, SplittingRows],
    settings: Mapping[str, FlowSettings],
    held: int = 0,
    factor: float = 1.0,
    trial: bool = False,
) -> list[CostEstimate]:
    """What the flows of all kinds would cost beside ``held`` bytes, for ``factor`` times as many rows.

    Raises
    ------
    MemoryError
        The largest of them would need more than the settings allow.
    """
    plans = []
    for kind in KINDS:
        if kind.name not in rows or len(rows[kind.name]) < LEAST_ROWS:
            continue
        kind_settings, part = _left(settings[kind.name], held), rows[kind.name]
        n = max(2, int(min(len(part) * factor, _SURPLUS * kind_settings.noise_budget)))
        x1 = np.zeros((n, len(kind.targets)), np.float32)
        condition = np.resize(part.context.astype(np.float32), (n, part.context.shape[1]))
        plan = estimate_cost(FlowMatchingData.of(x1, condition), kind_settings, trial=trial)
        plans.append(replace(plan, memory=plan.memory + held))
    return plans


def _left(settings: FlowSettings, held: int) -> FlowSettings:
    """Settings with the memory that is left."""
    if settings.max_memory is None:
        return settings
    check_memory(held + 1, settings.max_memory, "fit fewer jets, lower effort, or raise max_memory")
    return replace(settings, max_memory=settings.max_memory - held)
