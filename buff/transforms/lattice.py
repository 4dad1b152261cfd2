"""Columns whose values are evenly spaced: integers, dates, prices in cents, energies in steps of 0.25."""

from dataclasses import dataclass, replace

import numpy as np

from buff.protocols import Array

__all__ = ["Lattice"]

#: More decimals than this are a computer's, not a person's.
_MAX_DECIMALS = 8
#: Fewer distinct values may share a large step by chance.
_MIN_VALUES = 10
#: Share of values that are on a lattice to a few units in the last place, of which the others are errors.
_ON_LATTICE, _ULPS = 0.995, 8
#: A lattice is finer than such noise by this factor, or any number would be on it.
_NOISE_MARGIN = 100


@dataclass(frozen=True)
class Lattice:
    """The numbers (origin + step k) / 10^decimals with integer k.

    Attributes
    ----------
    decimals, step, origin : int
    noisy : bool
        Whether values of the sample miss it by the rounding of sums and products, or one in 200 by more.
    single : bool
        Whether its numbers were rounded to single precision before they became doubles.

    Examples
    --------
    >>> lattice = Lattice.of(np.arange(12) / 4)
    >>> lattice.spacing
    0.25
    >>> lattice.nearest(np.array([0.3, 0.4]))
    array([0.25, 0.5 ])
    """

    decimals: int
    step: int
    origin: int
    noisy: bool = False
    single: bool = False

    @property
    def spacing(self) -> float:
        """Distance of neighbours."""
        return float(self.step / 10**self.decimals)

    @classmethod
    def of(cls, values: Array, dtype: np.dtype | None = None) -> "Lattice | None":
        """Coarsest lattice that holds all distinct ``values``, None if they are not on one.

        ``dtype`` is the precision in which values are to be compared, that of the column.
        """
        for decimals in range(_MAX_DECIMALS + 1):
            if not _on_decimals(values[:: max(1, len(values) // 100)], decimals, dtype):
                continue
            if _on_decimals(values, decimals, dtype):
                return cls._from_numerators(np.rint(values * 10**decimals), decimals)
        return cls._of_noisy(values) if dtype is None or np.dtype(dtype) == np.float64 else None

    @classmethod
    def _of_noisy(cls, values: Array) -> "Lattice | None":
        """The lattice of doubles that arithmetic, or a time in single precision, has moved off it."""
        with np.errstate(over="ignore"):
            single = bool(np.all(values.astype(np.float32) == values))
        ulp = np.spacing(np.abs(values).astype(np.float32) if single else np.abs(values)).astype(np.float64)
        for decimals in range(_MAX_DECIMALS + 1):
            power = 10.0**decimals
            if len(values) < _MIN_VALUES or _NOISE_MARGIN * _ULPS * np.median(ulp) * power > 1:
                return None
            m = np.rint(values * power)
            on = np.abs(values - m / power) <= _ULPS * ulp
            if on.mean() >= _ON_LATTICE and np.all(np.abs(m) < 2.0**52):
                return replace(cls._from_numerators(np.unique(m[on]), decimals), noisy=True, single=single)
        return None

    @classmethod
    def _from_numerators(cls, m: Array, decimals: int) -> "Lattice":
        m = m.astype(np.int64)
        step = int(np.gcd.reduce(np.diff(m))) if len(m) >= _MIN_VALUES else 1
        return cls(decimals, step, int(m[0] % step))

    def nearest(self, x: Array) -> Array:
        """``x`` rounded to the lattice; exactly the double nearest to the decimal number."""
        power = 10.0**self.decimals
        k = np.rint((x * power - self.origin) / self.step)
        nearest: Array = (k * self.step + self.origin) / power
        return nearest.astype(np.float32).astype(np.float64) if self.single else nearest


def _on_decimals(values: Array, decimals: int, dtype: np.dtype | None) -> bool:
    power = 10.0**decimals
    with np.errstate(over="ignore"):
        m = np.rint(values * power)
    if not np.all(np.abs(m) < 2.0**52):
        return False
    return bool(np.all((m / power).astype(dtype or float) == values))
