"""Every pair of columns: contours of both samples below the diagonal, correlations above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from buff.metrics.samples import as_weights
from buff.plotting.columns import Observable, Values, observables
from buff.plotting.correlations import associations
from buff.plotting.marginals import axis_label, name_ticks, shortened
from buff.plotting.pairs import Pair, draw_bars, draw_contours, draw_squares, level_of
from buff.plotting.panels import shares
from buff.plotting.style import GENERATED, REAL, drawing, new_figure, two_digits
from buff.protocols import TableLike
from buff.tables import Schema

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["corner"]

#: A column of fewer distinct values is drawn value by value, one of fewer whole numbers as cells.
_FEW, _CELLS = 6, 25


def corner(
    real: TableLike,
    generated: TableLike,
    columns: Sequence[str] | None = None,
    *,
    units: Mapping[str, str] | None = None,
    schema: Schema | Mapping[str, Any] | None = None,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    labels: tuple[str, str] = ("real", "generated"),
    bins: int = 30,
    inside: tuple[float, float] = (0.5, 0.9),
    style: str | None = None,
) -> Any:
    """Contours of every pair of columns, real filled and generated as lines.

    A contour holds the share ``inside`` of its sample. Against a category, bars hold the same central shares
    of the number and a dot is its median; for two categories the areas of the squares are shares of events.
    Contours follow the cells of a column of few whole numbers, and are smoothed by a bin along the others.
    Above the diagonal stand the correlations, real over generated; see :func:`associations`.

    Parameters
    ----------
    real, generated, columns, units, schema, real_weights, generated_weights, labels, style
        As in :func:`marginals`.
    bins : int
        Bins along each axis.
    inside : pair of float
        Shares inside the inner and the outer contour.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.normal(size=(500, 2)), rng.normal(size=(300, 2))
    >>> figure = corner(real, generated, ["px", "py"], units={"px": "GeV"})
    >>> figure.axes[1].get_xlabel(), figure.axes[1].get_ylabel()
    ('px [GeV]', 'py')
    """
    if not 0 < inside[0] < inside[1] < 1:
        raise ValueError(f"inside must be two rising shares between 0 and 1, not {inside}")
    drawn = observables(real, generated, columns, units, schema)
    weights = [
        as_weights(real_weights, len(drawn[0].real), "real_weights"),
        as_weights(generated_weights, len(drawn[0].generated), "generated_weights"),
    ]
    edges = [o.edges(bins, tails=4e-3) for o in drawn]
    matrices = associations(drawn, *weights)
    with drawing(style):
        figure, grid, distance = _sheet(drawn)
        for i, j in np.ndindex(len(drawn), len(drawn)):
            if j > i:
                _write(figure, grid[i, j], *(float(matrix[i, j]) for matrix in matrices))
                continue
            axes = figure.add_subplot(grid[i, j])
            if i == j:
                _draw_one(axes, drawn[i], edges[i], weights)
            else:
                x, y, common = drawn[j], drawn[i], (edges[j], edges[i])
                samples = (
                    Pair(x.real, y.real, weights[0], *common, is_real=True),
                    Pair(x.generated, y.generated, weights[1], *common, is_real=False),
                )
                _draw_pair(axes, x, y, samples, inside)
            _frame(axes, drawn, edges, i, j, distance)
        _add_legend(figure, labels, inside)
    return figure


def _sheet(drawn: Sequence[Observable]) -> tuple[Any, Any, float]:
    """Figure, grid, and how far from a frame its label stands, as a share of a cell.

    Letters are counted, since an automatic layout of n^2 frames takes minutes.
    """
    n = len(drawn)
    cell = max(1.1, 2.0 - 0.1 * n)
    rim = 0.62 + 0.06 * max(len(name) for o in drawn for name in (*shortened(o), ""))
    side = max(cell * n + rim + 0.35, 4.2)
    figure = new_figure(side, side, layout=None)
    ends = {"left": rim / side, "bottom": rim / side, "right": 1 - 0.05 / side, "top": 1 - 0.3 / side}
    return figure, figure.add_gridspec(n, n, **ends, wspace=0.04, hspace=0.04), (rim - 0.22) / cell


def _frame(axes: Axes, drawn: Sequence[Observable], edges: Sequence[Values], i: int, j: int, distance: float) -> None:
    """Limits, and names and ticks at the left and lower rim only."""
    from matplotlib import rcParams

    axes.set_xlim(edges[j][0], edges[j][-1])
    _mark_axis(axes.xaxis, drawn[j], i == len(drawn) - 1, 90)
    axes.xaxis.set_label_coords(0.5, -distance)
    if i == j:
        axes.set_yticks([])
    else:
        axes.set_ylim(edges[i][0], edges[i][-1])
        _mark_axis(axes.yaxis, drawn[i], j == 0, 0)
        axes.yaxis.set_label_coords(-distance, 0.5)
    room = axes.get_window_extent().width / axes.figure.dpi * 72
    for label, observable in ((axes.xaxis.label, drawn[j]), (axes.yaxis.label, drawn[i])):
        letters = len(observable.label) + (4 if "10^" in label.get_text() else 0)  # those of mathtext do not count
        label.set_fontsize(min(rcParams["font.size"], 1.5 * room / max(letters, 1)))


def _mark_axis(axis: Axis, observable: Observable, shown: bool, turn: float) -> None:
    """Three ticks, or the categories; ``turn`` is the angle of their names.

    A common factor or date of the ticks stands in the label: at the end of the axis it would cover the next frame.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    scale = ""
    name_ticks(axis, observable)
    axis.set_minor_locator(NullLocator())
    if not observable.is_category and not observable.calendar:
        axis.set_major_locator(MaxNLocator(3, integer=observable.is_whole, prune="both"))
        scale = _scale(axis, plain=10**8 if observable.is_whole else 10**5)
    angle = turn if observable.is_category else 45
    axis.set_tick_params(labelbottom=shown, labelleft=shown, labelsize="x-small", labelrotation=angle)
    axis.get_offset_text().set_visible(False)
    if shown:
        axis.set_label_text(axis_label(observable, scale) + _day(axis, observable))


def _scale(axis: Axis, plain: float) -> str:
    """Let the ticks of numbers below 0.01, or from ``plain`` on, be multiples of a power of ten, and name it."""
    from matplotlib.ticker import ScalarFormatter

    largest = max(map(abs, axis.get_view_interval()))
    formatter = ScalarFormatter(useOffset=False)
    axis.set_major_formatter(formatter)
    if not largest or 0.01 <= largest < plain:
        formatter.set_scientific(False)
        return ""
    power = int(np.floor(np.log10(largest)))
    formatter.set_powerlimits((power, power))
    return f"$10^{{{power}}}$"


def _day(axis: Any, observable: Observable) -> str:
    """What all dates of the ticks have in common, after the name."""
    if not observable.calendar:
        return ""
    formatter = axis.get_major_formatter()
    formatter.format_ticks(axis.get_majorticklocs())
    common = formatter.get_offset()
    return f", {common}" if common else ""


def _write(figure: Figure, cell: Any, before: float, after: float) -> None:
    box = cell.get_position(figure)
    for height, value, colour in ((0.6, before, REAL), (0.4, after, GENERATED)):
        place = ((box.x0 + box.x1) / 2, box.y0 + height * box.height)
        figure.text(*place, two_digits(value), ha="center", va="center", color=colour)


def _draw_one(axes: Axes, observable: Observable, edges: Values, weights: Sequence[Values]) -> None:
    p, q = (
        shares(values, edges, w).value[1:-1]
        for values, w in zip((observable.real, observable.generated), weights, strict=True)
    )
    axes.stairs(p, edges, fill=True, color="#DDDDDD")
    axes.stairs(p, edges, color=REAL, linewidth=0.8)
    axes.stairs(q, edges, color=GENERATED, linewidth=1.0)
    axes.set_ylim(0, 1.1 * max(p.max(), q.max()) or 1.0)


def _draw_pair(axes: Axes, x: Observable, y: Observable, samples: Sequence[Pair], inside: Sequence[float]) -> None:
    few = [_few(x, samples[0].x_edges), _few(y, samples[0].y_edges)]
    cells = [o.is_whole and len(e) <= _CELLS for o, e in ((x, samples[0].x_edges), (y, samples[0].y_edges))]
    for pair in samples:
        if all(few):
            draw_squares(axes, pair)
        elif any(few):
            draw_bars(axes, pair, few[1], inside)
        elif any(cells):
            _draw_cells(axes, pair, cells, inside)
        else:
            draw_contours(axes, pair, inside)


def _draw_cells(axes: Axes, pair: Pair, cells: Sequence[bool], inside: Sequence[float]) -> None:
    """Lines that hold the shares ``inside``, along the sides of cells where a column has few whole numbers."""
    from scipy.ndimage import gaussian_filter

    density = np.maximum(gaussian_filter(pair.counts(), [0.0 if cell else 1.0 for cell in cells]), 0)
    levels = [*(level_of(density, share) for share in reversed(inside)), float(density.max())]
    if not 0 < levels[0] < levels[1] < levels[2]:  # all events in one or two cells
        return
    density, places = np.pad(density, 1), []
    for axis, (edges, cell) in enumerate(zip((pair.x_edges, pair.y_edges), cells, strict=True)):
        inner = (edges[1:] + edges[:-1]) / 2
        if cell:  # two places a cell, just inside its sides
            near = 1e-3 * (edges[1] - edges[0])
            inner = np.stack([edges[:-1] + near, edges[1:] - near], axis=1).ravel()
            density = np.repeat(density, [1, *[2] * (len(edges) - 1), 1], axis)
        places.append(np.concatenate([edges[:1], inner, edges[-1:]]))
    if pair.is_real:
        axes.contourf(*places, density.T, levels, colors=["#DDDDDD", "#AAAAAA"])
    else:
        axes.contour(*places, density.T, levels[:2], colors=[GENERATED], linewidths=[0.7, 1.0])


def _few(observable: Observable, edges: Values) -> bool:
    return observable.is_category or (observable.is_whole and len(edges) <= _FEW)


def _add_legend(figure: Figure, labels: tuple[str, str], inside: tuple[float, float]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor="#AAAAAA", label=f"{labels[0]}, {inside[0]:.0%}"),
        Patch(facecolor="#DDDDDD", label=f"{labels[0]}, {inside[1]:.0%}"),
        Line2D([], [], color=GENERATED, label=f"{labels[1]}, the same"),
    ]
    figure.legend(handles=handles, loc="upper right", ncols=3)
