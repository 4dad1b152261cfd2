"""The smooth part of what a Gaussian leaves of a velocity, which piecewise constant trees resolve last."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from buff.flows.linear import ReproducibleLinear
from buff.protocols import Array
from buff.records import checked_array, read_array, require
from buff.trees import Booster, FlatForest, device_arrays, restored_trees, stored_trees, to_numpy

__all__ = ["PolynomialRidge", "SmoothedTrees", "load_trees"]

#: Coordinates are cut here: beyond, a polynomial goes wherever it likes.
_LARGEST = 3.5
#: Rows by which coefficients are drawn towards 0, and rows of a problem that they are fitted to, at most.
_RIDGE, _ROWS = 10.0, 50_000
#: Rows of the table that a coefficient takes, and coefficients at most: beyond, they cost more than the trees.
_ROWS_A_TERM, _MOST_TERMS = 20, 1000
#: Rows at a time.
_BLOCK = 8192
_MAGIC = b"{polynomial2}"


@dataclass(frozen=True)
class PolynomialRidge:
    r"""``sum_k beta_k phi_k(w)`` with the monomials ``w_i``, ``w_i w_j`` and ``w_i w_j w_k``, w cut to [-3.5, 3.5].

    Coefficients minimise :math:`\sum_n |r_n - \beta \phi(w_n)|^2 + \lambda |\beta|^2`. Monomials are products in single
    precision and sums are exact, so that a row has the same result in any batch.

    Attributes
    ----------
    degree : int
        2 or 3.
    linear : ReproducibleLinear
        From the monomials to the d outputs.
    triples : bool
        Whether there are products of three different inputs, or of two at most.

    Examples
    --------
    >>> w = np.random.default_rng(0).standard_normal((2000, 2)).astype(np.float32)
    >>> ridge = PolynomialRidge.fit(w, w[:, :1] * w[:, 1:], degree=2)
    >>> bool(abs(ridge(w) - w[:, :1] * w[:, 1:])[abs(w).max(axis=1) < 3].max() < 0.05)
    True
    """

    degree: int
    linear: ReproducibleLinear
    triples: bool = True

    @classmethod
    def fit(
        cls,
        w: Array,
        targets: Array,
        weights: Array | None = None,
        *,
        degree: int = 3,
        triples: bool = True,
        n_draws: int = 1,
    ) -> "PolynomialRidge":
        """Coefficients for inputs (n, f) and targets (n, d) of which every ``n_draws`` belong to one row of a table."""
        size = n_terms(w.shape[1], degree, triples) + 1
        gram, moments = np.zeros((size, size)), np.zeros((size, targets.shape[1]))
        with threadpool_limits(1):  # sums must not depend on the number of threads
            for start in range(0, min(len(w), _ROWS), _BLOCK):
                rows = slice(start, min(start + _BLOCK, _ROWS))
                terms = monomials(w[rows], degree, triples)
                xp, _ = device_arrays("cpu" if isinstance(terms, np.ndarray) else "cuda")
                terms = xp.concatenate([terms, xp.ones_like(terms[:, :1])], axis=1)
                scaled = terms if weights is None else terms * weights[rows, None]
                gram += to_numpy(scaled.T @ terms)
                moments += to_numpy(scaled.T @ targets[rows])
            # draws of a row are not independent: what counts are rows
            n_used = min(n_draws, -(-_ROWS * n_draws // len(w)))
            gram[np.diag_indices(size - 1)] += _RIDGE * n_used
            solution = np.linalg.solve(gram + 1e-9 * np.eye(size), moments)
        device = "cpu" if isinstance(w, np.ndarray) else "cuda"
        return cls(degree, ReproducibleLinear.of(solution[:-1], solution[-1], device), triples)

    def __call__(self, w: Array) -> Array:
        xp, _ = device_arrays("cpu" if isinstance(w, np.ndarray) else "cuda")
        starts = range(0, len(w), _BLOCK)
        blocks = [self.linear(monomials(w[i : i + _BLOCK], self.degree, self.triples)) for i in starts]
        return xp.concatenate(blocks) if blocks else xp.empty((0, len(self.linear.bias)), xp.float32)


def monomials(w: Array, degree: int, triples: bool = True) -> Array:
    """Products of one to ``degree`` inputs, w_i before w_i w_j before w_i w_j w_k: float32 of shape (n, terms).

    Without ``triples``, those of three are ``w_i w_j^2`` alone.
    """
    xp, _ = device_arrays("cpu" if isinstance(w, np.ndarray) else "cuda")
    w = xp.clip(w, xp.float32(-_LARGEST), xp.float32(_LARGEST))
    f = w.shape[1]
    terms = xp.empty((len(w), n_terms(f, degree, triples)), xp.float32)
    terms[:, :f] = w
    stop, pairs = f, [f]
    for i in range(f):
        start, stop = stop, stop + f - i
        pairs.append(stop)
        xp.multiply(w[:, i : i + 1], w[:, i:], out=terms[:, start:stop])
    last, squares = stop, None if triples else w * w
    for i in range(f if degree == 3 else 0):
        others = terms[:, pairs[i] : last] if squares is None else squares
        start, stop = stop, stop + others.shape[1]
        xp.multiply(w[:, i : i + 1], others, out=terms[:, start:stop])
    return terms


def affordable_degree(degree: int, n_inputs: int, n_rows: int) -> tuple[int, bool]:
    """``degree`` or less, and whether with triples, as the numbers of inputs and of rows allow; 0 for none."""
    most = min(_MOST_TERMS, n_rows // _ROWS_A_TERM)
    fitting = (k for k in ((3, True), (3, False), (2, True)) if k[0] <= degree and n_terms(n_inputs, *k) <= most)
    return next(fitting, (0, True))


def n_terms(f: int, degree: int, triples: bool = True) -> int:
    """Number of the monomials of f inputs."""
    cubic = f * (f + 1) * (f + 2) // 6 if triples else f * f
    return f + f * (f + 1) // 2 + (cubic if degree == 3 else 0)


@dataclass(frozen=True)
class SmoothedTrees:
    """Trees on top of a polynomial: ``trees(features) + ridge(features[:, first:])``.

    Attributes
    ----------
    trees : FlatForest or Booster
    ridge : PolynomialRidge
    first : int
        First of the features that the polynomial sees.
    """

    trees: Booster | FlatForest
    ridge: PolynomialRidge
    first: int

    @property
    def rounds(self) -> int:
        """Boosting rounds."""
        return self.trees.rounds

    @property
    def device(self) -> str:
        """Where the arithmetic is done."""
        return self.trees.device

    def __call__(self, features: Array) -> Array:
        return self.trees(features) + self.ridge(features[:, self.first :])

    def to_bytes(self) -> bytes:
        """Coefficients, then the trees as :func:`buff.trees.stored_trees` has them."""
        file = io.BytesIO()
        file.write(_MAGIC)
        facts = np.array([self.ridge.degree, self.first, self.ridge.triples], np.int64)
        for array in (facts, *self.ridge.linear.to_arrays().values()):
            np.lib.format.write_array(file, array, allow_pickle=False)
        return file.getvalue() + stored_trees(self.trees)


def load_trees(raw: bytes, n_outputs: int, device: str = "cpu", n_features: int | None = None) -> Any:
    """Trees with a polynomial or without, from ``SmoothedTrees.to_bytes`` or :func:`buff.trees.stored_trees`.

    Raises
    ------
    ArchiveError
        Trees that are refused, or not of these numbers of outputs and of features; a polynomial of other inputs.
    """
    if not raw.startswith(_MAGIC):
        return restored_trees(raw, n_outputs, device, n_features)
    file = io.BytesIO(raw)
    file.seek(len(_MAGIC))
    facts, weights, bias = (read_array(file, "a polynomial") for _ in range(3))
    facts = checked_array(facts, "facts of a polynomial", (3,), kinds="iu", low=0, high=1000)
    parts = {"polynomial/weights": weights, "polynomial/bias": bias}
    linear = ReproducibleLinear.from_arrays(parts, "polynomial", (None, n_outputs)).to_device(device)
    trees = restored_trees(raw[file.tell() :], n_outputs, device, n_features)
    degree, first, triples = int(facts[0]), int(facts[1]), bool(facts[2])
    fits = degree in (2, 3) and n_terms(trees.n_features - first, degree, triples) == len(weights)
    require(fits and first < trees.n_features, "a polynomial of other inputs than the trees have")
    return SmoothedTrees(trees, PolynomialRidge(degree, linear, triples), first)
