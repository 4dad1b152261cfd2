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
#: Features are rounded to multiples of 2^-22, as fine as single precision; scores stay below 2^4.
_UNIT, _LARGEST = 2.0**-22, 2.0**4
#: Rows multiplied at a time.
_BLOCK = 8192


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

    BLAS adds in an order that depends on the number of rows and of threads. Features and weights are therefore
    rounded to grids on which all products and sums fit into the 53 bits of a double: they are exact in any order,
    and an event has the same velocity in whatever batch it is.

    Attributes
    ----------
    weights : float64 array of shape (d + c, d)
        On its grid, in units of that of the features.
    bias : float32 array of shape (d,)
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
        largest_sum = np.abs(weights).sum(axis=0).max(initial=1.0) * _LARGEST
        unit = 2.0 ** np.ceil(np.log2(largest_sum / _UNIT / 2.0**53))
        weights = np.rint(weights / unit) * (unit * _UNIT)
        return cls(xp.asarray(weights), xp.asarray(bias, xp.float32), booster)

    def linear(self, features: Array) -> Array:
        """The linear part, float32 of shape (n, d)."""
        xp, _ = device_arrays("cpu" if isinstance(features, np.ndarray) else "cuda")
        velocity = xp.empty((len(features), len(self.bias)), xp.float32)
        for start in range(0, len(features), _BLOCK):
            rows = slice(start, start + _BLOCK)
            velocity[rows] = xp.rint(features[rows].astype(xp.float64) / _UNIT) @ self.weights
        velocity += self.bias
        return velocity

    def __call__(self, x: Array, condition: Array | None = None) -> Array:
        xp, _ = device_arrays("cpu" if isinstance(x, np.ndarray) else "cuda")
        features = x if condition is None else xp.concatenate([x, condition], axis=1)
        velocity = self.linear(features)
        return velocity if self.booster is None else velocity + self.booster(features)


def is_exact(t: float, n_conditions: int) -> bool:
    """Whether the velocity at t is known: ``u(x, 1) = x`` always, ``u(x, 0) = E[x1] - x`` without condition."""
    return t == 1 or (t == 0 and not n_conditions)


def fit_node(
    data: TrainingSet, base: LinearBase, t: float, settings: BoosterSettings, n_draws: int, seed: np.random.SeedSequence
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
    seed : numpy.random.SeedSequence
        Of the node: noise depends on nothing else.

    Returns
    -------
    booster : Booster or None
        None where nothing is left to learn.
    record : NodeRecord
    """
    start = time.process_time()
    if is_exact(t, data.n_conditions) or not settings.n_estimators or not data.n_dims:
        return None, NodeRecord(t, 0, np.nan, 0.0)
    training, judging, choosing, growing = seed.spawn(4)
    rng, fresh_rng = _generator(training, settings.device), _generator(judging, settings.device)
    data = data.to_device(settings.device)
    judge = data.subset(_FRESH_ROWS, np.random.default_rng(choosing))
    fresh = _residual_problem(judge, base, t, 1, fresh_rng, settings.device)
    problem = _residual_problem(data, base, t, n_draws, rng, settings.device)
    number = int(growing.generate_state(1)[0]) >> 1  # XGBoost takes 31 bits
    booster = Booster.fit(*problem[:2], settings, weights=problem[2], fresh=fresh, seed=number)
    record = NodeRecord(t, booster.rounds, _explained(booster, *fresh), time.process_time() - start)
    return booster, record


def _residual_problem(
    data: TrainingSet, base: LinearBase, t: float, n_draws: int, rng: Any, device: str
) -> tuple[Array, Array, Array | None]:
    """Features, what the linear base leaves of the targets, weights."""
    features, targets, weights = data.problem(t, n_draws, rng, device)
    targets -= NodeModel.of(base, t, None, device).linear(features)
    if t == 0:  # x_0 says nothing about x1: only the condition may be used
        features[:, : data.n_dims] = 0
    return features, targets, weights


def _explained(booster: Booster, features: Array, targets: Array, weights: Array | None) -> float:
    xp, _ = device_arrays(booster.device)
    w = xp.ones(len(targets), xp.float32) if weights is None else weights
    error = (w[:, None] * (targets - booster(features)) ** 2).sum()
    return float(1 - error / (w[:, None] * targets**2).sum())


def _generator(seed: np.random.SeedSequence, device: str) -> Any:
    if device == "cuda":
        import cupy

        return cupy.random.default_rng(int(seed.generate_state(1, np.uint64)[0]))
    return np.random.default_rng(seed)
