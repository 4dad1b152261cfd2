"""Both ends of the paths, source and scores, and the regression problems made of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr

from buff.couplings import MinibatchTransport, strata, stratify
from buff.flows.conditional import ConditionalStandardizer
from buff.flows.nodes import LinearVelocity
from buff.flows.regression import Problem
from buff.kernels import device_arrays, to_numpy
from buff.protocols import Array, Indices

__all__ = ["NOISE", "FixedScores", "FlowMatchingData", "RankIntervals", "Source"]

#: Pairs from which moments are taken, at least.
_MOMENT_ROWS = 20_000


@dataclass(frozen=True)
class Source:
    """Distribution p0 of the end x0 of the path to a row x1.

    Attributes
    ----------
    noise : float
        Standard deviation of independent normal noise.
    samples : float32 array of shape (n or m, d), optional
        What the noise is added to; without it, nothing. Without a coupling, one for each row.
    weights : array of shape (m,), optional
        Of samples that a coupling draws from.
    coupling : MinibatchTransport, optional
        Which x0 goes with which row. Without it, rows keep their samples and noise is independent of them.
    labels, sample_labels : arrays of n and of m integers, optional
        Stratum of each row and of each sample: pairs are exchanged within strata.
    """

    noise: float = 1.0
    samples: Any = None
    weights: Array | None = None
    coupling: MinibatchTransport | None = None
    labels: Indices | None = None
    sample_labels: Indices | None = None

    @property
    def independent(self) -> bool:
        """Whether x0 says nothing about x1, and has mean 0."""
        return self.samples is None and self.coupling is None

    @property
    def random(self) -> bool:
        """Whether repeated draws of targets differ."""
        return self.noise > 0 or self.coupling is not None

    def to_device(self, device: str) -> "Source":
        """A copy whose samples are on the device; couplings are worked out on the processor."""
        if self.samples is None or self.coupling:
            return self
        return replace(self, samples=device_arrays(device)[0].asarray(self.samples))

    def take(self, rows: Indices) -> "Source":
        """The source of some of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        shared = self.samples is None or self.coupling is not None
        return replace(self, labels=labels, samples=self.samples if shared else self.samples[rows])

    def draw(self, x1: Array, rng: Any, device: str) -> Array:
        """x0 of every row, without a coupling."""
        xp, _ = device_arrays(device)
        if not self.noise:
            return self.samples
        x0 = rng.standard_normal(x1.shape, dtype=xp.float32)
        if self.noise != 1:
            x0 *= xp.float32(self.noise)
        return x0 if self.samples is None else x0 + self.samples

    def draw_coupled(self, x1: Array, weights: Array | None, rng: np.random.Generator) -> tuple[Array, Indices]:
        """x0 (n, d), and the n rows of x1 that they go with, drawn in proportion to their weights.

        Rows are drawn by weight instead of weighted: x0 that depends on its row, counted with the weight of the row,
        would no longer be distributed like the source.
        """
        assert self.coupling is not None
        n = len(x1)
        rows = np.arange(n) if weights is None else rng.choice(n, n, p=weights / weights.sum(dtype=np.float64))
        labels = np.zeros(n, np.intp) if self.labels is None else self.labels[rows]
        parts = []
        for label, members in strata(labels):
            stratum = rows[members]
            x0 = self._of_stratum(label, (len(stratum), x1.shape[1]), rng)
            i, j = self.coupling(x0, x1[stratum], rng)
            parts.append((x0[i], stratum[j]))
        return np.concatenate([x0 for x0, _ in parts]), np.concatenate([j for _, j in parts])

    def _of_stratum(self, label: Any, shape: tuple[int, int], rng: np.random.Generator) -> Array:
        x0 = np.float32(self.noise) * rng.standard_normal(shape, dtype=np.float32)
        if self.samples is None:
            return x0
        rows = np.arange(len(self.samples))
        if self.sample_labels is not None:
            rows = np.flatnonzero(self.sample_labels == label)
        p = None if self.weights is None else self.weights[rows] / self.weights[rows].sum(dtype=np.float64)
        return x0 + self.samples[rng.choice(rows, shape[0], replace=shape[0] > len(rows) or p is not None, p=p)]


#: Standard normal noise.
NOISE = Source()


@dataclass(frozen=True)
class FixedScores:
    """Scores x1 as they are.

    Attributes
    ----------
    x1 : float32 array of shape (n, d)
    """

    x1: Array

    @property
    def arrays(self) -> tuple[Array, ...]:
        """What the scores are made of."""
        return (self.x1,)

    def each(self, change: Callable[[Array], Array]) -> "FixedScores":
        """All arrays changed in the same way."""
        return FixedScores(change(self.x1))

    def draw(self, rng: Any, device: str = "cpu") -> Array:
        """x1 of shape (n, d)."""
        return self.x1


@dataclass(frozen=True)
class RankIntervals:
    """Normal scores that are drawn anew between the ranks that each value owns (uniform dequantization).

    Attributes
    ----------
    low, high : float32 arrays of shape (n, d)
        Ranks in [0, 1]; equal for values that do not repeat.
    """

    low: Array
    high: Array

    @property
    def arrays(self) -> tuple[Array, ...]:
        """What the scores are made of."""
        return self.low, self.high

    def each(self, change: Callable[[Array], Array]) -> "RankIntervals":
        """All arrays changed in the same way."""
        return RankIntervals(change(self.low), change(self.high))

    def draw(self, rng: Any, device: str = "cpu") -> Array:
        """x1 of shape (n, d), ``ndtri(low + (high - low) u)`` with u uniform."""
        return self.at(rng.random(self.low.shape, dtype=device_arrays(device)[0].float32), device)

    def at(self, u: Array, device: str = "cpu") -> Array:
        """Scores at places u in [0, 1] between the ranks, float32 of shape (n, d)."""
        xp, ndtri = device_arrays(device)
        rank = self.low + (self.high - self.low) * u
        return ndtri(xp.clip(rank, xp.float32(1e-7), xp.float32(1 - 1e-7)))


@dataclass(frozen=True)
class FlowMatchingData:
    """Scores, conditions and weights of rows: arrays only, for processes to share.

    Attributes
    ----------
    scores : RankIntervals or FixedScores
    condition : float32 array of shape (n, c) or None
    weights : float32 array of shape (n,) or None
        With mean 1.
    standardizer : ConditionalStandardizer or None
        Coordinates of the scores, where there is a condition.
    source : Source
        The other ends of the paths, in the same coordinates.
    """

    scores: RankIntervals | FixedScores
    condition: Array | None = None
    weights: Array | None = None
    standardizer: ConditionalStandardizer | None = None
    source: Source = NOISE

    @classmethod
    def of(
        cls,
        x1: Array | tuple[Array, Array],
        condition: Array | None = None,
        sample_weight: Array | None = None,
        source: Source = NOISE,
    ) -> "FlowMatchingData":
        """Rows of scores, or of pairs (low, high) of scores; rows without weight are left out.

        A coupling without labels pairs rows of alike conditions (:func:`buff.couplings.stratify`).

        Raises
        ------
        ValueError
            Shapes that do not agree, values that are not finite, weights below 0.
        """
        bounds = [_finite("x1", part) for part in (x1 if isinstance(x1, tuple) else (x1,))]
        condition = None if condition is None else _finite("condition", condition)
        n, weights = len(bounds[0]), None if sample_weight is None else np.asarray(sample_weight, np.float64)
        for name, part in (("condition", condition), ("high scores", bounds[-1]), ("sample_weight", weights)):
            if part is not None and len(part) != n:
                raise ValueError(f"{name} has {len(part)} rows, x1 has {n}: they must agree")
        if weights is not None:
            if weights.shape != (n,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
                raise ValueError(f"sample_weight must be {n} finite numbers, none negative and one above 0")
            kept = weights > 0
            weights = weights[kept]
            # mean 1, so that leaves are drawn towards 0 by rows whatever the unit of the weights
            weights = (weights / weights.max() / np.mean(weights / weights.max())).astype(np.float32)
            bounds = [part[kept] for part in bounds]
            condition = None if condition is None else condition[kept]
            source = source.take(np.flatnonzero(kept))
        if source.coupling and source.labels is None and condition is not None:
            source = replace(source, labels=stratify(condition))
        scores = RankIntervals(*map(ndtr, bounds)) if len(bounds) == 2 else FixedScores(bounds[0])
        return cls(scores, condition, weights, source=source)

    def __len__(self) -> int:
        return len(self.scores.arrays[0])

    @property
    def n_dims(self) -> int:
        """Number d of scores."""
        return int(self.scores.arrays[0].shape[1])

    @property
    def n_conditions(self) -> int:
        """Width c of the condition."""
        return 0 if self.condition is None else int(self.condition.shape[1])

    @property
    def random(self) -> bool:
        """Whether repeated draws of targets differ."""
        return self.source.random

    def to_device(self, device: str) -> "FlowMatchingData":
        """A copy whose rows are on the device."""
        xp, _ = device_arrays(device)
        standardizer = self.standardizer and self.standardizer.to_device(device)
        return replace(self._each(xp.asarray), standardizer=standardizer, source=self.source.to_device(device))

    def targets(self, rng: Any, device: str = "cpu") -> Array:
        """x1 of shape (n, d), standardised where there is a condition."""
        x1 = self.scores.draw(rng, device)
        return x1 if self.standardizer is None else self.standardizer.transform(x1, self.condition)

    def pairs(self, rng: Any, device: str = "cpu") -> tuple[Array, Array, Array | None, Array | None]:
        """One draw of x0 and x1 for every row, with their conditions and weights."""
        x1 = self.targets(rng, device)
        if self.source.coupling is None:
            return self.source.draw(x1, rng, device), x1, self.condition, self.weights
        xp, _ = device_arrays(device)
        pairing_rng = np.random.default_rng(int(rng.integers(2**62)))
        weights = None if self.weights is None else to_numpy(self.weights)
        x0, rows = self.source.draw_coupled(to_numpy(x1), weights, pairing_rng)
        rows = xp.asarray(rows)
        return xp.asarray(x0), x1[rows], None if self.condition is None else self.condition[rows], None

    def base(self, rng: np.random.Generator) -> LinearVelocity:
        """Moments of the pairs; those of independent noise are known."""
        if self.source.independent:
            return LinearVelocity.from_noise(self.targets(rng), self.condition, self.weights, self.source.noise)
        draws = -(-_MOMENT_ROWS // len(self)) if self.source.random else 1
        parts = zip(*(self.pairs(rng) for _ in range(draws)), strict=True)
        return LinearVelocity.of_pairs(*(None if part[0] is None else np.concatenate(part) for part in parts))

    def problem(self, t: float, n_draws: int, rng: Any, device: str = "cpu") -> Problem:
        """Features ``[x_t, condition]``, targets ``x1 - x0`` and weights of ``n_draws`` draws of pairs a row.

        ``x_t = t x1 + (1 - t) x0`` (conditional flow matching, Lipman et al., 2022, arXiv:2210.02747; with couplings,
        Tong et al., 2023, arXiv:2302.00482).
        """
        xp, n, d = device_arrays(device)[0], len(self), self.n_dims
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
        return self.source.independent and (t == 1 or (t == 0 and not self.n_conditions))

    def is_uninformative(self, t: float) -> bool:
        """Whether x_t says nothing about x1."""
        return self.source.independent and t == 0

    def subset(self, n: int, rng: np.random.Generator) -> "FlowMatchingData":
        """At most ``n`` rows, drawn without replacement."""
        if n >= len(self):
            return self
        rows = np.sort(rng.choice(len(self), n, replace=False))
        return replace(self._each(lambda part: part[rows]), source=self.source.take(rows))

    def held_out(self, n: int, rng: np.random.Generator) -> "FlowMatchingData":
        """At most ``n`` rows to validate a node on: other noise makes other problems of them."""
        return self.subset(n, rng)

    def _each(self, change: Callable[[Array], Array]) -> "FlowMatchingData":
        """All arrays changed in the same way."""
        condition, weights = (None if part is None else change(part) for part in (self.condition, self.weights))
        return replace(self, scores=self.scores.each(change), condition=condition, weights=weights)

    def standardized(self, rng: np.random.Generator) -> "FlowMatchingData":
        """A copy with scores counted from what is linear in the condition."""
        if self.condition is None or self.standardizer is not None:
            return self
        moments = LinearVelocity.from_noise(self.targets(rng), self.condition, self.weights)
        return replace(self, standardizer=ConditionalStandardizer.of(moments))

    @cached_property
    def condition_uniqueness(self) -> float:
        """Share of distinct rows among the conditions: 1 where a condition tells which row it came with."""
        return 0.0 if self.condition is None else len(np.unique(self.condition, axis=0)) / max(len(self), 1)

    @cached_property
    def condition_values(self) -> int:
        """Distinct values of the condition's column that has most of them."""
        return 0 if self.condition is None else max((len(np.unique(column)) for column in self.condition.T), default=0)


def _finite(name: str, values: Array) -> Array:
    """Single precision of shape (n, k), or an error that says what is wrong."""
    array = np.asarray(values, np.float32)
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape (n, k), found {array.shape}")
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise ValueError(f"{name} has {bad.sum()} rows that are not finite, the first is row {bad.argmax()}")
    return array
