"""``buff split``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from buff.cli.options import Source, takes_text

__all__ = ["split"]


@takes_text
def split(
    events: Source,
    output: Annotated[
        tuple[Path, Path], typer.Option("--output", "-o", metavar="FIRST SECOND", help="The two files to write.")
    ],
    fraction: Annotated[float, typer.Option(help="Share of the events in FIRST, about.")] = 0.5,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column whose equal values stay together: event numbers.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed: the same one gives the same files (random_state).")] = 0,
    *,
    text: Any,
) -> None:
    """Divide a file of events at random, so that some are kept aside.

    Fit to one part and evaluate on the other: on events of its training any model looks better than it is.

    \b
    Examples:
      buff split events.root:Events -o train.root test.root
      buff split jets.parquet -o train.parquet test.parquet --fraction 0.8 --group event
    """
    from buff.io import split_file

    sizes = split_file(events, *output, fraction=fraction, random_state=seed, group=group, options=text)
    for path, n in zip(output, sizes, strict=True):
        typer.echo(f"{path}: {n:,} events")
