"""Which noise goes with which datum: couplings return rows of x0 and rows of x1.

Row numbers, not arrays: conditions, weights and labels follow the same rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from buff.errors import MissingExtraError
from buff.protocols import Array, Indices, Numbers, Scores, Values

__all__ = ["MinibatchTransport", "independent", "strata", "stratify"]


def independent(x0: Numbers, x1: Scores, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Every row of x0 once, with rows of x1 in random order, each equally often (give or take one).

    Parameters
    ----------
    x0 : array of shape (m, d)
        Noise.
    x1 : array of shape (n, d)
        Data.
    rng : numpy.random.Generator
        Source of the order.

    Returns
    -------
    rows of x0, rows of x1 : arrays of m integers
        Pairs.

    Examples
    --------
    >>> i, j = independent(np.zeros((4, 1)), np.zeros((2, 1)), np.random.default_rng(0))
    >>> i.tolist(), sorted(j.tolist())
    ([0, 1, 2, 3], [0, 0, 1, 1])
    """
    m, n = len(x0), len(x1)
    if not m or not n:
        raise ValueError(f"a coupling needs rows on both sides: found {m} of noise and {n} of data")
    if x0.shape[1:] != x1.shape[1:]:
        raise ValueError(f"noise and data need the same columns: found shapes {x0.shape} and {x1.shape}")
    rounds = [rng.permutation(n) for _ in range(-(-m // n))]
    return np.arange(m), np.concatenate(rounds)[:m]


@dataclass(frozen=True)
class MinibatchTransport:
    """Optimal transport inside random batches: within a batch, noise goes to near data.

    Source from :func:`independent` pairs and re-pairs each batch, so that both marginals stay as they were.

    Parameters
    ----------
    batch_size : int
        Rows a batch; cost grows with its cube, flows straighten slowly beyond a few hundred.
    labels : array of shape (n,), optional
        A label for every row of x1 (a class, or a bin of a continuous condition). Pairs are exchanged among
        equal labels only; otherwise the noise would tell the condition, and a conditional model would be
        sampled with noise that it has never seen with that condition.
    method : {"exact", "sinkhorn"}
        ``"exact"``: the least total squared distance, a permutation of the batch. ``"sinkhorn"``: the
        entropic plan of a Schroedinger bridge, from which a partner is drawn for every row of x0 (needs
        POT, extra ``ot``); rows of x1 may then repeat within a batch.
    regularization : float
        Entropic weight of ``"sinkhorn"``, in units of squared distance; 2 sigma^2 for a bridge of noise
        sigma.

    References
    ----------
    Tong et al., "Improving and generalizing flow-based generative models with minibatch optimal transport",
    2023, arXiv:2302.00482; Pooladian et al., 2023, arXiv:2304.14772.

    Examples
    --------
    >>> x0, x1 = np.array([[0.0], [1.0]]), np.array([[1.1], [0.1]])
    >>> i, j = MinibatchTransport()(x0, x1, np.random.default_rng(0))
    >>> x0[i].ravel().tolist(), x1[j].ravel().tolist()
    ([0.0, 1.0], [0.1, 1.1])
    """

    batch_size: int = 256
    labels: Array | None = None
    method: Literal["exact", "sinkhorn"] = "exact"
    regularization: float = 0.1

    def __post_init__(self) -> None:
        size: Any = self.batch_size
        if not isinstance(size, Integral) or int(size) < 2:
            raise ValueError(f"batch_size must be an integer of at least 2: found {self.batch_size!r}")
        if self.method not in ("exact", "sinkhorn"):
            raise ValueError(f"unknown method {self.method!r}: choose exact or sinkhorn")
        strength: Any = self.regularization
        if not isinstance(strength, Real) or not float(strength) > 0:
            raise ValueError(f"regularization must be positive: found {self.regularization!r}")

    def __call__(self, x0: Numbers, x1: Scores, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """Pairs of rows; see :func:`independent` for the arguments."""
        i, j = independent(x0, x1, rng)
        for rows in self._groups(x1, j):
            order = rng.permutation(rows)
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                j[batch] = j[batch][self._partners(x0[i[batch]], x1[j[batch]], rng)]
        return i, j

    def _groups(self, x1: Scores, j: Indices) -> list[Indices]:
        """Pairs whose data share a label."""
        if self.labels is None:
            return [np.arange(len(j))]
        labels = np.asarray(self.labels)
        if labels.shape != (len(x1),):
            raise ValueError(f"labels must have one entry a row of x1: found {labels.shape} for {len(x1)} rows")
        return [rows for _, rows in strata(labels[j])]

    def _partners(self, x0: Numbers, x1: Scores, rng: np.random.Generator) -> Indices:
        cost = cdist(x0, x1, "sqeuclidean")
        if self.method == "exact":
            partners: Indices = linear_sum_assignment(cost)[1]
            return partners
        plan = _sinkhorn(cost, self.regularization)
        cumulative = np.cumsum(plan, axis=1)
        drawn = rng.random((len(x0), 1)) * cumulative[:, -1:]
        chosen: Indices = np.minimum((cumulative < drawn).sum(axis=1), len(x1) - 1)
        return chosen


def _sinkhorn(cost: np.ndarray[Any, Any], regularization: float) -> np.ndarray[Any, Any]:
    try:
        import ot
    except ImportError as error:
        raise MissingExtraError("POT", "ot") from error
    # logarithms: exp(-cost / regularization) underflows for outlying rows
    plan: np.ndarray[Any, Any] = ot.sinkhorn([], [], cost, regularization, method="sinkhorn_log", warn=False)
    return plan


def strata(labels: Any) -> list[tuple[Any, Indices]]:
    """Each label in order, with the rows that have it.

    Examples
    --------
    >>> [(str(label), rows.tolist()) for label, rows in strata(np.array(["b", "a", "b"]))]
    [('a', [1]), ('b', [0, 2])]
    """
    levels, codes = np.unique(labels, return_inverse=True)
    return [(level, np.flatnonzero(codes.ravel() == k)) for k, level in enumerate(levels)]


def stratify(condition: Numbers, side: Values | None = None, *, smallest: int = 64) -> Indices:
    """Labels of rows whose conditions are alike: one a distinct row if many share it, else cells by halving.

    Parameters
    ----------
    condition : array of shape (n, c)
    side : array of shape (n,), optional
        0 or 1: the table that a row comes from; every stratum has rows of both.
    smallest : int
        Rows of each table in a cell, at least.

    Returns
    -------
    array of n integers

    Raises
    ------
    ValueError
        A condition that many rows share occurs in one table only.

    Examples
    --------
    >>> stratify(np.repeat([[0.0], [1.0]], 100, axis=0)).tolist() == [0] * 100 + [1] * 100
    True
    >>> np.bincount(stratify(np.arange(300.0)[:, None])).tolist()
    [75, 75, 75, 75]
    """
    side = np.zeros(len(condition), np.intp) if side is None else side
    levels, codes = np.unique(condition, axis=0, return_inverse=True)
    codes = codes.ravel()
    if len(levels) * smallest <= len(condition):
        alone = [k for k in range(len(levels)) if len(np.unique(side[codes == k])) < len(np.unique(side))]
        if alone:
            raise ValueError(f"{len(alone)} of {len(levels)} conditions occur in one of the two tables only")
        return np.asarray(codes, np.intp)
    labels = np.zeros(len(condition), np.intp)
    for label, rows in enumerate(_cells(condition, np.arange(len(condition)), _enough(side, smallest))):
        labels[rows] = label
    return labels


def _enough(side: Values, smallest: int) -> Callable[[Indices], bool]:
    sides = np.unique(side)
    return lambda rows: all((side[rows] == s).sum() >= smallest for s in sides)


def _cells(condition: Numbers, rows: Indices, enough: Callable[[Indices], bool]) -> list[Indices]:
    """Cells from halving at the median of the widest column, as long as both halves are large enough."""
    here = condition[rows]
    for column in np.argsort(-here.std(axis=0)):
        below = here[:, column] <= np.median(here[:, column])
        if enough(rows[below]) and enough(rows[~below]):
            return _cells(condition, rows[below], enough) + _cells(condition, rows[~below], enough)
    return [rows]
