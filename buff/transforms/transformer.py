"""The unit space of a table: every column through its empirical distribution to normal scores, and back."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from buff.errors import check_range, check_whole
from buff.estimator import BaseEstimator, TransformerMixin
from buff.protocols import Array, Scores, TableLike, Values, Weights, WeightsLike
from buff.records import joined, known_part, nested
from buff.tables.categories import factorize, indicators, order_levels
from buff.tables.columns import Columns, Template, read, validate_data
from buff.tables.kinds import ColumnSchema
from buff.tables.schema import Schema, infer_schema
from buff.tables.weights import check_weights
from buff.transforms.encoders import ColumnEncoder, RankedEncoder
from buff.transforms.known_values import without_missing
from buff.transforms.labels import IndicatorEncoder
from buff.transforms.quantile_map import Placement
from buff.transforms.registry import ENCODERS, unpack

__all__ = ["TableTransformer", "checked_weights", "encoder_of", "with_weight"]

#: Rows that decide about the order of categories.
_ORDERING_ROWS = 100_000
#: Levels of another categorical column that take part in it.
_ORDERING_LEVELS = 20


class TableTransformer(TransformerMixin, BaseEstimator):
    """Table to normal scores and back, column by column: every marginal is exact, whatever happens in
    between.

    Values that repeat (integers, zeros, categories, boundaries, and missing values) own an interval of ranks
    as wide as their frequency: in :meth:`encode` a row is placed inside it at random, in :meth:`transform` at
    its centre, and :meth:`inverse_transform` returns exactly that value for the whole interval. Constant
    columns take no dimension. The data themselves are not kept, see :mod:`buff.transforms.quantile_map`.

    Parameters
    ----------
    schema : mapping from column name to a kind or a mapping, optional
        What is known better than can be inferred, see :func:`~buff.tables.infer_schema`. The columns
        of arrays are called x0, x1, ...
    categories : {"similar", "frequency", "lexical", "onehot"}
        How categories are laid out: as atoms in an order, or as one dimension a level.
    tails : {"clip", "extrapolate"}
        Whether values beyond the training range may come back.
    n_knots : int
        Knots of a column's distribution function.
    bandwidth : float
        Scores come back through quantile functions that are smooth over so much of a normal score, so that values do
        not repeat the wiggles of the sample, see :func:`buff.transforms.quantiles.smooth`; 0 keeps the sample's own.

    Attributes
    ----------
    schema_ : Schema
    n_dims_ : int
        Width of the unit space.
    n_features_in_ : int
    feature_names_in_ : array of str

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([rng.exponential(size=500), rng.poisson(1, 500)])
    >>> space = TableTransformer().fit(X)
    >>> Z = space.encode(X, rng)
    >>> bool(abs(Z.mean()) < 0.1), bool(abs(Z.std() - 1) < 0.1)
    (True, True)
    >>> bool((space.inverse_transform(Z)[:, 1] == X[:, 1]).all())
    True
    """

    def __init__(
        self,
        schema: Mapping[str, Any] | None = None,
        *,
        categories: str = "similar",
        tails: str = "clip",
        n_knots: int = 1000,
        bandwidth: float = 0.05,
    ) -> None:
        self.schema = schema
        self.categories = categories
        self.tails = tails
        self.n_knots = n_knots
        self.bandwidth = bandwidth

    def fit(self, X: Any, y: object = None, sample_weight: WeightsLike = None) -> TableTransformer:
        """Learn the distribution of each column.

        Parameters
        ----------
        X : table of shape (n, d), or Columns
        y : ignored
        sample_weight : array of shape (n,), optional
            Nonnegative.

        Raises
        ------
        ValueError, TypeError
            See :func:`~buff.tables.read` and :func:`~buff.tables.infer_schema`.
        """
        n_knots, bandwidth = check_whole("n_knots", self.n_knots, 10), check_range("bandwidth", self.bandwidth, 0, 1)
        if isinstance(X, Columns):
            columns = X
            columns.require_rows(2)
            self._remember_features(columns)
        else:
            columns = read(X, min_rows=2)
            validate_data(self, X)
        weights = None
        if sample_weight is not None:
            columns, weights = with_weight(columns, checked_weights(sample_weight, len(columns)))
        schema = infer_schema(columns, self.schema, tails=self.tails, categories=self.categories)
        self.schema_ = schema
        self.template_ = columns.template
        self.encoders_ = _fit_encoders(columns, schema, weights, n_knots, bandwidth)
        self.n_dims_ = sum(len(encoder.names) for encoder in self.encoders_)
        return self

    @property
    def smooth(self) -> Array:
        """Which dimensions, bool of shape ``(n_dims_,)``, are scores of numbers that hardly ever repeat."""
        return np.array([e.is_smooth for e in self.encoders_ for _ in e.names], bool)

    @property
    def has_atoms(self) -> bool:
        """Whether any value, or missing ones, owns ranks."""
        maps = [e.ranks for e in self.encoders_ if isinstance(e, RankedEncoder)]
        return any(len(ranks.atoms) or ranks.missing for ranks in maps)

    def transform(self, X: Any) -> Array:
        """Normal scores, float32 of shape ``(n, n_dims_)``; repeated values at the centre of their interval."""
        return self.encode(X, 0.5)

    def encode(self, X: Any, place: Placement) -> Array:
        """Normal scores, float32 of shape ``(n, n_dims_)``, with repeated values placed as told.

        Parameters
        ----------
        X : table or Columns
        place : numpy.random.Generator or float
            A generator draws the place of a value inside the interval that it owns; a number is the place,
            0.0 the lower end and 1.0 the upper.
        """
        check_is_fitted(self)
        columns = X if isinstance(X, Columns) else self._read(X)
        Z = np.empty((len(columns), self.n_dims_), np.float32)
        stop = 0
        for encoder, values in zip(self.encoders_, columns.arrays, strict=True):
            start, stop = stop, stop + len(encoder.names)
            Z[:, start:stop] = encoder.encode(values, place)
        return Z

    def bounds(self, X: Any) -> tuple[Array, Array]:
        """Scores of both ends of the ranks that the values of each row own, float32 of shape ``(n, n_dims_)``."""
        return self.encode(X, 0.0), self.encode(X, 1.0)

    def decode(self, Z: Scores) -> tuple[Array, ...]:
        """One array of natural dtype a column, from scores of shape ``(n, n_dims_)``."""
        check_is_fitted(self)
        Z = np.asarray(Z)
        if Z.ndim != 2 or Z.shape[1] != self.n_dims_:
            raise ValueError(f"Z must have shape (n, {self.n_dims_}), found {Z.shape}")
        if not np.isfinite(Z).all():
            raise ValueError(f"Z holds {np.count_nonzero(~np.isfinite(Z))} values that are not finite")
        stops = np.cumsum([len(encoder.names) for encoder in self.encoders_])
        parts = np.split(Z, stops[:-1], axis=1)
        return tuple(encoder.decode(part) for encoder, part in zip(self.encoders_, parts, strict=True))

    def inverse_transform(self, Z: Scores) -> Any:
        """Table like the one that was fitted (container, names, dtypes, order), from scores."""
        return self.template_.restore(self.decode(Z))

    def without_missing(self) -> TableTransformer:
        """A copy in which columns are distributed as their values alone: missing values have no scores."""
        check_is_fitted(self)
        twin = copy(self)
        twin.encoders_ = tuple(
            replace(e, ranks=without_missing(e.ranks)) if isinstance(e, RankedEncoder) else e  # type: ignore[type-var]
            for e in self.encoders_
        )
        return twin

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the dimensions."""
        check_is_fitted(self)
        return np.array([name for encoder in self.encoders_ for name in encoder.names], dtype=object)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and named arrays, without pickle."""
        check_is_fitted(self)
        packed = [encoder.pack() for encoder in self.encoders_]
        names = getattr(self, "feature_names_in_", None)
        record = {
            "parameters": {key: getattr(self, key) for key in ("categories", "tails", "n_knots", "bandwidth")},
            "template": self.template_.to_dict(),
            "schema": self.schema_.to_dict(),
            "encoders": [record for record, _ in packed],
            "feature_names": None if names is None else list(names),
        }
        return record, joined({str(j): part for j, (_, part) in enumerate(packed)})

    @classmethod
    def from_arrays(cls, record: dict[str, Any], arrays: Mapping[str, Array]) -> TableTransformer:
        """Inverse of :meth:`to_arrays`."""
        space = cls(**known_part(record["parameters"], "the parameters of columns", signature(cls).parameters))
        space.template_ = Template.from_dict(record["template"])
        space.schema_ = Schema.from_dict(record["schema"])
        space.encoders_ = tuple(unpack(part, nested(arrays, str(j))) for j, part in enumerate(record["encoders"]))
        space.n_dims_ = sum(len(encoder.names) for encoder in space.encoders_)
        space.n_features_in_ = len(space.encoders_)
        if record["feature_names"] is not None:
            space.feature_names_in_ = np.array(record["feature_names"], dtype=object)
        return space

    def _read(self, X: TableLike) -> Columns:
        columns = read(X)
        validate_data(self, X, reset=False)
        return columns

    def _remember_features(self, columns: Columns) -> None:
        self.n_features_in_ = len(columns.names)
        if columns.template.is_frame:
            self.feature_names_in_ = np.array(columns.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def checked_weights(sample_weight: WeightsLike, n: int) -> Array:
    """Finite, nonnegative weights of ``n`` rows, whole numbers as they are and others with mean 1."""
    weights = check_weights(sample_weight, n, signed=False, positive_sum=False)
    if np.count_nonzero(weights) < 2:
        zeros = n - np.count_nonzero(weights)
        raise ValueError(f"sample_weight is zero in {zeros} of {n} rows: it must be positive for at least 2 rows")
    with np.errstate(over="ignore"):
        if not np.isfinite(weights.sum()):
            weights = weights / weights.max()
    whole = np.all(weights == np.rint(weights))
    return weights if whole else weights / weights.mean()


def with_weight(columns: Columns, weights: Weights) -> tuple[Columns, Array]:
    """The rows that count, and their weights."""
    rows = weights > 0
    return (columns, weights) if rows.all() else (columns.take(rows), weights[rows])


def encoder_of(schema: ColumnSchema) -> type[ColumnEncoder]:
    """The encoder that a column takes."""
    return IndicatorEncoder if schema.order == "onehot" else ENCODERS[schema.kind]


def _fit_encoders(
    columns: Columns, schema: Schema, weights: Weights | None, n_knots: int, bandwidth: float
) -> tuple[ColumnEncoder, ...]:
    encoders: dict[int, ColumnEncoder] = {}
    for j, (column, values) in enumerate(zip(schema, columns.arrays, strict=True)):
        if not encoder_of(column).needs_order:
            encoders[j] = encoder_of(column).fit(column, values, weights, n_knots, bandwidth)
    blocks = _feature_blocks(columns, schema, encoders, weights) if "similar" in (c.order for c in schema) else {}
    for j, (column, values) in enumerate(zip(schema, columns.arrays, strict=True)):
        if j not in encoders:
            others = [block for i, block in blocks.items() if i != j]
            column = replace(column, order=tuple(_ordered_levels(column, values, weights, others)))
            encoders[j] = encoder_of(column).fit(column, values, weights, n_knots, bandwidth)
    return tuple(encoders[j] for j in range(len(columns.names)))


def _ordering_rows(n: int) -> slice:
    return slice(None, None, -(-n // _ORDERING_ROWS))


def _feature_blocks(
    columns: Columns, schema: Schema, encoders: dict[int, ColumnEncoder], weights: Weights | None
) -> dict[int, Array]:
    """Every column as features of unit scale: normal scores, or indicators of the commonest levels."""
    rows = _ordering_rows(len(columns))
    w = None if weights is None else weights[rows]
    blocks = {}
    for j, (column, values) in enumerate(zip(schema, columns.arrays, strict=True)):
        if encoder_of(column).is_label:
            blocks[j] = _level_features(values[rows], w)
        elif encoders[j].names:
            blocks[j] = encoders[j].encode(values[rows])
    return blocks


def _level_features(values: Values, weights: Weights | None) -> Array:
    levels, codes = factorize(values)
    sums = np.bincount(codes + 1, weights, minlength=len(levels) + 1)
    shares = sums[1:] / sums.sum()
    common = np.argsort(-shares, kind="stable")[:_ORDERING_LEVELS]
    position = np.full(len(levels) + 1, -1)
    position[common] = np.arange(len(common))
    return indicators(position[codes], len(common)) / np.sqrt(shares[common], dtype=np.float32)


def _ordered_levels(column: ColumnSchema, values: Values, weights: Weights | None, others: list[Array]) -> list[Any]:
    if isinstance(column.order, tuple):
        return list(column.order)
    levels, codes = factorize(values)
    rows = _ordering_rows(len(codes)) if column.order == "similar" else slice(None)
    some = codes[rows]
    features = np.hstack(others) if others else np.empty((len(some), 0), np.float32)
    w = np.ones(len(some)) if weights is None else weights[rows]
    return [levels[i] for i in order_levels(str(column.order), some, len(levels), w, features)]
