"""Encoders of one column: values to normal scores and back, for numbers and constants."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from buff.protocols import Array, Mask, Numbers, Scores, Values, Weights
from buff.tables.columns import is_missing
from buff.tables.kinds import KINDS, ColumnSchema
from buff.transforms.quantile_map import Placement, QuantileMap
from buff.transforms.quantiles import origin_and_step, to_integer

__all__ = ["ColumnEncoder", "ConstantEncoder", "NumberEncoder", "RankedEncoder", "refuse_missing"]

Record = dict[str, Any]
Arrays = dict[str, Array]

#: Share of values that repeat, or are missing, in a column that is smooth all the same.
_RARE = 0.01


class ColumnEncoder(ABC):
    """One column and its dimensions: a frozen dataclass, whose fields are what a file keeps of it.

    Attributes
    ----------
    type : str
        Name of the encoder in files.
    is_number : bool
        Whether values are numbers that rise with their scores, so that there are ranges and medians of them.
    is_label, levels : bool, tuple
        Whether values are labels, and these.
    needs_order : bool
        Whether :meth:`fit` takes labels in the order of ``schema.order``, which other columns have a say in.
    name, dtype : str
        Of the column; its natural dtype.
    """

    type: ClassVar[str]
    is_number: ClassVar[bool] = False
    is_label: ClassVar[bool] = False
    needs_order: ClassVar[bool] = False
    levels: tuple[Any, ...] = ()
    name: str
    dtype: str

    @classmethod
    @abstractmethod
    def fit(cls, schema: ColumnSchema, values: Values, weights: Weights | None, n_knots: int, bandwidth: float) -> Self:
        """Encoder of a column of natural dtype; ``weights`` of shape (n,) or None."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions: the column's own where there is one."""
        return (self.name,)

    @property
    def is_smooth(self) -> bool:
        """Whether scores are those of numbers that hardly ever repeat."""
        return False

    @abstractmethod
    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        """Scores of shape (n, width), float32."""

    @abstractmethod
    def decode(self, z: Scores) -> Array:
        """Values of natural dtype from scores of shape (n, width)."""

    def pack(self) -> tuple[Record, Arrays]:
        """JSON-serialisable record and arrays; inverse of :func:`buff.transforms.registry.unpack`."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        ranks, arrays = own["ranks"].to_arrays() if "ranks" in own else (None, {})
        record = {key: list(value) if isinstance(value, tuple) else value for key, value in own.items()}
        return record | {"type": self.type} | ({} if ranks is None else {"ranks": ranks}), arrays


class RankedEncoder(ColumnEncoder):
    """Values as numbers, and these as normal scores by their ranks: what densities and chains of columns need."""

    ranks: QuantileMap

    @abstractmethod
    def to_numbers(self, values: Values) -> Array:
        """Values as float64, NaN where missing; TypeError for another kind."""

    @abstractmethod
    def restored(self, x: Numbers) -> Array:
        """Values of the column's dtype from numbers, NaN where missing."""

    def numbers(self, values: Values) -> Array:
        """As :meth:`to_numbers`; ValueError for missing values where the fit had none, and for those that get lost."""
        x = self.to_numbers(values)
        refuse_lost(self.name, values, x)
        if not self.ranks.missing:
            refuse_missing(self.name, np.isnan(x))
        return x

    def log_stretch(self, values: Values) -> Numbers | float:
        """Logarithm of the derivative of numbers by values: of densities in the column's own unit."""
        return 0.0

    @property
    def is_smooth(self) -> bool:
        return not self.is_label and bool(self.ranks.masses.sum() + self.ranks.missing <= _RARE)

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        return self.ranks.encode(self.numbers(values), place)[:, None]

    def decode(self, z: Scores) -> Array:
        return self.restored(self.ranks.decode(z[:, 0]))


@dataclass(frozen=True)
class ConstantEncoder(ColumnEncoder):
    """A column of one value, or always missing: no dimension."""

    type = "constant"
    name: str
    dtype: str
    value: Any

    @classmethod
    def fit(cls, schema: ColumnSchema, values: Values, weights: Weights | None, n_knots: int, bandwidth: float) -> Self:
        value = None if is_missing(values[:1])[0] else values[:1].astype(_storable(values.dtype)).item()
        return cls(schema.name, values.dtype.str, value)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    @property
    def levels(self) -> tuple[Any, ...]:  # type: ignore[override]
        return (self.value,) if np.dtype(self.dtype).kind in "OUSb" and self.value is not None else ()

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        other = ~is_missing(values) if self.value is None else values != self._column(1)
        if np.any(other):
            raise ValueError(
                f"column {self.name!r} was constant, {self.value!r}, when fitted: found {values[other][0]}"
            )
        return np.empty((len(values), 0), np.float32)

    def decode(self, z: Scores) -> Array:
        return self._column(len(z))

    def _column(self, n: int) -> Array:
        dtype = np.dtype(self.dtype)
        if self.value is None:
            nothing = {"f": np.nan, "O": None}.get(dtype.kind, "NaT")
            return np.full(n, nothing, dtype)
        return np.full(n, self.value, _storable(dtype)).astype(dtype)


@dataclass(frozen=True)
class NumberEncoder(RankedEncoder):
    """Numbers, dates and durations: one dimension, the normal score.

    Integers and dates beyond 2^52 are counted in steps from an origin, so that they fit a double.
    """

    type, is_number = "number", True
    name: str
    dtype: str
    origin: int
    step: int
    ranks: QuantileMap

    @classmethod
    def fit(cls, schema: ColumnSchema, values: Values, weights: Weights | None, n_knots: int, bandwidth: float) -> Self:
        """Encoder of a column; ValueError for integers of which doubles cannot tell neighbours apart."""
        origin, step = origin_and_step(values)
        encoder = cls(schema.name, values.dtype.str, origin, step, None)  # type: ignore[arg-type]
        if schema.kind == "integer":
            encoder._refuse_rounding(values)
        x = encoder.to_numbers(values)
        refuse_lost(schema.name, values, x)
        ranks = QuantileMap.fit(
            x,
            weights,
            n_knots=n_knots,
            extrapolate=schema.tails == "extrapolate",
            lower=encoder._bound(schema.lower),
            upper=encoder._bound(schema.upper),
            dtype=values.dtype if values.dtype.kind == "f" else None,
            whole=KINDS[schema.kind].is_whole,
            bandwidth=bandwidth,
        )
        return cls(schema.name, values.dtype.str, origin, step, ranks)

    def restored(self, x: Numbers) -> Array:
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            limit = float(np.finfo(dtype).max)
            return np.clip(x, -limit, limit).astype(dtype)
        missing = np.isnan(x)
        out = self._whole(np.rint(np.where(missing, 0, x))).astype(dtype)
        if dtype.kind in "mM":
            out[missing] = "NaT"
        return out

    def to_numbers(self, values: Values) -> Array:
        dtype = np.dtype(self.dtype)
        if (values.dtype.kind in "mM") != (dtype.kind in "mM") or values.dtype.kind == "O":
            raise TypeError(f"column {self.name!r} was fitted as {dtype}, and now holds {values[0]!r}")
        if dtype.kind in "mM":
            values = values.astype(dtype)
            missing, whole = np.isnat(values), values.view(np.int64)
            return np.where(missing, np.nan, self._steps(whole))
        return self._steps(values)

    def _steps(self, values: Values) -> Array:
        if self.step == 1 and not self.origin:
            return np.asarray(values, np.float64)
        return (values - values.dtype.type(self.origin)).astype(np.float64) / self.step

    def _whole(self, steps: Numbers) -> Array:
        dtype = np.dtype(self.dtype)
        limits = np.iinfo(dtype if dtype.kind in "iu" else np.int64)
        lowest, highest = ((int(limit) - self.origin) // self.step for limit in (limits.min, limits.max))
        if not self.origin:
            return to_integer(steps, lowest, highest, limits.dtype) * limits.dtype.type(self.step)
        long = np.iinfo(np.int64)
        k = to_integer(steps, max(lowest + 1, long.min), min(highest, long.max), long.dtype)
        return k.astype(limits.dtype) * limits.dtype.type(self.step) + limits.dtype.type(self.origin)

    def _refuse_rounding(self, values: Values) -> None:
        """Raise ValueError for integers that would come back as others."""
        if values.dtype.kind not in "iu" or np.array_equal(self._whole(self._steps(values)), values):
            return
        raise ValueError(
            f"column {self.name!r} holds integers from {values.min()} to {values.max()}, of which 53 bits would come "
            f'back: say schema={{"{self.name}": "id"}} or "categorical" or, without its last digits, "continuous"'
        )

    def _bound(self, bound: Any) -> float | None:
        if bound is None:
            return None
        dtype = np.dtype(self.dtype)
        bounds = np.array([bound]).astype(dtype if dtype.kind in "mM" else float)
        refuse_lost(self.name, bounds, x := self.to_numbers(bounds))
        return float(x[0])


def _storable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.int64) if dtype.kind in "mM" else dtype


def refuse_lost(name: str, values: Values, x: Numbers) -> None:
    """Raise ValueError for the first value that is there, and has no finite number."""
    lost = ~np.isfinite(x)
    lost[lost] = ~is_missing(values[lost])
    if lost.any():
        found = values[lost][:1].tolist()[0]
        raise ValueError(
            f"column {name!r} holds {found!r}, for which its kind has no finite number: change it or the kind"
        )


def refuse_missing(name: str, missing: Mask) -> None:
    """Raise ValueError for the first missing value of a column that had none when fitted."""
    if np.any(missing):
        row = np.argmax(missing)
        raise ValueError(f"column {name!r} had no missing values when fitted, and is missing in row {row}")
