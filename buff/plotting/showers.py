"""Pictures of calorimeter showers: single ones, average energy in each layer, profiles, features with their ratio."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from buff.metrics import shower_features
from buff.metrics.showers import shower_bins
from buff.physics import Geometry
from buff.plotting.style import GENERATED, REAL, SHADE, drawing, new_figure

__all__ = ["average_showers", "shower_displays", "shower_histograms", "shower_profiles"]

#: Features that are drawn unless told otherwise, by how their names start.
_SHOWN = ("response", "energy_", "sparsity_", "centre_eta", "width_eta", "width_phi", "centre_r")
_UNITS = {"energy_": "MeV", "centre_": "mm", "width_": "mm"}
#: Layers that are drawn at most.
_MOST = 8
#: Decades of energy that colours span, and share of showers in a bin below which histograms end.
_DECADES, _EDGE = 5.0, 5e-4
#: Ratios of profiles that are drawn; arrows stand for those beyond.
_RATIOS = 0.7, 1.3


def average_showers(real: Any, generated: Any, geometry: Any, *, style: str | None = None) -> Any:
    """Mean energy of each voxel, layer by layer in polar coordinates: real above, generated below.

    Parameters
    ----------
    real, generated : array of shape (n, voxels), MeV
    geometry : str, path or buff.physics.Geometry
    style : str, optional
        As for all plots.

    Returns
    -------
    matplotlib.figure.Figure
    """
    means = [np.asarray(x, float).mean(axis=0) for x in (real, generated)]
    return _polar(means, ("real", "generated"), Geometry.of(geometry), "mean energy [MeV]", style)


def shower_displays(real: Any, generated: Any, geometry: Any, *, n: int = 1, style: str | None = None) -> Any:
    """Energy of each voxel of single showers, layer by layer in polar coordinates: real above, generated below.

    Parameters
    ----------
    real, generated : array of shape (m, voxels), MeV
    geometry : str, path or buff.physics.Geometry
    n : int
        The first ``n`` showers of each are drawn.
    style : str, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        Where there are fewer than ``n`` showers.
    """
    least = min(len(real), len(generated))
    if not 1 <= n <= least:
        raise ValueError(f"n must be between 1 and the number of showers, {least}, found {n}")
    names = [name for name in ("real", "generated") for _ in range(n)]
    showers = [np.asarray(x, float) for sample in (real, generated) for x in sample[:n]]
    return _polar(showers, names, Geometry.of(geometry), "energy [MeV]", style)


def _polar(showers: Sequence[Any], names: Sequence[str], detector: Geometry, label: str, style: str | None) -> Any:
    """A row for each of some showers (voxels,); energies below the scale have its lowest colour."""
    chosen = _layers(detector)
    top = max(float(shower.max()) for shower in showers) or 1.0
    with drawing(style):
        from matplotlib.colors import LogNorm

        figure = new_figure(1.7 * len(chosen) + 0.8, 1.95 * len(showers))
        axes = figure.subplots(len(showers), len(chosen), subplot_kw={"projection": "polar"}, squeeze=False)
        bottom = top * 10**-_DECADES
        norm = LogNorm(bottom, top)
        theta = np.linspace(-np.pi, np.pi, 181)
        for row, (shower, name) in enumerate(zip(showers, names, strict=True)):
            parts = detector.split(shower[None])
            for axis, i in zip(axes[row], chosen, strict=True):
                layer = detector.layers[i]
                # the centre of a logarithmic radius: half of the innermost ring
                radii = np.log(np.maximum(layer.r_edges, 0.5 * layer.r_edges[1]))
                sector = np.minimum((np.arange(180) * layer.n_alpha) // 180, layer.n_alpha - 1)
                energy = np.maximum(parts[i][0, sector].T, bottom)
                picture = axis.pcolormesh(theta, radii - radii[0], energy, norm=norm, cmap="viridis")
                axis.set(xticks=[], yticks=[], title=f"{name}\nlayer {layer.number}")
        figure.colorbar(picture, ax=axes, label=label, shrink=0.8)
    return figure


def shower_profiles(real: Any, generated: Any, geometry: Any, *, style: str | None = None) -> Any:
    """Mean energy by layer, and by radius in each layer, with the ratio of generated to real below.

    Parameters
    ----------
    real, generated : array of shape (n, voxels), MeV
    geometry : str, path or buff.physics.Geometry
    style : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    detector = Geometry.of(geometry)
    chosen = _layers(detector)
    parts = [detector.split(np.asarray(x, float)) for x in (real, generated)]
    with drawing(style):
        figure = new_figure(2.1 * (len(chosen) + 1), 3.4)
        axes = figure.subplots(2, len(chosen) + 1, sharex="col", height_ratios=(3, 1), squeeze=False)
        curves = [[x.sum(axis=(1, 2)) for x in sample] for sample in parts]
        _profile(axes[:, 0], np.arange(len(detector.layers)), *(np.stack(c, axis=1) for c in curves))
        axes[0, 0].set(title="all layers", ylabel="mean energy [MeV]")
        axes[1, 0].set(xlabel="layer", ylabel="generated\n/ real")
        axes[1, 0].set_xticks(chosen, [str(detector.layers[i].number) for i in chosen])
        axes[1, 0].set_xticks([], minor=True)
        for column, i in enumerate(chosen, 1):
            _profile(axes[:, column], np.arange(detector.layers[i].n_r), *(sample[i].sum(axis=1) for sample in parts))
            axes[0, column].set(title=f"layer {detector.layers[i].number}")
            axes[1, column].set(xlabel="ring")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _profile(axes: Any, x: Any, real: Any, generated: Any) -> None:
    """Means with errors, and their ratio."""
    means = [sample.mean(axis=0) for sample in (real, generated)]
    errors = [sample.std(axis=0) / np.sqrt(len(sample)) for sample in (real, generated)]
    for mean, error, colour, name in zip(means, errors, (REAL, GENERATED), ("real", "generated"), strict=True):
        axes[0].errorbar(x, mean, error, fmt=".-", color=colour, label=name, markersize=3)
    if (means[0] > 0).any():
        axes[0].set_yscale("log")
        axes[0].set_ylim(bottom=0.3 * min(mean[mean > 0].min() for mean in means if (mean > 0).any()))
    there = (means[0] > 0) & (means[1] > 0)
    x, means, errors = x[there], [m[there] for m in means], [e[there] for e in errors]
    ratio, band = means[1] / means[0], errors[0] / means[0]
    axes[1].fill_between(x, 1 - band, 1 + band, color=SHADE, linewidth=0)
    axes[1].errorbar(x, ratio, errors[1] / means[0], fmt=".", color=GENERATED, markersize=3)
    axes[1].axhline(1, color=REAL, linewidth=0.6)
    low, high = _RATIOS
    axes[1].set_ylim(low, high)
    for beyond, at, marker in ((ratio < low, low, "v"), (ratio > high, high, "^")):
        if beyond.any():  # an empty line that is not clipped has no box, and the layout fails
            axes[1].plot(x[beyond], np.full(beyond.sum(), at), marker, color=GENERATED, markersize=4, clip_on=False)


def shower_histograms(
    real: Any,
    real_energies: Any,
    generated: Any,
    generated_energies: Any,
    geometry: Any,
    *,
    names: Sequence[str] | None = None,
    style: str | None = None,
) -> Any:
    """Histograms of high-level features in the challenge's bins, with the ratio of generated to real below.

    Parameters
    ----------
    real, generated : array of shape (n, voxels), MeV
    real_energies, generated_energies : array of shape (n,), MeV
    geometry : str, path or buff.physics.Geometry
    names : sequence of str, optional
        Of :func:`buff.metrics.shower_features`.
    style : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    detector = Geometry.of(geometry)
    samples = [shower_features(x, e, detector) for x, e in ((real, real_energies), (generated, generated_energies))]
    bins = shower_bins(samples[0], detector)
    chosen = list(names) if names is not None else [n for n in bins if n.startswith(_SHOWN)][:24]
    columns = 6
    rows = -(-len(chosen) // columns)
    with drawing(style):
        figure = new_figure(2.0 * columns, 2.5 * rows)
        axes = figure.subplots(2 * rows, columns, height_ratios=(3, 1) * rows, squeeze=False)
        for k, name in enumerate(chosen):
            pair = axes[2 * (k // columns) : 2 * (k // columns) + 2, k % columns]
            _histogram(pair, name, bins[name], samples)
        for row in range(rows):
            axes[2 * row, 0].set_ylabel("share")
            axes[2 * row + 1, 0].set_ylabel("ratio")
        for k in range(len(chosen), rows * columns):
            for axis in axes[2 * (k // columns) : 2 * (k // columns) + 2, k % columns]:
                axis.set_visible(False)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _histogram(axes: Any, name: str, edges: Any, samples: Sequence[Mapping[str, Any]]) -> None:
    edges = _drawn_edges(edges, [sample[name] for sample in samples])
    counts = [np.histogram(sample[name], edges)[0].astype(float) for sample in samples]
    sizes = [len(sample[name]) for sample in samples]
    for count, n, colour, label in zip(counts, sizes, (REAL, GENERATED), ("real", "generated"), strict=True):
        axes[0].stairs(
            count / n, edges, color=colour, label=label, fill=colour == REAL, alpha=0.4 if colour == REAL else 1
        )
    band = 1 / np.sqrt(np.maximum(counts[0], 1))
    middle, both = (edges[1:] + edges[:-1]) / 2, (counts[0] > 0) & (counts[1] > 0)
    ratio = (counts[1][both] / sizes[1]) / (counts[0][both] / sizes[0])
    band[counts[0] == 0] = np.nan
    axes[1].stairs(1 + band, edges, baseline=1 - band, fill=True, color=SHADE)
    axes[1].axhline(1, color=REAL, linewidth=0.6)
    errors = ratio / np.sqrt(counts[1][both])
    axes[1].errorbar(middle[both], ratio, errors, fmt=".", color=GENERATED, markersize=2, linewidth=0.7)
    axes[1].set_ylim(0.5, 1.5)
    unit = next((f" [{unit}]" for start, unit in _UNITS.items() if name.startswith(start)), "")
    axes[0].set_title(name.replace("_", " ") + unit, fontsize=8)
    axes[0].tick_params(labelbottom=False)
    if name.startswith("energy_"):
        for axis in axes:
            axis.set_xscale("log")


def _drawn_edges(edges: Any, values: Sequence[Any]) -> Any:
    """Bins from the first to the last that is not nearly empty, joined to about 25, which show shapes."""
    shares = np.max([np.histogram(x, edges)[0] / len(x) for x in values], axis=0)
    there = np.flatnonzero(shares > max(_EDGE, 2.5 / min(len(x) for x in values)))
    if len(there):
        edges = edges[there[0] : there[-1] + 2]
    return edges[:: max(1, (len(edges) - 1) // 25)]


def _layers(detector: Geometry) -> list[int]:
    """Layers that are drawn: all, or some at equal distances."""
    n = len(detector.layers)
    return list(range(n)) if n <= _MOST else [int(i) for i in np.linspace(0, n - 1, _MOST)]
