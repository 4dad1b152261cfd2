"""The quantile function of a sample, compressed to a few hundred knots that quote no single value."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from buff.protocols import Array

__all__ = ["Polyline", "compress", "merge"]


@dataclass(frozen=True)
class Polyline:
    """Levels u in [0, 1] and values x, both nondecreasing: the quantile function x(u) and its inverse."""

    u: Array
    x: Array

    def value(self, u: Array) -> Array:
        """Quantile function."""
        return np.interp(u, self.u, self.x)

    def level(self, x: Array) -> Array:
        """Distribution function, linear between knots and constant outside."""
        return np.interp(x, self.x, self.u)


def compress(values: Array, weights: Array, n_knots: int, spacing: float = 0.0) -> Polyline:
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


def merge(line: Polyline, weight: float, atoms: Array, masses: Array) -> tuple[Polyline, Array]:
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


def _mean(values: Array, i: Array | int) -> Array:
    return values[i] + 0.5 * (values[i + 1] - values[i])


def _spread_cuts(cumulative: Array, n_knots: int) -> Array:
    k = len(cumulative)
    if k < 6:
        return np.empty(0, np.intp)
    s = np.linspace(-np.log(k), np.log(k), 4001)
    density = 0.5 * expit(s) + 0.25 * (1 + s / s[-1])
    levels = np.interp(np.linspace(0, 1, n_knots + 2)[1:-1], density, expit(s))
    return _even(np.searchsorted(cumulative, levels), k)


def _gap_cuts(values: Array, n_gaps: int, reach: int = 8) -> Array:
    """Cuts around the spacings that are wider than the ``reach`` spacings on both sides taken together."""
    k = len(values)
    if k < 4 * reach:
        return np.empty(0, np.intp)
    i = np.arange(reach, k - reach - 1)
    spacing = values[i + 1] - values[i]
    span = values[i + 1 + reach] - values[i - reach]
    gaps = i[2 * spacing > span]
    widest = gaps[np.argsort(-spacing[gaps - reach], kind="stable")[:n_gaps]]
    return _even(np.concatenate([widest - 2, widest + 2]), k)


def _even(cuts: Array, k: int) -> Array:
    """Even cuts that leave the outermost pairs alone; an even cut never shares a value with the next."""
    cuts = np.unique(cuts // 2 * 2)
    return cuts[(cuts >= 2) & (cuts <= k - 4)]
