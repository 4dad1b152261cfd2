"""One histogram a column, real and generated, with the ratio below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from buff.errors import MissingExtraError
from buff.metrics.samples import as_weights
from buff.plotting.columns import Observable, Values, observables
from buff.plotting.style import GENERATED, REAL, SHADE, drawing, label_text, new_figure, unit_text
from buff.protocols import TableLike
from buff.tables import Schema

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["Shares", "marginals", "shares"]


@dataclass(frozen=True, eq=False)
class Shares:
    """A histogram as shares of the sum of weights, first and last bin for what lies beyond the edges.

    Parameters
    ----------
    edges : array of shape (b + 1,)
        Edges, without those of the outer bins.
    value, error : array of shape (b + 2,)
        Shares and their statistical errors, from the sum of squared weights.
    """

    edges: Values
    value: Values
    error: Values


def shares(values: Values, edges: Values, weights: npt.ArrayLike | None = None) -> Shares:
    """Histogram of the finite values.

    Parameters
    ----------
    values : array of shape (n,)
        Sample; NaN is left out.
    edges : array of shape (b + 1,)
        Bin edges.
    weights : array of shape (n,), optional
        Event weights, of either sign.

    Examples
    --------
    >>> shares(np.array([0.5, 0.6, 1.5, 9.0]), np.array([0.0, 1.0, 2.0])).value
    array([0.  , 0.5 , 0.25, 0.25])
    """
    try:
        import hist
    except ImportError as error:
        raise MissingExtraError("hist", "plot") from error
    w = as_weights(weights, len(values), "weights")
    histogram = hist.Hist(hist.axis.Variable(edges), storage=hist.storage.Weight())
    known = np.isfinite(values)
    histogram.fill(values[known], weight=w[known])
    view: Any = histogram.view(flow=True)
    total = view["value"].sum() or 1.0
    if total < 0:
        raise ValueError(f"the weights of the values that are not missing sum to {total:g}: no shares can be drawn")
    return Shares(edges, view["value"] / total, np.sqrt(view["variance"]) / total)


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
    bins: int = 30,
    log: bool | None = None,
    style: str | None = None,
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
    bins : int
        Bins of a continuous column.
    log : bool, optional
        Logarithmic counts; decided for each column unless told.
    style : str, optional
        A style of mplhep, such as "CMS".

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the tables have no column in common, or weights do not fit.
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
    drawn = observables(real, generated, columns, units, schema)
    pairs = [
        (shares(o.real, o.edges(bins), real_weights), shares(o.generated, o.edges(bins), generated_weights))
        for o in drawn
    ]
    n_columns = min(4, ceil(sqrt(len(drawn))))
    n_rows = ceil(len(drawn) / n_columns)
    reach = _reach(pairs)
    with drawing(style):
        figure = new_figure(max(3.0 * n_columns, 4.5), 2.7 * n_rows + 0.35)
        figure.get_layout_engine().set(h_pad=0.025, hspace=0)
        grid = figure.add_gridspec(n_rows, n_columns)
        for cell, observable, (p, q) in zip(grid, drawn, pairs, strict=False):
            upper, lower = cell.subgridspec(2, 1, height_ratios=(2.6, 1), hspace=0).subplots(sharex=True)
            _draw_counts(upper, observable, p, q, log)
            _draw_ratio(lower, observable, p, q, reach)
            upper.label_outer()
        _add_legend(figure, labels, any(_beyond(p, q).any() for p, q in pairs))
    return figure


def _reach(pairs: Sequence[tuple[Shares, Shares]]) -> float:
    """Half the height of the ratio panels, the same for all."""
    off = [np.abs(q.value - p.value)[p.value > 0] / p.value[p.value > 0] for p, q in pairs]
    typical = np.quantile(np.concatenate([*off, [0.0]]), 0.8)
    return next((reach for reach in (0.1, 0.2, 0.5) if typical < 0.7 * reach), 1.0)


def _beyond(p: Shares, q: Shares) -> npt.NDArray[np.bool_]:
    """Whether something lies below, above the edges."""
    return np.logical_or(p.value[[0, -1]], q.value[[0, -1]])


def _outer(p: Shares, q: Shares) -> tuple[Values, slice]:
    """Edges with the outer bins that are not empty, and which bins that are."""
    below, above = _beyond(p, q)
    span = 0.05 * (p.edges[-1] - p.edges[0])
    edges = [*([p.edges[0] - span] if below else []), *p.edges, *([p.edges[-1] + span] if above else [])]
    return np.array(edges), slice(0 if below else 1, None if above else -1)


def _draw_counts(axes: "Axes", observable: Observable, p: Shares, q: Shares, log: bool | None) -> None:
    import mplhep

    edges, bins = _outer(p, q)
    width = p.edges[1] - p.edges[0] if not observable.discrete and not observable.calendar else 1.0
    x, dx, y, dy = (array[bins] / width for array in (p.value, p.error, q.value, q.error))
    mplhep.histplot(x, edges, ax=axes, yerr=False, flow="none", histtype="fill", color="#DDDDDD")
    mplhep.histplot(x, edges, ax=axes, yerr=False, flow="none", color=REAL, linewidth=0.8)
    axes.stairs(x + dx, edges, baseline=x - dx, fill=True, color=SHADE, linewidth=0)
    mplhep.histplot(y, edges, ax=axes, yerr=False, flow="none", color=GENERATED, linewidth=1.2)
    axes.stairs(y + dy, edges, baseline=y - dy, fill=True, color=GENERATED, alpha=0.3, linewidth=0)
    positive = x[x > 0]
    if len(positive) and (log if log is not None else x.max() > 30 * np.median(positive)):
        axes.set_yscale("log")
        axes.set_ylim(0.4 * min(positive.min(), np.min(y[y > 0], initial=np.inf)), 4 * max(x.max(), y.max()))
    else:
        # a bin in which negative weights prevail reaches below zero
        axes.set_ylim(1.25 * min(0, x.min(), y.min()), 1.25 * max((x + dx).max(), (y + dy).max()) or 1.0)
    per_unit = f" [1/{unit_text(observable.unit)}]" if observable.unit else ""
    axes.set_ylabel(f"density{per_unit}" if not observable.discrete and not observable.calendar else "share of events")
    axes.text(
        0.97, 0.95, _note(observable, p, q), transform=axes.transAxes, ha="right", va="top", fontsize="small"
    )
    _mark_beyond(axes, edges, p)


def _note(observable: Observable, p: Shares, q: Shares) -> str:
    """Chi squared of the bins over their number less one, and the missing values, if there are any."""
    variance = p.error**2 + q.error**2
    used = variance > 0
    chi2 = np.sum((p.value - q.value)[used] ** 2 / variance[used])
    lines = [rf"$\chi^2/n$ = {chi2:.0f}/{max(used.sum() - 1, 0)}"]
    empty = [float(np.mean(~np.isfinite(values))) for values in (observable.real, observable.generated)]
    if any(empty):
        lines.append("missing {:.2%}, {:.2%}".format(*empty))
    return "\n".join(lines)


def _mark_beyond(axes: "Axes", edges: Values, p: Shares) -> None:
    for start, stop in ((edges[0], p.edges[0]), (p.edges[-1], edges[-1])):
        if start < stop:
            axes.axvspan(start, stop, color="#56B4E9", alpha=0.25, linewidth=0, zorder=0)
    axes.set_xlim(edges[0], edges[-1])


def _draw_ratio(axes: Any, observable: Observable, p: Shares, q: Shares, reach: float) -> None:
    edges, bins = _outer(p, q)
    # no ratio to a bin in which negative weights prevail
    below = np.where(p.value[bins] < 0, np.nan, p.value[bins])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, bar, band = (array[bins] / below for array in (q.value, q.error, p.error))
    band = np.nan_to_num(band, posinf=0.0)
    axes.stairs(1 + band, edges, baseline=1 - band, fill=True, color=SHADE, linewidth=0)
    axes.axhline(1, color=REAL, linewidth=0.8)
    centres = (edges[1:] + edges[:-1]) / 2
    inside = np.abs(ratio - 1) <= reach
    axes.errorbar(
        centres[inside], ratio[inside], bar[inside], fmt="o", markersize=2, color=GENERATED, elinewidth=0.8
    )
    for above, marker in ((True, "^"), (False, "v")):
        outside = (ratio > 1 + reach) if above else (ratio < 1 - reach)
        height = 1 + (0.88 if above else -0.88) * reach
        axes.plot(centres[outside], np.full(outside.sum(), height), marker, markersize=3, color=GENERATED)
    axes.set_ylim(1 - reach, 1 + reach)
    axes.set_yticks([1 - reach / 2, 1, 1 + reach / 2])
    axes.minorticks_off()
    axes.set_ylabel("ratio")
    axes.set_xlabel(axis_label(observable))
    _mark_beyond(axes, edges, p)
    name_ticks(axes.xaxis, observable)
    if sum(map(len, observable.categories)) > 14:
        axes.set_xticks(
            axes.get_xticks(), axes.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor"
        )


def axis_label(observable: Observable, scale: str = "") -> str:
    """The name, and in brackets what its numbers are multiplied by and the unit."""
    factors = " ".join(part for part in (scale, unit_text(observable.unit)) if part)
    name = label_text(observable.name)
    return f"{name} [{factors}]" if factors else name


def shortened(observable: Observable) -> list[str]:
    """Names of categories, cut to 13 letters."""
    return [label_text(name if len(name) <= 13 else f"{name[:12]}…") for name in observable.categories]


def name_ticks(axis: "Axis", observable: Observable) -> None:
    """Ticks at categories with their names, at dates in calendar form; whole numbers for integers."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator, NullLocator

    if observable.is_category:
        axis.set_ticks(range(len(observable.categories)), shortened(observable))
        axis.set_minor_locator(NullLocator())
    elif observable.calendar:
        axis.set_major_locator(AutoDateLocator(maxticks=5))
        axis.set_major_formatter(ConciseDateFormatter(axis.get_major_locator()))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(5, integer=observable.is_whole))


def _add_legend(figure: "Figure", labels: tuple[str, str], beyond: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(facecolor="#DDDDDD", edgecolor=REAL, label=labels[0]),
        Line2D([], [], color=GENERATED, marker="o", markersize=3, label=labels[1]),
        Patch(facecolor=SHADE, label="statistical errors"),
    ]
    if beyond:
        handles.append(Patch(facecolor="#56B4E9", alpha=0.25, label="beyond the axis"))
    columns = len(handles) if figure.get_figwidth() > 5.5 else 2
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.2)
