"""``buff unfold --closure``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typer

from buff.cli.unfold_config import Config

__all__ = ["tell_closure"]

#: The word for events of another simulation in the place of a column.
_OTHER = "alternative"


def tell_closure(
    config: Config, unfolder: Any, events: tuple[Any, Any, Any], repeats: int, stress: str, verbose: int
) -> None:
    """Print and draw a closure test, or a stress test, of simulated events; those of the data only tell how many.

    Raises
    ------
    ValueError
        Fewer than 2 repetitions, a stress that there is not, nothing to put in bins.
    """
    from buff.unfolding import closure_test

    if repeats < 2:
        raise ValueError(f"--closure must be at least 2, found {repeats}")
    simulation, others, data = events
    other = others.get(stress)
    if stress.partition(".")[0] == _OTHER and other is None:
        known = ", ".join(others) or "none"
        raise ValueError(f"--stress {stress} needs a section [{stress}]; the file has {known}")
    test = closure_test(
        unfolder,
        **_arguments(simulation),
        bins={name: config.observables[name].bins for name in config.truth},
        n_repeats=repeats,
        stress=None if other or not stress else _weights(config, stress),
        nature=_arguments(other) if other else None,
        n_measured=data.passing("reco")[0].num_rows,
        random_state=config.settings.seed,
        verbose=verbose,
    )
    typer.echo(repr(test))
    wanted = data.passing("reco")[0].num_rows
    if max(test.n_measured) < 0.9 * wanted:
        typer.echo(
            f"The data have {wanted:,} measured events: with fewer, statistics hide more of a bias than there. "
            "More simulated events give larger pseudo-data."
        )
    for path in _drawn(config, test):
        typer.echo(str(path))


def _arguments(events: Any) -> dict[str, Any]:
    flags = {"pass_truth": events.pass_truth, "pass_reco": events.pass_reco}
    return {"truth": events.truth, "reco": events.reco, **flags, "sample_weight": events.weights}


def _weights(config: Config, column: str) -> Any:
    from buff.io import read_table

    sample = config.simulation
    return np.asarray(read_table(config.home / sample.file, [column], sample.rows or None)[column].to_numpy())


def _drawn(config: Config, test: Any) -> Iterator[Path]:
    if config.output.figures:
        folder = config.home / config.output.folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"closure.{config.output.figures}"
        test.plot(units={name: config.observables[name].unit for name in config.truth}).savefig(path)
        yield path
