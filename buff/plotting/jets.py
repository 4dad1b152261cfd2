"""Figures of jets: where their particles are, and how they split."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from buff.physics.lund import lund_plane
from buff.plotting.style import GENERATED, REAL, drawing, new_figure

__all__ = ["event_displays", "lund_planes", "particle_spectra"]

_LABELS = (r"$\eta_\mathrm{rel}$", r"$\phi_\mathrm{rel}$", r"$p_\mathrm{T,rel}$")


def event_displays(
    real: npt.ArrayLike, generated: npt.ArrayLike, n: int = 4, *, radius: float = 0.45, style: str | None = None
) -> Any:
    """Particles of the first jets in the eta-phi plane, real above generated; areas are proportional to pT.

    Parameters
    ----------
    real, generated : array of shape (jets, particles, 3 or 4)
        eta_rel, phi_rel, pt_rel and, optionally, a mask.
    n : int
        Jets of each kind.
    radius : float
        Half the width of the axes, in which a circle is drawn.
    style : str, optional
        A style of mplhep, such as "CMS".

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> jets = np.random.default_rng(0).uniform(0, 0.3, (4, 5, 3))
    >>> len(event_displays(jets, jets, n=3).axes)
    6
    """
    with drawing(style):
        figure = new_figure(2.1 * n + 0.5, 4.6)
        grid = figure.subplots(2, n, sharex=True, sharey=True, squeeze=False)
        for row, jets, colour, name in zip(
            grid, (real, generated), (REAL, GENERATED), ("real", "generated"), strict=True
        ):
            for axes, jet in zip(row, np.asarray(jets, np.float64)[:n], strict=False):
                own = jet[jet[:, 2] > 0]
                axes.scatter(own[:, 0], own[:, 1], s=1500 * own[:, 2], color=colour, alpha=0.55, linewidth=0.4)
                angle = np.linspace(0, 2 * np.pi, 100)
                axes.plot(0.4 * np.cos(angle), 0.4 * np.sin(angle), color="0.8", linewidth=0.7, zorder=0)
                axes.set(xlim=(-radius, radius), ylim=(-radius, radius), aspect="equal")
            row[0].set_ylabel(f"{name}\n{_LABELS[1]}")
        for axes in grid[-1]:
            axes.set_xlabel(_LABELS[0])
    return figure


def lund_planes(real: npt.ArrayLike, generated: npt.ArrayLike, *, bins: int = 25, style: str | None = None) -> Any:
    """Mean density of emissions in the primary Lund plane, of real and generated jets, and their ratio.

    Parameters
    ----------
    real, generated : array of shape (jets, particles, 3 or 4)
    bins : int
        Bins of each axis.
    style : str, optional
        A style of mplhep.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> jets = np.random.default_rng(0).uniform(0, 0.3, (50, 5, 3))
    >>> [axes.get_title() for axes in lund_planes(jets, jets).axes][:3]
    ['real', 'generated', 'generated / real']
    """
    samples = [np.asarray(jets, np.float64) for jets in (real, generated)]
    planes = [lund_plane(jets) for jets in samples]
    points = [(np.log(1 / p.dr[p.kt > 0]), np.log(p.kt[p.kt > 0])) for p in planes]
    ends = [np.quantile(points[0][j], (0.002, 0.998)) for j in (0, 1)]
    edges = [np.linspace(float(low), float(high), bins + 1) for low, high in ends]
    densities = [np.histogram2d(*p, edges)[0] / len(jets) for p, jets in zip(points, samples, strict=True)]
    enough = densities[0] * len(samples[0]) >= 10
    ratio = np.divide(densities[1], densities[0], out=np.full_like(densities[0], np.nan), where=enough)
    with drawing(style):
        figure = new_figure(11.0, 3.2)
        panels = figure.subplots(1, 3, sharex=True, sharey=True)
        for axes, values, title in zip(
            panels, (*densities, ratio), ("real", "generated", "generated / real"), strict=True
        ):
            look = {"vmin": 0.5, "vmax": 1.5, "cmap": "RdBu_r"} if values is ratio else {"vmin": 0, "cmap": "viridis"}
            if values is not ratio:
                look["vmax"] = densities[0].max()
            mesh = axes.pcolormesh(*edges, values.T, **look)
            figure.colorbar(mesh, ax=axes, label="ratio" if values is ratio else "emissions a jet and bin")
            axes.set(title=title, xlabel=r"$\ln 1/\Delta R$")
        panels[0].set_ylabel(r"$\ln k_\mathrm{T}$")
    return figure


def particle_spectra(real: npt.ArrayLike, generated: npt.ArrayLike, n: int = 20_000) -> dict[str, tuple[Any, Any]]:
    """Columns of particles for :func:`buff.plotting.marginals`: of all, and of the hardest, fifth and twentieth.

    Parameters
    ----------
    real, generated : array of shape (jets, particles, 3 or 4)
    n : int
        Jets that are used at most.
    """
    columns: dict[str, tuple[Any, Any]] = {}
    pair = [np.asarray(jets, np.float64)[:n] for jets in (real, generated)]
    for j, name in enumerate(("eta", "phi", "pt")):
        first, second = (jets[..., j][jets[..., 2] > 0] for jets in pair)
        columns[f"{name} of particles"] = (first, second)
    for rank in (1, 5, 20):
        if rank <= min(jets.shape[1] for jets in pair):
            order = [np.argsort(-jets[..., 2], axis=1)[:, rank - 1] for jets in pair]
            hard = [jets[np.arange(len(jets)), i, 2] for jets, i in zip(pair, order, strict=True)]
            columns[f"pt of particle {rank}"] = (hard[0][hard[0] > 0], hard[1][hard[1] > 0])
    return columns
