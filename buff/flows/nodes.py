"""One node of a field: its regression problem, its model, its record."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from buff.flows.arrays import ReproducibleLinear, device_arrays
from buff.flows.data import Base, FlowMatchingData, RegressionSource
from buff.flows.linear import LinearVelocity
from buff.protocols import Array
from buff.trees import Booster, FlatForest, TreeSettings, flattened

__all__ = ["NodeModel", "NodeRecord", "Nodes", "fit_node", "limit_memorisation"]

#: Rows on which a node is validated, and early stopping decides.
_VALIDATION_ROWS = 20_000
#: Variances of a single row that a split by conditions must explain: chance explains one.
_ROWS_A_SPLIT = 6.0
#: Share of distinct conditions from which on they are taken to name rows, and values of a feature told apart then.
_NAMED, _FINE_BINS = 0.01, 256


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
        Share of the variance left by the linear base that the trees explain, for the rows of the training with noise
        that they have not seen; NaN without trees. Most of that variance is noise, so that good fields have small
        values; below 0 trees follow noise, as they do with few rows: more ``noise_budget`` or fewer rounds help.
    seconds : float
        CPU time of the training.
    label : str
        Class of rows that it was trained on; empty for all.
    """

    t: float
    rounds: int
    explained: float
    seconds: float
    label: str = ""


class Nodes(tuple[NodeRecord, ...]):
    """The records of all nodes; prints as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = [f"{'t':>8} {'rounds':>7} {'explained':>10} {'seconds':>8}"]
        lines += [f"{r.t:8.4f} {r.rounds:7d} {r.explained:10.4f} {r.seconds:8.2f}  {r.label}".rstrip() for r in self]
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
    linear : ReproducibleLinear
        From features ``[x_t, condition]``, (n, d + c) -> (n, d).
    trees : FlatForest, Booster or None
        A booster where bytes cannot hold the trees.
    """

    linear: ReproducibleLinear
    trees: Booster | FlatForest | None = None

    @classmethod
    def of(cls, base: Base, t: float, trees: Booster | None, device: str = "cpu") -> "NodeModel":
        """The model at time t."""
        return cls(ReproducibleLinear.of(*base.at(t), device), None if trees is None else flattened(trees))

    def __call__(self, x: Array, condition: Array | None = None) -> Array:
        xp, _ = device_arrays("cpu" if isinstance(x, np.ndarray) else "cuda")
        features = x if condition is None else xp.concatenate([x, condition], axis=1)
        velocity = self.linear(features)
        return velocity if self.trees is None else velocity + self.trees(features)


def limit_memorisation(
    settings: TreeSettings, data: FlowMatchingData, base: LinearVelocity, n_draws: int
) -> TreeSettings:
    """Settings under which trees do not memorise which row came with which condition or source.

    All noise draws of a row share its condition. Where conditions tell rows apart, a split that isolates one row
    fits ``n_draws`` targets that agree, though it has seen a single event: splits must count in rows. Finer bins
    follow conditions that shift the mean steeply. Conditions shared by many rows, such as classes, change nothing.
    Rows that start at samples of their own, without noise, are single events likewise, in units of the variance of
    their targets.
    """
    if not data.random:
        return replace(settings, min_split_loss=_ROWS_A_SPLIT * base.spread, max_bin=_FINE_BINS)
    named = data.condition_uniqueness
    if named < _NAMED:
        return settings
    return replace(settings, min_split_loss=_ROWS_A_SPLIT * n_draws * named, max_bin=_FINE_BINS)


def fit_node(
    data: RegressionSource, base: Base, t: float, settings: TreeSettings, n_draws: int, seed: np.random.SeedSequence
) -> tuple[Booster | None, NodeRecord]:
    """Train the model at time t.

    Parameters
    ----------
    data : FlowMatchingData or TeacherTrajectories
    base : LinearVelocity or StepVelocity
    t : float
    settings : TreeSettings
    n_draws : int
        Noise draws a row.
    seed : numpy.random.SeedSequence
        Of the node: noise depends on nothing else.

    Returns
    -------
    trees : Booster or None
        None where nothing is left to learn.
    record : NodeRecord
    """
    start = time.process_time()
    if data.has_closed_form(t) or not settings.n_estimators or not data.n_dims:
        return None, NodeRecord(t, 0, np.nan, 0.0)
    training, validating, choosing, growing = seed.spawn(4)
    rng, validation_rng = _generator(training, settings.device), _generator(validating, settings.device)
    data = data.to_device(settings.device)
    held_out = data.held_out(_VALIDATION_ROWS, np.random.default_rng(choosing))
    validation = _residual_problem(held_out, base, t, 1, validation_rng, settings.device)
    problem = _residual_problem(data, base, t, n_draws, rng, settings.device)
    number = int(growing.generate_state(1)[0]) >> 1  # XGBoost takes 31 bits
    trees = Booster.fit(*problem[:2], settings, weights=problem[2], fresh=validation, seed=number)
    record = NodeRecord(t, trees.rounds, _explained(trees, *validation), time.process_time() - start)
    return trees, record


def _residual_problem(
    data: RegressionSource, base: Base, t: float, n_draws: int, rng: Any, device: str
) -> tuple[Array, Array, Array | None]:
    """Features, what the linear base leaves of the targets, weights."""
    features, targets, weights = data.problem(t, n_draws, rng, device)
    targets -= NodeModel.of(base, t, None, device).linear(features)
    if data.is_uninformative(t):  # only the condition may be used
        features[:, : data.n_dims] = 0
    return features, targets, weights


def _explained(trees: Booster, features: Array, targets: Array, weights: Array | None) -> float:
    xp, _ = device_arrays(trees.device)
    w = xp.ones(len(targets), xp.float32) if weights is None else weights
    error = (w[:, None] * (targets - trees(features)) ** 2).sum()
    return float(1 - error / (w[:, None] * targets**2).sum())


def _generator(seed: np.random.SeedSequence, device: str) -> Any:
    if device == "cuda":
        import cupy

        return cupy.random.default_rng(int(seed.generate_state(1, np.uint64)[0]))
    return np.random.default_rng(seed)
