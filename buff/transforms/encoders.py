"""One column and its dimensions of unit space: encode values to scores, decode scores to values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from buff.protocols import Array, Integers, Mask, Numbers, Scores, Values, Weights
from buff.records import checked_record, known_part
from buff.tables.categories import codes_of, factorize, indicators
from buff.tables.columns import is_missing
from buff.tables.schema import ColumnSchema
from buff.transforms.quantile_map import Placement, QuantileMap
from buff.transforms.quantiles import origin_and_step

__all__ = ["ColumnEncoder", "ConstantEncoder", "IndicatorEncoder", "LevelEncoder", "NumberEncoder", "unpack"]

Record = dict[str, Any]
Arrays = dict[str, Array]


class ColumnEncoder(Protocol):
    """What the four kinds of encoders have in common."""

    @property
    def dtype(self) -> str:
        """Natural dtype of the column."""
        ...

    @property
    def name(self) -> str:
        """Name of the column."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        ...

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        """Scores of shape (n, width), float32."""
        ...

    def decode(self, z: Scores) -> Array:
        """Values of natural dtype from scores of shape (n, width)."""
        ...

    def pack(self) -> tuple[Record, Arrays]:
        """JSON-serialisable record and arrays; inverse of :func:`unpack`."""
        ...


@dataclass(frozen=True)
class ConstantEncoder:
    """A column of one value, or always missing: no dimension."""

    name: str
    dtype: str
    value: Any

    @classmethod
    def fit(cls, schema: ColumnSchema, values: Values) -> "ConstantEncoder":
        """Encoder of the column's first value."""
        value = None if is_missing(values[:1])[0] else values[:1].astype(_storable(values.dtype)).item()
        return cls(schema.name, values.dtype.str, value)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        other = ~is_missing(values) if self.value is None else values != self._column(1)
        if np.any(other):
            raise ValueError(
                f"column {self.name!r} was constant, {self.value!r}, when fitted: found {values[other][0]}"
            )
        return np.empty((len(values), 0), np.float32)

    def decode(self, z: Scores) -> Array:
        return self._column(len(z))

    def pack(self) -> tuple[Record, Arrays]:
        return {"type": "constant", "name": self.name, "dtype": self.dtype, "value": self.value}, {}

    def _column(self, n: int) -> Array:
        dtype = np.dtype(self.dtype)
        if self.value is None:
            nothing = {"f": np.nan, "O": None}.get(dtype.kind, "NaT")
            return np.full(n, nothing, dtype)
        return np.full(n, self.value, _storable(dtype)).astype(dtype)


@dataclass(frozen=True)
class NumberEncoder:
    """Numbers, dates and durations: one dimension, the normal score.

    Integers and dates beyond 2^52 are counted in steps from an origin, so that they fit a double.
    """

    name: str
    dtype: str
    origin: int
    step: int
    ranks: QuantileMap

    @classmethod
    def fit(
        cls, schema: ColumnSchema, values: Values, weights: Weights | None, n_knots: int, bandwidth: float = 0.0
    ) -> "NumberEncoder":
        """Encoder of a column; ``weights`` of shape (n,) or None.

        Raises
        ------
        ValueError
            Integers of which doubles cannot tell neighbours apart.
        """
        origin, step = origin_and_step(values)
        encoder = cls(schema.name, values.dtype.str, origin, step, None)  # type: ignore[arg-type]
        if schema.kind == "integer":
            encoder._refuse_rounding(values)
        bounds = (encoder._bound(schema.lower), encoder._bound(schema.upper))
        ranks = QuantileMap.fit(
            encoder._numbers(values),
            weights,
            n_knots=n_knots,
            extrapolate=schema.tails == "extrapolate",
            lower=bounds[0],
            upper=bounds[1],
            dtype=values.dtype if values.dtype.kind == "f" else None,
            whole=schema.kind != "continuous",
            bandwidth=bandwidth,
        )
        return cls(schema.name, values.dtype.str, origin, step, ranks)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        return self.ranks.encode(self.numbers(values), place)[:, None]

    def decode(self, z: Scores) -> Array:
        return self.restored(self.ranks.decode(z[:, 0]))

    def restored(self, x: Numbers) -> Array:
        """Values of the column's dtype from numbers, NaN where missing."""
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            limit = float(np.finfo(dtype).max)
            return np.clip(x, -limit, limit).astype(dtype)
        missing = np.isnan(x)
        out = self._whole(np.rint(np.where(missing, 0, x))).astype(dtype)
        if dtype.kind in "mM":
            out[missing] = np.timedelta64("NaT") if dtype.kind == "m" else np.datetime64("NaT")
        return out

    def pack(self) -> tuple[Record, Arrays]:
        ranks, arrays = self.ranks.to_arrays()
        record = {"name": self.name, "dtype": self.dtype, "origin": self.origin, "step": self.step}
        return record | {"type": "number", "ranks": ranks}, arrays

    def numbers(self, values: Values) -> Array:
        """Values as float64, NaN where missing; ValueError where there were none, TypeError for another kind."""
        return _known(self.name, self.ranks, self._numbers(values))

    def _numbers(self, values: Values) -> Array:
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
            return _to_integer(steps, lowest, highest, limits.dtype) * limits.dtype.type(self.step)
        long = np.iinfo(np.int64)
        k = _to_integer(steps, max(lowest + 1, long.min), min(highest, long.max), long.dtype)
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
        return float(self._numbers(np.array([bound]).astype(dtype if dtype.kind in "mM" else float))[0])


@dataclass(frozen=True)
class LevelEncoder:
    """Categories as atoms in a given order: one dimension."""

    name: str
    dtype: str
    levels: tuple[Any, ...]
    ranks: QuantileMap

    @classmethod
    def fit(
        cls, schema: ColumnSchema, values: Values, weights: Weights | None, levels: Sequence[Any]
    ) -> "LevelEncoder":
        """Encoder with the ``levels`` in order."""
        numbers = _with_nan(codes_of(values, levels, schema.name))
        return cls(schema.name, values.dtype.str, tuple(levels), QuantileMap.fit(numbers, weights, discrete=True))

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        return self.ranks.encode(self.numbers(values), place)[:, None]

    def numbers(self, values: Values) -> Array:
        """Positions in the order of the levels, NaN where missing."""
        return _known(self.name, self.ranks, _with_nan(codes_of(values, self.levels, self.name)))

    def decode(self, z: Scores) -> Array:
        numbers = self.ranks.decode(z[:, 0])
        missing = np.isnan(numbers)
        return _looked_up(self.levels, np.where(missing, -1, numbers).astype(np.intp), self.dtype)

    def pack(self) -> tuple[Record, Arrays]:
        ranks, arrays = self.ranks.to_arrays()
        record = {"name": self.name, "dtype": self.dtype, "levels": list(self.levels)}
        return record | {"type": "level", "ranks": ranks}, arrays


@dataclass(frozen=True)
class IndicatorEncoder:
    """Categories as one dimension a level, 1 for the value, -1 for others; coming back the largest wins."""

    name: str
    dtype: str
    levels: tuple[Any, ...]
    missing: bool

    @classmethod
    def fit(cls, schema: ColumnSchema, values: Values) -> "IndicatorEncoder":
        """Encoder with one dimension more if values are missing."""
        levels, codes = factorize(values)
        return cls(schema.name, values.dtype.str, tuple(levels), bool(np.any(codes < 0)))

    @property
    def names(self) -> tuple[str, ...]:
        known = tuple(f"{self.name}_{level}" for level in self.levels)
        return (*known, f"{self.name}_missing") if self.missing else known

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        codes = codes_of(values, self.levels, self.name)
        if not self.missing and np.any(codes < 0):
            raise _unexpectedly_missing(self.name, codes < 0)
        return 2 * indicators(np.where(codes < 0, len(self.levels), codes), len(self.names)) - 1

    def decode(self, z: Scores) -> Array:
        codes = np.argmax(z, axis=1)
        return _looked_up(self.levels, np.where(codes == len(self.levels), -1, codes), self.dtype)

    def pack(self) -> tuple[Record, Arrays]:
        record = {
            "name": self.name,
            "dtype": self.dtype,
            "levels": list(self.levels),
            "missing": self.missing,
        }
        return record | {"type": "indicator"}, {}


def unpack(record: Record, arrays: Arrays) -> ColumnEncoder:
    """Encoder from what ``pack`` returned."""
    kinds: dict[str, Any] = {
        "constant": ConstantEncoder,
        "number": NumberEncoder,
        "level": LevelEncoder,
        "indicator": IndicatorEncoder,
    }
    kind = kinds[checked_record(record, "an encoder", ("type",))["type"]]
    own = {key: value for key, value in record.items() if key != "type"}
    own = known_part(own, f"the encoder of column {str(record.get('name'))[:40]!r}", kind.__annotations__)
    if "ranks" in own:
        own["ranks"] = QuantileMap.from_arrays(own["ranks"], arrays)
    if "levels" in own:
        own["levels"] = tuple(own["levels"])
    return kind(**own)  # type: ignore[no-any-return]


def _storable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.int64) if dtype.kind in "mM" else dtype


def _to_integer(x: Numbers, lowest: int, highest: int, dtype: np.dtype[Any]) -> Array:
    """``x`` within limits as integers; a double may lie above the largest integer that rounds to it."""
    top = x >= float(highest)
    out = np.where(top, 0, np.maximum(x, float(lowest))).astype(dtype)
    out[top] = highest
    return out


def _with_nan(codes: Integers) -> Array:
    return np.where(codes < 0, np.nan, codes)


def _looked_up(levels: Sequence[Any], codes: Integers, dtype: str) -> Array:
    kind = np.dtype(dtype).kind
    table = np.empty(len(levels) + 1, dtype)
    table[:-1] = levels
    if kind in "fO":
        table[-1] = np.nan if kind == "f" else None
    return table[codes]


def _known(name: str, ranks: QuantileMap, numbers: Array) -> Array:
    if not ranks.missing and np.isnan(numbers).any():
        raise _unexpectedly_missing(name, np.isnan(numbers))
    return numbers


def _unexpectedly_missing(name: str, missing: Mask) -> ValueError:
    row = np.argmax(missing)
    return ValueError(f"column {name!r} had no missing values when fitted, and is missing in row {row}")
