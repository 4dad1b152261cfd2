"""Whether posterior draws can be believed: calibration, and mean truth in bins of reco."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from buff.metrics.calibration import Tarp
from buff.metrics.conditional_means import ConditionalMeans
from buff.metrics.samples import as_rows, as_weights
from buff.plotting.columns import Values
from buff.plotting.style import GENERATED, PALETTE, REAL, SHADE, drawing, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration", "mean_truth"]


def calibration(
    places: npt.ArrayLike,
    names: Sequence[str] | None = None,
    *,
    weights: npt.ArrayLike | None = None,
    tarp: Tarp | None = None,
    bins: int = 20,
    style: str | None = None,
) -> Any:
    """Coverage of posterior intervals, ranks of the truth among its draws, and coverage of regions (TARP).

    Coverage is drawn less the credibility asked for: above zero posteriors are too wide, below too narrow. Grey bands
    hold a calibrated posterior with one and two standard deviations.

    Parameters
    ----------
    places : array-like of shape (n, d) or (n,)
        Place of the truth among its draws, from :func:`buff.metrics.posterior_places`, or ``places`` of
        :func:`buff.metrics.sbc`.
    names : sequence of str, optional
        Names of the columns.
    weights : array-like of shape (n,), optional
        Event weights of either sign, with a positive sum.
    tarp : Tarp, optional
        From :func:`buff.metrics.tarp`; adds a panel.
    bins : int
        Bins of the ranks.
    style : str, optional
        A style of mplhep, such as "CMS".

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If places lie outside [0, 1], or the names do not fit.

    Examples
    --------
    >>> figure = calibration(np.random.default_rng(0).random((500, 2)), ["mass", "width"])
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['credibility of the interval [%]', 'place of the truth among its draws']
    """
    u = as_rows(places, "places")
    if u.min() < 0 or u.max() > 1:
        raise ValueError(f"places lie between 0 and 1, found {u.min():g} to {u.max():g}: see posterior_places")
    columns = [f"x{k}" for k in range(u.shape[1])] if names is None else list(names)
    if len(columns) != u.shape[1]:
        raise ValueError(f"names: {u.shape[1]} expected, one a column of places; found {columns}")
    w = as_weights(weights, len(u), "weights")
    with drawing(style):
        panels = 2 if tarp is None else 3
        figure = new_figure(3.4 * panels, 3.3)
        axes = figure.subplots(1, panels)
        _draw_coverage(axes[0], u, w, columns)
        _draw_ranks(axes[1], u, w, bins)
        if tarp is not None:
            _draw_tarp(axes[2], tarp)
        rows = -(-len(columns) // 6)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=-(-len(columns) // rows))
    return figure


def mean_truth(
    truth: ConditionalMeans,
    unfolded: ConditionalMeans,
    *,
    name: str = "x",
    unit: str = "",
    labels: tuple[str, str] = ("simulation", "posterior draws"),
    style: str | None = None,
) -> Any:
    """Mean truth in bins of reco, in simulation that was not trained on and by posterior draws.

    Parameters
    ----------
    truth, unfolded : ConditionalMeans
        From :func:`buff.metrics.conditional_means`, in the same bins of reco.
    name, unit : str
        Observable and its unit, "" for none.
    labels : pair of str
        What to call the two.
    style : str, optional
        A style of mplhep, such as "CMS".

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the bins differ.

    Examples
    --------
    >>> from buff.metrics import conditional_means
    >>> means = conditional_means([1, 1, 3, 3], [1.1, 0.9, 3.2, 2.8], [0, 2, 4])
    >>> figure = mean_truth(means, means, name="mass", unit="GeV")
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['mean true mass [GeV]', 'difference [GeV]']
    """
    chi2, n_bins = truth.chi2(unfolded)
    e, suffix = truth.edges, f" [{unit}]" if unit else ""
    centres = (e[1:] + e[:-1]) / 2
    with drawing(style):
        figure = new_figure(4.8, 4.0)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        figure.get_layout_engine().set(hspace=0, h_pad=0.02)
        band = np.nan_to_num(truth.error)
        upper.stairs(truth.value, e, baseline=None, color=REAL, label=labels[0])
        upper.stairs(truth.value + band, e, baseline=truth.value - band, fill=True, color=SHADE, linewidth=0)
        look = {"fmt": "o", "markersize": 3, "color": GENERATED}
        upper.errorbar(centres, unfolded.value, unfolded.error, label=labels[1], **look)
        lower.stairs(band, e, baseline=-band, fill=True, color=SHADE, linewidth=0)
        lower.axhline(0, color=REAL, linewidth=0.8)
        lower.errorbar(centres, unfolded.value - truth.value, unfolded.error, **look)
        upper.text(0.97, 0.05, rf"$\chi^2/n$ = {chi2:.1f}/{n_bins}", transform=upper.transAxes, ha="right", va="bottom")
        upper.legend(loc="upper left")
        upper.set_ylabel(f"mean true {name}{suffix}")
        lower.set_ylabel(f"difference{suffix}")
        lower.set_xlabel(f"measured {name}{suffix}")
        lower.set_xlim(e[0], e[-1])
    return figure


def _draw_coverage(axes: Axes, u: Values, w: Values, names: Sequence[str]) -> None:
    level = np.linspace(0, 1, 101)
    _draw_band(axes, level, np.sqrt(level * (1 - level) * (w @ w)) / w.sum())
    for k, name in enumerate(names):
        # the narrowest central interval that holds the truth
        needed = np.abs(2 * u[:, k] - 1)
        order = np.argsort(needed)
        covered = np.concatenate([[0.0], np.cumsum(w[order])])[np.searchsorted(needed[order], level, side="right")]
        colour = PALETTE[k % len(PALETTE)]
        line = "-" if k < len(PALETTE) else "--"
        axes.plot(100 * level, 100 * (covered / w.sum() - level), line, color=colour, label=name, linewidth=1.0)
    _label_coverage(axes, "interval")


def _draw_ranks(axes: Axes, u: Values, w: Values, bins: int) -> None:
    edges = np.linspace(0, 1, bins + 1)
    sigma = np.full(2, np.sqrt((bins - 1) * (w @ w)) / w.sum())
    for factor, shade in ((2, "0.92"), (1, "0.84")):
        axes.fill_between([0, 1], 1 - factor * sigma, 1 + factor * sigma, color=shade, linewidth=0, zorder=0)
    axes.axhline(1, color=REAL, linewidth=0.8)
    for k, column in enumerate(u.T):
        density = np.histogram(column, edges, weights=w)[0] * bins / w.sum()
        line = "-" if k < len(PALETTE) else "--"
        axes.stairs(density, edges, baseline=None, color=PALETTE[k % len(PALETTE)], linestyle=line)
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.5, low), max(1.5, high))
    axes.set_xlim(0, 1)
    axes.set_xlabel("place of the truth among its draws")
    axes.set_ylabel("density")


def _draw_tarp(axes: Axes, tarp: Tarp) -> None:
    level = np.concatenate([[0.0], tarp.credibility])
    off, error = (100 * np.concatenate([[0.0], x]) for x in (tarp.coverage - tarp.credibility, tarp.error))
    axes.axhline(0, color=REAL, linewidth=0.8)
    axes.fill_between(100 * level, off - error, off + error, color=GENERATED, alpha=0.3, linewidth=0)
    axes.plot(100 * level, off, color=GENERATED)
    axes.text(0.03, 0.95, f"p = {tarp.p_value:.2g}", transform=axes.transAxes, ha="left", va="top")
    _label_coverage(axes, "region (TARP)")


def _draw_band(axes: Axes, level: Values, sigma: Values) -> None:
    for factor, shade in ((2, "0.92"), (1, "0.84")):
        axes.fill_between(100 * level, -100 * factor * sigma, 100 * factor * sigma, color=shade, linewidth=0, zorder=0)
    axes.axhline(0, color=REAL, linewidth=0.8)


def _label_coverage(axes: Axes, what: str) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(min(-5, low), max(5, high))
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"credibility of the {what} [%]")
    axes.set_ylabel("coverage − credibility [%]")
