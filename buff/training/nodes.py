"""One node of a field: its regression problem, its model, its record."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from buff.boosters import Booster, BoosterSettings
from buff.protocols import Array
from buff.training.base import LinearBase
from buff.training.targets import TrainingSet, device_arrays

__all__ = ["NodeModel", "NodeRecord", "Nodes", "fit_node", "is_exact"]

#: Rows on which a node is judged, and early stopping decides.
_FRESH_ROWS = 20_000


@dataclass(frozen=True)
class NodeRecord:
    """What is known of a node's training.

    Attributes
    ----------
    t : float
        Time of the node.
    rounds : int
        Boosting rounds in use; 0 where the velocity is known exactly.
    explained : float
        Share of the variance left by the linear base that the trees explain on fresh noise; NaN without trees.
    seconds : float
        CPU time of the training.
    """

    t: float
    rounds: int
    explained: float
    seconds: float


class Nodes(tuple[NodeRecord, ...]):
    """The records of all nodes; prints as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = [f"{'t':>8} {'rounds':>7} {'explained':>10} {'seconds':>8}"]
        lines += [f"{r.t:8.4f} {r.rounds:7d} {r.explained:10.4f} {r.seconds:8.2f}" for r in self]
        return "\n".join(lines)

    def to_list(self) -> list[dict[str, Any]]:
        """JSON-serialisable form; NaN becomes None."""
        return [asdict(r) | {"explained": None if np.isnan(r.explained) else r.explained} for r in self]

    @classmethod
    def from_list(cls, records: Iterable[dict[str, Any]]) -> "Nodes":
        """Inverse of :meth:`to_list`."""
        keys = [f.name for f in fields(NodeRecord)]
        rows: list[dict[str, Any]] = [
            {key: np.nan if record[key] is None else record[key] for key in keys} for record in records
        ]
        return cls(NodeRecord(**row) for row in rows)


@dataclass(frozen=True)
class NodeModel:
    """Velocity at a node: the linear base and the trees' correction to it.

    Attributes
    ----------
    weights, bias : float32 arrays of shape (d + c, d) and (d,)
    booster : Booster or None
    """

    weights: Array
    bias: Array
    booster: Booster | None = None

    @classmethod
    def of(cls, base: LinearBase, t: float, booster: Booster | None, device: str = "cpu") -> "NodeModel":
        """The model at time t."""
        xp, _ = device_arrays(device)
        weights, bias = base.at(t)
        return cls(xp.asarray(weights, xp.float32), xp.asarray(bias, xp.float32), booster)

    def __call__(self, x: Array, condition: Array | None = None) -> Array:
        xp, _ = device_arrays("cpu" if isinstance(x, np.ndarray) else "cuda")
        features = x if condition is None else xp.concatenate([x, condition], axis=1)
        velocity = features @ self.weights + self.bias
        return velocity if self.booster is None else velocity + self.booster(features)


def is_exact(t: float, n_conditions: int) -> bool:
    """Whether the velocity at t is known: ``u(x, 1) = x`` always, ``u(x, 0) = E[x1] - x`` without condition."""
    return t == 1 or (t == 0 and not n_conditions)


def fit_node(
    data: TrainingSet, base: LinearBase, t: float, settings: BoosterSettings, n_draws: int, seed: Any
) -> tuple[Booster | None, NodeRecord]:
    """Train the model at time t.

    Parameters
    ----------
    data : TrainingSet
    base : LinearBase
    t : float
    settings : BoosterSettings
    n_draws : int
        Noise draws a row.
    seed : sequence of int
        Of the node: noise depends on nothing else.

    Returns
    -------
    booster : Booster or None
        None where nothing is left to learn.
    record : NodeRecord
    """
    start = time.process_time()
    if is_exact(t, data.n_conditions) or not settings.n_estimators:
        return None, NodeRecord(t, 0, np.nan, 0.0)
    rng, fresh_rng = _generators(seed, settings.device)
    data, chosen = data.to_device(settings.device), np.random.default_rng([*seed, 1])
    judge = data.subset(_FRESH_ROWS, chosen)
    fresh = _residual_problem(judge, base, t, 1, fresh_rng, settings.device)
    problem = _residual_problem(data, base, t, n_draws, rng, settings.device)
    booster = Booster.fit(*problem[:2], settings, weights=problem[2], fresh=fresh, seed=seed[-1])
    record = NodeRecord(t, booster.rounds, _explained(booster, *fresh), time.process_time() - start)
    return booster, record


def _residual_problem(
    data: TrainingSet, base: LinearBase, t: float, n_draws: int, rng: Any, device: str
) -> tuple[Array, Array, Array | None]:
    """Features, what the linear base leaves of the targets, weights."""
    features, targets, weights = data.problem(t, n_draws, rng, device)
    linear = NodeModel.of(base, t, None, device)
    targets -= features @ linear.weights + linear.bias
    if t == 0:  # x_0 says nothing about x1: only the condition may be used
        features[:, : data.n_dims] = 0
    return features, targets, weights


def _explained(booster: Booster, features: Array, targets: Array, weights: Array | None) -> float:
    xp, _ = device_arrays(booster.device)
    w = xp.ones(len(targets), xp.float32) if weights is None else weights
    error = (w[:, None] * (targets - booster(features)) ** 2).sum()
    return float(1 - error / (w[:, None] * targets**2).sum())


def _generators(seed: Any, device: str) -> tuple[Any, Any]:
    """Two independent streams: for training and for judging."""
    children = np.random.SeedSequence(list(seed)).spawn(2)
    if device == "cuda":
        import cupy

        on_device = [cupy.random.default_rng(int(child.generate_state(1, np.uint64)[0])) for child in children]
        return on_device[0], on_device[1]
    return np.random.default_rng(children[0]), np.random.default_rng(children[1])
