"""Jets as clouds of particles: learn them, draw as many, and measure them as the JetNet papers do."""

import time
from pathlib import Path

import numpy as np
from joblib import effective_n_jobs

from buff.datasets import load_jet_clouds
from buff.demo.page import NO_PAGE, Echo, page_path, print_line
from buff.generators import JetBUFF
from buff.metrics import JetReport, jet_report

__all__ = ["run_jets"]


def run_jets(
    report: str | Path | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    *,
    effort: float = 1.0,
    echo: Echo = print_line,
) -> JetReport:
    """Learn the particles of half of the top jets that come with buff, draw new jets, and compare with the other half.

    Parameters
    ----------
    report : path, optional
        Where to write the HTML page; by default ``buff_demo_jets.html``, if matplotlib is installed.
    random_state : int
        Seed of everything.
    n_jobs : int, optional
        Processes; all cores by default.
    effort : float
        See :class:`buff.JetBUFF`.
    echo : callable
        Takes the lines to print.

    Returns
    -------
    JetReport

    Raises
    ------
    ValueError, FileNotFoundError
        If ``report`` is no name of an HTML file, or its folder does not exist.
    """
    page = page_path(report, "buff_demo_jets.html")
    clouds = load_jet_clouds("t")
    # jets of one collision stay together
    order = np.random.default_rng(random_state).permutation(np.unique(clouds.jets["event"]))
    learn = np.isin(clouds.jets["event"], order[: len(order) // 2])
    train, test = clouds.particles[learn], clouds.particles[~learn]
    n_jobs = effective_n_jobs(n_jobs or -1)
    echo(f"learning the particles of {len(train):,} top jets; {len(test):,} judge")
    start = time.perf_counter()
    model = JetBUFF(effort=effort, random_state=random_state, n_jobs=n_jobs, verbose=1).fit(train)
    trained = time.perf_counter()
    generated = model.sample(len(test), random_state=random_state + 1)
    sampled = time.perf_counter()
    echo(f"trained in {trained - start:.1f} s, {1e3 * (sampled - trained) / len(test):.2f} ms a jet")
    measured = jet_report(test, generated, more_real=train, slow=False, random_state=random_state)
    echo(f"\n{measured}\n\nfloor: real jets against real jets. W1M, W1P, W1EFP: Wasserstein distances of masses, of")
    echo("particles' eta, phi and pT, and of energy flow polynomials; AUC 0.5 is perfect.")
    if page is None:
        echo(NO_PAGE)
    else:
        from buff.report.jets import jets_page

        jets_page(measured, test, generated, page, "Top jets, real and generated")
        echo(f"page with plots: {page}")
    return measured
