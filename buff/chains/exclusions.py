"""Atoms of two columns that never occur together, which no row drawn from a chain gets together either."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from buff.chains.cells import VALUE
from buff.flows.state_pairs import joint_counts
from buff.protocols import Array, Indices, Mask, Numbers
from buff.records import checked_array

__all__ = ["Exclusions", "drawn_classes"]

#: Probability that any pair of states is taken for excluded in a table whose columns know nothing of each other.
_ACCIDENT = 1e-3
#: States that are looked at, those of columns of few first.
_MOST_STATES = 4096
#: Probability of a class that is not excluded, so that one is left to draw.
_LEAST_SHARE = 1e-12


@dataclass(frozen=True, eq=False)
class Exclusions:
    r"""Pairs of states (the number of an atom, or :data:`~buff.chains.cells.VALUE`) that exclude each other.

    States s and t of two columns, or all but s, or all but t, exclude each other where no row has both, and chance
    would give so many, :math:`n_s n_t / n`, that none at all is no accident: by Poisson's law, with Bonferroni's
    correction for all pairs that are looked at.

    Attributes
    ----------
    sizes : tuple of int
        Number of states of each column, values among them; 0 for columns that are left alone.
    excluded : bool array of shape (K, K)
        Of all states of all columns, side by side, values first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> label = rng.integers(2, size=(500, 1))
    >>> Exclusions.of(np.hstack([label, label]), np.ones((500, 2), bool), (3, 3)).violations(
    ...     1, np.array([[0, -2], [1, -2]])).tolist()
    [[0, 0, 1], [0, 1, 0]]
    """

    sizes: tuple[int, ...]
    excluded: Array

    @classmethod
    def of(cls, states: Indices, known: Mask, sizes: Sequence[int]) -> "Exclusions":
        """From states (n, d) of rows, where they are ``known``; ``sizes`` are those of all columns."""
        model = cls._without(sizes)
        chosen = np.flatnonzero(model.sizes)
        codes = np.where(known[:, chosen], states[:, chosen] - VALUE + 1, 0)
        least = np.log(4 * max(len(model.excluded), 1) ** 2 / _ACCIDENT)
        for a, b, counts in joint_counts(codes.T):
            (i, j), own = (chosen[a], chosen[b]), _excluded(counts[1:, 1:], least)
            first, second = model.starts[i], model.starts[j]
            model.excluded[first : first + own.shape[0], second : second + own.shape[1]] = own
            model.excluded[second : second + own.shape[1], first : first + own.shape[0]] = own.T
        return model

    @classmethod
    def _without(cls, sizes: Sequence[int]) -> "Exclusions":
        """That exclude nothing."""
        order = np.argsort(sizes, kind="stable")
        fits = np.cumsum(np.asarray(sizes)[order]) <= _MOST_STATES
        looked_at = {int(j) for j in order[fits] if sizes[j] > 1}
        own = tuple(int(k) if j in looked_at else 0 for j, k in enumerate(sizes))
        return cls(own, np.zeros((sum(own), sum(own)), bool))

    @cached_property
    def starts(self) -> Indices:
        """Number of the first state of each column."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.intp)

    @cached_property
    def touching(self) -> list[Indices]:
        """For each column, those that exclude states of it."""
        d = len(self.sizes)
        return [np.flatnonzero([self.excluded[self._of(k), self._of(j)].any() for k in range(d)]) for j in range(d)]

    def _of(self, j: int) -> slice:
        return slice(int(self.starts[j]), int(self.starts[j]) + self.sizes[j])

    def violations(self, j: int, states: Indices) -> Array | None:
        """How many known states (n, d) of each row exclude each state of column j, (n, states); None: none ever."""
        if not len(self.touching[j]):
            return None
        found = np.zeros((len(states), self.sizes[j]), np.intp)
        for k in self.touching[j]:
            rows = np.flatnonzero(states[:, k] >= VALUE)
            found[rows] += self.excluded[self.starts[k] + states[rows, k] - VALUE, self._of(j)]
        return found

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays; none where nothing is excluded."""
        return {"excluded": np.packbits(self.excluded, axis=1)} if self.excluded.any() else {}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], sizes: Sequence[int]) -> "Exclusions":
        """Inverse of :meth:`to_arrays`; nothing is excluded in files without it."""
        model = cls._without(sizes)
        if "excluded" not in arrays:
            return model
        K = len(model.excluded)
        bits = checked_array(arrays["excluded"], "excluded", (K, -(-K // 8)), kinds="u", high=255)
        return cls(model.sizes, np.unpackbits(bits.astype(np.uint8), axis=1, count=K).astype(bool))


def drawn_classes(p: Array, u: Numbers, classes: Indices, violations: Indices | None = None) -> Indices:
    """Numbers of classes, from their probabilities (n, k) and uniform numbers (n, 1).

    ``violations``, (n, states), counts what speaks against each state, values first: classes with the fewest are drawn.
    """
    if violations is not None and violations.any():
        own = violations[:, classes - VALUE]
        p = np.where(own == own.min(axis=1, keepdims=True), np.maximum(p, _LEAST_SHARE), 0.0)
        u = u * p.sum(axis=1, keepdims=True)
    return np.asarray(np.minimum((np.cumsum(p, axis=1) < u).sum(axis=1), p.shape[1] - 1))


def _excluded(counts: Array, least: float) -> Array:
    """Which pairs of states exclude each other, alone or with all others of their column."""
    n, rows, columns = counts.sum(), counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
    out = np.zeros(counts.shape, bool)
    if not n:
        return out
    pairs = (counts, rows, columns), (rows - counts, rows, n - columns), (columns - counts, n - rows, columns)
    both = n - rows - columns + counts, n - rows, n - columns
    alone, but_t, but_s, but_both = ((own == 0) & (a * (b / n) >= least) for own, a, b in (*pairs, both))
    out |= alone
    for s, t in np.argwhere(but_t):
        out[s, np.arange(out.shape[1]) != t] = True
    for s, t in np.argwhere(but_s):
        out[np.arange(out.shape[0]) != s, t] = True
    for s, t in np.argwhere(but_both):
        out[np.ix_(np.arange(out.shape[0]) != s, np.arange(out.shape[1]) != t)] = True
    return out & (rows > 0) & (columns > 0)
