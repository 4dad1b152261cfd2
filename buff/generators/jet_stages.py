"""Particles of jets, splitting by splitting: one conditional flow for each kind of node."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.flows import FlowSettings
from buff.flows.ranks import BinnedCounts, BinnedRanks
from buff.flows.stages import Stage, StageNoise
from buff.generators.jet_rows import KINDS, LEAST_ROWS, NodeKind, SplittingRows, context_of, kind_of
from buff.physics import JetKinematics, Nodes, Splittings, SplittingTree
from buff.protocols import Array, Integers, Numbers
from buff.records import nested

__all__ = ["SplittingFlows"]

#: Attempts at allowed splittings when margins are read, and draws of which they are read.
_TRIES, _DRAWS = 3, 100_000
#: Draws of margins at a time, and nodes whose context stays in the processor's cache.
_PART, _TOGETHER = 10_000, 12_000
#: Multiplicities from which a bin of its own begins.
_EDGES = np.array([2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 27, 33, 40, 50, 62, 77, 95, 120])
#: Numbers that a splitting takes at most, and attempts at one that the clustering would not have made.
N_TARGETS, N_ATTEMPTS = 5, 3
#: Radii beyond which no particle lies.
_TOO_FAR = 1.05


@dataclass(frozen=True, eq=False)
class _KindFlow:
    """The flow of one kind and the maps of its targets; without a flow, targets are independent."""

    kind: NodeKind
    maps: Mapping[str, BinnedRanks | BinnedCounts]
    stage: Stage | None

    def splittings(self, nodes: Nodes, context: Numbers, noise: Numbers) -> Splittings:
        """Splittings of nodes from noise (n, 5)."""
        return self.values(nodes, self.scores(context, noise))

    def scores(self, context: Numbers, noise: Numbers) -> Array:
        """Normal scores of the targets, (n, targets)."""
        x = noise[:, : len(self.kind.targets)]
        return x if self.stage is None else self.stage.draw(context, x)

    def values(self, nodes: Nodes, x: Numbers) -> Splittings:
        """Splittings of scores."""
        ones = np.ones(len(nodes))
        drawn: dict[str, Array] = {"n_soft": np.ones(len(nodes), np.intp), "share": ones, "balance": ones}
        for j, name in enumerate(self.kind.targets):
            drawn[name] = self.maps[name].values(x[:, j], _bins(name, self.kind, nodes))
        for name in ("share", "balance"):
            if name in self.kind.targets:
                drawn[name] = 1 / (1 + np.exp(-drawn[name]))
        drawn["n_soft"] = np.clip(drawn["n_soft"], 1, nodes.n - 1)
        return Splittings(**drawn)


def _bins(name: str, kind: NodeKind, nodes: Nodes) -> Array:
    if name == "n_soft":
        return nodes.n
    if name == "angle" or kind.name == "root":
        return np.zeros(len(nodes), np.intp)
    return np.searchsorted(_EDGES, nodes.n, side="right") - 1


def _free(name: str, rows: SplittingRows) -> Array | None:
    """Rows where a target decides nothing."""
    if name != "balance":
        return None
    return (rows.splittings.n_soft == 1) | (rows.nodes.n - rows.splittings.n_soft == 1)


def _values(name: str, splittings: Splittings) -> Array:
    """The target as it is ranked."""
    values = getattr(splittings, name)
    if name in ("n_soft", "angle"):
        return values
    if name == "z":
        return np.clip(values, 0.0, 1.0)
    edge = 1e-9 if name == "share" else 1e-6
    inside = np.clip(values, edge, 1 - edge)
    return np.log(inside / (1 - inside))


def _fit_kind(
    kind: NodeKind, tree: SplittingTree, rows: SplittingRows, most: int, settings: FlowSettings, seed: int
) -> _KindFlow:
    maps: dict[str, BinnedRanks | BinnedCounts] = {}
    low, high = (np.empty((len(rows), len(kind.targets)), np.float32) for _ in range(2))
    for j, name in enumerate(kind.targets):
        bins, values = _bins(name, kind, rows.nodes), _values(name, rows.splittings)
        known = np.ones(len(rows), bool) if (free := _free(name, rows)) is None else ~free
        weights = None if rows.weights is None else rows.weights[known]
        if not known.any():
            maps[name] = _no_rows(name)
            low[:, j], high[:, j] = -5.2, 5.2
            continue
        ranks: Any = BinnedCounts if name == "n_soft" else BinnedRanks
        n_bins = most + 1 if name == "n_soft" else len(_EDGES)
        maps[name], (below, above) = ranks.fit(values[known], bins[known], n_bins, weights)
        # what decides nothing is noise, anew with every draw
        low[:, j], high[:, j] = -5.2, 5.2
        low[known, j], high[known, j] = below, above
    if len(rows) < LEAST_ROWS or not settings.trees.n_estimators:
        return _KindFlow(kind, maps, None)
    stage = Stage.fit((low, high), rows.context, settings, sample_weight=rows.weights, seed=seed)
    return _calibrated(_KindFlow(kind, maps, stage), tree, rows, seed)


def _no_rows(name: str) -> BinnedRanks | BinnedCounts:
    """Maps of a target that was never seen."""
    if name == "n_soft":
        return BinnedCounts(np.array([[0.0, 1.0]]).repeat(2, axis=0))
    span = {"angle": (-np.pi, np.pi), "z": (0.0, 1.0)}.get(name, (-3.0, 3.0))
    return BinnedRanks(np.tile(np.linspace(*span, 421), (len(_EDGES), 1)))


def _calibrated(flow: _KindFlow, tree: SplittingTree, rows: SplittingRows, seed: int) -> _KindFlow:
    """Margins of the splittings that are allowed, given the contexts the flow was fitted to, as they were."""
    rng = np.random.default_rng([seed, 1])
    times = max(1, _DRAWS // len(rows))
    chosen = np.tile(np.arange(len(rows)), times) if times > 1 else rng.permutation(len(rows))[:_DRAWS]
    if rows.weights is not None:
        chosen = rng.choice(len(rows), len(chosen), p=rows.weights / rows.weights.sum())
    drawn, wrong = np.empty((len(chosen), len(flow.kind.targets)), np.float32), np.arange(len(chosen))
    for _ in range(_TRIES):
        noise, fine = rng.standard_normal((len(wrong), drawn.shape[1])), np.empty(len(wrong), bool)
        for start in range(0, len(wrong), _PART):
            part = slice(start, start + _PART)
            few = chosen[wrong[part]]
            nodes = rows.nodes.take(few)
            drawn[wrong[part]] = x = flow.scores(rows.context[few], noise[part])
            fine[part] = tree.allowed(nodes, *tree.decode(nodes, flow.values(nodes, x), rows.jets))
        wrong = wrong[~fine]
    maps = dict(flow.maps)
    for j, name in enumerate(flow.kind.targets):
        ranks, free = maps[name], _free(name, rows)
        if isinstance(ranks, BinnedRanks):
            known = np.ones(len(chosen), bool) if free is None else ~free[chosen]
            maps[name] = ranks.calibrated(drawn[known, j], _bins(name, flow.kind, rows.nodes)[chosen][known])
    return replace(flow, maps=maps)


@dataclass(frozen=True, eq=False)
class SplittingFlows:
    """All kinds of nodes: from jets to particles.

    Attributes
    ----------
    tree : SplittingTree
    flows : tuple of _KindFlow
        In the order of :data:`KINDS`; None for kinds without nodes.
    most : int
        Particles of a jet at most.
    """

    tree: SplittingTree
    flows: tuple[_KindFlow | None, ...]
    most: int

    @classmethod
    def fit(
        cls,
        tree: SplittingTree,
        rows: Mapping[str, SplittingRows],
        most: int,
        settings: Mapping[str, FlowSettings],
        seed: int,
    ) -> "SplittingFlows":
        """Learn every kind there is."""
        flows = [
            _fit_kind(kind, tree, rows[kind.name], most, settings[kind.name], seed + k) if kind.name in rows else None
            for k, kind in enumerate(KINDS)
        ]
        return cls(tree, tuple(flows), most)

    def inside(self, cloud: Numbers) -> Array:
        """Whether no particle of a jet is too far out."""
        rim = _TOO_FAR * self.tree.radius
        near = (cloud[..., 0] ** 2 + cloud[..., 1] ** 2).max(axis=1) < rim**2 * (1 - 1e-9)
        others = cloud[~near]  # the exact distance takes longer
        near[~near] = np.hypot(others[..., 0], others[..., 1]).max(axis=1, initial=0.0) <= rim
        return near

    def particles(
        self, jets: JetKinematics, scale: Numbers, features: Numbers, noise: StageNoise, attempts: Integers
    ) -> Array:
        """Particles (n, most, 3) of jets, from the noise of these attempts at these events.

        ``attempts`` rises, and so do the events of each.
        """
        width = max(self.most - 1, 1)
        known, ends = np.unique(attempts, return_index=True)
        parts = [replace(noise, events=events) for events in np.split(noise.events, ends[1:])]
        drawn = (own.draw(k * N_ATTEMPTS, width, N_TARGETS) for k, own in zip(known, parts, strict=True))
        numbers = np.concatenate([*drawn]).reshape(-1, N_TARGETS)

        def splitter(nodes: Nodes, again: Integers) -> Splittings:
            if len(nodes) > _TOGETHER:
                parts = [slice(i, i + _TOGETHER) for i in range(0, len(nodes), _TOGETHER)]
                return Splittings.join([splitter(nodes.take(part), again[part]) for part in parts])
            own = numbers.take(nodes.jet * width + nodes.element, axis=0)
            streams = attempts[nodes.jet] * N_ATTEMPTS + again
            for k in np.unique(streams[again > 0]):
                i = np.flatnonzero(streams == k)
                own[i] = noise.of(int(k), nodes.jet[i], nodes.element[i], width, N_TARGETS)
            kinds = kind_of(nodes)
            ends = np.cumsum(np.bincount(kinds, minlength=2))
            order = np.arange(len(nodes))
            if np.count_nonzero(np.diff(ends, prepend=0)) > 1:
                order = np.argsort(kinds.astype(np.uint8), kind="stable")
                nodes, own = nodes.take(order), own.take(order, axis=0)
            # all kinds but the first have a context alike
            context = context_of(1, nodes.take(slice(ends[0], None)), jets, scale, features, self.tree.radius)
            drawn = Splittings(np.empty(len(nodes), np.intp), *np.empty((4, len(nodes))))
            for k, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
                if start < end:
                    part = nodes.take(slice(start, end))
                    seen = context[start - ends[0] : end - ends[0]]
                    seen = seen if k else context_of(0, part, jets, scale, features, self.tree.radius)
                    flow = self.flows[k] or _KindFlow(KINDS[k], {n: _no_rows(n) for n in KINDS[k].targets}, None)
                    drawn.put(order[start:end], flow.splittings(part, seen, own[start:end]))
            return drawn

        return self.tree.grow(jets, splitter, self.most, N_ATTEMPTS)

    @property
    def seconds(self) -> dict[str, float]:
        """CPU seconds of each kind's training."""
        flows = [flow for flow in self.flows if flow and flow.stage]
        return {f.kind.name: sum(r.seconds for r in f.stage.model.records) for f in flows if f.stage}

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
        """A JSON-serialisable record, named arrays, and trees."""
        record: dict[str, Any] = {"radius": self.tree.radius, "exponent": self.tree.exponent, "most": self.most}
        arrays: dict[str, Array] = {}
        blobs: dict[str, bytes] = {}
        for flow in filter(None, self.flows):
            name = flow.kind.name
            own: dict[str, Any] = {}
            for target, ranks in flow.maps.items():
                arrays |= {f"{name}/{target}/{key}": a for key, a in ranks.to_arrays().items()}
            if flow.stage:
                own, stage_arrays, stage_blobs = flow.stage.to_arrays()
                arrays |= {f"{name}/stage/{key}": a for key, a in stage_arrays.items()}
                blobs |= {f"{name}/{key}": b for key, b in stage_blobs.items()}
            record[name] = own
        return record, arrays, blobs

    @classmethod
    def from_arrays(
        cls, record: Mapping[str, Any], arrays: Mapping[str, Array], blobs: Mapping[str, bytes], device: str = "cpu"
    ) -> "SplittingFlows":
        """Inverse of :meth:`to_arrays`."""
        flows: list[_KindFlow | None] = []
        for kind in KINDS:
            if kind.name not in record:
                flows.append(None)
                continue
            own = nested(arrays, kind.name)
            maps: dict[str, BinnedRanks | BinnedCounts] = {}
            for target in kind.targets:
                ranks: Any = BinnedCounts if target == "n_soft" else BinnedRanks
                maps[target] = ranks.from_arrays(nested(own, target))
            facts, parts = record[kind.name], (nested(own, "stage"), nested(blobs, kind.name))
            flows.append(_KindFlow(kind, maps, Stage.from_arrays(facts, *parts, device) if facts else None))
        return cls(SplittingTree(record["radius"], record["exponent"]), tuple(flows), record["most"])
