"""Conditions: from any table or labels to features for boosters, and draws like those seen in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from buff.protocols import Array, ConditionLike, Scores, TableLike, Values, WeightsLike
from buff.records import joined, nested
from buff.tables.categories import factorize
from buff.tables.columns import Columns, Template, read
from buff.tables.kinds import KINDS
from buff.tables.opening import recognised
from buff.tables.schema import Schema, infer_schema
from buff.transforms.condition_values import in_dtype, value_of_text
from buff.transforms.copula import MixedCopula
from buff.transforms.encoders import ColumnEncoder
from buff.transforms.transformer import TableTransformer, checked_weights, with_weight

__all__ = ["ConditionEncoder", "read_any", "single_column"]

#: A score beyond that of any value.
_FAR = 40.0


class ConditionEncoder:
    """Features of conditions, and conditions drawn like those it was fitted to.

    Numbers become normal scores, so features are of unit scale whatever the units and outliers; values beyond
    those of the fit get the outermost score. Labels (strings, categories, and integers of at most
    ``max_levels`` values) become one indicator a level, or above ``max_levels`` one score in an order that
    follows the other columns; two labels need one score only. Missing values are welcome where the fit had
    some.

    Draws come from the exact joint distribution of the discrete columns and, in each of their classes, a
    Gaussian copula of the continuous ones: see :mod:`buff.transforms.copula`. No row of the fit is kept.

    Parameters
    ----------
    schema : mapping, optional
        As for :class:`~buff.transforms.TableTransformer`; the columns of arrays are called c0, c1, ..., a single
        one ``condition``. ``{"condition": "integer"}`` makes numbers of integer labels.
    max_levels : int

    Attributes
    ----------
    schema : Schema
    names : tuple of str
        Columns of the condition.
    n_dims : int
        Width of the features.
    n_normals : int
        Normal numbers that one draw takes.

    Examples
    --------
    >>> encoder = ConditionEncoder().fit(["top", "w", "z", "top"])
    >>> encoder.transform("w")
    array([[-1.,  1., -1.]], dtype=float32)
    >>> encoder.draw(np.array([[-1.0], [0.1], [1.0]]))
    ['top', 'w', 'z']
    """

    def __init__(self, schema: Mapping[str, Any] | None = None, *, max_levels: int = 20) -> None:
        self.overrides = dict(schema or {})
        self.max_levels = max_levels

    def fit(self, condition: Any, sample_weight: WeightsLike = None) -> ConditionEncoder:
        """Learn the levels and the distribution of ``condition``, a table of shape (n, c) or an array of
        shape (n,).

        Raises
        ------
        ValueError, TypeError
            See :func:`~buff.tables.read` and :func:`~buff.tables.infer_schema`.
        """
        columns, self._one_column = read_any(condition)
        weights = None
        if sample_weight is not None:
            columns, weights = with_weight(columns, checked_weights(sample_weight, len(columns)))
        settings = _layout(columns, infer_schema(columns, self.overrides), self.overrides, self.max_levels)
        self._space = TableTransformer(schema=settings, bandwidth=0).fit(columns, sample_weight=weights)
        self._copula = MixedCopula.fit(columns, self.schema, self.overrides, weights)
        return self

    @property
    def schema(self) -> Schema:
        return self._space.schema_

    @property
    def names(self) -> tuple[str, ...]:
        return self._template.names

    @property
    def columns(self) -> tuple[ColumnEncoder, ...]:
        """The encoder of each column."""
        return self._space.encoders_

    @property
    def n_dims(self) -> int:
        return self._space.n_dims_

    @property
    def n_normals(self) -> int:
        return self._copula.n_normals

    def transform(self, condition: Any) -> Array:
        """Features, float32 of shape (n, n_dims).

        Parameters
        ----------
        condition : table, array of shape (n,), one value for a single column, or a mapping from names to values
            Tables with names may have their columns in any order, and others beside them.

        Raises
        ------
        ValueError
            Without a condition, for missing columns, unknown labels (naming column, value and
            the known labels), and values missing where the fit had all.
        """
        if condition is None:
            raise ValueError(f"the model is conditional: pass condition= with the columns {list(self.names)}")
        return self._space.transform(self.aligned(condition))

    def unknown_ranges(self, condition: Any) -> Iterator[str]:
        """Words for each column of numbers that ``condition`` takes far beyond those of the fit."""
        columns = self.aligned(condition)
        for encoder, values in zip(self._space.encoders_, columns.arrays, strict=True):
            if not encoder.is_number:
                continue
            low, high = encoder.decode(np.array([[-_FAR], [_FAR]], np.float32))
            margin = (high - low) / 10  # the outermost values of a long tail are not kept
            beyond = (values < low - margin) | (values > high + margin)
            if beyond.any():
                yield f"{beyond.sum()} of {len(values)} have {encoder.name} outside {low} .. {high}"

    def draw(self, normals: Scores) -> Any:
        """Conditions in the container that was fitted; row i depends on row i of ``normals`` alone.

        Parameters
        ----------
        normals : array of shape (n, n_normals)
            Independent standard normal numbers.
        """
        if np.ndim(normals) != 2 or np.shape(normals)[1] != self.n_normals:
            raise ValueError(f"normals must have shape (n, {self.n_normals}), found {np.shape(normals)}")
        table = self._template.restore(self._copula.draw(np.asarray(normals, np.float64)))
        return single_column(table) if self._one_column else table

    def complete(self, condition: TableLike, normals: Scores) -> Columns:
        """All columns of conditions of which some are given; the others are drawn from what was learned given these.

        Parameters
        ----------
        condition : table or mapping
            With some of the columns, by name, and one row or n.
        normals : array of shape (n, n_normals)
            Independent standard normal numbers: those of :meth:`draw`.

        Returns
        -------
        Columns
            In the dtypes of the training; what was given as it was given.

        Raises
        ------
        ValueError
            No known column, unknown labels, labels that were never seen together.

        Examples
        --------
        >>> table = {"cls": [0, 0, 1, 1] * 30, "pt": [10.0, 11.0, 50.0, 51.0] * 30}
        >>> encoder = ConditionEncoder().fit(table)
        >>> [values.tolist() for values in encoder.complete({"cls": 1}, np.zeros((2, encoder.n_normals))).arrays]
        [[1, 1], [51.0, 51.0]]
        """
        columns, _ = read_any(condition)
        known = [name for name in self.names if name in columns.names]
        if not known:
            raise ValueError(f"condition has none of the columns {list(self.names)}, found {list(columns.names)}")
        n, m = len(normals), len(columns)
        if m not in (1, n):
            raise ValueError(f"condition has {m} rows, expected 1 or {n}")
        given = {}
        for name in known:
            j, values = self.names.index(name), columns.arrays[columns.names.index(name)]
            natural = self._natural(j, values)
            self._space.encoders_[j].encode(natural)  # unknown labels show here
            given[j] = np.repeat(natural, n) if m == 1 and n != 1 else natural
        arrays = self._copula.draw(np.asarray(normals, np.float64), given)
        return Columns(self.names, arrays, self._template)

    def is_partial(self, condition: ConditionLike) -> bool:
        """Whether ``condition`` names some of the columns and lacks others."""
        if condition is None:
            return False
        columns, alone = read_any(condition)
        named = isinstance(condition, Mapping | Columns) or (columns.template.is_frame and self._template.is_frame)
        known = [name for name in self.names if name in columns.names]
        return named and not alone and 0 < len(known) < len(self.names)

    def is_alike(self, condition: TableLike) -> bool:
        """Whether ``condition`` has the container, the columns and the dtypes of the training."""
        if isinstance(condition, Mapping | Columns):
            return False
        columns, alone = read_any(condition)
        fitted, other = self._template, columns.template
        same = (fitted.container, fitted.names, fitted.dtypes) == (other.container, other.names, other.dtypes)
        return same and alone == self._one_column

    def restore(self, columns: Columns) -> Any:
        """Conditions in the container and the dtypes of the training."""
        arrays = tuple(self._natural(j, values) for j, values in enumerate(columns.arrays))
        table = self._template.restore(arrays)
        return single_column(table) if self._one_column else table

    def parse(self, texts: Mapping[str, str]) -> Columns:
        """One row of conditions from text, by the kinds of the columns.

        Parameters
        ----------
        texts : mapping from column to text
            Booleans are true or false, yes or no, 1 or 0; dates are in ISO 8601; nothing is a missing value.

        Raises
        ------
        ValueError
            Unknown columns, and text that is no value of its column.

        Examples
        --------
        >>> encoder = ConditionEncoder().fit({"tight": [True, False] * 9, "run": ["1", "2"] * 9})
        >>> [values.tolist() for values in encoder.parse({"tight": "yes", "run": "1"}).arrays]
        [[True], ['1']]
        """
        unknown = [name for name in texts if name not in self.names]
        if unknown:
            raise ValueError(f"the model has no condition {unknown[0]!r}; its conditions are {list(self.names)}")
        numbers = [self.names.index(name) for name in texts]
        encoders = self._space.encoders_
        arrays = tuple(value_of_text(self.names[j], encoders[j], texts[self.names[j]]) for j in numbers)
        return Columns(tuple(texts), arrays, self._template.select(numbers))

    def _natural(self, j: int, values: Values) -> Array:
        return in_dtype(values, np.dtype(self._space.encoders_[j].dtype))

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and named arrays, without pickle."""
        parts = {"space": self._space.to_arrays(), "copula": self._copula.to_arrays()}
        record: dict[str, Any] = {key: part for key, (part, _) in parts.items()}
        record |= {"one_column": self._one_column, "max_levels": self.max_levels}
        return record, joined({key: part for key, (_, part) in parts.items()})

    @classmethod
    def from_arrays(cls, record: dict[str, Any], arrays: Mapping[str, Array]) -> ConditionEncoder:
        """Inverse of :meth:`to_arrays`."""

        encoder = cls(max_levels=record["max_levels"])
        encoder._one_column = record["one_column"]
        encoder._space = TableTransformer.from_arrays(record["space"], nested(arrays, "space"))
        encoder._copula = MixedCopula.from_arrays(record["copula"], nested(arrays, "copula"))
        return encoder

    @property
    def _template(self) -> Template:
        return self._space.template_

    def aligned(self, condition: TableLike) -> Columns:
        """Columns in the order of the fit: found by name where there are names, else by position.

        A mapping is always read by name; a table may have other names than the array c0, c1, ... of the fit had.
        """
        columns, _ = read_any(condition)
        absent = [name for name in self.names if name not in columns.names]
        named = columns.template.is_frame and (self._template.is_frame or not absent)
        named = named or isinstance(condition, Mapping)
        if named and absent:
            raise ValueError(f"condition lacks the columns {absent}, found {list(columns.names)}")
        if not named and len(columns.names) != len(self.names):
            raise ValueError(
                f"condition has {len(columns.names)} columns, expected {len(self.names)}: {list(self.names)}"
            )
        if named and columns.names != self.names:
            columns = columns.select([columns.names.index(name) for name in self.names])
        return replace(columns, arrays=tuple(self._natural(j, values) for j, values in enumerate(columns.arrays)))


def read_any(X: Any, prefix: str = "c", name: str = "condition") -> tuple[Columns, bool]:
    """Columns of a table or of an array of shape (n,), and whether there is one column without a table around it.

    Columns without names are called prefix0, prefix1, ..., a single one ``name``.
    """
    if isinstance(X, Columns):
        return X, False
    if isinstance(X, Mapping):
        X = _mapped(X, name)
    series = recognised(X, allow_series=True)
    if isinstance(series, nw.Series):
        return read(series.alias(series.name or name).to_frame().to_native()), True
    if isinstance(series, nw.DataFrame | nw.LazyFrame) or hasattr(X, "tocsr"):
        return read(X, prefix=prefix), False
    if not isinstance(X, list | tuple) or not X:
        X = np.asanyarray(X)
    if isinstance(X, list | tuple) and np.ndim(X[0]) > 0:
        return read(X, prefix=prefix), False
    if isinstance(X, list | tuple):
        return read([[value] for value in X], names=(name,)), True
    if X.ndim >= 2:
        return read(X, prefix=prefix), False
    return read(np.reshape(X, (-1, 1)), names=(name,)), True


def _mapped(X: Mapping[Any, Any], name: str) -> pa.Table:
    columns = {str(key): [values] if np.ndim(values) == 0 else values for key, values in X.items()}
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{name} has columns of different lengths, {lengths}: give each as many values, or one each")
    return pa.table(columns)


def single_column(table: Any) -> Any:
    """The only column of a table, as an array, list or series."""
    if isinstance(table, np.ndarray):
        return table[:, 0]
    if isinstance(table, list):
        return [row[0] for row in table]
    frame = nw.from_native(table, eager_only=True)
    return frame.get_column(frame.columns[0]).to_native()


def _layout(columns: Columns, schema: Schema, overrides: Mapping[str, Any], max_levels: int) -> dict[str, Any]:
    """Overrides that give labels one indicator a level, or one score where there are only two or too many."""
    settings = {}
    for column, values in zip(schema, columns.arrays, strict=True):
        spec = overrides.get(column.name, {})
        spec = {"kind": spec} if isinstance(spec, str) else dict(spec)
        label = KINDS[column.kind].is_label
        if column.kind == "integer" and "kind" not in spec and values.dtype.kind in "iu":
            label = len(np.unique(values)) <= max_levels
        if label and "order" not in spec:
            n_levels = len(factorize(values)[0])
            order = "lexical" if n_levels <= 2 else "onehot" if n_levels <= max_levels else "similar"
            spec |= {"kind": column.kind if column.kind != "integer" else "categorical", "order": order}
        settings[column.name] = spec
    return settings
