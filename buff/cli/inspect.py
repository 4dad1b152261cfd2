"""``buff inspect`` and ``buff samplers``."""

from collections.abc import Iterator, Sequence
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any

import typer

from buff.cli.options import existing

__all__ = ["inspect", "samplers"]


def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="File that `buff fit` or `buff unfold` wrote.")],
) -> None:
    """Show what a model holds.

    Its columns, the condition it asks for, its settings, and how well each of its nodes was learned.

    \b
    Example:
      buff inspect jets.buff
    """
    from buff.archive import load
    from buff.kernels import why

    generator = load(existing(model))
    if not hasattr(generator, "get_params"):
        typer.echo(f"{model}: {type(generator).__name__}, {model.stat().st_size / 1e6:.2f} MB\n\n{generator}")
        return
    settings = [(name, str(value)) for name, value in generator.get_params().items() if value not in (None, {}, [], ())]
    typer.echo(f"{model}: {type(generator).__name__}, {model.stat().st_size / 1e6:.2f} MB\n")
    if hasattr(generator, "simulation_"):
        s = generator.simulation_
        typer.echo(f"{len(s.truth):,} simulated events at truth level\n{s.truth_space.schema_}\n")
        typer.echo(f"{len(s.reco):,} at detector level\n{s.reco_space.schema_}\n\n{_aligned(settings)}")
        return
    if facts := list(_facts(generator)):
        typer.echo(f"{_aligned(facts)}\n")
    schema = getattr(generator, "schema_", None) or getattr(getattr(generator, "space_", None), "schema_", None)
    if schema is not None:
        typer.echo(f"{schema}\n")
    if getattr(generator, "condition_schema_", None) is not None:
        typer.echo(f"given the condition\n{generator.condition_schema_}\n")
    relations = getattr(generator, "relations_", ())
    if len(relations):
        typer.echo(f"kept in every row\n{relations}\n")
    typer.echo(_aligned(settings))
    if hasattr(generator, "backend_"):
        typer.echo(f"\nsamples with: {generator.backend_} ({why()})")
        typer.echo(f"keeps trees as: {generator.trees_}")
    if hasattr(generator, "nodes_"):
        typer.echo(f"\n{generator.nodes_}\n\n{_EXPLAINED}")


def _facts(model: Any) -> Iterator[tuple[str, str]]:
    """What models know that are none of one table."""
    if hasattr(model, "max_particles_"):
        features = model.features_
        yield "particles of a jet", f"{model.max_particles_} at most"
        yield "radius", f"{model.radius_:.3g}"
        yield "features of jets", ", ".join(features.names) or "none"
        yield "follow from particles", ", ".join(model.derived_) or "none"
        yield "conditions", ", ".join(features.conditions) or "none"
    if hasattr(model, "geometry_"):
        geometry, (low, high) = model.geometry_, model.energy_range_
        yield "geometry", f"{geometry.name}, {len(geometry.layers)} layers, {geometry.n_voxels:,} voxels"
        yield "incident energies", f"{low:,.6g} .. {high:,.6g} MeV"
        yield "symmetric about the axis", "yes" if model.symmetric_ else "no"
    if hasattr(model, "order_"):
        yield "order of columns", ", ".join(model.order_)
    if hasattr(model, "n_parameters_"):
        yield "parameters of the network", f"{model.n_parameters_:,}"


_EXPLAINED = """\
explained: share of the variance of the velocity, on rows that trees were not grown on, that they take away of what the
linear part leaves. Below 0 they follow noise: more rows help, or fewer rounds."""

_LEGEND = """\
order: of the error, between times that have noise and signal in them. "2 (4)": the steps after the first have order 4,
and the first, of order 1, leaves 2 in the end, from some ten to some hundred steps on; ab, ifab, lms and deis keep the
order with start="rk4". "0 to 1": on a grid with pure noise and data, where lambda = log(t / (1 - t)) is infinite: rules
in lambda take steps of order 1 there. "Sampler research" in the documentation has grids that keep most of it.
evaluations: of the field, by one event in N steps from a finite noise to pure data, as a sigma grid ending at 0.
noise: whether the solver draws random numbers on its way.
stays on: the grids on whose times all its evaluations fall; "uniform in lambda" is uniform in log(t / (1 - t)).
A fit trains trees at every time at which its solver evaluates the field, and so takes any but "adaptive" ones; one that
stays on the grid needs a node a step, others need more. The field of a fitted model exists at its nodes only: another
solver can follow it where all its evaluations fall on these. Networks are known at all times."""


def samplers(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A solver; all if none is named.")] = None,
) -> None:
    """List the solvers, or describe one.

    With order, field evaluations for N steps, whether they draw noise, the grids they stay on, and source; of one
    also what can be set, and in which range it is usually chosen.
    A fit trains trees at all times at which its solver evaluates the field: fewest for one that stays on the grid.

    \b
    Examples:
      buff samplers
      buff samplers edm_stochastic_nodes
    """
    from buff.solvers import describe_samplers, get_solver

    if name is not None:
        solver = get_solver(name)
        record = next(record for record in describe_samplers() if record.name == name)
        facts = [(field.replace("_", " "), str(value)) for field, value in vars(record).items()]
        typer.echo(f"{_aligned(facts)}\n\n{getdoc(type(solver))}")
        return
    rows = [("name", "order", "0 to 1", "evaluations", "noise", "stays on", "reference")]
    for record in describe_samplers():
        noise = "yes" if record.stochastic else "no"
        later = f" ({record.order_of_steps})" if record.order_of_steps > record.order else ""
        orders = (f"{record.order}{later}", str(record.order_at_ends)) if record.name != "consistency" else ("-", "-")
        rows.append((record.name, *orders, record.nfe, noise, record.stays_on, record.reference))
    typer.echo(f"{_aligned(rows)}\n\n{_LEGEND}")


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
