"""The probability of numbers that a table might have and has not."""

from dataclasses import dataclass

import numpy as np

from buff.protocols import Array
from buff.transforms.quantile_map import QuantileMap

__all__ = ["UnseenNumbers"]


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

    def log_probability(self, x: Array) -> Array:
        """Of numbers that were not seen; -inf off the lattice and beyond its limits."""
        steps = np.nan_to_num((x - self.origin) / self.spacing)
        k = np.rint(steps)
        possible = (np.abs(steps - k) < 1e-6) & (k >= self.limits[0]) & (k <= self.limits[1])
        weight = -self._distance(k) * np.log(2)
        return np.where(possible, np.log(self.share / self.total) + weight, -np.inf)

    def _distance(self, k: Array) -> Array:
        i = np.clip(np.searchsorted(self.seen, k), 1, len(self.seen) - 1)
        return np.minimum(np.abs(k - self.seen[i - 1]), np.abs(k - self.seen[i]))
