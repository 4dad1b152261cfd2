"""Which scores of a row sit on an atom, drawn first and together; the other scores are what a flow learns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from buff import kernels
from buff.flows.pattern_choice import joined, pattern_classes
from buff.protocols import Array, Indices, Numbers, Scores, Weights
from buff.records import checked_array, require

__all__ = ["AtomPatterns"]

#: Atoms of a column that get an indicator each as features; of more, the score stands.
_MOST_INDICATORS = 8
#: Scores that stand for all ranks.
_ALL = 9.0
#: Distinct conditions that have a distribution of patterns each, and rows of each.
_MOST_CONDITIONS, _ROWS_A_CONDITION = 64, 30


@dataclass(frozen=True, eq=False)
class AtomPatterns:
    """The joint distribution of atoms over d scores: exact, as seen in the rows of the training.

    A *state* is the number of the atom that a score sits on, or -1. A *pattern* is a row of states. The marginal of a
    score given that it sits on none of its atoms is again standard normal.

    Attributes
    ----------
    intervals : tuple of d arrays of shape (k, 2)
        Ranks of the atoms of each score.
    states : int array of shape (K, d)
        The patterns; scores without part in them have -1.
    cumulative : array of shape (m, K)
        Probabilities of the patterns, for each of the conditions.
    conditions : float32 array of shape (m, c) or None
    features : float32 array of shape (K, f)
        What tells patterns apart.
    margins : array of shape (d,)
        Ranks of values are kept so far from 0 and 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> u = rng.random((1000, 1)).repeat(2, axis=1)
    >>> ends = (np.where(u < 0.3, end, u) for end in (1e-4, 0.3))
    >>> patterns = AtomPatterns.of(tuple(map(ndtri, ends)), [np.array([[0, 0.3]])] * 2)
    >>> patterns.states.tolist()
    [[-1, -1], [0, 0]]
    """

    intervals: tuple[Array, ...]
    states: Indices
    cumulative: Array
    features: Array
    margins: Array
    conditions: Array | None = None

    @classmethod
    def of(
        cls,
        x1: tuple[Array, Array],
        intervals: Sequence[Array],
        sample_weight: Weights | None = None,
        condition: Array | None = None,
        has_missing: Sequence[bool] = (),
    ) -> "AtomPatterns | None":
        """Patterns of rows of scores; None where no score has atoms, or where conditions are too many.

        Parameters
        ----------
        x1 : pair of arrays of shape (n, d)
            Scores of both ends of the ranks that values own.
        intervals : sequence of d arrays of shape (k, 2)
        sample_weight : array of shape (n,), optional
        condition : array of shape (n, c), optional
        has_missing : sequence of d bools, optional
            Whether the first atom of a score are missing entries: they may have part in patterns without the others.
        """
        n, d = x1[0].shape
        weights = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
        states = np.column_stack([_states(x1, j, atoms) for j, atoms in enumerate(intervals)])
        chosen, classes = joined(states, tuple(has_missing) or (False,) * d)
        if len(chosen) == d and all((column >= 0).all() for column in chosen.values()):
            chosen.popitem()  # a flow has something to learn
            classes = pattern_classes(np.column_stack([*chosen.values()])) if chosen else classes
        if not chosen:
            return None
        found = _condition_cells(condition)
        if found is None:
            return None
        conditions, cell = found
        first = np.unique(classes, return_index=True)[1]
        table = np.full((len(first), d), -1, np.int64)
        for j, column in chosen.items():
            table[:, j] = column[first]
        shares = np.zeros((int(cell.max()) + 1, len(first)))
        np.add.at(shares, (cell, classes), weights)
        cumulative = np.cumsum(shares, axis=1) / shares.sum(axis=1, keepdims=True)
        values = np.array([(chosen.get(j, states[:, j]) < 0).sum() for j in range(d)])
        used = tuple(_used(part, states[:, j], chosen.get(j)) for j, part in enumerate(intervals))
        return cls(used, table, cumulative, _features(table, used), 0.5 / np.maximum(values, 1), conditions)

    @property
    def learned(self) -> Indices:
        """Scores that are not on an atom in every pattern: those of the flow."""
        return np.flatnonzero((self.states < 0).any(axis=0))

    def classify(self, x1: tuple[Array, Array]) -> Indices:
        """Number of the pattern of each row."""
        chosen = [j for j, atoms in enumerate(self.intervals) if len(atoms)]
        states = np.column_stack([_states(x1, j, self.intervals[j]) for j in chosen])
        both = np.concatenate([self.states[:, chosen], states])
        classes = pattern_classes(both)
        number = np.zeros(classes.max() + 1, np.intp)
        number[classes[: len(self.states)]] = np.arange(len(self.states))
        return number[classes[len(self.states) :]]

    def split(self, x1: tuple[Array, Array], classes: Indices) -> tuple[Array, Array]:
        """Scores of values among values, in pairs (low, high); those on an atom may be anything."""
        return self._values(x1[0], classes, -_ALL), self._values(x1[1], classes, _ALL)

    def merge(self, scores: Scores, classes: Indices) -> Array:
        """Scores (n, d), float64, of the learned ones and patterns."""
        out = np.empty((len(classes), len(self.intervals)))
        learned = {int(j): i for i, j in enumerate(self.learned)}
        for j, atoms in enumerate(self.intervals):
            if not len(atoms):
                out[:, j] = scores[:, learned[j]]
                continue
            centre = ndtri(atoms.mean(axis=1))
            state = self.states[classes, j]
            out[:, j] = centre[state]
            if j in learned:
                rows = np.flatnonzero(state < 0)
                out[rows, j] = self._ranked(ndtr(scores[rows, learned[j]].astype(np.float64)), j)
        return out

    def draw(self, u: Numbers, condition: Numbers | None = None) -> Indices:
        """Numbers of patterns, from uniform numbers and conditions of rows."""
        if self.conditions is None or condition is None:
            return np.asarray(np.searchsorted(self.cumulative[0, :-1], u, side="right"))
        cell = np.argmin([_distance(condition, cell_of) for cell_of in self.conditions], axis=0)
        classes = np.empty(len(u), np.intp)
        for c in np.unique(cell):
            rows = cell == c
            classes[rows] = np.searchsorted(self.cumulative[c, :-1], u[rows], side="right")
        return classes

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays."""
        arrays = {f"intervals/{j}": atoms for j, atoms in enumerate(self.intervals)}
        for name in ("states", "cumulative", "features", "margins"):
            arrays[name] = getattr(self, name)
        return arrays if self.conditions is None else arrays | {"conditions": self.conditions}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "AtomPatterns":
        """Inverse of :meth:`to_arrays`."""
        states = checked_array(arrays["states"], "states", (None, None), kinds="i", low=-1)
        K, d = states.shape
        ranks: dict[str, Any] = {"low": 0, "high": 1 + 1e-9, "rising": True}
        intervals = tuple(
            checked_array(arrays[f"intervals/{j}"], f"intervals/{j}", (None, 2), **ranks) for j in range(d)
        )
        for j, atoms in enumerate(intervals):
            widths = np.diff(atoms, axis=1)
            require((widths >= 0).all() and widths.sum() < 1 + 1e-6, f"intervals/{j} are no parts of the ranks")
            checked_array(states[:, j], f"states of score {j}", kinds="i", high=len(atoms) - 1)
        cumulative = checked_array(arrays["cumulative"], "cumulative", (None, K), low=0, high=1 + 1e-6)
        require(cumulative.size and (np.diff(cumulative, axis=1) >= 0).all(), "cumulative does not rise")
        features, conditions = checked_array(arrays["features"], "features", (K, None)), arrays.get("conditions")
        if conditions is not None:
            conditions = checked_array(conditions, "conditions", (len(cumulative), None))
        margins = checked_array(arrays["margins"], "margins", (d,), low=0, high=0.5)
        return cls(intervals, states, cumulative, features, margins, conditions)

    def _values(self, scores: Scores, classes: Indices, anything: float) -> Array:
        columns = []
        for j in self.learned:
            column, atoms = scores[:, j].astype(np.float64), self.intervals[j]
            if len(atoms):
                u, width = ndtr(column), np.diff(atoms, axis=1).ravel()
                below = np.clip(u[:, None] - atoms[:, 0], 0, width).sum(axis=1)
                v = np.clip((u - below) / (1 - width.sum()), self.margins[j], 1 - self.margins[j])
                column = np.where(self.states[classes, j] < 0, ndtri(v), anything)
            columns.append(column.astype(np.float32))
        return np.column_stack(columns)

    def _ranked(self, v: Numbers, j: int) -> Array:
        """Scores of ranks among the values of a column."""
        starts, below, free = self._between(j)
        place = np.clip(v, self.margins[j], 1 - self.margins[j]) * free
        return ndtri(place + below[np.searchsorted(starts, place)])

    def _between(self, j: int) -> tuple[Numbers, Numbers, float]:
        """Ranks among values at which atoms start, ranks that the first 0, 1, ... atoms own, those of values."""
        atoms = self.intervals[j]
        width = np.diff(atoms, axis=1).ravel()
        below = np.concatenate([[0.0], np.cumsum(width)])
        return np.maximum.accumulate(atoms[:, 0] - below[:-1]), below, float(1 - width.sum())

    def packed(self) -> bytes:
        """The patterns as the C++ sampler reads them."""
        (m, K), (_, f) = self.cumulative.shape, self.features.shape
        cells = np.empty((m, 0), np.float32) if self.conditions is None else np.asarray(self.conditions, np.float32)
        head = np.array([len(self.intervals), K, m, f, cells.shape[1]], np.int32).tobytes()
        parts = [head, kernels.sized(self.states.astype(np.int32)), kernels.sized(self.cumulative)]
        parts += [kernels.sized(cells), kernels.sized(self.features)]
        learned = set(self.learned.tolist())
        for j, atoms in enumerate(self.intervals):
            starts, below, free = self._between(j)
            parts.append(np.array([j in learned], np.int32).tobytes() + kernels.doubles(free, self.margins[j]))
            parts += [kernels.sized(values) for values in (starts, below, ndtri(atoms.mean(axis=1)))]
        return b"".join(parts)


def _distance(condition: Array, values: Array) -> Numbers:
    """Squared distances of rows from one, added column by column."""
    total = np.zeros(len(condition))
    for column, value in zip(condition.T, values, strict=True):
        total += (column.astype(np.float64) - np.float64(value)) ** 2
    return total


def _states(x1: tuple[Array, Array], j: int, atoms: Numbers) -> Indices:
    if not len(atoms):
        return np.full(len(x1[0]), -1)
    u = 0.5 * (ndtr(x1[0][:, j].astype(np.float64)) + ndtr(x1[1][:, j].astype(np.float64)))
    i = np.searchsorted(atoms[:, 0], u, side="right") - 1
    # the middle of the ranks of an atom is its centre; that of an outermost value may touch its end
    inside = (i >= 0) & (u > 0.99 * atoms[i, 0] + 0.01 * atoms[i, 1]) & (u < 0.01 * atoms[i, 0] + 0.99 * atoms[i, 1])
    return np.where(inside, i, -1)


def _used(intervals: Array, states: Indices, chosen: Indices | None) -> Array:
    """Ranks of the atoms that have part in patterns: all, none or the first."""
    n = 0 if chosen is None else len(intervals) if (chosen == states).all() else 1
    return np.asarray(intervals[:n], np.float64).reshape(-1, 2)


def _condition_cells(condition: Numbers | None) -> tuple[Array | None, Indices] | None:
    if condition is None:
        return None, np.zeros(1, np.intp)
    cells, cell, counts = np.unique(condition, axis=0, return_inverse=True, return_counts=True)
    if len(cells) > _MOST_CONDITIONS or counts.min() < _ROWS_A_CONDITION:
        return None
    return cells, cell.ravel()


def _features(table: Indices, intervals: Sequence[Array]) -> Array:
    """Indicators of the atoms, +-1, or scores where they are many; equal columns once."""
    columns = []
    for j, atoms in enumerate(intervals):
        found = np.unique(table[:, j])
        if len(found) < 2:
            continue
        if len(found) > _MOST_INDICATORS:
            columns.append(ndtri(atoms.mean(axis=1))[table[:, j]])
            found = found[found < 0]
        for state in found[: 1 if len(found) == 2 else None]:
            columns.append(np.where(table[:, j] == state, 1.0, -1.0))
    if not columns:
        return np.empty((len(table), 0), np.float32)
    return np.unique(np.column_stack(columns).astype(np.float32), axis=1)
