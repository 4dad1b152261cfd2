"""Whose atoms are drawn together: columns that exclude each other first, then as many as there are rows for."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from buff.flows.state_pairs import joint_counts, n_distinct, ranked
from buff.protocols import Array, Indices

__all__ = ["joined", "pattern_classes"]

#: Patterns, at most, and rows for each of them on average.
_MOST_PATTERNS, _ROWS_A_PATTERN = 256, 10
#: With columns that are nothing but atoms, there are more rows for each; so few patterns are always allowed.
_ROWS_A_CLASS, _FEW_PATTERNS = 40, 16
#: Columns whose joint states are as many as those of shuffled rows know nothing of each other: they join small tables
#: of patterns only.
_INDEPENDENT, _SMALL = 0.9, 64
#: Columns that may take part.
_MOST_VARIABLES = 100
#: A pair of states is excluded that has less than this share of the rows that chance would give it, which are so many
#: at least; columns exclude each other where this share of the rows would be in such pairs by chance.
_EXCLUDED, _FEWEST_EXPECTED, _EXCLUSIVE = 0.1, 8, 0.05


def joined(states: Indices, has_missing: Sequence[bool]) -> tuple[dict[int, Array], Indices]:
    """States of the columns that have part in patterns, by their numbers, and the pattern of each row.

    Columns of atoms and values come first. The next is the one of which the pattern so far excludes most: whose joint
    states are fewest, beside those of shuffled rows. Where that leaves out columns of labels that exclude each other,
    or the missing entries of such, these come before all others.

    Parameters
    ----------
    states : int array of shape (n, d)
        Number of the atom of each score, -1 for values.
    has_missing : sequence of d bools
        Whether the first atom of a column are missing entries.
    """
    n = len(states)
    levels = {j: len(np.unique(column)) for j, column in enumerate(states.T)}
    mixed = [j for j, k in levels.items() if k > 1 and (states[:, j] < 0).any()]
    discrete = [j for j, k in levels.items() if (states[:, j] >= 0).all() and k >= 1]
    groups = [sorted(group, key=lambda j: levels[j])[:_MOST_VARIABLES] for group in (mixed, discrete)]
    limits = [max(_FEW_PATTERNS, min(_MOST_PATTERNS, n // rows)) for rows in (_ROWS_A_PATTERN, _ROWS_A_CLASS)]
    plain = _grown(states, {}, np.zeros(n, np.intp), groups, limits)
    chosen, classes = _exclusive(states, mixed, discrete, has_missing, limits[1])
    if all(j in plain[0] for j in chosen):
        return plain
    return _grown(states, chosen, classes, groups, limits)


def _grown(
    states: Indices,
    chosen: dict[int, Array],
    classes: Indices,
    groups: Sequence[list[int]],
    limits: Sequence[int],
) -> tuple[dict[int, Array], Indices]:
    """The columns chosen so far with as many of the groups, one after the other, as their limits allow."""
    chosen = dict(chosen)
    for group, limit in zip(groups, limits, strict=True):
        left = [j for j in group if not _is_whole(chosen, j, states)]
        while left:
            told, best, joint = _next(states, classes, left, limit)
            if best is None and not told:
                break
            for j in told or [best]:  # type: ignore[list-item]
                chosen[j] = states[:, j]
            classes = joint
            left = [j for j in left if not _is_whole(chosen, j, states)]
    return chosen, classes


def pattern_classes(states: Indices) -> Indices:
    """A number for each row, the same in equal rows."""
    classes = np.zeros(len(states), np.intp)
    for column in states.T:
        classes = ranked(_both(classes, column))
    return classes


def _is_whole(chosen: Mapping[int, Array], j: int, states: Indices) -> bool:
    return j in chosen and bool((chosen[j] == states[:, j]).all())


def _exclusive(
    states: Indices, mixed: list[int], discrete: list[int], has_missing: Sequence[bool], limit: int
) -> tuple[dict[int, Array], Indices]:
    """States of columns that exclude each other, those that do so most first, and the pattern of each row."""
    parts = {(j, True): states[:, j] for j in discrete[:_MOST_VARIABLES]}
    parts |= {(j, False): np.where(states[:, j] == 0, 0, -1) for j in discrete[:_MOST_VARIABLES] if has_missing[j]}
    parts |= {(j, True): states[:, j] for j in mixed[:_MOST_VARIABLES]}
    chosen: dict[int, Array] = {}
    classes = np.zeros(len(states), np.intp)
    for pair in _excluding(parts, set(discrete)):
        # what is a part already stays one: the whole column has more states than there are rows for
        new = [(j, whole) for j, whole in pair if j not in chosen]
        if not new:
            continue
        joint = pattern_classes(np.column_stack([classes, *(parts[key] for key in new)]))
        if int(joint.max()) < limit:
            classes = joint
            chosen |= {j: parts[j, whole] for j, whole in new}
    return chosen, classes


def _excluding(
    parts: Mapping[tuple[int, bool], Array], discrete: set[int]
) -> Iterator[tuple[tuple[int, bool], tuple[int, bool]]]:
    """Pairs of columns that exclude each other, those that do so most first; one of them is all atoms."""
    found, names = [], list(parts)
    for i, j, joint in joint_counts([own + 1 for own in parts.values()]):
        a, b = names[i], names[j]
        if a[0] != b[0] and discrete & {a[0], b[0]}:
            share = _excluded_share(joint)
            if share >= _EXCLUSIVE:
                found.append((-share, a, b))
    return ((a, b) for _, a, b in sorted(found))


def _excluded_share(joint: Array) -> float:
    """Share of the rows that chance would give pairs of states that hardly occur."""
    n = joint.sum()
    expected = joint.sum(axis=1, keepdims=True) * (joint.sum(axis=0, keepdims=True) / n)
    off = (expected >= _FEWEST_EXPECTED) & (joint < _EXCLUDED * expected)
    return float(expected[off].sum() / n)


def _next(states: Indices, classes: Indices, left: list[int], limit: int) -> tuple[list[int], int | None, Indices]:
    """Columns that the pattern so far tells, or else the best to join it, and the patterns then."""
    shuffled, now = np.random.default_rng(0).permutation(len(states)), int(classes.max()) + 1
    told: list[int] = []
    best, best_share = None, np.inf
    for j in left:
        size = n_distinct(_both(classes, states[:, j]))
        if size == now:
            told.append(j)
            continue
        if size > limit:
            continue
        share = size / n_distinct(_both(classes, states[shuffled, j])) + 1e-6 * size
        if share < best_share and (share < _INDEPENDENT or size <= _SMALL):
            best, best_share = j, share
    if told:
        return told, None, classes
    return [], best, classes if best is None else ranked(_both(classes, states[:, best]))


def _both(classes: Indices, column: Indices) -> Indices:
    return np.asarray(classes * (int(column.max()) + 2) + column + 1)
