"""Arrays of numbers to normal scores, column by column: what a table's transformer does, where there is no table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from buff.protocols import Array, Scores, Weights
from buff.records import joined, nested
from buff.transforms.quantile_map import Placement, QuantileMap
from buff.transforms.transformer import checked_weights

__all__ = ["NormalScores"]


@dataclass(frozen=True, eq=False)
class NormalScores:
    """``z = Phi^-1(F_j(x_j))`` for each column j of an array.

    Attributes
    ----------
    columns : tuple of QuantileMap

    Examples
    --------
    >>> x = np.random.default_rng(0).exponential(size=(1000, 2))
    >>> scores = NormalScores.fit(x)
    >>> z = scores.encode(x)
    >>> bool(abs(z.std() - 1) < 0.02), bool(abs(scores.decode(z) - x).max() < 1)
    (True, True)
    """

    columns: tuple[QuantileMap, ...]

    @classmethod
    def fit(cls, x: Array, weights: Weights | None = None, *, extrapolate: bool = False) -> "NormalScores":
        """Distributions of the columns of x (n, d), with weights (n,) that are positive."""
        w = None if weights is None else checked_weights(weights, len(x))
        values = np.asarray(x, np.float64).T
        options: dict[str, Any] = {"extrapolate": extrapolate, "dtype": np.dtype(np.float64), "whole": False}
        return cls(tuple(QuantileMap.fit(column, w, **options) for column in values))

    def encode(self, x: Array, place: Placement = 0.5) -> Array:
        """Scores, float32 of shape (n, d), of x (n, d)."""
        values = np.asarray(x, np.float64).T
        z = np.empty((len(x), len(self.columns)), np.float32)
        for j, (ranks, column) in enumerate(zip(self.columns, values, strict=True)):
            z[:, j] = ranks.encode(column, place)
        return z

    def bounds(self, x: Array) -> tuple[Array, Array]:
        """Scores of both ends of the ranks that values own, float32 of shape (n, d)."""
        return self.encode(x, 0.0), self.encode(x, 1.0)

    def decode(self, z: Scores) -> Array:
        """Values, float64 of shape (n, d), of scores z (n, d)."""
        x = np.empty(z.shape)
        for j, ranks in enumerate(self.columns):
            x[:, j] = ranks.decode(z[:, j])
        return x

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and named arrays, without pickle."""
        parts = [ranks.to_arrays() for ranks in self.columns]
        return {"columns": [record for record, _ in parts]}, joined({str(j): own for j, (_, own) in enumerate(parts)})

    @classmethod
    def from_arrays(cls, record: Mapping[str, Any], arrays: Mapping[str, Array]) -> "NormalScores":
        """Inverse of :meth:`to_arrays`."""
        columns = enumerate(record["columns"])
        return cls(tuple(QuantileMap.from_arrays(own, nested(arrays, str(j))) for j, own in columns))
