"""What trees, constant by pieces, leave to smooth functions: a polynomial under them, marginals after them."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from buff import kernels
from buff.kernels import ReproducibleLinear, solve
from buff.protocols import Array, Mask, Numbers, Weights
from buff.records import checked_array, checked_record, read_array, require
from buff.trees import Booster, FlatForest, device_arrays, restored_trees, stored_trees, to_numpy

__all__ = ["MarginalCalibration", "PolynomialRidge", "SmoothedTrees", "load_trees"]

#: Coordinates are cut here: beyond, a polynomial goes wherever it likes.
_LARGEST = 3.5
#: Rows by which coefficients are drawn towards 0, and rows of a problem that they are fitted to, at most.
_RIDGE, _ROWS = 10.0, 50_000
#: Coefficients at most: beyond, they cost more than the trees.
_MOST_TERMS = 1000
#: Rows at a time.
_BLOCK = 8192
#: Monomials count in units of 1 / 2^11, and targets in 1 / 2^17 of the largest: both have 17 bits at most.
_FINE, _WHOLE = 2.0**11, 2.0**17
_MAGIC = b"{polynomial2}"
#: Scores between which drawn events are made normal. More of them, or farther out, would follow these events' noise.
_LEVELS = np.linspace(-2.3, 2.3, 21, dtype=np.float32)
#: Normal scores of the levels at which two samples are compared.
_COMPARED = np.linspace(-3.0, 3.0, 201)


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
        size, n = n_terms(w.shape[1], degree, triples) + 1, min(len(w), _ROWS)
        gram, moments = np.zeros((size, size)), np.zeros((size, targets.shape[1]))
        xp, _ = device_arrays("cpu" if isinstance(w, np.ndarray) else "cuda")
        heaviest = 1.0 if weights is None else _power_of_two(weights[:n])
        unit = _power_of_two(targets[:n]) / _WHOLE
        terms = xp.full((min(n, _BLOCK), size), _FINE)
        with threadpool_limits(1):
            for start in range(0, n, _BLOCK):
                rows = slice(start, min(start + _BLOCK, n))
                part = terms[: rows.stop - start]
                # whole numbers, whose products and sums are exact in any order
                own = monomials(w[rows], degree, triples)
                own *= xp.float32(_FINE)
                part[:, :-1] = xp.rint(own, out=own)
                scaled = part if weights is None else xp.rint(part * (weights[rows, None] / heaviest))
                gram += to_numpy(scaled.T @ part)
                moments += to_numpy(scaled.T @ xp.rint(targets[rows] / xp.float64(unit)))
        gram *= heaviest / _FINE**2
        moments *= heaviest * unit / _FINE
        # draws of a row are not independent: what counts are rows
        gram[np.diag_indices(size - 1)] += _RIDGE * min(n_draws, -(-_ROWS * n_draws // len(w)))
        solution = solve(gram + 1e-9 * np.eye(size), moments)
        device = "cpu" if isinstance(w, np.ndarray) else "cuda"
        return cls(degree, ReproducibleLinear.of(solution[:-1], solution[-1], device), triples)

    def __call__(self, w: Array) -> Array:
        xp, _ = device_arrays("cpu" if isinstance(w, np.ndarray) else "cuda")
        starts = range(0, len(w), _BLOCK)
        blocks = [self.linear(monomials(w[i : i + _BLOCK], self.degree, self.triples)) for i in starts]
        return xp.concatenate(blocks) if blocks else xp.empty((0, len(self.linear.bias)), xp.float32)

    def packed(self) -> bytes:
        """The polynomial as the kernels read it."""
        return kernels.integers(self.degree, self.triples) + self.linear.packed()


def _power_of_two(values: Array) -> float:
    """The next power of two that no value exceeds."""
    largest = float(abs(values).max()) if values.size else 0.0
    return float(2.0 ** np.ceil(np.log2(largest))) if largest > 0 else 1.0


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


def affordable_degree(degree: int, n_inputs: int, n_rows: int, rows_a_term: int = 20) -> tuple[int, bool]:
    """``degree`` or less, and whether with triples, as the numbers of inputs and of rows allow; 0 for none."""
    most = min(_MOST_TERMS, n_rows // rows_a_term)
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


@dataclass(frozen=True, eq=False)
class MarginalCalibration:
    """``z_j = G_j^-1(F_j(x_j))``: a rising map for each column that gives drawn events the marginals they should have.

    F is the distribution function of drawn events and G the one wanted, both known at the same levels: between
    quantiles the map is a line, beyond them a shift. Trees that are regularised stop short of the edges: what they
    carry from noise to data is narrower than the data, the more so the fewer the rows.

    Attributes
    ----------
    quantiles : array of shape (k, d)
        Of drawn events, at k levels.
    smooth : bool array of shape (d,)
        Columns that are corrected; the others stay as they are.
    wanted : array of shape (k, d), optional
        Quantiles of the distribution they should have at the same levels; the 21 ``levels`` of a standard normal one
        unless told otherwise.

    Examples
    --------
    >>> narrow = 0.9 * np.random.default_rng(0).standard_normal((20_000, 1))
    >>> calibration = MarginalCalibration.of(narrow, smooth=np.array([True]))
    >>> float(calibration(narrow).std().round(2))
    1.0
    """

    quantiles: Array
    smooth: Array
    wanted: Array | None = None

    @property
    def levels(self) -> Array:
        """Standard normal quantiles between -2.3 and 2.3, float32 of shape (21,)."""
        return _LEVELS

    @classmethod
    def of(cls, drawn: Numbers, smooth: Mask) -> "MarginalCalibration":
        """Standard normal marginals, as those of a training are, for columns of numbers that hardly ever repeat.

        Scores of values that repeat stay as they are: where the levels of two such columns meet is what they have in
        common, such as charges that add up to zero.
        """
        return cls(np.quantile(drawn, ndtr(_LEVELS), axis=0).astype(np.float32), smooth)

    @classmethod
    def between(cls, drawn: Numbers, wanted: Numbers, weights: Weights) -> "MarginalCalibration":
        """The marginals of ``wanted`` (n, d) with weights (n,), from ``drawn`` (m n, d), m draws of each event."""
        repeated = np.repeat(weights, len(drawn) // len(weights))
        everywhere = np.ones(drawn.shape[1], bool)
        return cls(_quantiles(drawn, repeated), everywhere, _quantiles(wanted, weights))

    def packed(self) -> bytes:
        """A map to normal scores as the kernels read it."""
        arrays = (self.quantiles.T.astype(np.float32), self.levels, self.smooth.astype(np.uint8))
        return kernels.integers(len(self.levels)) + b"".join(map(kernels.sized, arrays))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], name: str, d: int) -> "MarginalCalibration":
        """The map of d scores to normal ones that is kept in the arrays under a name.

        Raises
        ------
        ArchiveError
            Arrays that are lost or have other shapes, quantiles that fall or are not finite.
        """
        checked_record(arrays, "the calibration", (f"{name}/quantiles", f"{name}/smooth"))
        quantiles = checked_array(arrays[f"{name}/quantiles"], f"{name}/quantiles", (len(_LEVELS), d), rising=True)
        return cls(quantiles, checked_array(arrays[f"{name}/smooth"], f"{name}/smooth", (d,), kinds="b"))

    def __call__(self, x: Numbers) -> Array:
        """Events of shape (n, d), corrected, float32."""
        return self._mapped(x, self.quantiles, self._levels)

    def inverse(self, z: Numbers) -> Array:
        """Events that are corrected to z (n, d), float32."""
        return self._mapped(z, self._levels, self.quantiles)

    @property
    def _levels(self) -> Array:
        """Quantiles that events should have, (k, d)."""
        return np.repeat(_LEVELS[:, None], len(self.smooth), axis=1) if self.wanted is None else self.wanted

    def _mapped(self, x: Numbers, here: Array, there: Array) -> Array:
        mapped = np.array(x, np.float32)
        for j in np.flatnonzero(self.smooth):
            old, new, column = here[:, j], there[:, j], x[:, j]
            shift = np.where(column < old[0], new[0] - old[0], new[-1] - old[-1])
            inside = (column >= old[0]) & (column <= old[-1])
            mapped[:, j] = np.where(inside, np.interp(column, old, new), column + shift)
        return mapped


def _quantiles(x: Numbers, weights: Weights) -> Array:
    """Weighted quantiles of each column, float64 of shape (k, d)."""
    levels, columns = ndtr(_COMPARED), []
    for column in x.T:
        order = np.argsort(column)
        below = np.cumsum(weights[order])
        columns.append(column[order][np.searchsorted(below, levels * below[-1])])
    return np.asarray(np.column_stack(columns), np.float64)
