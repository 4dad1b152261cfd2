"""One histogram a column, real and generated, with the ratio below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from buff.plotting.columns import Observable, Values, observables
from buff.plotting.panels import Panel, Shares, panels_of
from buff.plotting.style import (
    GENERATED,
    PALETTE,
    REAL,
    SHADE,
    drawing,
    experiment_label,
    label_text,
    new_figure,
    unit_text,
)
from buff.protocols import TableLike
from buff.tables import Schema

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["marginals"]


def marginals(
    real: TableLike,
    generated: TableLike,
    columns: Sequence[str] | None = None,
    *,
    units: Mapping[str, str] | None = None,
    schema: Schema | Mapping[str, Any] | None = None,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    labels: tuple[str, str] = ("real", "generated"),
    others: Mapping[str, Any] | None = None,
    bins: int | Mapping[str, Any] = 30,
    names: Mapping[str, str] | None = None,
    by: str | None = None,
    log: bool | None = None,
    style: str | None = None,
    experiment: str | None = None,
) -> Any:
    """Histogram of every column, with the ratio of generated to real below it.

    Both samples are normalised to one. Bands and bars are statistical errors of one standard deviation. What
    lies beyond the axis is collected in a shaded bin at its end; triangles are ratios outside the frame.

    Parameters
    ----------
    real, generated : array of shape (n, d), pandas, polars or pyarrow table, buff.datasets.Table
        The samples.
    columns : sequence of str, optional
        Columns to draw; names of the columns, where both are arrays.
    units : mapping from name to unit, optional
        Units; tables that carry their own need none.
    schema : Schema or mapping from column name to a kind, optional
        Kinds that are known, such as ``schema_`` of a model.
    real_weights, generated_weights : array of shape (n,), optional
        Event weights.
    labels : pair of str
        What to call the samples.
    others : mapping from name to table, optional
        Further generated samples to stand beside, without weights.
    bins : int or mapping from name to int or edges
        Bins of a continuous column; others than those named have 30.
    names : mapping from name to text, optional
        What to write at the axes, such as ``{"pt": "$p_T$"}``.
    by : str, optional
        A column of labels or few whole numbers: every other column is drawn for each of its values.
    log : bool, optional
        Logarithmic counts; decided for each column unless told.
    style : str, optional
        A style of mplhep, such as "CMS".
    experiment : str, optional
        Label of mplhep above the first panel: the experiment, and words after it, such as "CMS Preliminary".

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the tables have no column in common, weights do not fit, or ``bins``, ``names`` or ``by`` name none.
    MissingExtraError
        If the extra ``plot`` is not installed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.normal(size=(500, 2)), rng.normal(size=(300, 2))
    >>> figure = marginals(real, generated, ["px", "py"], units={"px": "GeV"})
    >>> [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    ['px [GeV]', 'py']
    """
    weights = [real_weights, generated_weights, *(None for _ in others or {})]
    drawn = observables(real, generated, _with(columns, by, real), units, schema, others)
    panels, n_columns = panels_of(drawn, weights, bins, names or {}, by)
    n_rows = ceil(len(panels) / n_columns)
    reach = _reach([(p, q) for panel in panels for p, *rest in [panel.shares] for q in rest])
    colours = [GENERATED, *(colour for colour in PALETTE if colour != GENERATED)]
    with drawing(style):
        figure = new_figure(max(3.0 * n_columns, 4.5), 2.7 * n_rows + 0.35)
        figure.get_layout_engine().set(h_pad=0.025, hspace=0)
        # one grid, so that what stands above a panel keeps its neighbours level
        grid = figure.add_gridspec(2 * n_rows, n_columns, height_ratios=(2.6, 1) * n_rows)
        for k, panel in enumerate(panels):
            row, column = divmod(k, n_columns)
            upper = figure.add_subplot(grid[2 * row, column])
            lower = figure.add_subplot(grid[2 * row + 1, column], sharex=upper)
            _draw_counts(upper, panel, colours, log)
            _draw_ratio(lower, panel, colours, reach)
            upper.tick_params(labelbottom=False)
            # beside the label of an experiment there is room at the right alone
            upper.set_title(label_text(panel.title), loc="right" if experiment else "center")
            if experiment and k == 0:
                experiment_label(upper, experiment)
        _add_legend(figure, [*labels, *(others or {})], colours, any(panel.beyond.any() for panel in panels))
    return figure


def _with(columns: Sequence[str] | None, by: str | None, real: TableLike) -> Sequence[str] | None:
    """The columns with that of the labels, which may be any of a table."""
    if columns is None or by is None or by in columns or isinstance(real, np.ndarray):
        return columns
    return [*columns, by]


def _reach(pairs: Sequence[tuple[Shares, Shares]]) -> float:
    """Half the height of the ratio panels, the same for all."""
    off = [np.abs(q.value - p.value)[p.value > 0] / p.value[p.value > 0] for p, q in pairs]
    typical = np.quantile(np.concatenate([*off, [0.0]]), 0.8)
    return next((reach for reach in (0.1, 0.2, 0.5) if typical < 0.7 * reach), 1.0)


def _draw_counts(axes: Axes, panel: Panel, colours: Sequence[str], log: bool | None) -> None:
    import mplhep

    observable, (edges, bins) = panel.observable, panel.outer
    width = panel.widths
    (x, dx), *made = ((s.value[bins] / width, s.error[bins] / width) for s in panel.shares)
    mplhep.histplot(x, edges, ax=axes, yerr=False, flow="none", histtype="fill", color="#DDDDDD")
    mplhep.histplot(x, edges, ax=axes, yerr=False, flow="none", color=REAL, linewidth=0.8)
    axes.stairs(x + dx, edges, baseline=x - dx, fill=True, color=SHADE, linewidth=0)
    for (y, dy), colour in zip(made, colours, strict=False):
        mplhep.histplot(y, edges, ax=axes, yerr=False, flow="none", color=colour, linewidth=1.2)
        axes.stairs(y + dy, edges, baseline=y - dy, fill=True, color=colour, alpha=0.3, linewidth=0)
    y, top = np.concatenate([y for y, _ in made]), max((y + dy).max() for y, dy in made)
    positive = x[x > 0]
    if len(positive) and (log if log is not None else x.max() > 30 * np.median(positive)):
        axes.set_yscale("log")
        axes.set_ylim(0.4 * min(positive.min(), np.min(y[y > 0], initial=np.inf)), 4 * max(x.max(), y.max()))
    else:
        # a bin in which negative weights prevail reaches below zero
        axes.set_ylim(1.25 * min(0, x.min(), y.min()), 1.25 * max((x + dx).max(), top) or 1.0)
    per_unit = f" [1/{unit_text(observable.unit)}]" if observable.unit else ""
    axes.set_ylabel(f"density{per_unit}" if not observable.discrete and not observable.calendar else "share of events")
    look: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top", "fontsize": "small"}
    notes = _notes(panel)
    if len(made) == 1:
        axes.text(0.97, 0.95, "\n".join(notes), **look)
    else:
        for k, (line, colour) in enumerate(zip(notes, [*colours[: len(made)], "black"], strict=False)):
            axes.text(0.97, 0.95 - 0.11 * k, line, color=colour, **look)
    _mark_beyond(axes, edges, panel.shares[0])


def _notes(panel: Panel) -> list[str]:
    """Chi squared of the bins over their number less one, a line a sample; the missing values, if there are any."""
    p, *made = panel.shares
    lines = []
    for q in made:
        variance = p.error**2 + q.error**2
        used = variance > 0
        chi2 = np.sum((p.value - q.value)[used] ** 2 / variance[used])
        lines.append(rf"$\chi^2/n$ = {chi2:.0f}/{max(used.sum() - 1, 0)}")
    empty = [float(np.mean(~np.isfinite(values))) for values in panel.observable.samples]
    return [*lines, "missing " + ", ".join(f"{share:.2%}" for share in empty)] if any(empty) else lines


def _mark_beyond(axes: Axes, edges: Values, p: Shares) -> None:
    for start, stop in ((edges[0], p.edges[0]), (p.edges[-1], edges[-1])):
        if start < stop:
            axes.axvspan(start, stop, color="#56B4E9", alpha=0.25, linewidth=0, zorder=0)
    axes.set_xlim(edges[0], edges[-1])


def _draw_ratio(axes: Axes, panel: Panel, colours: Sequence[str], reach: float) -> None:
    from matplotlib import rcParams

    observable, (edges, bins), scale = panel.observable, panel.outer, rcParams["font.size"] / 9
    p, *made = panel.shares
    # no ratio to a bin in which negative weights prevail
    below = np.where(p.value[bins] < 0, np.nan, p.value[bins])
    with np.errstate(divide="ignore", invalid="ignore"):
        band = np.nan_to_num(p.error[bins] / below, posinf=0.0)
    axes.stairs(1 + band, edges, baseline=1 - band, fill=True, color=SHADE, linewidth=0)
    axes.axhline(1, color=REAL, linewidth=0.8)
    centres = (edges[1:] + edges[:-1]) / 2
    for q, colour in zip(made, colours, strict=False):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio, bar = (array[bins] / below for array in (q.value, q.error))
        inside = np.abs(ratio - 1) <= reach
        look: dict[str, Any] = {"fmt": "o", "markersize": 2 * scale, "color": colour, "elinewidth": 0.8}
        axes.errorbar(centres[inside], ratio[inside], bar[inside], **look)
        for above, marker in ((True, "^"), (False, "v")):
            outside = (ratio > 1 + reach) if above else (ratio < 1 - reach)
            height = 1 + (0.88 if above else -0.88) * reach
            axes.plot(centres[outside], np.full(outside.sum(), height), marker, markersize=3 * scale, color=colour)
    axes.set_ylim(1 - reach, 1 + reach)
    axes.set_yticks([1 - reach / 2, 1, 1 + reach / 2])
    axes.minorticks_off()
    axes.set_ylabel("ratio")
    axes.set_xlabel(axis_label(observable))
    _mark_beyond(axes, edges, p)
    name_ticks(axes.xaxis, observable)
    if sum(map(len, observable.categories)) > 14:
        words = [label.get_text() for label in axes.get_xticklabels()]
        axes.set_xticks(axes.get_xticks(), words, rotation=45, ha="right", rotation_mode="anchor")


def axis_label(observable: Observable, scale: str = "") -> str:
    """The name, and in brackets what its numbers are multiplied by and the unit."""
    factors = " ".join(part for part in (scale, unit_text(observable.unit)) if part)
    name = label_text(observable.name)
    return f"{name} [{factors}]" if factors else name


def shortened(observable: Observable) -> list[str]:
    """Names of categories, cut to 13 letters."""
    return [label_text(name if len(name) <= 13 else f"{name[:12]}…") for name in observable.categories]


def name_ticks(axis: Axis, observable: Observable) -> None:
    """Ticks at categories with their names, at dates in calendar form; whole numbers for integers."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator, NullLocator

    if observable.is_category:
        axis.set_ticks(range(len(observable.categories)), shortened(observable))
        axis.set_minor_locator(NullLocator())
    elif observable.calendar:
        # of five ticks at least it finds no step for ranges such as three years
        axis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))
        axis.set_major_formatter(ConciseDateFormatter(axis.get_major_locator()))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(5, integer=observable.is_whole))


def _add_legend(figure: Figure, labels: Sequence[str], colours: Sequence[str], beyond: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(facecolor="#DDDDDD", edgecolor=REAL, label=labels[0])]
    handles += [
        Line2D([], [], color=colour, marker="o", markersize=3, label=label)
        for label, colour in zip(labels[1:], colours, strict=False)
    ]
    handles.append(Patch(facecolor=SHADE, label="statistical errors"))
    if beyond:
        handles.append(Patch(facecolor="#56B4E9", alpha=0.25, label="beyond the axis"))
    columns = min(len(handles), 5) if figure.get_figwidth() > 5.5 else 2
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.2)
