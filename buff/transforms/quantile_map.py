"""Values to normal scores and back, through the empirical distribution of one column.

The distribution is a monotone polyline of levels u and values x, in which a value that repeats (an *atom*) is
a flat piece as wide as its frequency. A value goes in as z = Phi^-1(u(x)), a score comes back as x(Phi(z)),
so marginals are exact whatever happens in between, and whoever draws z inside a flat piece gets exactly the
atom. Missing values are one more atom at the lower end, levels [0, p_missing]. Between atoms scores may come back
through a smoothed quantile function: the sample's own repeats its wiggles, by which a classifier tells drawn values
from new ones.

What is kept of the data: the atoms, which at least five rows share or which belong to a small alphabet of
evenly spaced values; and knots, each of which is the mean of two neighbouring values that no other knot uses,
so that no value of a single row can be read off.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from scipy.special import ndtr, ndtri

from buff import kernels
from buff.kernels.backends import warn_of_fallback
from buff.protocols import Array, Integers, Numbers, Scores, Values, Weights
from buff.transforms.checked import check_quantile_map
from buff.transforms.quantiles import Lattice, Polyline, compress, gap_levels, merge, merge_at, smooth
from buff.transforms.tails import Tail

__all__ = ["Placement", "QuantileMap"]

#: A generator for a random place, or a share of the way through an interval.
Placement: TypeAlias = np.random.Generator | float

#: Values that fewer rows share could be coincidences of rounding, and would give single rows away.
_FEWEST_ROWS = 5
#: Values rarer than one row in this many are left to the polyline.
_MOST_ATOMS = 10_000
#: A lattice with this many cells or fewer is an alphabet: all its values are atoms.
_ALPHABET = 1000
#: Divisor of huge values: slopes between knots stay finite, and the smallest doubles do not become zero.
_HUGE = 2.0**40
#: Scores of 1 less this are finite, however large weights are.
_SMALLEST_MARGIN = 2.0**-50
#: More rows make no difference to a smoothed quantile function.
_MOST_ROWS = 1e12


@dataclass(frozen=True)
class QuantileMap:
    """Monotone map between the values of a column and normal scores.

    Attributes
    ----------
    line : Polyline
        The distribution of values and missing values; empty if all are missing.
    atoms, starts, masses : arrays of shape (a,)
        Values that own levels [start, start + mass].
    missing : float
        Share of missing values.
    margin : float
        Levels are kept within [margin, 1 - margin], so scores are finite: half a row.
    lattice : Lattice or None
        Where all values lie.
    lower, upper : float or None
        Bounds that decoded values never cross.
    below, above : Tail or None
        Extrapolated tails, the lower one of the values times -1; without, values end with the polyline.
    unit : float
        Values are divided by this power of two first, so that differences of huge values stay finite.
    smoothed : Polyline or None
        The distribution that scores are decoded by; None is ``line``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ranks = QuantileMap.fit(rng.poisson(0.5, 1000).astype(float))
    >>> z = ranks.encode(np.zeros(4), rng)
    >>> len(set(z.tolist())), ranks.decode(z)
    (4, array([0., 0., 0., 0.]))
    """

    line: Polyline
    atoms: Array
    starts: Array
    masses: Array
    missing: float
    margin: float
    lattice: Lattice | None = None
    lower: float | None = None
    upper: float | None = None
    below: Tail | None = None
    above: Tail | None = None
    unit: float = 1.0
    smoothed: Polyline | None = None

    @classmethod
    def fit(
        cls,
        values: Array,
        weights: Weights | None = None,
        *,
        n_knots: int = 1000,
        discrete: bool = False,
        extrapolate: bool = False,
        lower: float | None = None,
        upper: float | None = None,
        dtype: np.dtype[Any] | None = None,
        whole: bool = True,
        bandwidth: float = 0.0,
    ) -> "QuantileMap":
        """Map of float64 ``values`` of shape (n,), NaN where missing, and nonnegative ``weights``.

        Whole weights count rows, yet a value repeats only if several rows hold it: a heavy row is no atom.
        ``discrete`` makes every value an atom; ``extrapolate`` adds tails beyond the sample, which end at
        ``lower`` and ``upper``; ``dtype`` is the precision in which the values were recorded; without
        ``whole`` a column of whole numbers may come back with fractions. Scores are decoded by a quantile function
        that is smooth over ``bandwidth``, see :func:`buff.transforms.quantiles.smooth`; 0 keeps that of the sample.
        """
        weights = np.ones(len(values)) if weights is None else weights
        total, known = weights.sum(), ~np.isnan(values) & (weights > 0)
        x, w, rows = _distinct(values[known], weights[known])
        n_effective = total if np.all(weights == np.rint(weights)) else total**2 / np.sum(weights**2)
        margin = max(float(0.5 / n_effective), _SMALLEST_MARGIN)
        missing = 1.0 if not len(x) else float(weights[np.isnan(values)].sum() / total)
        if not len(x):
            nothing = np.empty(0)
            return cls(Polyline(nothing, nothing), nothing, nothing, nothing, missing, margin)
        unit = _unit(x)
        lattice = Lattice.of(x, dtype) if unit == 1 else None
        lattice = lattice if whole or (lattice and lattice.decimals) else None
        if lattice and lattice.noisy:
            x, w, rows = _distinct(lattice.nearest(values[known]), weights[known])
        atom = np.ones(len(x), bool) if discrete else _is_atom(x, rows, lattice)
        x, w = x / unit, w / total
        rest, rest_w = _apart_from(x[atom], x[~atom]), w[~atom]
        own, share = compress(rest, rest_w, n_knots, lattice.spacing if lattice else 0.0), rest_w.sum()
        line, starts = merge(own, share, x[atom], w[atom])
        smoothed = (
            smooth(own, min(float(n_effective), _MOST_ROWS) * share, bandwidth, gap_levels(rest, rest_w))
            if bandwidth
            else own
        )
        if smoothed is not own:
            smoothed = merge_at(smoothed, share, x[atom], w[atom], starts).raised(missing)
        facts = (x[atom], missing + starts, w[atom], missing, margin, lattice, lower, upper)
        ranks = cls(
            line.raised(missing),
            *facts,
            unit=unit,
            smoothed=None if smoothed is own else smoothed,
        )
        return ranks._with_tails(rest, rest_w) if extrapolate and len(rest) else ranks

    @property
    def decoding(self) -> Polyline:
        """The distribution that scores are decoded by."""
        return self.smoothed or self.line

    def encode(self, values: Array, place: Placement = 0.5) -> Array:
        """Normal scores, float32, of float64 ``values``; NaN is a missing value.

        Inside the levels it owns, a value is placed at random by a generator, or at a share of the way up.
        """
        n = len(values)
        values = self.lattice.nearest(values) if self.lattice and self.lattice.noisy else values
        within = np.full(n, float(place)) if isinstance(place, int | float) else place.random(n)
        u = self._level(values, within)
        return ndtri(np.clip(u, self.margin, 1 - self.margin)).astype(np.float32)

    def decode(self, z: Scores) -> Array:
        """Float64 values of normal scores ``z``; NaN where missing."""
        if self.missing == 1:
            return np.full(len(z), np.nan)
        if self.is_compiled(z):
            return self._decoded(z)
        return self._by_levels(np.asarray(z, np.float64))

    def _by_levels(self, z: Scores) -> Array:
        u = ndtr(z)
        x = self.decoding.value(u)
        if self.above:
            i = np.flatnonzero(x > self.above.start)
            x[i] = self.above.value(np.maximum(ndtr(-z[i]), np.finfo(float).tiny))
        if self.below:
            i = np.flatnonzero(x < -self.below.start)
            x[i] = -self.below.value(np.maximum(u[i] - self.missing, np.finfo(float).tiny))
        limit = np.finfo(float).max / self.unit
        x = self.within_bounds(np.clip(x, -limit, limit) * self.unit)
        x[u < self.missing] = np.nan
        return x

    def is_compiled(self, z: Scores) -> bool:
        """Whether the kernels decode these scores: to the same bits, if there are no tails to extrapolate."""
        plain = self.below is None and self.above is None and getattr(z, "dtype", None) in (np.float32, np.float64)
        return bool(plain and len(z) and kernels.native() and kernels.is_exact() and self._compiled is not None)

    def packed(self) -> bytes:
        """The map as the kernels and the C++ sampler read it."""
        lattice, tails = self.lattice, (self.below, self.above)
        grid: tuple[float, ...] = ()
        if lattice is not None:
            grid = (10.0**lattice.decimals, lattice.step, lattice.origin, lattice.single, lattice.noisy)
        line = self.decoding
        parts = [kernels.sized(line.u), kernels.sized(line.x), kernels.doubles(self.missing, self.unit)]
        parts.append(kernels.optional(grid))
        parts += [kernels.optional(() if bound is None else (bound,)) for bound in (self.lower, self.upper)]
        parts += [kernels.optional(() if t is None else (t.start, t.mass, t.scale, t.shape)) for t in tails]
        return b"".join(parts)

    @cached_property
    def _compiled(self) -> Any:
        """The map for the kernels; None if they would decode to other values."""
        made, z = kernels.native().quantiles(self.packed()), np.linspace(-5, 5, 101)
        kernels.native().decode(made, z, own := np.empty(len(z)))
        if np.array_equal(own, self._by_levels(z), equal_nan=True):
            return made
        warn_of_fallback("the kernels decode other values than NumPy")
        return None

    def _decoded(self, z: Scores) -> Array:
        out = np.empty(len(z))
        kernels.native().decode(self._compiled, np.ascontiguousarray(z), out)
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_compiled"}

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and the arrays that go with it."""
        arrays = {"u": self.line.u, "x": self.line.x}
        arrays |= {key: getattr(self, key) for key in ("atoms", "starts", "masses")}
        if self.smoothed:
            arrays |= {"smoothed_u": self.smoothed.u, "smoothed_x": self.smoothed.x}
        record = {key: getattr(self, key) for key in ("missing", "margin", "lower", "upper", "unit")}
        for key in ("lattice", "below", "above"):
            part = getattr(self, key)
            record[key] = None if part is None else asdict(part)
        return record, arrays

    @classmethod
    def from_arrays(cls, record: dict[str, Any], arrays: dict[str, Array]) -> "QuantileMap":
        """Inverse of :meth:`to_arrays`; ArchiveError for what no fit gives, such as knots that are not sorted."""
        check_quantile_map(record, arrays)
        parts = {"lattice": Lattice, "below": Tail, "above": Tail}
        fields = {key: parts[key](**value) if key in parts and value else value for key, value in record.items()}
        fields |= {key: arrays[key] for key in ("atoms", "starts", "masses")}
        if "smoothed_u" in arrays:
            fields["smoothed"] = Polyline(arrays["smoothed_u"], arrays["smoothed_x"])
        return cls(line=Polyline(arrays["u"], arrays["x"]), **fields)

    def _level(self, values: Values, place: Numbers) -> Array:
        x = values / self.unit
        if len(self.line.x):
            lowest = -np.inf if self.below else self.line.x[0]
            x = np.clip(x, lowest, np.inf if self.above else self.line.x[-1])
            cell = self.lattice.spacing if self.lattice else 0.0
            u = self.line.level(x + cell * (place - 0.5) if cell else x)
            u = self._tail_level(x, u)
        else:
            u = np.full(len(x), np.nan)
        if len(self.atoms):
            i = np.minimum(np.searchsorted(self.atoms, x), len(self.atoms) - 1)
            u = np.where(self.atoms[i] == x, self.starts[i] + self.masses[i] * place, u)
        margin = min(self.margin, 0.5 * (1 - self.missing))
        return np.where(np.isnan(values), self.missing * place, np.clip(u, self.missing + margin, 1 - margin))

    def _tail_level(self, x: Numbers, u: Numbers) -> Array:
        if self.above:
            i = np.flatnonzero(x > self.above.start)
            u[i] = 1 - self.above.survival(x[i])
        if self.below:
            i = np.flatnonzero(x < -self.below.start)
            u[i] = self.missing + self.below.survival(-x[i])
        return u

    def within_bounds(self, x: Numbers) -> Array:
        """Numbers on the lattice of the column and between its bounds."""
        if self.lattice:
            x = self.lattice.nearest(x)
        if self.lower is not None or self.upper is not None:
            x = np.clip(x, self.lower, self.upper)
        return x

    def _with_tails(self, x: Numbers, w: Weights) -> "QuantileMap":
        u, knots = self.line.u, self.line.x
        above = below = None
        upper = None if self.upper is None else self.upper / self.unit
        lower = None if self.lower is None else -self.lower / self.unit
        if not len(self.atoms) or x[-1] > self.atoms[-1]:
            above = Tail.fit(x, w, knots[-2], 1 - u[-2], knots[-1], upper)
        if not len(self.atoms) or x[0] < self.atoms[0]:
            below = Tail.fit(-x[::-1], w[::-1], -knots[1], u[1] - self.missing, -knots[0], lower)
        return replace(self, below=below, above=above)


def _distinct(x: Numbers, w: Weights) -> tuple[Array, Array, Array]:
    """Distinct values in order, the weight of each, the rows of each."""
    if not len(x):
        return x, w, w
    even = w.min() == w.max()
    order = slice(None) if even else np.argsort(x, kind="stable")
    x, w = (np.sort(x) if even else x[order]), w[order]
    first = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1]]))
    counts = np.diff(np.append(first, len(x)))
    weights = counts * w[0] if even else np.add.reduceat(w, first)
    return x[first], weights, counts


def _is_atom(x: Numbers, rows: Integers, lattice: Lattice | None) -> Array:
    n = rows.sum()
    if lattice and (x[-1] - x[0]) / lattice.spacing < min(_ALPHABET, n):
        return np.ones(len(x), bool)
    return (rows >= _FEWEST_ROWS) & (rows * _MOST_ATOMS >= n)


def _apart_from(atoms: Numbers, x: Numbers) -> Array:
    """``x``, or if it is a single value, its mean with the nearest atom."""
    if len(x) != 1 or not len(atoms):
        return x
    return 0.5 * (x + atoms[np.argmin(np.abs(atoms - x))])


def _unit(x: Numbers) -> float:
    return _HUGE if np.max(np.abs(x)) > 1e150 else 1.0
