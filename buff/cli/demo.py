"""``buff demo``."""

from pathlib import Path
from typing import Annotated

import typer

from buff.cli.options import Jobs

__all__ = ["demo"]


def demo(
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Page with tables and plots; buff_demo.html unless told."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the whole run.")] = 0,
    jobs: Jobs = None,
) -> None:
    """Learn the jets that come with buff, in three minutes.

    Generates jets, compares them with real ones, and prints quality and cost of buff beside the recipe of the
    BUFF paper, a Gaussian copula, and the floor that real jets against real jets set. Where matplotlib is
    installed a page with plots is written too: buff_demo.html in this folder, unless --report names another.

    \b
    Examples:
      buff demo
      buff demo --report demo.html
    """
    from buff.demo import run_demo

    run_demo(report=report, random_state=seed, n_jobs=jobs)
