"""Unfolded distribution, what it should be, and the ratio of the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from buff.metrics.chi2 import chi_squared, fewest_replicas, normalised_covariance, spoken_replicas
from buff.metrics.histograms import checked_edges, narrow_bins
from buff.plotting.columns import Values
from buff.plotting.style import GENERATED, PALETTE, REAL, SHADE, drawing, experiment_label, new_figure
from buff.plotting.unfolding import checked_covariance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["unfolded_spectrum"]

_LABELS = {"unfolded": "unfolded", "truth": "truth", "prior": "simulated truth", "reco": "measured"}
_LINES: Mapping[str, dict[str, Any]] = {
    "truth": {"fill": True, "color": "#DDDDDD"},
    "prior": {"color": PALETTE[0], "linestyle": "--"},
    "reco": {"color": PALETTE[2], "linestyle": ":"},
}

_BAND: Mapping[str, Any] = {"fill": True, "color": GENERATED, "alpha": 0.25, "linewidth": 0}


#: Share of the axis that a bin of a spike takes.
_BAR = 0.04
#: Characters of a note that stand behind chi-squared; more stand below.
_SHORT = 15


@dataclass(frozen=True, eq=False)
class _Bins:
    """Contents of bins with their statistical errors, 0 where not known, and covariances where there are some."""

    value: Values
    error: Values
    covariance: Values | None = None

    def per(self, width: Values) -> _Bins:
        return _Bins(self.value / width, self.error / width)

    def normalised(self) -> _Bins:
        covariance = normalised_covariance(self.value, np.diag(self.error**2))
        return _Bins(self.value / self.value.sum(), np.sqrt(np.diag(covariance)), covariance)


def unfolded_spectrum(
    edges: npt.ArrayLike,
    unfolded: npt.ArrayLike,
    *,
    error: npt.ArrayLike | None = None,
    covariance: npt.ArrayLike | None = None,
    n_replicas: float | None = None,
    n_made: int | None = None,
    truth: npt.ArrayLike | None = None,
    truth_error: npt.ArrayLike | None = None,
    prior: npt.ArrayLike | None = None,
    reco: npt.ArrayLike | None = None,
    name: str = "x",
    unit: str = "",
    normalise: bool = False,
    log: bool | None = None,
    labels: Mapping[str, str] | None = None,
    style: str | None = None,
    experiment: str | None = None,
) -> Any:
    r"""Unfolded distribution over the truth it should have, with their ratio below.

    Bars are statistical errors, the band around the points the total ones of ``covariance``, or else those of the bars.
    Written are chi-squared against truth, with the covariance if there is one, and the number of bins. A bin of a spike
    (:func:`buff.metrics.histograms.narrow_bins`) has no density: it is a bar of its own, wider than the bin, with its
    content on the scale of a bin of median width, and written in it.

    Parameters
    ----------
    edges : array-like of shape (b + 1,)
        Bin edges, rising, in ``unit``.
    unfolded : array-like of shape (b,)
        Events in each bin.
    error : array-like of shape (b,), optional
        Their statistical errors.
    covariance : array-like of shape (b, b), optional
        Their total covariance.
    truth, truth_error : array-like of shape (b,), optional
        What they are compared with, and its errors.
    prior, reco : array-like of shape (b,), optional
        Truth of the simulation, and the measured events before unfolding.
    name, unit : str
        Observable and its unit, "" for none.
    n_replicas : float, optional
        Replicas that the covariance was estimated from: chi-squared takes them into account, see
        :func:`buff.metrics.chi_squared`.
    n_made : int, optional
        Replicas of all sources, where ``n_replicas`` is their effective number: both are written.
    normalise : bool
        Whether to divide each distribution by its sum; errors are those of the shares, see
        :func:`buff.metrics.chi2.normalised_covariance`.
    log : bool, optional
        Logarithmic axis; where the content spans more than a factor 300 unless told.
    labels : mapping, optional
        Other names for ``"unfolded"``, ``"truth"``, ``"prior"``, ``"reco"``, ``"band"``.
    style : str, optional
        A style of mplhep, such as "CMS".
    experiment : str, optional
        Label of mplhep above the panels: the experiment, and words after it, such as "CMS Preliminary".

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If shapes do not fit.
    MissingExtraError
        If the extra ``plot`` is not installed.

    Examples
    --------
    >>> figure = unfolded_spectrum([0, 10, 20, 40], [90, 210, 80], error=[10, 15, 9], truth=[100, 200, 80],
    ...                            name="mass", unit="GeV")
    >>> figure.axes[0].get_ylabel(), figure.axes[1].get_xlabel()
    ('events / GeV', 'mass [GeV]')
    """
    e = checked_edges(edges)
    names = {**_LABELS, "band": f"{'statistical' if covariance is None else 'total'} error", **(labels or {})}
    given = (("unfolded", unfolded, error), ("truth", truth, truth_error), ("prior", prior, None), ("reco", reco, None))
    bins = {key: _checked(key, x, s, len(e) - 1) for key, x, s in given if x is not None}
    matrix = None if covariance is None else checked_covariance(covariance, len(e) - 1)
    if matrix is not None and error is not None and "unfolded" not in (labels or {}):
        names["unfolded"] += ", bars statistical only"
    if normalise:
        matrix = None if matrix is None else normalised_covariance(bins["unfolded"].value, matrix)
        bins = {key: b.normalised() for key, b in bins.items()}
    reference = next((key for key in ("truth", "prior") if key in bins), None)
    shown, width, narrow = _shown(e)
    density = {key: b.per(width) for key, b in bins.items()}
    band = density["unfolded"].error if matrix is None else np.sqrt(np.diag(matrix)) / width
    with drawing(style):
        figure = new_figure(4.8, 4.2)
        heights = (2.6, 1) if reference else (1,)
        panels = np.atleast_1d(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
        figure.get_layout_engine().set(hspace=0, h_pad=0.02)
        note = _chi2(bins["unfolded"], bins["truth"], matrix, n_replicas, n_made) if "truth" in bins else None
        _draw_spectrum(panels[0], shown, density, band, names, note)
        _scale(panels[0], density, log)
        _write_contents(panels[0], shown, bins["unfolded"].value, narrow)
        if experiment:
            experiment_label(panels[0], experiment)
        panels[0].set_ylabel(("density" if normalise else "events") + f" / {unit or 'unit'}")
        if reference:
            _draw_ratio(panels[1], shown, density, reference, band)
            panels[1].set_ylabel(f"ratio to\n{names[reference]}")
        panels[-1].set_xlabel(f"{name} [{unit}]" if unit else name)
        panels[-1].set_xlim(shown[0], shown[-1])
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _shown(edges: Values) -> tuple[Values, Values, Any]:
    """Edges as they are drawn, what contents are divided by, and the numbers of the bins that are bars of their own."""
    width, shown, reach = np.diff(edges), edges.copy(), edges[-1] - edges[0]
    narrow = narrow_bins(edges)
    for i in narrow:
        if i > 0 and i < len(width) - 1:
            middle = (edges[i] + edges[i + 1]) / 2
            room = np.minimum(_BAR * reach, 0.8 * np.array([width[i - 1], width[i + 1]])) / 2
            shown[i], shown[i + 1] = middle - room[0], middle + room[1]
        else:
            end = i + (i > 0)
            shown[end] += _BAR * reach * (1 if i else -1)
    return shown, np.where(np.isin(np.arange(len(width)), narrow), np.median(width), width), narrow


def _write_contents(axes: Axes, edges: Values, contents: Values, narrow: Any) -> None:
    for i in narrow:
        text = f"{contents[i]:,.0f} in this bin" if contents[i] >= 10 else f"{contents[i]:.3g} in this bin"
        look: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": "x-small"}
        axes.text((edges[i] + edges[i + 1]) / 2, 0.03, text, transform=axes.get_xaxis_transform(), **look)


def _checked(key: str, contents: npt.ArrayLike, error: npt.ArrayLike | None, n_bins: int) -> _Bins:
    arrays = (np.asarray(x, dtype=np.float64) for x in (contents, np.zeros(n_bins) if error is None else error))
    value, sigma = arrays
    if value.shape != (n_bins,) or sigma.shape != (n_bins,):
        shapes = f"{value.shape} and errors {sigma.shape}"
        raise ValueError(f"{key}: {n_bins} values expected, one a bin of the edges; found {shapes}")
    return _Bins(value, sigma)


def _draw_spectrum(
    axes: Axes,
    edges: Values,
    bins: Mapping[str, _Bins],
    band: Values,
    names: Mapping[str, str],
    note: str | None,
) -> None:
    for key, look in _LINES.items():
        if key in bins:
            axes.stairs(bins[key].value, edges, label=names[key], **look)
    if "truth" in bins:
        axes.stairs(bins["truth"].value, edges, color=REAL, linewidth=0.8)
    u = bins["unfolded"]
    if band.any():
        axes.stairs(u.value + band, edges, baseline=u.value - band, label=names["band"], **_BAND)
    centres = (edges[1:] + edges[:-1]) / 2
    axes.errorbar(centres, u.value, u.error, fmt="o", markersize=3, color=GENERATED, label=names["unfolded"])
    if note:
        axes.text(0.97, 0.95, note, transform=axes.transAxes, ha="right", va="top", fontsize="small")


def _scale(axes: Axes, bins: Mapping[str, _Bins], log: bool | None) -> None:
    """Room for the note above, nothing cut off below."""
    values = np.concatenate([b.value for b in bins.values()])
    top = max((b.value + b.error).max() for b in bins.values())
    positive = values[values > 0]
    if len(positive) and (log if log is not None else top > 300 * positive.min()):
        axes.set_yscale("log")
        axes.set_ylim(0.4 * positive.min(), 6 * top)
    else:
        axes.set_ylim(1.2 * min(0.0, values.min()), 1.25 * top or 1.0)


def _draw_ratio(axes: Axes, edges: Values, bins: Mapping[str, _Bins], reference: str, errors: Values) -> None:
    b, u = bins[reference], bins["unfolded"]
    below = np.where(b.value > 0, b.value, np.nan)
    ratio, bar, band = u.value / below, u.error / below, errors / below
    axes.stairs(1 + b.error / below, edges, baseline=1 - b.error / below, fill=True, color=SHADE, linewidth=0)
    axes.axhline(1, color=REAL, linewidth=0.8)
    if errors.any():
        axes.stairs(ratio + band, edges, baseline=ratio - band, **_BAND)
    if reference == "truth" and "prior" in bins:
        axes.stairs(bins["prior"].value / below, edges, baseline=None, **_LINES["prior"])
    centres, reach = (edges[1:] + edges[:-1]) / 2, _reach(np.abs(ratio - 1) + band)
    axes.errorbar(centres, ratio, bar, fmt="o", markersize=3, color=GENERATED)
    for side, marker in ((1, "^"), (-1, "v")):
        x = centres[side * (ratio - 1) > reach]
        axes.plot(x, np.full(len(x), 1 + 0.9 * side * reach), marker, markersize=3.5, color=GENERATED)
    axes.set_ylim(1 - reach, 1 + reach)


def _reach(off: Values) -> float:
    """Half the height of the ratio panel: rare bins fluctuate out of any frame that shows the others."""
    known = off[np.isfinite(off)]
    return float(np.clip(1.3 * np.quantile(known, 0.9), 0.05, 1.0)) if len(known) else 1.0


def _chi2(
    unfolded: _Bins, truth: _Bins, matrix: Values | None, n_replicas: float | None, n_made: int | None
) -> str | None:
    """Chi-squared of the contents, with what is known of their errors."""
    own, extra = (np.diag(b.error**2) if b.covariance is None else b.covariance for b in (unfolded, truth))
    covariance = own if matrix is None else matrix
    if not (np.diag(covariance) + truth.error**2).any():
        return None
    try:
        found = chi_squared(unfolded.value - truth.value, covariance, extra=extra, n_replicas=n_replicas)
    except ValueError:
        return rf"$\chi^2$ needs {fewest_replicas(len(covariance))} replicas"
    if found.n_replicas is None:
        return rf"$\chi^2/n$ = {found.value:.1f}/{found.n}"
    replicas = spoken_replicas(found.n_replicas, n_made)
    return rf"$\chi^2/n$ = {found.value:.1f}/{found.n}," + ("\n" if len(replicas) > _SHORT else " ") + replicas
