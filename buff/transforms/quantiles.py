"""What the distribution of a column is made of: its quantile function, and the lattice its values may lie on.

Quantile functions are compressed to a few hundred knots that quote no single value. Lattices are columns whose values
are evenly spaced: integers, dates, prices in cents, energies in steps of 0.25.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, ndtr, ndtri

from buff.protocols import Array, Integers, Numbers, Values, Weights

__all__ = [
    "Lattice",
    "Polyline",
    "compress",
    "convolved",
    "gap_levels",
    "merge",
    "merge_at",
    "origin_and_step",
    "smooth",
    "to_integer",
]

#: Rows at either end whose quantiles stay as they are, and rows from which on they are smooth.
_RAW_ROWS, _SMOOTH_ROWS = 4, 21
#: Steps of the regression in a bandwidth of score, steps between knots, and reach of the kernel in bandwidths.
_STEPS_A_BANDWIDTH, _STEPS_A_KNOT, _REACH = 12, 3, 6

#: How far levels may move, in units of the scatter of the number of rows in a window.
_CHANCE = 0.4
#: More decimals than this are a computer's, not a person's.
_MAX_DECIMALS = 8
#: Fewer distinct values may share a large step by chance.
_MIN_VALUES = 10
#: Share of values that are on a lattice to a few units in the last place, of which the others are errors.
_ON_LATTICE, _ULPS = 0.995, 8
#: A lattice is finer than such noise by this factor, or any number would be on it.
_NOISE_MARGIN = 100


@dataclass(frozen=True)
class Polyline:
    """Levels u in [0, 1] and values x, both nondecreasing: the quantile function x(u) and its inverse."""

    u: Array
    x: Array

    def value(self, u: Numbers) -> Array:
        """Quantile function."""
        return np.interp(u, self.u, self.x)

    def level(self, x: Numbers) -> Array:
        """Distribution function, linear between knots and constant outside."""
        return np.interp(x, self.x, self.u)

    def raised(self, level: float) -> "Polyline":
        """The line moved up by a share ``level``, that of what lies below it."""
        return Polyline(level + self.u, self.x)


def compress(values: Values, weights: Weights, n_knots: int, spacing: float = 0.0) -> Polyline:
    """Polyline through the distribution of distinct, sorted ``values``.

    The sample is cut between neighbours: the level of cut i is the weight of values 0 to i, its place the
    mean of values i and i + 1. Only even i are used, so each knot is the mean of a pair of its own and no
    value can be solved for. The ends are the means of the two outermost values, widened by half the
    ``spacing`` of a lattice. Cuts are dense in the tails (half of them evenly spaced in u, half in log(u / (1
    - u))), and stand on both sides of every gap that a line would bridge.
    """
    k = len(values)
    if not k:
        return Polyline(np.empty(0), np.empty(0))
    ends = values[[0, -1]] if k < 2 else np.array([_mean(values, 0), _mean(values, k - 2)])
    ends += np.array([-0.5, 0.5]) * spacing
    cumulative = np.cumsum(weights) / np.sum(weights)
    cuts = np.union1d(_spread_cuts(cumulative, n_knots), _gap_cuts(values, n_knots // 4))
    x = np.concatenate([ends[:1], _mean(values, cuts), ends[1:]])
    return Polyline(np.concatenate([[0.0], cumulative[cuts], [1.0]]), np.maximum.accumulate(x))


def smooth(line: Polyline, n: float, bandwidth: float, gaps: Numbers | None = None) -> Polyline:
    r"""Quantile function without the wiggles of its sample: local linear regression on normal scores.

    .. math:: \hat x(z) = \arg\min_a \min_b \int (x(\zeta) - a - b (\zeta - z))^2
        K((\zeta - z) / h) \, e^{-\zeta^2 / 2} d\zeta, \quad z = \Phi^{-1}(u),

    with a Gaussian kernel K of width h, weighted by the density of the rows (Fan, Gijbels, 1996, "Local polynomial
    modelling and its applications", chapter 3). The four outermost rows at either end keep their quantiles, up to the
    21st these are blended in. The same holds on both sides of a gap, which nothing is smoothed across. Levels move by
    less than the number of rows within a bandwidth scatters by chance, so that peaks keep their valleys.

    Parameters
    ----------
    line : Polyline
        Quantile function of the sample.
    n : float
        Its number of rows, the effective one if they are weighted.
    bandwidth : float
        h, in units of the normal score; 0 leaves the line as it is.
    gaps : array, optional
        Levels at which the distribution has gaps.

    Examples
    --------
    >>> x = np.sort(np.random.default_rng(0).normal(size=5000))
    >>> rough = compress(x, np.ones(5000), 1000)
    >>> z = np.linspace(-1.5, 1.5, 200)
    >>> wiggles = [np.diff(f.value(ndtr(z)), 2).std() for f in (rough, smooth(rough, 5000, 0.05))]
    >>> bool(wiggles[1] < wiggles[0] / 3)
    True
    """
    edges = np.concatenate([[0.0], np.sort([] if gaps is None else gaps), [1.0]])
    wide = np.diff(edges) * n >= 3 * _SMOOTH_ROWS
    if not bandwidth or not len(line.u) or not wide.any():
        return line
    parts = [_smooth_part(line, n, bandwidth, *edges[i : i + 2]) for i in np.flatnonzero(wide)]
    raw = np.ones(len(line.u), bool)
    for u, _ in parts:
        raw &= (line.u < u[0]) | (line.u > u[-1])
    u = np.concatenate([line.u[raw], *(u for u, _ in parts)])
    x = np.concatenate([line.x[raw], *(x for _, x in parts)])
    order = np.lexsort((x, u))
    return Polyline(u[order], np.maximum.accumulate(x[order]))


def _smooth_part(line: Polyline, n: float, h: float, a: float, b: float) -> tuple[Array, Array]:
    """Levels and values between two gaps, from where they leave the line to where they join it."""
    rows = np.array([0.5, _RAW_ROWS - 0.5, _SMOOTH_ROWS - 0.5]) / n
    first, *rising = ndtri(a + rows)
    last, *falling = ndtri(b - rows)
    z = np.linspace(first, last, max(3, int(np.ceil((last - first) / h * _STEPS_A_BANDWIDTH))))
    raw, density, step = line.value(ndtr(z)), np.exp(-0.5 * z**2), z[1] - z[0]
    reach = min(int(_REACH * h / step), (len(z) - 1) // 2)
    lag = step * np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (lag / h) ** 2)
    s0, s1, s2 = (convolved(density, kernel * lag**p) for p in range(3))
    t0, t1 = (convolved(density * raw, kernel * lag**p) for p in range(2))
    fitted = (s2 * t0 - s1 * t1) / (s2 * s0 - s1**2)
    # further than the rows of a window scatter by chance, smoothing would move what is there: a valley between peaks
    chance = _CHANCE * np.sqrt(2.5 * h * density / np.sqrt(2 * np.pi) / n)
    fitted = np.clip(fitted, line.value(ndtr(z) - chance), line.value(ndtr(z) + chance))
    share = np.interp(z, [*rising, *falling[::-1]], [0.0, 1.0, 1.0, 0.0])
    # beyond the outermost knots but one tails may be continued: there the line stays as it is
    u = np.clip(ndtr([rising[0], falling[0]]), line.u[1], line.u[-2])
    ends = line.value(u)
    kept = np.flatnonzero((ndtr(z) > u[0]) & (ndtr(z) < u[1]))[::_STEPS_A_KNOT]
    x = np.maximum.accumulate(np.clip((raw + share * (fitted - raw))[kept], *ends))
    return np.concatenate([u[:1], ndtr(z[kept]), u[1:]]), np.concatenate([ends[:1], x, ends[1:]])


def merge(line: Polyline, weight: float, atoms: Numbers, masses: Numbers) -> tuple[Polyline, Array]:
    """Mixture of ``weight`` times a continuous ``line`` and ``atoms`` of the given ``masses``.

    Returns
    -------
    Polyline, array
        The distribution, with a flat piece for each atom, and the level at which each atom begins.
    """
    below = np.concatenate([[0.0], np.cumsum(masses)])
    starts = below[:-1] + (weight * line.level(atoms) if len(line.x) else 0.0)
    u = np.concatenate([weight * line.u + below[np.searchsorted(atoms, line.x)], starts, starts + masses])
    x = np.concatenate([line.x, atoms, atoms])
    order = np.lexsort((u, x))
    return Polyline(np.maximum.accumulate(u[order]), x[order]), starts


def merge_at(line: Polyline, weight: float, atoms: Numbers, masses: Numbers, starts: Numbers) -> Polyline:
    """:func:`merge` with atoms that begin at given levels; values between two atoms stay between them."""
    below = np.concatenate([[0.0], np.cumsum(masses)])
    if not len(line.u):
        return Polyline(np.append(starts, starts + masses), np.append(atoms, atoms))
    own = (starts - below[:-1]) / weight  # levels of the atoms among the other values
    i = np.searchsorted(own, line.u, "right")
    walls = np.concatenate([[-np.inf], atoms, [np.inf]])
    x = np.clip(line.x, walls[i], walls[i + 1])
    u = np.concatenate([weight * line.u + below[i], starts, starts + masses])
    x = np.concatenate([x, atoms, atoms])
    order = np.lexsort((x, u))
    return Polyline(u[order], np.maximum.accumulate(x[order]))


def gap_levels(values: Values, weights: Weights) -> Array:
    """Levels of the spacings of sorted ``values`` that no chance makes so wide; see ``compress``."""
    cumulative = np.cumsum(weights) / np.sum(weights)
    return cumulative[_gaps(values)]


def _mean(values: Values, i: Array | int) -> Array:
    return values[i] + 0.5 * (values[i + 1] - values[i])


def _spread_cuts(cumulative: Numbers, n_knots: int) -> Array:
    k = len(cumulative)
    if k < 6:
        return np.empty(0, np.intp)
    s = np.linspace(-np.log(k), np.log(k), 4001)
    density = 0.5 * expit(s) + 0.25 * (1 + s / s[-1])
    levels = np.interp(np.linspace(0, 1, n_knots + 2)[1:-1], density, expit(s))
    return _even(np.searchsorted(cumulative, levels), k)


def _gap_cuts(values: Values, n_gaps: int, reach: int = 8) -> Array:
    """Cuts around the spacings that are wider than the ``reach`` spacings on both sides taken together."""
    gaps = _gaps(values, reach)
    widest = gaps[np.argsort(-(values[gaps + 1] - values[gaps]), kind="stable")[:n_gaps]]
    return _even(np.concatenate([widest - 2, widest + 2]), len(values))


def _gaps(values: Values, reach: int = 8) -> Array:
    k = len(values)
    if k < 4 * reach:
        return np.empty(0, np.intp)
    i = np.arange(reach, k - reach - 1)
    spacing = values[i + 1] - values[i]
    span = values[i + 1 + reach] - values[i - reach]
    return i[2 * spacing > span]


def _even(cuts: Integers, k: int) -> Array:
    """Even cuts that leave the outermost pairs alone; an even cut never shares a value with the next."""
    cuts = np.unique(cuts // 2 * 2)
    return cuts[(cuts >= 2) & (cuts <= k - 4)]


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
    def of(cls, values: Values, dtype: np.dtype | None = None) -> "Lattice | None":
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
    def _of_noisy(cls, values: Values) -> "Lattice | None":
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
    def _from_numerators(cls, m: Numbers, decimals: int) -> "Lattice":
        m = m.astype(np.int64)
        step = int(np.gcd.reduce(np.diff(m))) if len(m) >= _MIN_VALUES else 1
        return cls(decimals, step, int(m[0] % step))

    def nearest(self, x: Numbers) -> Array:
        """``x`` rounded to the lattice; exactly the double nearest to the decimal number."""
        power = 10.0**self.decimals
        k = np.rint((x * power - self.origin) / self.step)
        nearest: Array = (k * self.step + self.origin) / power
        return nearest.astype(np.float32).astype(np.float64) if self.single else nearest


def _on_decimals(values: Values, decimals: int, dtype: np.dtype | None) -> bool:
    power = 10.0**decimals
    with np.errstate(over="ignore"):
        m = np.rint(values * power)
    if not np.all(np.abs(m) < 2.0**52):
        return False
    return bool(np.all((m / power).astype(dtype or float) == values))


def origin_and_step(values: Values) -> tuple[int, int]:
    """(0, 1) where doubles hold the values, else an origin below them and a common divisor of the rest."""
    if values.dtype.kind not in "iumM":
        return 0, 1
    whole = values[~np.isnat(values)].view(np.int64) if values.dtype.kind in "mM" else values
    first, last = int(whole.min()), int(whole.max())
    if max(abs(first), abs(last)) < 2**52 or last - first >= 2**62:
        return 0, 1
    few = len(whole) < 10  # would share a large divisor by chance
    step = 1 if few else max(1, int(np.gcd.reduce(whole - whole.dtype.type(first))))
    residue, bits = first % step, ((last - first) // step).bit_length()
    return residue + step * ((first - residue) // step >> bits << bits), step


def to_integer(x: Numbers, lowest: int, highest: int, dtype: "np.dtype[np.generic]") -> Array:
    """``x`` within limits as integers; a double may lie above the largest integer that rounds to it."""
    top = x >= float(highest)
    out = np.where(top, 0, np.maximum(x, float(lowest))).astype(dtype)
    out[top] = highest
    return out


def convolved(x: Array, kernel: Array) -> Array:
    """``numpy.convolve(x, kernel, "same")`` for kernels of odd length that are no longer than x."""
    reach, total = len(kernel) // 2, np.zeros(len(x))
    padded = np.concatenate([np.zeros(reach), x, np.zeros(reach)])
    for k, share in enumerate(kernel[::-1]):
        total += share * padded[k : k + len(x)]
    return total
