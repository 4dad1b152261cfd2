"""Unfolding: from what a detector measured of Z + jets back to what happened, where nature is not the simulation."""

import time
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from buff.datasets import OMNIFOLD_OBSERVABLES, load_zjets
from buff.demo.page import NO_PAGE, Echo, page_path, print_line
from buff.metrics import ZJETS_BINS, triangular_discriminator
from buff.unfolding import Unfolder, UnfoldingResult

__all__ = ["run_unfolding"]

#: What is drawn, in bins that do not cut between integers.
_DRAWN = {name: ZJETS_BINS[name] for name in ("mass", "width", "tau21")} | {"mult": np.arange(3.5, 62, 3)}


def run_unfolding(
    report: str | Path | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    *,
    n_events: int = 6_000,
    echo: Echo = print_line,
) -> UnfoldingResult:
    """Learn the detector from one simulation of Z + jets, unfold events of another that plays nature, and compare.

    Parameters
    ----------
    report : path, optional
        Where to write the HTML page; by default ``buff_demo_unfold.html``, if matplotlib is installed.
    random_state : int
        Seed of everything.
    n_jobs : int, optional
        Processes; all cores by default.
    n_events : int
        Simulated events to learn from and measured events to unfold.
    echo : callable
        Takes the lines to print.

    Returns
    -------
    UnfoldingResult

    Raises
    ------
    ValueError, FileNotFoundError
        If ``report`` is no name of an HTML file, or its folder does not exist.
    """
    page = page_path(report, "buff_demo_unfold.html")
    simulation, nature = load_zjets("nominal", n_events), load_zjets("alternative", n_events)
    truth, known = simulation.truth.to_arrow(), nature.truth.to_arrow()
    echo(f"learning the detector from {len(simulation):,} simulated jets, six observables; unfolding {len(nature):,}")
    start = time.perf_counter()
    unfolder = Unfolder(random_state=random_state, n_jobs=effective_n_jobs(n_jobs or -1))
    result = unfolder.fit(truth, simulation.reco.to_arrow()).unfold(nature.reco.to_arrow())
    echo(f"unfolded in {time.perf_counter() - start:.1f} s, {len(result.history)} iterations\n\n{result.diagnostics}\n")
    rows = [_distances(name, truth, known, result) for name in truth.column_names]
    echo("triangular discriminator x 1000 in the bins of published results, 0 is perfect")
    echo(f"{'':10} {'simulation':>16} {'unfolded':>16}")
    for row in rows:
        echo(f"{row[0]:10} {row[1]:>16} {row[2]:>16}")
    if page is None:
        echo(NO_PAGE)
    else:
        _write(page, rows, known, result)
        echo(f"page with plots: {page}")
    return result


def _distances(name: str, simulation: Any, known: Any, result: UnfoldingResult) -> tuple[str, str, str]:
    """Distance to nature before and after."""
    nature, before = (np.asarray(table[name]) for table in (known, simulation))
    after, bins = np.asarray(result.events[name]), ZJETS_BINS[name]
    unfolded = triangular_discriminator(nature, after, bins, generated_weights=result.weights)
    return name, str(triangular_discriminator(nature, before, bins)), str(unfolded)


def _write(path: Path, rows: list[tuple[str, str, str]], known: Any, result: UnfoldingResult) -> None:
    from buff.report.page import figure_html, page_html, section_html, table_html, write_page

    units = {column.name: column.unit for column in OMNIFOLD_OBSERVABLES}
    parts = [
        "<h1>Unfolded Z + jets</h1>",
        f"<pre>{escape(str(result.diagnostics))}</pre>",
        section_html(
            "Distance to nature",
            table_html(("observable", "simulation", "unfolded"), rows),
            "Triangular discriminator x 1000 in the bins of published results, 0 is perfect.",
        ),
    ]
    for name, bins in _DRAWN.items():
        counts = np.histogram(np.asarray(known[name]), bins)[0]
        unit = "" if units[name] == "1" else units[name]
        figure = result.plot_unfolded(name, bins, truth=counts, truth_error=np.sqrt(counts), unit=unit)
        parts.append(section_html(name, figure_html(figure, "Unfolded events, the simulation, and nature.")))
    if len(result.history) > 1:
        convergence = figure_html(result.plot_convergence(), "Share of the unfolded density that each iteration moved.")
        parts.append(section_html("Iterations", convergence))
    write_page(path, page_html("Unfolded Z + jets", parts))
