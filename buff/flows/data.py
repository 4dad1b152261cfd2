"""The rows in unit space, and the regression problems that noise makes of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy.special import ndtr

from buff.flows.devices import device_arrays, to_numpy
from buff.flows.linear_velocity import LinearVelocity
from buff.flows.source import NOISE, Source
from buff.flows.standardizer import Frame
from buff.protocols import Array
from buff.tables import Columns
from buff.transforms import TableTransformer

__all__ = ["Base", "FlowMatchingData", "Problem", "Rows"]

#: Features, targets, weights.
Problem: TypeAlias = tuple[Array, Array, Array | None]
#: Pairs from which moments are taken, at least.
_MOMENT_ROWS = 20_000


class Base(Protocol):
    """The part of a field that needs no trees."""

    def at(self, t: float) -> tuple[Array, Array]:
        """``weights`` (d + c, d) and ``bias`` (d,) of ``[x, c] @ weights + bias`` at time t."""
        ...


class Rows(Protocol):
    """What nodes are trained on."""

    @property
    def n_dims(self) -> int: ...
    @property
    def n_conditions(self) -> int: ...
    @property
    def random(self) -> bool: ...
    def __len__(self) -> int: ...
    def base(self, rng: np.random.Generator) -> Base: ...
    def problem(self, t: float, n_draws: int, rng: Any, device: str = "cpu") -> Problem: ...
    def to_device(self, device: str) -> "Rows": ...
    def subset(self, n: int, rng: np.random.Generator) -> "Rows": ...
    def fresh(self, n: int, rng: np.random.Generator) -> "Rows": ...
    def has_closed_form(self, t: float) -> bool: ...
    def is_uninformative(self, t: float) -> bool: ...


@dataclass(frozen=True)
class FlowMatchingData:
    """Rows as the levels they own, conditions and weights: arrays only, so that processes can share them.

    Attributes
    ----------
    low, high : float32 arrays of shape (n, d)
        Levels that the values own; equal for values that do not repeat.
    condition : float32 array of shape (n, c) or None
    weights : float32 array of shape (n,) or None
    frame : Frame or None
        Coordinates of the scores, where there is a condition.
    starts : Source
        The other ends of the paths, in the same coordinates.
    """

    low: Array
    high: Array
    condition: Array | None = None
    weights: Array | None = None
    frame: Frame | None = None
    starts: Source = NOISE

    def __len__(self) -> int:
        return len(self.low)

    @property
    def n_dims(self) -> int:
        """Width d of unit space."""
        return int(self.low.shape[1])

    @property
    def n_conditions(self) -> int:
        """Width c of the condition."""
        return 0 if self.condition is None else int(self.condition.shape[1])

    @property
    def random(self) -> bool:
        """Whether a second draw tells more than the first."""
        return self.starts.random

    @classmethod
    def of(
        cls, space: TableTransformer, columns: Columns, condition: Array | None = None, sample_weight: Any = None
    ) -> "FlowMatchingData":
        """The rows of a table in its unit space; rows without weight are left out.

        Raises
        ------
        ValueError
            ``condition`` has another number of rows.
        """
        if condition is not None and len(condition) != len(columns):
            raise ValueError(f"condition has {len(condition)} rows, X has {len(columns)}: they must agree")
        weights = None
        if sample_weight is not None:
            weights = np.asarray(sample_weight, np.float64)
            kept = weights > 0
            columns, weights = columns.take(kept), weights[kept]
            # mean 1, so that leaves are drawn towards 0 by rows whatever the unit of the weights
            weights = (weights / weights.max() / np.mean(weights / weights.max())).astype(np.float32)
            condition = None if condition is None else condition[kept]
        low, high = (ndtr(space.encode(columns, place)) for place in (0.0, 1.0))
        return cls(low, high, condition, weights)

    def to_device(self, device: str) -> "FlowMatchingData":
        """The same rows where the arithmetic is done."""
        xp, _ = device_arrays(device)
        frame = self.frame and self.frame.to_device(device)
        return replace(self._each(xp.asarray), frame=frame, starts=self.starts.to_device(device))

    def scores(self, rng: Any, device: str = "cpu") -> Array:
        """Normal scores x1 of shape (n, d), each value at random inside the levels it owns, in the frame."""
        xp, ndtri = device_arrays(device)
        place = rng.random(self.low.shape, dtype=xp.float32)
        u = self.low + (self.high - self.low) * place
        x1 = ndtri(xp.clip(u, xp.float32(1e-7), xp.float32(1 - 1e-7)))
        return x1 if self.frame is None else self.frame.enter(x1, self.condition)

    def pairs(self, rng: Any, device: str = "cpu") -> tuple[Array, Array, Array | None, Array | None]:
        """One draw of x0 and x1 for every row, with their conditions and weights."""
        x1 = self.scores(rng, device)
        if self.starts.coupling is None:
            return self.starts.beside(x1, rng, device), x1, self.condition, self.weights
        xp, _ = device_arrays(device)
        own = np.random.default_rng(int(rng.integers(2**62)))
        weights = None if self.weights is None else to_numpy(self.weights)
        x0, rows = self.starts.coupled(to_numpy(x1), weights, own)
        rows = xp.asarray(rows)
        return xp.asarray(x0), x1[rows], None if self.condition is None else self.condition[rows], None

    def base(self, rng: np.random.Generator) -> LinearVelocity:
        """Moments of the pairs; those of independent noise are known."""
        if self.starts.independent:
            return LinearVelocity.from_noise(self.scores(rng), self.condition, self.weights, self.starts.noise)
        draws = -(-_MOMENT_ROWS // len(self)) if self.starts.random else 1
        parts = zip(*(self.pairs(rng) for _ in range(draws)), strict=True)
        return LinearVelocity.of_pairs(*(None if part[0] is None else np.concatenate(part) for part in parts))

    def problem(self, t: float, n_draws: int, rng: Any, device: str = "cpu") -> Problem:
        """Features ``[x_t, condition]``, targets ``x1 - x0`` and weights of ``n_draws`` draws of pairs a row.

        ``x_t = t x1 + (1 - t) x0`` (conditional flow matching, Lipman et al., 2022, arXiv:2210.02747; with couplings,
        Tong et al., 2023, arXiv:2302.00482).
        """
        xp, _ = device_arrays(device)
        n, d = self.low.shape
        features = xp.empty((n * n_draws, d + self.n_conditions), xp.float32)
        targets = xp.empty((n * n_draws, d), xp.float32)
        weights = None
        for k in range(n_draws):
            rows = slice(k * n, (k + 1) * n)
            x0, x1, condition, weights = self.pairs(rng, device)
            features[rows, :d] = t * x1 + (1 - t) * x0
            targets[rows] = x1 - x0
            if condition is not None:
                features[rows, d:] = condition
        return features, targets, None if weights is None else xp.tile(weights, n_draws)

    def has_closed_form(self, t: float) -> bool:
        """Whether the base is exact: from noise, ``u(x, 1) = x``, and ``u(x, 0) = E[x1] - x`` without condition."""
        return self.starts.independent and (t == 1 or (t == 0 and not self.n_conditions))

    def is_uninformative(self, t: float) -> bool:
        """Whether x_t says nothing about x1."""
        return self.starts.independent and t == 0

    def subset(self, n: int, rng: np.random.Generator) -> "FlowMatchingData":
        """At most ``n`` rows, drawn without replacement."""
        if n >= len(self):
            return self
        rows = np.sort(rng.choice(len(self), n, replace=False))
        return replace(self._each(lambda part: part[rows]), starts=self.starts.take(rows))

    def fresh(self, n: int, rng: np.random.Generator) -> "FlowMatchingData":
        """At most ``n`` rows to judge a node on: other noise makes other problems of them."""
        return self.subset(n, rng)

    def _each(self, change: Callable[[Array], Array]) -> "FlowMatchingData":
        """All arrays changed in the same way."""
        condition = None if self.condition is None else change(self.condition)
        weights = None if self.weights is None else change(self.weights)
        return replace(self, low=change(self.low), high=change(self.high), condition=condition, weights=weights)

    def framed(self, rng: np.random.Generator) -> "FlowMatchingData":
        """The same rows, with scores counted from what is linear in the condition."""
        if self.condition is None:
            return self
        moments = LinearVelocity.from_noise(self.scores(rng), self.condition, self.weights)
        return replace(self, frame=Frame.of(moments))

    @property
    def condition_uniqueness(self) -> float:
        """Share of distinct rows among the conditions: 1 where a condition tells which row it came with."""
        if self.condition is None:
            return 0.0
        return len(np.unique(self.condition, axis=0)) / max(len(self), 1)
