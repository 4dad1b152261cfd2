"""Walks over a grid that cannot be made, and what would do instead."""

from buff.errors import OffGridError, warn
from buff.grids import TimeGrid
from buff.paths import Path
from buff.protocols import Field
from buff.solvers.base import SOLVERS, IntegratingFactor, Solver

__all__ = ["between_nodes", "no_noise", "noise_grows", "warn_without_frame"]


def no_noise(solver: Solver, noise: object) -> Exception:
    """The error that says what noise is."""
    asked = (
        f"{solver} draws noise: pass noise=..., called as noise(x) for standard normal numbers like x, such as "
        "buff.randomness.EventNoise(seed) or lambda x: rng.standard_normal(x.shape)"
    )
    return ValueError(asked) if noise is None else TypeError(f"{asked}; found {noise!r}")


def warn_without_frame(solver: Solver, field: Field) -> None:
    """Warn of an integrating factor on a field without a Gaussian part: it is plain Adams-Bashforth there."""
    if isinstance(solver, IntegratingFactor) and getattr(field, "gaussian", None) is None:
        warn(
            f"the field has no Gaussian part, without which {solver} is AdamsBashforth({solver.order}): "
            "buff.fields.Framed(field, GaussianFlow.of(mean, covariance)) gives it that of the data"
        )


def noise_grows(grid: TimeGrid, path: Path) -> bool:
    """Whether a grid leads from data to noise, as that of a reversed field."""
    return path.schedule.ratio(grid.times[0]) < path.schedule.ratio(grid.times[-1])


def between_nodes(solver: Solver, grid: TimeGrid, path: Path, available: tuple[float, ...], where: str) -> OffGridError:
    """The error that says where a solver leaves the nodes, and which solvers stay on them."""
    fitting = [name for name, other in SOLVERS.items() if _fits(other, grid, path, available)]
    shown = f" (t = {', '.join(f'{t:.4g}' for t in available)})" if len(available) <= 21 else ""
    instead = f"on this grid these solvers stay on the nodes: {', '.join(fitting)}"
    if not fitting:
        instead = "no solver stays on the nodes of this grid: take one whose times are nodes"
    return OffGridError(
        f"{solver} calls the field at {where}, but it exists only at {len(available)} nodes{shown}; {instead}"
    )


def _fits(solver: Solver, grid: TimeGrid, path: Path, available: tuple[float, ...]) -> bool:
    if solver.stochastic and noise_grows(grid, path):
        return False
    try:
        return not solver.off_nodes(grid, path, available)
    except ValueError:  # a number of steps, or levels, that the solver cannot use
        return False
