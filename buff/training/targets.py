"""The rows in unit space, and the regression problems that noise makes of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr

from buff.preprocessing import RankSpace, read
from buff.protocols import Array
from buff.training.base import LinearBase
from buff.training.devices import device_arrays
from buff.training.frame import Frame

__all__ = ["TrainingSet"]


@dataclass(frozen=True)
class TrainingSet:
    """Rows as the levels they own, conditions and weights: arrays only, so that processes can share them.

    Attributes
    ----------
    low, high : float32 arrays of shape (n, d)
        Levels that the values own; equal for values that do not repeat.
    condition : float32 array of shape (n, c) or None
    weights : float32 array of shape (n,) or None
    frame : Frame or None
        Coordinates of the scores, where there is a condition.
    """

    low: Array
    high: Array
    condition: Array | None = None
    weights: Array | None = None
    frame: Frame | None = None

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

    @classmethod
    def of(cls, space: RankSpace, X: Any, condition: Array | None = None, sample_weight: Any = None) -> "TrainingSet":
        """The rows of a table in its unit space; rows without weight are left out.

        Raises
        ------
        ValueError
            ``condition`` has another number of rows.
        """
        columns, weights = read(X), None
        if condition is not None and len(condition) != len(columns):
            raise ValueError(f"condition has {len(condition)} rows, X has {len(columns)}: they must agree")
        if sample_weight is not None:
            weights = np.asarray(sample_weight, np.float64)
            kept = weights > 0
            columns, weights = columns.take(kept), weights[kept]
            # mean 1, so that leaves are drawn towards 0 by rows whatever the unit of the weights
            weights = (weights / weights.max() / np.mean(weights / weights.max())).astype(np.float32)
            condition = None if condition is None else condition[kept]
        low, high = (ndtr(space.encode(columns, place)) for place in (0.0, 1.0))
        return cls(low, high, condition, weights)

    def to_device(self, device: str) -> "TrainingSet":
        """The same rows where the arithmetic is done."""
        xp, _ = device_arrays(device)
        moved = self._each(xp.asarray)
        return moved if self.frame is None else replace(moved, frame=self.frame.to_device(device))

    def scores(self, rng: Any, device: str = "cpu") -> Array:
        """Normal scores x1 of shape (n, d), each value at random inside the levels it owns, in the frame."""
        xp, ndtri = device_arrays(device)
        place = rng.random(self.low.shape, dtype=xp.float32)
        u = self.low + (self.high - self.low) * place
        x1 = ndtri(xp.clip(u, xp.float32(1e-7), xp.float32(1 - 1e-7)))
        return x1 if self.frame is None else self.frame.enter(x1, self.condition)

    def problem(self, t: float, n_draws: int, rng: Any, device: str = "cpu") -> tuple[Array, Array, Array | None]:
        """Features ``[x_t, condition]``, targets ``x1 - x0`` and weights of ``n_draws`` noise draws a row.

        ``x_t = t x1 + (1 - t) x0`` with x0 standard normal and independent of x1 (conditional flow matching,
        Lipman et al., 2022, arXiv:2210.02747; Tong et al., 2023, arXiv:2302.00482).
        """
        xp, _ = device_arrays(device)
        n, d = self.low.shape
        features = xp.empty((n * n_draws, d + self.n_conditions), xp.float32)
        targets = xp.empty((n * n_draws, d), xp.float32)
        for k in range(n_draws):
            rows = slice(k * n, (k + 1) * n)
            x1 = self.scores(rng, device)
            x0 = rng.standard_normal((n, d), dtype=xp.float32)
            features[rows, :d] = t * x1 + (1 - t) * x0
            targets[rows] = x1 - x0
            if self.condition is not None:
                features[rows, d:] = self.condition
        weights = None if self.weights is None else xp.tile(self.weights, n_draws)
        return features, targets, weights

    def subset(self, n: int, rng: np.random.Generator) -> "TrainingSet":
        """At most ``n`` rows, drawn without replacement."""
        if n >= len(self):
            return self
        rows = np.sort(rng.choice(len(self), n, replace=False))
        return self._each(lambda part: part[rows])

    def _each(self, change: Callable[[Array], Array]) -> "TrainingSet":
        """All arrays changed in the same way."""
        condition = None if self.condition is None else change(self.condition)
        weights = None if self.weights is None else change(self.weights)
        return replace(self, low=change(self.low), high=change(self.high), condition=condition, weights=weights)

    def framed(self, rng: np.random.Generator) -> "TrainingSet":
        """The same rows, with scores counted from what is linear in the condition."""
        if self.condition is None:
            return self
        moments = LinearBase.fit(self.scores(rng), self.condition, self.weights)
        return replace(self, frame=Frame.of(moments))

    @property
    def named_by_condition(self) -> float:
        """Share of distinct rows among the conditions: 1 where a condition tells which row it came with."""
        if self.condition is None:
            return 0.0
        return len(np.unique(self.condition, axis=0)) / max(len(self), 1)
