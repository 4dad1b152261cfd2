"""Quality against the number of field evaluations."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.metrics import Quality
from buff.plotting.style import PALETTE, drawing, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Quality", "quality_against_nfe"]

_MARKERS, _DASHES = "osD^vPX", ("-", "--", ":", "-.")
#: Lines beyond which their names stand beside the frame.
_MOST_INSIDE = 6
#: Lines up to which bands can be told from each other.
_MOST_BANDS = 8


def quality_against_nfe(
    records: Iterable[Quality],
    *,
    metric: str = "distance",
    floor: Iterable[float] | None = None,
    log: bool = True,
    style: str | None = None,
) -> Any:
    """A line for each name, with its band where they are few, and the floor that real data set.

    Parameters
    ----------
    records : iterable of Quality
        Measurements, in any order.
    metric : str
        Label of the vertical axis, with unit.
    floor : pair of float, optional
        Value and error of the same metric for real against real; an Estimate will do.
    log : bool
        Logarithmic metric.
    style : str, optional
        A style of mplhep, such as "CMS".

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are no records.

    Examples
    --------
    >>> records = [Quality("heun", nfe, 1 / nfe**2, 0.1 / nfe**2) for nfe in (4, 8, 16)]
    >>> quality_against_nfe(records, metric="sliced $W_1$", floor=(0.004, 0.001)).axes[0].get_ylabel()
    'sliced $W_1$'
    """
    lines: dict[str, list[Quality]] = {}
    for record in records:
        lines.setdefault(record.name, []).append(record)
    if not lines:
        raise ValueError("records is empty: at least one measurement is needed")
    with drawing(style):
        beside = len(lines) > _MOST_INSIDE
        figure = new_figure(6.3 if beside else 4.8, 3.4)
        axes = figure.subplots()
        axes.set_xscale("log", base=2)
        if log:
            axes.set_yscale("log")
        for i, (name, points) in enumerate(lines.items()):
            _draw_line(axes, name, sorted(points, key=lambda point: point.nfe), i, band=len(lines) <= _MOST_BANDS)
        if floor is not None:
            value, error = floor
            axes.axhspan(value - error, value + error, color="0.85", linewidth=0, zorder=0)
            axes.axhline(value, color="0.4", linestyle="--", linewidth=0.9, label="real against real", zorder=0)
        _name_counts(axes, sorted({point.nfe for points in lines.values() for point in points}))
        axes.set_xlabel("field evaluations an event")
        axes.set_ylabel(metric)
        if beside:
            figure.legend(loc="outside right upper", fontsize="small")
        else:
            axes.legend()
    return figure


def _draw_line(axes: "Axes", name: str, points: Sequence[Quality], i: int, *, band: bool) -> None:
    nfe, value, error = (np.array([getattr(point, key) for point in points]) for key in ("nfe", "value", "error"))
    again, k = divmod(i, len(PALETTE))  # colours that come again have other dashes and markers
    dashes, marker = _DASHES[again % len(_DASHES)], _MARKERS[(k + 3 * again) % len(_MARKERS)]
    colour = PALETTE[k]
    axes.plot(nfe, value, linestyle=dashes, marker=marker, markersize=4, color=colour, label=name)
    if band:
        axes.fill_between(nfe, value - error, value + error, color=colour, alpha=0.2, linewidth=0)


def _name_counts(axes: "Axes", counts: Sequence[int]) -> None:
    from matplotlib.ticker import NullLocator

    spaced = [n for k, n in enumerate(counts) if k == 0 or n >= 1.25 * counts[k - 1]]
    axes.set_xticks(spaced, [str(n) for n in spaced])
    axes.xaxis.set_minor_locator(NullLocator())
