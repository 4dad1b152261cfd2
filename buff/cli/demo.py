"""``buff demo``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from buff.cli.options import Jobs

__all__ = ["demo"]


def demo(
    jets: Annotated[bool, typer.Option("--jets", help="Jets as clouds of particles.")] = False,
    showers: Annotated[bool, typer.Option("--showers", help="Showers in a calorimeter.")] = False,
    unfold: Annotated[bool, typer.Option("--unfold", help="Unfolding of Z + jets.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Page with tables and plots; buff_demo.html unless told."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the whole run (random_state).")] = 0,
    jobs: Jobs = None,
) -> None:
    """Learn data that come with buff, in two minutes: a table of jets, or what an option names.

    Without an option: observables of jets, compared with real ones; prints quality and cost of buff beside the
    recipe of the BUFF paper, a Gaussian copula, and the floor that real jets against real jets set. --jets and
    --showers do likewise for particles of jets and for photon showers, --unfold takes measured jets back to truth.
    Where matplotlib is installed a page with plots is written too: buff_demo.html in this folder (or
    buff_demo_jets.html, buff_demo_showers.html, buff_demo_unfold.html), unless --report names another.

    \b
    Examples:
      buff demo
      buff demo --jets --report jets.html
    """
    from buff import demo

    runs: dict[str, tuple[bool, Any]] = {
        "--jets": (jets, demo.run_jets),
        "--showers": (showers, demo.run_showers),
        "--unfold": (unfold, demo.run_unfolding),
    }
    asked = [name for name, (wanted, _) in runs.items() if wanted]
    if len(asked) > 1:
        raise ValueError(f"{' and '.join(asked)}: one demonstration at a time")
    run = runs[asked[0]][1] if asked else demo.run_demo
    run(report=report, random_state=seed, n_jobs=jobs)
