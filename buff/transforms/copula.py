"""The joint distribution of a few columns, compressed: exact over discrete ones, a Gaussian copula otherwise.

Nothing of a single row is kept: discrete columns are categories, or numbers each of whose values several rows
share, and the others go through :class:`~buff.transforms.TableTransformer`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import ndtr

from buff.protocols import Array, Indices, Numbers, Scores, Values, Weights
from buff.records import checked_array, nested
from buff.tables.categories import factorize
from buff.tables.columns import Columns
from buff.tables.kinds import ColumnSchema, is_categorical, numbers_of
from buff.tables.schema import Schema
from buff.transforms.transformer import TableTransformer

__all__ = ["MixedCopula"]

#: Distinct rows of the discrete columns, at most, and rows of the sample for each of them on average.
_MOST_CLASSES = 256
_ROWS_A_CLASS = 10
#: A number with at most this many values, each shared by some rows, is discrete.
_MOST_VALUES = 64
_ROWS_A_VALUE = 5
#: A smaller class borrows the marginals and correlations of the whole sample.
_ROWS_A_COPULA = 50
#: Columns may be copies of each other.
_RIDGE = 1e-6
#: Probability of what a class has not shown.
_IMPOSSIBLE = 1e-12
#: Width of the window in which numbers that are given count as alike, in scores.
_WINDOW = 0.1


@dataclass(frozen=True)
class Copula:
    """z = L n with L L^T the correlation of the normal scores, n independent normals; then back to values."""

    space: TableTransformer
    factor: Array

    @classmethod
    def fit(cls, columns: Columns, overrides: Mapping[str, Any], weights: Weights | None) -> "Copula":
        """Copula of all ``columns``."""
        space = TableTransformer(schema=dict(overrides), bandwidth=0).fit(columns, sample_weight=weights)
        d = space.n_dims_
        if not d:
            return cls(space, np.empty((0, 0)))
        C = np.cov(space.transform(columns), rowvar=False, aweights=weights, dtype=np.float64).reshape(d, d)
        sigma = np.sqrt(np.diag(C))
        return cls(space, np.linalg.cholesky((1 - _RIDGE) * C / sigma / sigma[:, None] + _RIDGE * np.eye(d)))

    def draw(self, normals: Scores, given: Mapping[int, Array] | None = None) -> tuple[Array, ...]:
        """One array a column from normals of shape (n, d); constant columns leave some unused.

        Parameters
        ----------
        normals : array of shape (n, d)
        given : mapping from number of a column to its values, of shape (n,), optional
            The others are drawn from the Gaussian conditional on their scores.
        """
        z = np.zeros((len(normals), len(self.factor)))
        known = self._scores(given or {})
        if not known:
            _add_products(z, normals, self.factor)
            return self.space.decode(z)
        g, r = list(known), [i for i in range(len(self.factor)) if i not in known]
        C = self.factor @ self.factor.T
        regression = np.linalg.solve(C[np.ix_(g, g)], C[np.ix_(g, r)])
        rest = np.zeros((len(normals), len(r)))
        _add_products(rest, np.column_stack(list(known.values())), regression.T)
        left = C[np.ix_(r, r)] - C[np.ix_(r, g)] @ regression
        _add_products(rest, normals, np.linalg.cholesky(left + _RIDGE * np.eye(len(r))))
        z[:, r] = rest
        return self.space.decode(z)

    def log_density(self, given: Mapping[int, Array], reach: Mapping[int, tuple[Array, Array]]) -> Array:
        """Log-probability of ``given`` values, of shape (n,), in the windows ``reach`` of each; up to a constant."""
        n = len(next(iter(given.values())))
        known, total = self._scores(given), np.zeros(n)
        for j, (low, high) in reach.items():
            encoder = self.space.encoders_[j]
            if not encoder.names:  # constant
                constant = encoder.decode(np.empty((n, 0)))
                total += np.where((low <= constant) & (constant <= high), 0.0, np.log(_IMPOSSIBLE))
                continue
            u = [ndtr(encoder.encode(end, place)[:, 0].astype(float)) for end, place in ((low, 0.0), (high, 1.0))]
            total += np.log(np.maximum(u[1] - u[0], _IMPOSSIBLE))
        if len(known) > 1:
            g, z = list(known), np.column_stack(list(known.values()))
            C = (self.factor @ self.factor.T)[np.ix_(g, g)]
            shift = np.linalg.inv(C) - np.eye(len(g))
            for a in range(len(g)):
                for b in range(len(g)):
                    total -= 0.5 * z[:, a] * z[:, b] * shift[a, b]
            total -= 0.5 * np.linalg.slogdet(C)[1]
        return total

    def _scores(self, given: Mapping[int, Array]) -> dict[int, Array]:
        """Scores of the columns that vary, by dimension."""
        starts = np.cumsum([0, *(len(encoder.names) for encoder in self.space.encoders_)])
        varying = {j: values for j, values in given.items() if self.space.encoders_[j].names}
        return {
            int(starts[j]): self.space.encoders_[j].encode(values)[:, 0].astype(np.float64)
            for j, values in sorted(varying.items())
        }


def _add_products(z: Scores, normals: Scores, factor: Numbers) -> None:
    """``z += normals @ factor.T``, where a matrix product would let a row depend on its neighbours, by a bit."""
    for n, column in zip(normals.T, factor.T, strict=False):
        z += n[:, None] * column


@dataclass(frozen=True)
class MixedCopula:
    """Joint distribution of a table of few columns.

    Attributes
    ----------
    discrete : tuple of int
        Columns whose joint distribution is kept exactly.
    values : tuple of arrays of shape (k,)
        The distinct rows of the discrete columns, one array a column.
    cumulative : array of shape (k,)
        Their cumulative probabilities.
    copulas : tuple of Copula
        Of the other columns: of all rows, or of one class.
    copula_of : array of shape (k,)
        Which copula each class uses.
    """

    discrete: tuple[int, ...]
    values: tuple[Array, ...]
    cumulative: Array
    copulas: tuple[Copula, ...]
    copula_of: Indices

    @classmethod
    def fit(
        cls, columns: Columns, schema: Schema, overrides: Mapping[str, Any], weights: Weights | None = None
    ) -> "MixedCopula":
        """Distribution of the rows of ``columns``, with ``overrides`` as for TableTransformer."""
        w = np.ones(len(columns)) if weights is None else weights
        discrete, classes = _discrete_columns(columns, schema)
        first = np.unique(classes, return_index=True)[1]
        values = tuple(columns.arrays[j][first] for j in discrete)
        cumulative = np.cumsum(np.bincount(classes, w)) / w.sum()
        others = columns.select([j for j in range(len(columns.names)) if j not in discrete])
        kept = {name: override for name, override in overrides.items() if name in others.names}
        copulas, copula_of = _fit_copulas(others, kept, classes, weights)
        return cls(discrete, values, cumulative, copulas, copula_of)

    @property
    def n_normals(self) -> int:
        """Normal numbers that one draw takes."""
        return 1 + len(self.copulas[0].space.encoders_) if self.copulas else 1

    def draw(self, normals: Scores, given: Mapping[int, Array] | None = None) -> tuple[Array, ...]:
        """One array a column; row i depends on row i of the ``normals``, of shape (n, n_normals), alone.

        Parameters
        ----------
        normals : array of shape (n, n_normals)
        given : mapping from number of a column to its values, of shape (n,), optional
            The others are drawn from what was learned given these: classes by Bayes' rule, numbers in a class by the
            conditional Gaussian of its copula.

        Raises
        ------
        ValueError
            Labels that were never seen together.
        """
        given = dict(given or {})
        u = ndtr(normals[:, 0])
        classes = self._classes_given(u, given) if given else np.searchsorted(self.cumulative[:-1], u, side="right")
        columns: dict[int, Array] = {j: v[classes] for j, v in zip(self.discrete, self.values, strict=True)}
        others = self._others
        for c, copula in enumerate(self.copulas):
            rows = np.flatnonzero(self.copula_of[classes] == c)
            known = {others.index(j): values[rows] for j, values in given.items() if j in others}
            for j, values in zip(others, copula.draw(normals[rows, 1:], known), strict=True):
                columns.setdefault(j, np.empty(len(normals), values.dtype))[rows] = values
        return tuple((columns | given)[j] for j in range(len(columns)))

    @property
    def _others(self) -> list[int]:
        width = len(self.discrete) + self.n_normals - 1
        return [j for j in range(width) if j not in self.discrete]

    def _classes_given(self, u: Numbers, given: Mapping[int, Array]) -> Indices:
        """Classes drawn with ``P(class | given) ~ P(class) p(given | class)``."""
        shares = np.diff(self.cumulative, prepend=0.0)
        fits = np.ones((len(u), len(shares)), bool)
        for j, values in zip(self.discrete, self.values, strict=True):
            if j in given:
                fits &= _equal(given[j], values)
        nothing = ~fits.any(axis=1)
        if nothing.any():
            row = int(nothing.argmax())
            raise ValueError(f"no row of the training had the condition of row {row}: a combination never seen")
        log_p = np.where(fits, np.log(np.maximum(shares, 1e-300)), -np.inf)
        others = self._others
        known = {others.index(j): values for j, values in given.items() if j in others}
        if known and len(shares) > 1:
            reach = {j: _reach(self.copulas[0].space, j, values) for j, values in known.items()}
            of = np.column_stack([copula.log_density(known, reach) for copula in self.copulas])
            log_p = log_p + of[:, self.copula_of]
        p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        cumulative = np.cumsum(p, axis=1)
        classes: Indices = (u[:, None] * cumulative[:, -1:] >= cumulative[:, :-1]).sum(axis=1)
        return classes

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and named arrays."""
        arrays = {"cumulative": self.cumulative, "copula_of": self.copula_of}
        packed = [copula.space.to_arrays() for copula in self.copulas]
        for c, (copula, (_, part)) in enumerate(zip(self.copulas, packed, strict=True)):
            arrays |= {f"{c}/factor": copula.factor} | {f"{c}/{key}": a for key, a in part.items()}
        values = [{"dtype": v.dtype.str, "list": _listed(v)} for v in self.values]
        record = {"discrete": list(self.discrete), "values": values, "spaces": [r for r, _ in packed]}
        return record, arrays

    @classmethod
    def from_arrays(cls, record: dict[str, Any], arrays: Mapping[str, Array]) -> "MixedCopula":
        """Inverse of :meth:`to_arrays`; ArchiveError for arrays that do not fit together."""
        copulas = []
        for c, part in enumerate(record["spaces"]):
            stored = nested(arrays, str(c))
            factor, space = stored.pop("factor"), TableTransformer.from_arrays(part, stored)
            copulas.append(Copula(space, checked_array(factor, "factor", (space.n_dims_, space.n_dims_))))
        values = tuple(_unlisted(v["list"], v["dtype"]) for v in record["values"])
        cumulative = checked_array(arrays["cumulative"], "cumulative", (None,), low=0, high=1 + 1e-9, rising=True)
        limits: dict[str, Any] = {"kinds": "i", "low": 0, "high": max(0, len(copulas) - 1)}
        of = checked_array(arrays["copula_of"], "copula_of", cumulative.shape, **limits)
        return cls(tuple(record["discrete"]), values, cumulative, tuple(copulas), of)


def _equal(given: Numbers, values: Values) -> Array:
    """Equality of each row with each of k values, missing ones being equal; shape (n, k)."""
    codes = factorize(np.append(values.astype(object), given.astype(object)))[1]
    same: Array = codes[len(values) :, None] == codes[: len(values)]
    return same


def _reach(space: TableTransformer, j: int, values: Values) -> tuple[Array, Array]:
    """A window around each value of column j, compared as numbers where texts stand for them."""
    encoder = space.encoders_[j]
    if not encoder.names:
        return values, values
    low, high = (encoder.encode(values, place).astype(np.float64) for place in (0.0, 1.0))
    below, above = encoder.decode(low - _WINDOW), encoder.decode(high + _WINDOW)
    number = partial(numbers_of, space.schema_[j].name, space.schema_[j].kind)
    x = number(values)
    return np.where(number(below) < x, below, values), np.where(number(above) > x, above, values)


def _discrete_columns(columns: Columns, schema: Schema) -> tuple[tuple[int, ...], Indices]:
    """Columns with few enough joint values, and the class of each row."""
    codes = {j: code for j in range(len(schema)) if (code := _codes(columns.arrays[j], schema[j])) is not None}
    classes = np.zeros(len(columns), np.intp)
    chosen: list[int] = []
    for j in sorted(codes, key=lambda j: int(codes[j].max())):
        joint = np.unique(classes * (codes[j].max() + 2) + codes[j] + 1, return_inverse=True)[1]
        limit = min(_MOST_CLASSES, len(columns) // _ROWS_A_CLASS) if chosen else _MOST_CLASSES
        if joint.max() < limit:
            classes, chosen = joint, [*chosen, j]
    return tuple(sorted(chosen)), classes


def _codes(values: Values, column: ColumnSchema) -> Indices | None:
    if column.kind == "constant":
        return None
    if is_categorical(column.kind, values):
        return factorize(values)[1]
    values = numbers_of(column.name, column.kind, values)
    if len(np.unique(values[:1000])) > _MOST_VALUES + 1:
        return None
    found, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    return codes if len(found) <= _MOST_VALUES and counts.min() >= _ROWS_A_VALUE else None


def _fit_copulas(
    others: Columns, overrides: Mapping[str, Any], classes: Indices, weights: Weights | None
) -> tuple[tuple[Copula, ...], Indices]:
    counts = np.bincount(classes)
    copula_of = np.zeros(len(counts), np.intp)
    if not others.names:
        return (), copula_of
    copulas = [Copula.fit(others, overrides, weights)]
    for c in np.flatnonzero(counts >= _ROWS_A_COPULA) if len(counts) > 1 else ():
        rows = np.flatnonzero(classes == c)
        copula_of[c] = len(copulas)
        copulas.append(Copula.fit(others.take(rows), overrides, None if weights is None else weights[rows]))
    return tuple(copulas), copula_of


def _listed(values: Values) -> list[Any]:
    listed: list[Any] = (values.view(np.int64) if values.dtype.kind in "mM" else values).tolist()
    return listed


def _unlisted(values: Sequence[Any], dtype: str) -> Array:
    whole = np.dtype(dtype).kind in "mM"
    return np.array(values, np.int64).view(dtype) if whole else np.array(values, dtype)
