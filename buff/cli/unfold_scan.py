"""``buff unfold --scan``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from buff.cli.unfold_config import Config

__all__ = ["tell_scan"]

#: Replicas of the data, where [unfolding] names none.
_REPLICAS = 20


def tell_scan(config: Config, unfolder: Any, data: Any, background: Any, most: int, verbose: int) -> None:
    """Print and draw what each of so many iterations moves and costs."""
    from buff.unfolding import scan_iterations
    from buff.unfolding.settings import replica_counts

    reco, weights = data.passing("reco")
    scan = scan_iterations(
        unfolder,
        reco,
        {name: config.observables[name].bins for name in config.truth},
        most=most,
        n_replicas=replica_counts(config.settings.replicas)["data"] or _REPLICAS,
        sample_weight=weights,
        background=None if background is None else background.passing("reco"),
        truth=data.passing("truth") if config.data.truth else None,
        random_state=config.settings.seed,
        verbose=verbose,
    )
    typer.echo(repr(scan))
    for path in _drawn(config, scan):
        typer.echo(str(path))


def _drawn(config: Config, scan: Any) -> Iterator[Path]:
    if config.output.figures:
        path = config.home / config.output.folder / f"scan.{config.output.figures}"
        scan.plot().savefig(path)
        yield path
