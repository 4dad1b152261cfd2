"""Two columns of one sample: contours, bars for each category, or squares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from buff.plotting.columns import Values
from buff.plotting.style import GENERATED, REAL, SHADE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Pair", "draw_bars", "draw_contours", "draw_squares", "level_of"]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two columns over bins that both samples share.

    Parameters
    ----------
    x, y, weights : array of shape (n,)
        Events; those with a missing value are left out.
    x_edges, y_edges : array
        Bin edges.
    is_real : bool
        Which sample it is: filled and grey, or drawn with lines.
    """

    x: Values
    y: Values
    weights: Values
    x_edges: Values
    y_edges: Values
    is_real: bool

    def counts(self) -> Values:
        """Sum of weights in every bin, of shape (bins of x, bins of y)."""
        known = np.isfinite(self.x) & np.isfinite(self.y)
        edges = (self.x_edges, self.y_edges)
        counts: Values = np.histogram2d(self.x[known], self.y[known], edges, weights=self.weights[known])[0]
        return counts


def level_of(density: Values, inside: float) -> float:
    """Density above which lies the share ``inside`` of the sum.

    Examples
    --------
    >>> level_of(np.array([[1.0, 2.0], [3.0, 4.0]]), 0.6)
    3.0
    """
    ranked = np.sort(density.ravel())[::-1]
    reached = np.cumsum(ranked)
    return float(ranked[np.searchsorted(reached, inside * reached[-1])])


def draw_contours(axes: "Axes", pair: Pair, inside: Sequence[float]) -> None:
    """Lines that hold the shares ``inside``, of a histogram smoothed by one bin."""
    from scipy.ndimage import gaussian_filter

    # weights of both signs compensate before what is below zero is cut; a rim of zeros closes the contours
    density = np.pad(np.maximum(gaussian_filter(pair.counts(), 1.0), 0), 1)
    levels = [*(level_of(density, share) for share in reversed(inside)), float(density.max())]
    if not 0 < levels[0] < levels[1] < levels[2]:  # all events in one or two bins
        return
    centres = [np.concatenate([e[:1], (e[1:] + e[:-1]) / 2, e[-1:]]) for e in (pair.x_edges, pair.y_edges)]
    if pair.is_real:
        axes.contourf(*centres, density.T, levels, colors=["#DDDDDD", "#AAAAAA"])
    else:
        axes.contour(*centres, density.T, levels[:2], colors=[GENERATED], linewidths=[0.7, 1.0])


def draw_bars(axes: "Axes", pair: Pair, upright: bool, inside: Sequence[float]) -> None:
    """For each value of the discrete column, the central shares ``inside`` and the median of the other one.

    ``upright`` says that the discrete column is y.
    """
    groups, numbers, edges = (pair.y, pair.x, pair.y_edges) if upright else (pair.x, pair.y, pair.x_edges)
    colour = REAL if pair.is_real else GENERATED
    shift = 0.15 if pair.is_real == upright else -0.15  # real comes first, from above or from the left
    levels = [level for share in reversed(inside) for level in ((1 - share) / 2, (1 + share) / 2)]
    for value in (edges[1:] + edges[:-1]) / 2:
        members = (np.abs(groups - value) < 0.5) & np.isfinite(numbers)
        if pair.weights[members].sum() <= 0:
            continue
        outer_low, outer_high, low, high, middle = _quantiles(numbers[members], pair.weights[members], [*levels, 0.5])
        at = [value + shift] * 2
        for ends, width in (((outer_low, outer_high), 0.8), ((low, high), 2.2)):
            line = (ends, at) if upright else (at, ends)
            axes.plot(*line, color=colour, linewidth=width, solid_capstyle="butt")
        axes.plot(*((middle, at[0]) if upright else (at[0], middle)), "o", markersize=2, color=colour)


def draw_squares(axes: "Axes", pair: Pair) -> None:
    """Areas are shares of events."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    counts = np.maximum(pair.counts(), 0)
    wide, high = pair.x_edges[1] - pair.x_edges[0], pair.y_edges[1] - pair.y_edges[0]
    boxes = []
    for (i, j), side in np.ndenumerate(0.95 * np.sqrt(counts / (counts.max() or 1.0))):
        corner = (pair.x_edges[i] + wide * (1 - side) / 2, pair.y_edges[j] + high * (1 - side) / 2)
        boxes.append(Rectangle(corner, side * wide, side * high))
    face, edge = (SHADE, "none") if pair.is_real else ("none", GENERATED)
    axes.add_collection(PatchCollection(boxes, facecolor=face, edgecolor=edge, linewidth=0.8))


def _quantiles(values: Values, weights: Values, levels: Sequence[float]) -> Values:
    """Values at which the share of the weight reaches the levels."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) - weights[order] / 2
    # with weights of both signs it falls in places: halfway between the rising curves above and below it
    above, below = np.maximum.accumulate(reached), np.minimum.accumulate(reached[::-1])[::-1]
    found: Values = np.interp(np.multiply(levels, weights.sum()), (above + below) / 2, values[order])
    return found
