"""A page on generated jets: metrics beside their floors, and the plots a paper shows."""

from __future__ import annotations

from html import escape
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.metrics import JetReport
from buff.metrics.jets import as_particles, jet_columns
from buff.metrics.jets_report import JetScore
from buff.physics.efps import FOUR_POINT_EFPS, prime_efps
from buff.report.page import checked_page, figure_html, page_html, section_html, table_html, write_page

__all__ = ["jets_page"]

#: Jets that figures show.
_SHOWN = 20_000


def jets_page(
    report: JetReport, real: npt.ArrayLike, generated: npt.ArrayLike, path: str | PathLike[str], title: str = "Jets"
) -> None:
    """Write one HTML file: metrics, observables and particles with ratio panels, Lund planes, event displays.

    Parameters
    ----------
    report : JetReport
        Of these jets: see :func:`buff.metrics.jet_report`.
    real, generated : array of shape (jets, particles, 3 or 4)
    path : path
        Ends in .html.
    title : str

    Raises
    ------
    ValueError, FileNotFoundError
        See :func:`buff.report.page.checked_page`.
    MissingExtraError
        Without the extra ``plot``.
    """
    from buff.plotting import event_displays, lund_planes, marginals

    page = checked_page(path)
    x, y = (as_particles(jets, name)[:_SHOWN] for jets, name in ((real, "real"), (generated, "generated")))
    tables = [_columns(jets) for jets in (x, y)]
    names = [name for name in tables[0] if all(np.ptp(table[name]) > 0 for table in tables)]
    first, second = (np.stack([table[name] for name in names], axis=1) for table in tables)
    parts = [
        f"<h1>{escape(title)}</h1><p class='note'>{report.n_generated:,} generated and {report.n_real:,} real jets</p>",
        section_html(
            "Metrics",
            _table(report.scores),
            " ".join(["The floor is what real jets score against other real jets.", *report.notes]),
        ),
        section_html(
            "Observables", figure_html(marginals(first, second, names), "Observables of jets, and ratios below")
        ),
        section_html("Particles", f'<div class="cards">{"".join(_particles(x, y))}</div>'),
        section_html("Lund planes", figure_html(lund_planes(x, y), "Emissions off the hardest branch")),
        section_html("Jets", figure_html(event_displays(x, y), "The first jets of both samples")),
        section_html("Wasserstein distances of observables", _table(report.observables), "In standard deviations."),
    ]
    write_page(page, page_html(title, parts))


def _columns(jets: Any) -> dict[str, Any]:
    columns = jet_columns(jets)
    found = prime_efps(jets)
    ratios = {"tau21": ("tau2", "tau1"), "tau32": ("tau3", "tau2")}
    for name, (above, below) in ratios.items():
        columns[name] = np.divide(columns[above], columns[below], out=np.zeros(len(jets)), where=columns[below] > 0)
    return columns | {f"EFP {graph}": found[graph] for graph in FOUR_POINT_EFPS}


def _particles(real: Any, generated: Any) -> list[str]:
    from buff.plotting import marginals, particle_spectra

    spectra = particle_spectra(real, generated).items()
    return [figure_html(marginals(x[:, None], y[:, None], [name]), name) for name, (x, y) in spectra]


def _table(scores: tuple[JetScore, ...]) -> str:
    rows = []
    for s in scores:
        name = s.name if s.factor == 1 else f"{s.name} x 1e{round(np.log10(s.factor))}"
        lowest = "" if s.floor is None else str(s.floor.scaled(s.factor))
        rows.append([escape(name), escape(str(s.value.scaled(s.factor))), escape(lowest)])
    return table_html(("metric", "generated", "floor"), rows)
