"""Values absent from the training: beyond its range, next to its atoms, between its whole numbers."""

from dataclasses import dataclass

import numpy as np

from buff.protocols import Array, Numbers
from buff.transforms.quantile_map import QuantileMap
from buff.transforms.quantiles import Polyline

__all__ = ["ExponentialEnd", "UnseenNumbers", "open_ends_of", "without_small_gaps"]

#: Gaps between an atom and values are chance where they are no wider than so many steps between knots, or this share
#: of the range.
_NEAR_KNOTS, _SMALL_GAP = 5, 0.01


@dataclass(frozen=True)
class ExponentialEnd:
    """Exponential tail, cut at a bound b: survival mass (e^-y - e^-b) / (1 - e^-b), y = excess / scale."""

    start: float
    mass: float
    scale: float
    room: float

    @classmethod
    def of(cls, start: float, end: float, mass: float, bound: float | None) -> "ExponentialEnd | None":
        if not (end > start and mass > 0) or (bound is not None and not bound > start):
            return None
        scale = end - start
        return cls(start, mass, scale, np.inf if bound is None else (bound - start) / scale)

    def survival(self, x: Numbers) -> Array:
        y, least = (x - self.start) / self.scale, np.exp(-self.room)
        return np.where(y > self.room, 0.0, self.mass * (np.exp(-y) - least) / (1 - least))

    def log_density(self, x: Numbers) -> Array:
        y = (x - self.start) / self.scale
        density = np.log(self.mass / self.scale) - y - np.log1p(-np.exp(-self.room))
        return np.where(y > self.room, -np.inf, density)

    def value(self, survival: Numbers) -> Array:
        least = np.exp(-self.room)
        share = np.clip(survival / self.mass, 0, 1) * (1 - least) + least
        return self.start - self.scale * np.log(np.maximum(share, 1e-300))


@dataclass(frozen=True, eq=False)
class UnseenNumbers:
    """Whole numbers, or others on a lattice, that none of n rows has: they share 1 / (n + 1) of the probability.

    The weight of a number is 2^-k, k steps from the nearest that was seen; 0 is not crossed where no number had the
    other sign, nor are bounds of the schema.

    Attributes
    ----------
    seen : int array
        Steps of the lattice.
    origin, spacing : float
    share : float
    total : float
        Sum of all weights.
    limits : pair of float
        Least and largest step.
    """

    seen: Array
    origin: float
    spacing: float
    share: float
    total: float
    limits: tuple[float, float]

    @classmethod
    def of(cls, ranks: QuantileMap) -> "UnseenNumbers | None":
        """Of a column that is nothing but atoms on a lattice; None of others."""
        if ranks.lattice is None or len(ranks.atoms) < 2 or ranks.missing + ranks.masses.sum() < 1 - 1e-9:
            return None
        origin, spacing = float(ranks.atoms[0]), ranks.lattice.spacing / ranks.unit
        seen = np.rint((ranks.atoms - origin) / spacing).astype(np.int64)
        bounds = [None if b is None else b / ranks.unit for b in (ranks.lower, ranks.upper)]
        if bounds[0] is None and origin >= 0:
            bounds[0] = 0.0
        if bounds[1] is None and ranks.atoms[-1] <= 0:
            bounds[1] = 0.0
        low = -np.inf if bounds[0] is None else float(np.ceil((bounds[0] - origin) / spacing - 1e-6))
        high = np.inf if bounds[1] is None else float(np.floor((bounds[1] - origin) / spacing + 1e-6))
        own = cls(seen, origin, spacing, 2 * ranks.margin / (1 + 2 * ranks.margin), 1.0, (low, high))
        holes = np.setdiff1d(np.arange(seen[0], seen[-1]), seen)
        tails = 2 - 2.0 ** (low - seen[0]) - 2.0 ** (seen[-1] - high)
        total = float(np.exp2(-own._distance(holes)).sum() + tails)
        return None if total <= 0 else cls(seen, origin, spacing, own.share, total, own.limits)

    def log_probability(self, x: Numbers) -> Array:
        """Of numbers that were not seen; -inf off the lattice and beyond its limits."""
        steps = np.nan_to_num((x - self.origin) / self.spacing)
        k = np.rint(steps)
        possible = (np.abs(steps - k) < 1e-6) & (k >= self.limits[0]) & (k <= self.limits[1])
        weight = -self._distance(k) * np.log(2)
        return np.where(possible, np.log(self.share / self.total) + weight, -np.inf)

    def _distance(self, k: Array) -> Array:
        i = np.clip(np.searchsorted(self.seen, k), 1, len(self.seen) - 1)
        return np.minimum(np.abs(k - self.seen[i - 1]), np.abs(k - self.seen[i]))


def without_small_gaps(line: Polyline) -> Polyline:
    """The polyline in which values next to an atom have a density too.

    Lines of values end at the mean of two of them, and what lies between that and an atom would be impossible; wide
    gaps, such as those beside sentinels, stay.
    """
    du, dx = np.diff(line.u), np.diff(line.x)
    kept = np.ones(len(line.u), bool)
    for k in np.flatnonzero((du == 0) & (dx > 0)):
        if dx[k] <= _SMALL_GAP * (line.x[-1] - line.x[0]) and k + 2 < len(line.u) and du[k + 1] > 0:
            kept[k + 1] = False
            continue
        above = line.x[min(k + 1 + _NEAR_KNOTS, len(line.x) - 1)] - line.x[k + 1]
        below = line.x[k] - line.x[max(k - _NEAR_KNOTS, 0)]
        if k + 2 < len(line.u) and du[k + 1] > 0 and dx[k] <= above:
            kept[k + 1] = False
        elif k > 0 and du[k - 1] > 0 and dx[k] <= below:
            kept[k] = False
    return Polyline(line.u[kept], line.x[kept])


def open_ends_of(ranks: QuantileMap, line: Polyline) -> tuple[ExponentialEnd | None, ExponentialEnd | None]:
    """Exponential tails below (of the values times -1) and above."""
    if len(line.x) < 4:
        return None, None
    x, u = line.x, line.u
    lower, upper = (None if b is None else b / ranks.unit for b in (ranks.lower, ranks.upper))
    if lower is None and x[0] >= 0:
        lower = 0.0
    if upper is None and x[-1] <= 0:
        upper = 0.0
    below = ExponentialEnd.of(-x[1], -x[0], u[1] - ranks.missing, None if lower is None else -lower)
    above = ExponentialEnd.of(x[-2], x[-1], 1 - u[-2], upper)
    return below, above
