"""Rows as numbers a network can learn: normal scores, or standardised columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from buff.protocols import Array
from buff.tables import Columns, Template, read
from buff.transforms import TableTransformer

__all__ = ["SPACES", "Levels", "StandardSpace"]


class StandardSpace:
    """Columns of numbers less their mean, over their standard deviation.

    Attributes
    ----------
    n_dims_ : int
    mean_, scale_ : arrays of shape (n_dims_,)
    """

    def fit(self, X: Any, sample_weight: Array | None = None) -> "StandardSpace":
        """Learn mean and standard deviation.

        Raises
        ------
        ValueError
            A column is no number, or has missing values: rank space takes both.
        """
        columns = X if isinstance(X, Columns) else read(X)
        for name, values in zip(columns.names, columns.arrays, strict=True):
            if np.asarray(values).dtype.kind not in "iuf":
                raise ValueError(f"column {name!r} holds no numbers: use preprocessing='rank'")
            if not np.isfinite(np.asarray(values, np.float64)).all():
                raise ValueError(f"column {name!r} has missing or infinite values: use preprocessing='rank'")
        self.template_, table = columns.template, self._table(columns)
        self.mean_ = np.average(table, axis=0, weights=sample_weight)
        variance = np.average((table - self.mean_) ** 2, axis=0, weights=sample_weight)
        self.scale_ = np.where(variance > 0, np.sqrt(variance), 1.0)
        self.n_dims_ = self.n_features_in_ = table.shape[1]
        return self

    def encode(self, X: Any, place: Any = 0.5) -> Array:
        """Float32 array of shape (n, n_dims_)."""
        table = self._table(X if isinstance(X, Columns) else read(X))
        return ((table - self.mean_) / self.scale_).astype(np.float32)

    def inverse_transform(self, z: Array) -> Any:
        """The table of standardised rows, in the container that was fitted."""
        return self.template_.restore(self.decode(z))

    def decode(self, z: Array) -> tuple[Array, ...]:
        """One array a column, from standardised rows of shape (n, n_dims_)."""
        return tuple((np.asarray(z, np.float64) * self.scale_ + self.mean_).T)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A record and arrays from which :meth:`from_arrays` makes the space anew."""
        return {"template": self.template_.to_dict()}, {"mean": self.mean_, "scale": self.scale_}

    @classmethod
    def from_arrays(cls, record: dict[str, Any], arrays: Mapping[str, Array]) -> "StandardSpace":
        """Inverse of :meth:`to_arrays`."""
        space = cls()
        space.template_ = Template.from_dict(record["template"])
        space.mean_, space.scale_ = arrays["mean"], arrays["scale"]
        space.n_dims_ = space.n_features_in_ = len(space.mean_)
        return space

    @staticmethod
    def _table(columns: Columns) -> Array:
        return np.column_stack([np.asarray(values, np.float64) for values in columns.arrays])


SPACES = {"rank": TableTransformer, "standard": StandardSpace}


@dataclass(frozen=True)
class Levels:
    """Rows in the space of a model; values that repeat own an interval of it, and are placed anew in each batch.

    Attributes
    ----------
    low, high : tensors of shape (n, d)
        Ends of the intervals, as probabilities in rank space.
    ranked : bool
    """

    low: Tensor
    high: Tensor
    ranked: bool

    @classmethod
    def of(cls, space: Any, columns: Columns) -> "Levels":
        """The rows of a table."""
        if isinstance(space, TableTransformer):
            low, high = (torch.from_numpy(ndtr(z)) for z in space.bounds(columns))
            return cls(low, high, True)
        z = torch.from_numpy(space.encode(columns))
        return cls(z, z, False)

    def to(self, device: torch.device) -> "Levels":
        """The same on a device."""
        return Levels(self.low.to(device), self.high.to(device), self.ranked)

    def batch(self, rows: Tensor, rng: torch.Generator) -> Tensor:
        """x1 of shape (len(rows), d)."""
        low = self.low[rows]
        if not self.ranked:
            return low
        u = low + (self.high[rows] - low) * torch.rand(low.shape, generator=rng, device=rng.device)
        return torch.special.ndtri(u.clamp(1e-7, 1 - 1e-7))
