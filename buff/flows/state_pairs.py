"""How often states of two columns occur together, for all pairs of columns at once."""

from collections.abc import Iterator, Sequence

import numpy as np

from buff.protocols import Array, Indices

__all__ = ["joint_counts", "n_distinct", "ranked"]

#: Joint states of columns that are counted in one go.
_AT_A_TIME = 128


def joint_counts(columns: Sequence[Indices] | Indices) -> Iterator[tuple[int, int, Array]]:
    """Numbers of rows with each pair of states, (k_i, k_j), for all pairs i < j of columns.

    Several columns of few states count as one of their joint states, so that rows are gone through once for many pairs.

    Parameters
    ----------
    columns : sequence of int arrays of shape (n,)
        States 0, 1, ...

    Examples
    --------
    >>> i, j, counts = next(joint_counts([np.array([0, 0, 1]), np.array([0, 1, 1])]))
    >>> i, j, counts.tolist()
    (0, 1, [[1, 1], [0, 1]])
    """
    groups, codes, shapes = _groups(columns)
    for g, (own, code, shape) in enumerate(zip(groups, codes, shapes, strict=True)):
        alone = np.bincount(code, minlength=int(np.prod(shape))).reshape(shape)
        for a in range(len(own)):
            for b in range(a + 1, len(own)):
                yield own[a], own[b], _margin(alone, (a, b))
        for others, other, size in zip(groups[g + 1 :], codes[g + 1 :], shapes[g + 1 :], strict=True):
            width, height = int(np.prod(size)), int(np.prod(shape))
            joint = np.bincount(code * width + other, minlength=height * width).reshape(height, *size)
            for b, j in enumerate(others):
                table = _margin(joint, (0, b + 1)).reshape(*shape, size[b])
                for a, i in enumerate(own):
                    yield i, j, _margin(table, (a, len(own)))


def ranked(codes: Indices) -> Indices:
    """Codes >= 0 as 0, 1, ... without gaps, in the same order: the inverse of ``np.unique``."""
    if _is_sparse(codes):
        return np.unique(codes, return_inverse=True)[1]
    return np.asarray((np.cumsum(np.bincount(codes) > 0) - 1)[codes])


def n_distinct(codes: Indices) -> int:
    """How many different codes >= 0 there are."""
    return len(np.unique(codes)) if _is_sparse(codes) else int(np.count_nonzero(np.bincount(codes)))


def _is_sparse(codes: Indices) -> bool:
    return int(codes.max()) > 4 * len(codes)


def _groups(columns: Sequence[Indices] | Indices) -> tuple[list[list[int]], list[Indices], list[tuple[int, ...]]]:
    """Numbers of columns that are counted as one, their joint states, and how many states each has."""
    groups: list[list[int]] = []
    codes: list[Indices] = []
    shapes: list[tuple[int, ...]] = []
    for j, column in enumerate(columns):
        k = int(column.max()) + 1
        if groups and int(np.prod(shapes[-1])) * k <= _AT_A_TIME:
            groups[-1].append(j)
            codes[-1], shapes[-1] = codes[-1] * k + column, (*shapes[-1], k)
        else:
            groups.append([j])
            codes.append(column.astype(np.intp))
            shapes.append((k,))
    return groups, codes, shapes


def _margin(counts: Array, axes: tuple[int, int]) -> Array:
    return np.asarray(counts.sum(axis=tuple(a for a in range(counts.ndim) if a not in axes)))
