"""Columns of labels: as atoms in an order, or as one dimension a level."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from buff.protocols import Array, Integers, Numbers, Scores, Values, Weights
from buff.tables.categories import codes_of, factorize, indicators
from buff.tables.kinds import ColumnSchema
from buff.transforms.encoders import ColumnEncoder, RankedEncoder, refuse_missing
from buff.transforms.quantile_map import Placement, QuantileMap

__all__ = ["IndicatorEncoder", "LevelEncoder"]


@dataclass(frozen=True)
class LevelEncoder(RankedEncoder):
    """Categories as atoms in a given order: one dimension."""

    type, is_label, needs_order = "level", True, True
    name: str
    dtype: str
    levels: tuple[Any, ...] = field()
    ranks: QuantileMap

    @classmethod
    def fit(cls, schema: ColumnSchema, values: Values, weights: Weights | None, n_knots: int, bandwidth: float) -> Self:
        levels = tuple(schema.order or ())
        numbers = _with_nan(codes_of(values, levels, schema.name))
        return cls(schema.name, values.dtype.str, levels, QuantileMap.fit(numbers, weights, discrete=True))

    def to_numbers(self, values: Values) -> Array:
        return _with_nan(codes_of(values, self.levels, self.name))

    def restored(self, x: Numbers) -> Array:
        return _looked_up(self.levels, np.where(np.isnan(x), -1, x).astype(np.intp), self.dtype)


@dataclass(frozen=True)
class IndicatorEncoder(ColumnEncoder):
    """Categories as one dimension a level, 1 for the value, -1 for others; coming back the largest wins.

    Missing values have one dimension more.
    """

    type, is_label = "indicator", True
    name: str
    dtype: str
    levels: tuple[Any, ...] = field()
    missing: bool

    @classmethod
    def fit(cls, schema: ColumnSchema, values: Values, weights: Weights | None, n_knots: int, bandwidth: float) -> Self:
        levels, codes = factorize(values)
        return cls(schema.name, values.dtype.str, tuple(levels), bool(np.any(codes < 0)))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{level}" for level in (*self.levels, *["missing"] * self.missing))

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        codes = codes_of(values, self.levels, self.name)
        if not self.missing:
            refuse_missing(self.name, codes < 0)
        return 2 * indicators(np.where(codes < 0, len(self.levels), codes), len(self.names)) - 1

    def decode(self, z: Scores) -> Array:
        codes = np.argmax(z, axis=1)
        return _looked_up(self.levels, np.where(codes == len(self.levels), -1, codes), self.dtype)


def _with_nan(codes: Integers) -> Array:
    return np.where(codes < 0, np.nan, codes)


def _looked_up(levels: Sequence[Any], codes: Integers, dtype: str) -> Array:
    kind = np.dtype(dtype).kind
    table = np.empty(len(levels) + 1, dtype)
    table[:-1] = levels
    if kind in "fO":
        table[-1] = np.nan if kind == "f" else None
    return table[codes]
