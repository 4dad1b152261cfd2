"""``buff inspect`` and ``buff samplers``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["inspect", "samplers"]


def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="File that `buff fit` wrote.")],
) -> None:
    """Show what a model holds.

    Its columns, its settings, and how well each of its nodes was learned.

    \b
    Example:
      buff inspect jets.buff
    """
    from buff.estimators import load

    generator = load(model)
    settings = {name: value for name, value in generator.get_params().items() if value not in (None, {})}
    typer.echo(f"{model}: {type(generator).__name__}, {model.stat().st_size / 1e6:.2f} MB\n")
    typer.echo(f"{generator.schema_}\n")
    typer.echo("\n".join(f"{name:<15} {value}" for name, value in settings.items()))
    typer.echo(f"\n{generator.nodes_}")


def samplers() -> None:
    """List the solvers.

    With order, field evaluations for N steps, whether they draw noise, the grids they stay on, and source.
    Trees exist at the times of their grid only, so a fit needs a solver that stays on it.

    \b
    Example:
      buff samplers
    """
    from buff.solvers import describe_samplers

    rows = [("name", "order", "evaluations", "noise", "stays on", "reference")]
    for record in describe_samplers():
        noise = "yes" if record.stochastic else "no"
        rows.append((record.name, str(record.order), record.nfe, noise, record.stays_on, record.reference))
    typer.echo(_aligned(rows))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
