"""Calorimeter showers: learn them, draw as many of the same energies, and measure them as the CaloChallenge does."""

import time
from pathlib import Path

import numpy as np
from joblib import effective_n_jobs

from buff.datasets import load_showers
from buff.demo.page import NO_PAGE, Echo, page_path, print_line
from buff.generators import ShowerBUFF
from buff.metrics import ShowerReport, shower_report

__all__ = ["run_showers"]

_GEOMETRY = "ds1-photons"
#: Showers that come with buff: half are learned, a quarter judges, a quarter sets the floor.
_SHOWERS = 3_200


def run_showers(
    report: str | Path | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    *,
    n_showers: int = _SHOWERS,
    n_estimators: int | None = None,
    echo: Echo = print_line,
) -> ShowerReport:
    """Learn photon showers that come with buff, draw showers of the same energies as others, and compare.

    Parameters
    ----------
    report : path, optional
        Where to write the HTML page; by default ``buff_demo_showers.html``, if matplotlib is installed.
    random_state : int
        Seed of everything.
    n_jobs : int, optional
        Processes; all cores by default.
    n_showers : int
        Showers to take: half are learned, a quarter judges, a quarter sets the floor.
    n_estimators : int, optional
        Trees of every division: fewer for a quick trial.
    echo : callable
        Takes the lines to print.

    Returns
    -------
    ShowerReport

    Raises
    ------
    ValueError, FileNotFoundError
        If ``report`` is no name of an HTML file, or its folder does not exist.
    """
    page = page_path(report, "buff_demo_showers.html")
    photons = load_showers(n_showers)
    ends = n_showers // 2, n_showers * 3 // 4
    parts = zip(np.split(photons.showers, ends), np.split(photons.incident_energies, ends), strict=True)
    train, test, more = parts
    n_jobs = effective_n_jobs(n_jobs or -1)
    echo(f"learning {len(train[0]):,} showers of photons, 368 voxels each; {len(test[0]):,} judge")
    fewer = None if n_estimators is None else {"n_estimators": n_estimators}
    model = ShowerBUFF(_GEOMETRY, rings=fewer, angles=fewer, random_state=random_state, n_jobs=n_jobs)
    start = time.perf_counter()
    model.fit(*train)
    trained = time.perf_counter()
    generated = model.sample(test[1], random_state=random_state + 1)
    sampled = time.perf_counter()
    echo(f"trained in {trained - start:.1f} s, {1e3 * (sampled - trained) / len(generated):.2f} ms a shower")
    measured = shower_report(*test, generated, test[1], _GEOMETRY, floor=more, random_state=random_state)
    echo(f"\n{measured}\n\nAUC: of classifiers that tell generated from real showers, 0.5 is perfect.")
    if page is None:
        echo(NO_PAGE)
    else:
        from buff.report.showers import shower_html_report

        title = "Photon showers, real and generated"
        shower_html_report(measured, test, (generated, test[1]), page, geometry=_GEOMETRY, title=title)
        echo(f"page with plots: {page}")
    return measured
