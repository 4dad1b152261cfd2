"""Noise on its way to data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from buff.io.tables import to_table, units_of
from buff.plotting.columns import Values
from buff.plotting.style import PALETTE, REAL, drawing, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["flow_trajectory"]


def flow_trajectory(
    states: Iterable[Any],
    times: npt.ArrayLike | None = None,
    columns: Sequence[str] | None = None,
    *,
    units: Mapping[str, str] | None = None,
    n_paths: int = 120,
    style: str | None = None,
) -> Any:
    """Paths of events through the plane of two columns, and each of the two against time.

    Parameters
    ----------
    states : iterable of arrays of shape (n, d) or tables
        The events at each time, the same event in the same row: what ``trajectory`` of a generator yields.
    times : array of shape (n_states,), optional
        Times, 0 for noise and 1 for data; equal steps unless told.
    columns : pair of str, optional
        Columns to draw, the first two unless told; names of all columns, where the states are arrays.
    units : mapping from name to unit, optional
        Units; tables that carry their own need none.
    n_paths : int
        Paths to draw; bands are quantiles of all events.
    style : str, optional
        A style of mplhep, such as "CMS".

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are fewer than two states or two columns, or times do not fit.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(100, 2))
    >>> figure = flow_trajectory((noise * (1 - t) + t for t in (0.0, 0.5, 1.0)), columns=["px", "py"])
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('px', 'py')
    """
    x, names, known = _stacked(states, columns)  # (n_states, n, 2)
    t = np.linspace(0, 1, len(x)) if times is None else np.asarray(times, dtype=np.float64)
    if t.shape != (len(x),):
        raise ValueError(f"{len(x)} states need as many times, not {t.shape}")
    symbols = {**known, **(units or {})}
    axis_labels = [f"{name} [{symbols[name]}]" if symbols.get(name, "1") != "1" else name for name in names]
    with drawing(style):
        figure = new_figure(7.2, 3.6)
        grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
        _draw_plane(figure, figure.add_subplot(grid[:, 0]), x, t, n_paths, axis_labels)
        upper = figure.add_subplot(grid[0, 1])
        lower = figure.add_subplot(grid[1, 1], sharex=upper)
        for axes, values, label in ((upper, x[..., 0], axis_labels[0]), (lower, x[..., 1], axis_labels[1])):
            _draw_against_time(axes, values, t, label, n_paths // 4)
        upper.tick_params(labelbottom=False)
        upper.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3, fontsize="small", columnspacing=1)
        lower.set_xlabel("time $t$")
    return figure


def _stacked(states: Iterable[Any], columns: Sequence[str] | None) -> tuple[Values, Sequence[str], Mapping[str, str]]:
    tables = [to_table(state, columns if isinstance(state, np.ndarray) else None) for state in states]
    if len(tables) < 2:
        raise ValueError(f"at least two states are needed, not {len(tables)}")
    names = list(columns or tables[0].column_names)[:2]
    if len(names) < 2:
        raise ValueError(f"at least two columns are needed, found {' '.join(names)}")
    x = np.array([[table[name].to_numpy() for name in names] for table in tables], dtype=np.float64)
    return np.moveaxis(x, 1, 2), names, units_of(tables[0])


def _draw_plane(figure: Figure, axes: Axes, x: Values, t: Values, n_paths: int, labels: Sequence[str]) -> None:
    from matplotlib.collections import LineCollection

    axes.plot(*x[-1].T, ".", markersize=1.5, color="0.75", zorder=0, rasterized=True)
    paths = x[:, :n_paths]
    segments = np.stack([paths[:-1], paths[1:]], axis=2).reshape(-1, 2, 2)
    middles = np.repeat((t[:-1] + t[1:]) / 2, paths.shape[1])
    lines = LineCollection(list(segments), cmap="viridis_r", array=middles, linewidth=0.8, alpha=0.8, clim=(0, 1))
    axes.add_collection(lines)
    start, end = f"$t={t[0]:g}$", f"$t={t[-1]:g}$"
    axes.plot(*paths[0].T, "o", markersize=2.5, mfc="white", color=REAL, markeredgewidth=0.6, label=start)
    axes.plot(*paths[-1].T, "o", markersize=2.5, color=PALETTE[1], label=end)
    axes.autoscale_view()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handletextpad=0.1, columnspacing=1)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    figure.colorbar(lines, ax=axes, label="time $t$", pad=0.02, location="bottom", shrink=0.7, aspect=30)


def _draw_against_time(axes: Axes, values: Values, t: Values, label: str, n_paths: int) -> None:
    for low, high, colour in ((0.05, 0.95, "#CFE3F0"), (0.25, 0.75, "#8FBFDD")):
        bounds = np.nanquantile(values, [low, high], axis=1)
        axes.fill_between(t, *bounds, color=colour, linewidth=0, label=f"{high - low:.0%} of events")
    axes.plot(t, values[:, :n_paths], color=REAL, linewidth=0.4, alpha=0.6)
    axes.plot(t, np.nanmedian(values, axis=1), color=PALETTE[0], label="median")
    axes.set_xlim(t[0], t[-1])
    axes.set_ylabel(label)
