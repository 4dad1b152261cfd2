"""The detector that was unfolded, how unfolded bins hang together, and how iterations got there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.metrics.chi2 import spoken_replicas
from buff.metrics.histograms import checked_edges
from buff.plotting.columns import Values
from buff.plotting.style import GENERATED, PALETTE, REAL, drawing, experiment_label, new_figure, two_digits

__all__ = ["bin_correlations", "checked_covariance", "closure", "convergence", "iteration_scan", "migration"]

#: Bins up to which matrices have numbers in their cells: whole ones, and those with two decimals.
_WRITTEN, _SPELLED = 12, 9
#: Bins that have their edges written at most.
_PLACES = 12


def migration(
    probability: npt.ArrayLike,
    truth_edges: npt.ArrayLike,
    reco_edges: npt.ArrayLike | None = None,
    *,
    name: str = "x",
    unit: str = "",
    style: str | None = None,
) -> Any:
    """Migration matrix: where the detector finds the events of each truth bin, in cells of equal size.

    Parameters
    ----------
    probability : array-like of shape (truth bins, reco bins)
        P(reco bin | truth bin), as in :class:`buff.metrics.Migration`; written in percent where bins are few.
    truth_edges, reco_edges : array-like
        Bin edges, rising; without ``reco_edges`` both share the first.
    name, unit : str
        Observable and its unit, "" for none.
    style : str, optional
        A style of mplhep, such as "CMS".

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = migration([[0.9, 0.1], [0.2, 0.8]], [0, 10, 20], name="mass", unit="GeV")
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('true mass [GeV]', 'measured mass [GeV]')
    """
    rows = checked_edges(truth_edges)
    columns = rows if reco_edges is None else checked_edges(reco_edges)
    p = np.asarray(probability, dtype=np.float64)
    shape = (len(rows) - 1, len(columns) - 1)
    if p.shape != shape:
        raise ValueError(f"probability: shape {shape} expected by the edges, found {p.shape}")
    with drawing(style):
        figure = new_figure(4.4, 3.7)
        axes = figure.subplots()
        mesh = axes.pcolormesh(np.ma.masked_equal(p.T, 0), cmap="Blues", vmin=0, vmax=max(p.max(), 1e-9))
        figure.colorbar(mesh, ax=axes, label="P(measured bin | true bin)", pad=0.02)
        _write_edges(axes, rows, columns)
        if max(p.shape) <= _WRITTEN:
            _write_cells(axes, np.where(p == 0, np.nan, 100 * p), "{:.0f}", 60 * p.max())
        suffix = f" [{unit}]" if unit else ""
        axes.set_xlabel(f"true {name}{suffix}")
        axes.set_ylabel(f"measured {name}{suffix}")
    return figure


def bin_correlations(
    covariance: npt.ArrayLike,
    edges: npt.ArrayLike,
    *,
    n_replicas: float | None = None,
    n_made: int | None = None,
    name: str = "x",
    unit: str = "",
    style: str | None = None,
) -> Any:
    """Correlations of the bins of an unfolded distribution, in cells of equal size.

    Parameters
    ----------
    covariance : array-like of shape (b, b)
        Covariance, or correlations. A bin that does not fluctuate is left white.
    edges : array-like of shape (b + 1,)
        Bin edges, rising.
    n_replicas : int, optional
        Replicas that it was estimated from. Correlations that so many would show by chance (twice
        ``1 / sqrt(n_replicas - 1)``) have grey numbers, and the label tells their number.
    n_made : int, optional
        Replicas of all sources, where ``n_replicas`` is their effective number: both are written.
    name, unit : str
        Observable and its unit, "" for none.
    style : str, optional
        A style of mplhep, such as "CMS".

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = bin_correlations([[4.0, -1.0], [-1.0, 1.0]], [0, 10, 20], name="mass", unit="GeV")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.00', '−0.50', '−0.50', '1.00']
    """
    e = checked_edges(edges)
    matrix = checked_covariance(covariance, len(e) - 1)
    sigma = np.sqrt(np.diag(matrix))
    product = np.outer(sigma, sigma)
    rho = np.divide(matrix, product, out=np.full_like(matrix, np.nan), where=product > 0)
    with drawing(style):
        figure = new_figure(4.4, 3.7)
        axes = figure.subplots()
        label = "correlation" if n_replicas is None else f"correlation, {spoken_replicas(n_replicas, n_made)}"
        noise = 0.0 if n_replicas is None else 2 / np.sqrt(max(n_replicas - 1, 1))
        mesh = axes.pcolormesh(np.ma.masked_invalid(rho.T), cmap="PuOr", vmin=-1, vmax=1)
        figure.colorbar(mesh, ax=axes, label=label, pad=0.02)
        _write_edges(axes, e, e)
        if len(rho) <= _SPELLED:
            _write_cells(axes, rho, None, 0.7, faint=noise)
        observable = f"{name} [{unit}]" if unit else name
        axes.set_xlabel(observable)
        axes.set_ylabel(observable)
    return figure


def convergence(
    lines: Mapping[str, npt.ArrayLike],
    *,
    errors: Mapping[str, npt.ArrayLike] | None = None,
    metric: str = "change of the unfolded density",
    floor: float | None = None,
    first: int = 1,
    log: bool = True,
    style: str | None = None,
) -> Any:
    """A number after each iteration: a change, or a distance to truth, for one or more observables.

    Parameters
    ----------
    lines : mapping from name to array-like of shape (iterations,)
        Values; NaN where an iteration has none.
    errors : mapping from name to array-like of shape (iterations,), optional
        One standard deviation, drawn as a band.
    metric : str
        Label of the vertical axis, with unit.
    floor : float, optional
        What two samples of the same distribution would give.
    first : int
        Number of the first iteration: 0 if that is the simulation itself.
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
        If there are no lines.

    Examples
    --------
    >>> convergence({"mass": [0.2, 0.05, 0.02]}, metric="$W_1$ [GeV]").axes[0].get_xlabel()
    'iteration'
    """
    if not lines:
        raise ValueError("lines is empty: the values of at least one observable are needed")
    with drawing(style):
        from matplotlib.ticker import MaxNLocator, NullLocator

        figure = new_figure(4.8, 3.2)
        axes = figure.subplots()
        for i, (name, line) in enumerate(lines.items()):
            value = np.asarray(line, dtype=np.float64)
            number, colour = first + np.arange(len(value)), PALETTE[i % len(PALETTE)]
            axes.plot(number, value, marker="osD^vPX"[i % 7], markersize=3.5, color=colour, label=name)
            if errors and name in errors:
                s = np.asarray(errors[name], dtype=np.float64)
                axes.fill_between(number, value - s, value + s, color=colour, alpha=0.2, linewidth=0)
        if floor is not None:
            axes.axhline(floor, color="0.4", linestyle="--", linewidth=0.9, label="floor", zorder=0)
        if log:
            axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("iteration")
        axes.set_ylabel(metric)
        axes.legend(ncols=1 + (len(lines) > 4))
    return figure


def checked_covariance(covariance: npt.ArrayLike, n_bins: int) -> Values:
    """Covariance matrix of so many bins."""
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (n_bins, n_bins):
        raise ValueError(f"covariance: shape {(n_bins, n_bins)} expected by the edges, found {matrix.shape}")
    return matrix


def _write_edges(axes: Any, x_edges: Values, y_edges: Values) -> None:
    """Edges of the bins at those of the cells, all of one size: with those of the bins a spike is not seen."""
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    for axis, edges, look in ((axes.xaxis, x_edges, turned), (axes.yaxis, y_edges, {})):
        places = np.arange(0, len(edges), -(-len(edges) // (_PLACES + 1)))
        axis.set_ticks(places, [f"{edge:.4g}" for edge in edges[places]], fontsize="x-small", **look)
    axes.minorticks_off()


def _write_cells(axes: Any, values: Values, form: str | None, dark: float, faint: float = 0.0) -> None:
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = two_digits(value) if form is None else form.format(value)
            colour = "0.6" if abs(value) < faint else "white" if abs(value) > dark else "black"
            axes.text(i + 0.5, j + 0.5, text, ha="center", va="center", color=colour, fontsize="x-small")


def closure(
    bins: Mapping[str, Any],
    *,
    units: Mapping[str, str] | None = None,
    style: str | None = None,
    experiment: str | None = None,
) -> Any:
    """Bias of each bin in units of its error, with its statistics and the band of one error, and coverage below.

    Bins are drawn with equal widths, so that those of a spike are seen.

    Parameters
    ----------
    bins : mapping from name to object
        With the attributes of :class:`buff.unfolding.ClosureBins`.
    units : mapping from name to str, optional
    style : str, optional
        A style of mplhep, such as "CMS".
    experiment : str, optional
        Label of mplhep above the panels: the experiment, and words after it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with drawing(style):
        figure = new_figure(max(3.4 * len(bins), 4.0), 3.8)
        panels = figure.subplots(2, len(bins), sharex="col", sharey="row", squeeze=False, height_ratios=(1.6, 1))
        for j, (name, own) in enumerate(bins.items()):
            n, (repeats, n_bins) = np.arange(own.pulls.shape[1]), own.pulls.shape
            mean, spread = own.pulls.mean(axis=0), own.pulls.std(axis=0, ddof=1)
            above, below = panels[:, j]
            above.axhspan(-1, 1, color=GENERATED, alpha=0.2, linewidth=0, label="quoted error")
            above.axhline(0, color=REAL, linewidth=0.8)
            above.errorbar(n, mean, spread, fmt="none", color=PALETTE[2], linewidth=1, label="scatter")
            bars = {"fmt": "o", "markersize": 3, "color": GENERATED, "linewidth": 2}
            above.errorbar(n, mean, spread / np.sqrt(repeats), label="bias", **bars)
            below.axhline(0.683, color=REAL, linewidth=0.8)
            rough = np.sqrt(0.683 * 0.317 / repeats)
            below.axhspan(0.683 - rough, min(0.683 + rough, 1), color="#DDDDDD", linewidth=0)
            below.plot(n, own.coverage, "o", markersize=3, color=GENERATED)
            below.set_ylim(-0.05, 1.05)
            places = [f"{low:g} to {high:g}" for low, high in zip(own.edges[:-1], own.edges[1:], strict=True)]
            every = -(-n_bins // _PLACES)
            below.minorticks_off()
            below.set_xticks(n[::every], places[::every], rotation=45, ha="right", fontsize="x-small")
            unit = (units or {}).get(name, "")
            below.set_xlabel(f"{name} [{unit}]" if unit else name)
        panels[0, 0].set_ylabel("bias / error")
        panels[1, 0].set_ylabel("coverage")
        if experiment:
            experiment_label(panels[0, 0], experiment)
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def iteration_scan(columns: Mapping[str, Any], *, style: str | None = None, experiment: str | None = None) -> Any:
    """Chi-squareds, mean relative error and correlation of neighbouring bins after each iteration, for each column.

    Parameters
    ----------
    columns : mapping from name to object
        With the attributes of :class:`buff.unfolding.ScannedColumn`.
    style : str, optional
        A style of mplhep, such as "CMS".
    experiment : str, optional
        Label of mplhep above the panels: the experiment, and words after it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with drawing(style):
        from matplotlib.ticker import MaxNLocator, NullLocator

        figure = new_figure(max(3.4 * len(columns), 4.0), 4.6)
        panels = figure.subplots(3, len(columns), sharex="col", squeeze=False, height_ratios=(1.6, 1, 1))
        for j, (name, own) in enumerate(columns.items()):
            number = 1 + np.arange(len(own.counts))
            lines = {"moved": own.moved, "refolded": own.refolded, "against truth": own.truth}
            for i, (label, values) in enumerate(lines.items()):
                if values is not None and np.isfinite(values).any():
                    panels[0, j].plot(number, values, "osD"[i] + "-", markersize=3, color=PALETTE[i], label=label)
            panels[0, j].axhline(1, color="0.4", linestyle="--", linewidth=0.9)
            panels[0, j].set_yscale("log")
            panels[1, j].plot(number, 100 * own.error, "o-", markersize=3, color=GENERATED)
            panels[2, j].plot(number, own.correlation, "o-", markersize=3, color=GENERATED)
            panels[2, j].axhline(0, color=REAL, linewidth=0.8)
            panels[2, j].xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
            panels[2, j].xaxis.set_minor_locator(NullLocator())
            panels[2, j].set_xlabel(f"iteration ({name})")
        for row, label in zip(panels[:, 0], (r"$\chi^2/n$", "error [%]", "correlation"), strict=True):
            row.set_ylabel(label)
        if experiment:
            experiment_label(panels[0, 0], experiment)
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure
