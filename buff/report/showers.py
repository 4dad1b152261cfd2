"""A page on generated showers: scores with floors, average showers, profiles, features with their ratios."""

import os
from collections.abc import Mapping
from html import escape
from typing import Any

from buff.metrics import ShowerReport
from buff.plotting.showers import average_showers, shower_histograms, shower_profiles
from buff.report.page import checked_page, figure_html, page_html, section_html, table_html, write_page

__all__ = ["shower_html_report"]


def shower_html_report(
    measured: ShowerReport,
    real: tuple[Any, Any],
    generated: tuple[Any, Any],
    path: str | os.PathLike[str],
    *,
    geometry: Any = None,
    title: str = "Generated showers",
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write the page.

    Parameters
    ----------
    measured : ShowerReport
    real, generated : (showers, incident energies)
        What was measured, MeV.
    path : path
        Name that ends in ``.html``.
    geometry : str, path or buff.physics.Geometry, optional
        That of the report by its name unless given.
    title : str
    provenance : mapping, optional
        Where the showers come from, shown at the end.

    Raises
    ------
    ValueError, FileNotFoundError
        Where no page can be written under this name.
    MissingExtraError
        Without matplotlib (extra ``plot``).
    """
    page = checked_page(path)
    detector = measured.geometry if geometry is None else geometry
    sizes = f"{measured.n_generated:,} generated against {measured.n_real:,} real showers of {measured.geometry}"
    note = (
        f"Floor: {measured.n_floor:,} real showers in place of the generated ones."
        if measured.floors
        else "No floor: give more real showers to see what real ones score in place of the generated."
    )
    average = figure_html(
        average_showers(real[0], generated[0], detector), "Mean energy of each voxel; radii are logarithmic."
    )
    profiles = figure_html(
        shower_profiles(real[0], generated[0], detector), "Mean energies and their ratio; band: error of the real mean."
    )
    features = figure_html(
        shower_histograms(*real, *generated, detector),
        "High-level features; band: statistical error of the real showers.",
    )
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(sizes)}</p>",
        section_html("Scores", _scores(measured), note),
        section_html("Average showers", average),
        section_html("Profiles", profiles),
        section_html("Features", features),
        section_html("Separation powers", _separations(measured)),
        section_html(
            "Provenance", table_html(("", ""), [(escape(k), escape(v)) for k, v in (provenance or {}).items()])
        ),
    ]
    write_page(page, page_html(title, parts))


def _scores(measured: ShowerReport) -> str:
    rows = []
    for name, value in measured.values.items():
        error, floor = measured.errors.get(name), measured.floors.get(name)
        told = ["" if x is None else f"{x:.3g}" for x in (error, floor)]
        rows.append((escape(name), f"{value:.4g}", *told))
    return table_html(("", "value", "error", "floor"), rows)


def _separations(measured: ShowerReport) -> str:
    rows = [
        (escape(name), f"{s.value:.4g}", f"{s.real_overflow:.2%}", f"{s.generated_overflow:.2%}")
        for name, s in measured.separations.items()
    ]
    return table_html(("feature", "separation power", "real out of range", "generated out of range"), rows)
