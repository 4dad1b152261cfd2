r"""Event weights of both signs, made positive without changing the density that they stand for.

A sample with weights w stands for the density in proportion to q(x) E[w | x], with q the density of the rows. Where
that is a density, the mean weight E[w | x] is nowhere negative, although single weights are: any positive weights v
with the same E[v | x] say the same, and can be fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from buff.errors import warn
from buff.kernels import dot, products
from buff.protocols import Array, Indices, Numbers, Scores, Weights
from buff.tables import Columns, read
from buff.tables.weights import check_weights
from buff.transforms import ConditionEncoder, TableTransformer
from buff.trees import Booster, TreeSettings

__all__ = ["POLICIES", "PositiveWeights", "effective_size", "positive_weights"]

#: Small steps, many rows a leaf, stopped on rows apart: a mean weight that follows single rows is no mean.
_TREES = TreeSettings(n_estimators=800, max_depth=4, learning_rate=0.1, reg_lambda=30.0, early_stopping=20)
_FOLDS = 5
#: Rows among which a negative weight looks for others to be cancelled with, tried in turn; a tenth of all at most.
_CELLS = (16, 64, 256, 1024, 4096)
#: Moments that are matched, at most; a twentieth of the rows at most.
_MOMENTS = 1000
#: Standard deviations below zero from which a sum of weights is called negative.
_SIGNIFICANT = 4.0


@dataclass(frozen=True, eq=False)
class PositiveWeights:
    """Weights to fit with, and what became of the statistics.

    Attributes
    ----------
    values : array of shape (n,)
        Weights, none negative, of the same sum as those given.
    policy : str
        Where they come from.
    negative : float
        Share of the rows whose weight was negative.
    effective_before, effective_after : float
        Effective sample size of the weights given, which is that of the sample, and of those to fit with. The second is
        larger because the noise of the signs is averaged out; it does not make the sample larger.
    cut : float
        Where the local mean came out negative, by noise or in truth, it was set to 0: how much, as a share of the sum.
    """

    values: Array
    policy: str
    negative: float
    effective_before: float
    effective_after: float
    cut: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.negative:.1%} of {len(self.values)} weights negative, policy {self.policy!r}: effective sample "
            f"size {self.effective_before:.0f}, {self.effective_after:.0f} in the fit; {self.cut:.2%} of the sum cut"
        )


class _Result(NamedTuple):
    """Weights before their sum is restored, the share of it that was cut, and by how many sigmas it is below 0."""

    weights: Array
    cut: float
    sigmas: float


def positive_weights(
    X: Any,
    sample_weight: Any,
    *,
    policy: str = "error",
    condition: Any = None,
    schema: Mapping[str, Any] | None = None,
    random_state: Any = 0,
) -> PositiveWeights:
    r"""Weights without negative ones that stand for the same density.

    Weights of which none is negative come back as they are. Else the policy decides:

    - ``"error"`` refuses.
    - ``"smooth"`` takes the local mean weight :math:`v_i = E[w \mid x_i]`, learned by boosted trees that have not seen
      row i (cross-fitting over five folds; Nachman, Thaler, 2020, arXiv:2007.11586, with a network), then changed a
      little so that means and products of columns in rank space are those of the signed sample. Every row stays, and
      the spread of the sizes of the weights is averaged out as well. The choice for many columns.
    - ``"cancel"`` draws a cell around each negative weight, over its nearest neighbours in rank space until their sum
      is positive, and gives all rows of the cell the same share of their size,
      :math:`v_i = |w_i| \sum_\mathrm{cell} w / \sum_\mathrm{cell} |w|` (Andersen, Maier, 2021, arXiv:2109.07851). The
      sum of a cell is kept exactly and nothing is learned; what is smaller than a cell is lost. The choice for few
      columns, up to about five, and few negative weights.

    Parameters
    ----------
    X : table of shape (n, p)
        Any container that :class:`buff.BUFF` reads.
    sample_weight : array-like of shape (n,)
        Event weights of either sign, with a positive sum.
    policy : {"error", "smooth", "cancel"}
    condition : table or array-like of shape (n, ...), optional
        Columns that the density is conditional on: weights are averaged at fixed condition.
    schema : mapping, optional
        Columns that are known better: see :func:`buff.tables.infer_schema`.
    random_state : None, int or NumPy generator
        Of the folds.

    Returns
    -------
    PositiveWeights

    Raises
    ------
    ValueError
        Unknown policy; weights that are not n finite numbers or whose sum is not positive; negative weights with the
        policy ``"error"``; fewer than 20 rows with another one.

    Warns
    -----
    UserWarning
        The local mean weight is negative where it should not be: no density has these weights.

    Examples
    --------
    >>> from buff.datasets import SignedWeights
    >>> events = SignedWeights().sample(4000, random_state=0)
    >>> weights = positive_weights(events.x, events.weight, policy="smooth")
    >>> bool(weights.values.min() >= 0), bool(np.isclose(weights.values.sum(), events.weight.sum()))
    (True, True)
    >>> weights.effective_after > 4 * weights.effective_before
    True
    """
    if not isinstance(policy, str) or policy not in POLICIES:
        raise ValueError(f"negative weights: the policy must be one of {', '.join(POLICIES)}, found {policy!r}")
    columns = X if isinstance(X, Columns) else read(X)
    w = check_weights(sample_weight, len(columns))
    before = effective_size(w)
    negative = float(np.mean(w < 0))
    if not negative:
        return PositiveWeights(w, policy, 0.0, before, before)
    if policy != "error" and len(w) < 4 * _FOLDS:
        raise ValueError(f"sample_weight: {4 * _FOLDS} rows are needed to average negative weights, found {len(w)}")
    several = isinstance(condition, tuple) and all(isinstance(part, Columns) for part in condition)
    conditions = condition if several else () if condition is None else (condition,)
    features = _Features(columns, conditions, schema)
    result = POLICIES[policy](features, w / np.mean(np.abs(w)), np.random.default_rng(random_state))
    if result.sigmas > _SIGNIFICANT:
        warn(
            f"the local mean weight is negative in places, by {result.sigmas:.1f} standard deviations, and no density "
            f"has such weights: {result.cut:.2%} of the sum of weights was cut there"
        )
    v = result.weights * (w.sum() / result.weights.sum())
    return PositiveWeights(v, policy, negative, before, effective_size(v), result.cut)


def effective_size(weights: ArrayLike) -> float:
    r"""Kish's effective sample size :math:`(\sum w)^2 / \sum w^2` (L. Kish, 1965); 0 where all weights are.

    Examples
    --------
    >>> effective_size([1.0, 1.0, 1.0, -1.0])
    1.0
    """
    w = np.asarray(weights, np.float64)
    squares = dot(w, w)
    return float(w.sum() ** 2 / squares) if squares > 0 else 0.0


@dataclass(frozen=True)
class _Features:
    """Where rows are, in rank space; worked out only where it is needed."""

    columns: Columns
    conditions: tuple[Any, ...]
    schema: Mapping[str, Any] | None

    def scores(self) -> Array:
        """Normal scores of the columns, then features of the condition, float32 of shape (n, features)."""
        parts = [TableTransformer(schema=self.schema).fit(self.columns).transform(self.columns)]
        for condition in self.conditions:
            parts.append(ConditionEncoder().fit(condition).transform(condition))
            if len(parts[-1]) != len(parts[0]):
                raise ValueError(f"condition has {len(parts[-1])} rows, X has {len(parts[0])}: they must agree")
        return np.hstack(parts)


def _error(features: _Features, w: Weights, rng: np.random.Generator) -> _Result:
    ways = " or ".join(repr(name) for name in POLICIES if name != "error")
    raise ValueError(
        f"sample_weight has {(w < 0).sum()} negative values of {len(w)}, the first in row {np.argmax(w < 0)}: "
        f"choose the policy {ways} for them"
    )


def _smooth(features: _Features, w: Weights, rng: np.random.Generator) -> _Result:
    v, z = np.empty(len(w)), features.scores()
    if not z.shape[1]:
        return _Result(np.full(len(w), w.mean()), 0.0, 0.0)
    fold = rng.permutation(len(w)) % _FOLDS
    for k in range(_FOLDS):
        asked, fresh = fold == k, fold == (k + 1) % _FOLDS
        seen = ~(asked | fresh)
        mean = w[seen].mean()
        targets = (w - mean).astype(np.float32)[:, None]
        trees = Booster.fit(z[seen], targets[seen], _TREES, fresh=(z[fresh], targets[fresh], None), seed=k)
        v[asked] = mean + trees(z[asked])[:, 0]
    below = v < 0
    # these rows were not seen by the trees that chose them, so their own weights test the choice
    sigmas = -w[below].sum() / np.sqrt(dot(w[below], w[below])) if below.any() else 0.0
    return _Result(_match_moments(np.maximum(v, 0.0), w, z), float(0.0 - v[below].sum() / w.sum()), float(sigmas))


def _match_moments(v: Numbers, w: Weights, z: Scores) -> Array:
    """Change positive weights by the least that gives means and products of columns the values they have with w.

    Trees that average shrink what is rare; adding ``q @ theta`` with q = (1, z_a, z_a z_b) undoes it for these moments.
    """
    d = z.shape[1]
    i, j = np.triu_indices(d)
    if 1 + d + len(i) > min(len(v) / 20, _MOMENTS):
        i = j = np.empty(0, np.intp)
    step = min(max(1, 4_000_000 // (1 + d + len(i))), 2**17)
    blocks = [slice(start, start + step) for start in range(0, len(v), step)]

    def moments(rows: slice) -> Array:
        x = z[rows].astype(np.float64)
        return np.hstack([np.ones((len(x), 1)), x, x[:, i] * x[:, j]])

    inverse = np.linalg.pinv(sum(products(q := moments(rows), q) for rows in blocks), rcond=1e-8, hermitian=True)
    for _ in range(10):  # again, since what falls below 0 is cut
        theta = inverse @ sum(products(moments(rows), (w - v)[rows, None])[:, 0] for rows in blocks)
        theta = theta.astype(np.float32)  # more digits would be those of the processor
        steps = [np.add.reduce(moments(rows) * theta, axis=1) for rows in blocks]
        v = np.maximum(v + np.concatenate(steps), 0.0)
    return v


def _cancel(features: _Features, w: Weights, rng: np.random.Generator) -> _Result:
    v, z = w.copy(), features.scores()
    if not z.shape[1]:
        return _Result(np.full(len(w), w.mean()), 0.0, 0.0)
    tree = cKDTree(z)
    # the most negative first: they need the largest cells, which later ones then find compensated
    seeds = np.argsort(w, kind="stable")[: (w < 0).sum()]
    sizes = sorted({min(size, max(16, len(w) // 10)) for size in _CELLS})
    for size in sizes:
        cells = _cells(tree, z, seeds, size)
        seeds = np.array([cell[0] for cell in cells if v[cell[0]] < 0 and not _share(v, cell)], dtype=np.intp)
    sums = [-w[cell].sum() / np.sqrt(dot(w[cell], w[cell])) for cell in _cells(tree, z, seeds, sizes[-1])]
    return _Result(np.maximum(v, 0.0), float(0.0 - v[v < 0].sum() / w.sum()), float(max(sums, default=0.0)))


def _cells(tree: cKDTree, z: Scores, seeds: Indices, size: int) -> Iterator[Indices]:
    """Each seed, followed by its nearest neighbours, the nearest first."""
    step = max(1, 4_000_000 // size)
    for start in range(0, len(seeds), step):
        block = seeds[start : start + step]
        for seed, near in zip(block, tree.query(z[block], size)[1], strict=True):
            yield np.append(seed, near[near != seed])


def _share(v: Numbers, cell: Indices) -> bool:
    """Spread the sum of the smallest part of the cell that is not negative over its rows; False if there is none."""
    sums = np.cumsum(v[cell])
    end = int(np.argmax(sums >= 0))
    if sums[end] < 0:
        return False
    rows = cell[: end + 1]
    sizes = np.abs(v[rows])
    v[rows] = sizes * (sums[end] / sizes.sum())
    return True


POLICIES: Mapping[str, Callable[[_Features, Array, np.random.Generator], _Result]] = MappingProxyType(
    {"error": _error, "smooth": _smooth, "cancel": _cancel}
)
