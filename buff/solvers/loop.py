"""The one time loop of the package."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from buff.errors import OffGridError
from buff.grids import TimeGrid, nearest
from buff.paths import Path
from buff.protocols import Array, Field, Noise
from buff.solvers.adaptive import Adaptive, AdaptiveExponential, ScipyAdaptive
from buff.solvers.base import BoundField, Solver, check_finite
from buff.solvers.registry import SOLVERS, get_solver

__all__ = ["integrate", "trajectory"]


def trajectory(
    solver: str | Solver,
    field: Field,
    x: Array,
    grid: TimeGrid,
    condition: Array | None = None,
    noise: Noise | None = None,
) -> Iterator[Array]:
    """Carry states along a field, yielding the start and the states after every step.

    Parameters
    ----------
    solver : str or Solver
        Rule of a step, or its name in ``SOLVERS``.
    field : Field
        Velocity.
    x : array of shape (n, d)
        States at the first time of the grid. NumPy, CuPy or PyTorch; its precision is kept.
    grid : TimeGrid
        Where to stop.
    condition : array of shape (n, c), optional
        Passed to the field.
    noise : Noise, optional
        ``noise(x)`` gives standard normal numbers like x; needed by stochastic solvers.

    Yields
    ------
    array of shape (n, d)
        States at every time of the grid (at the end of every step of a solver that groups intervals).

    Raises
    ------
    OffGridError
        The solver would call the field at times where it has no model.
    ValueError
        Noise missing, or a field that returns a wrong shape or non-finite values.

    Examples
    --------
    >>> import numpy as np
    >>> from buff.solvers import get_solver
    >>> decay = lambda x, t, condition: -x
    >>> [float(x) for x in trajectory(get_solver("heun"), decay, np.float64(1), TimeGrid.uniform(2))]
    [1.0, 0.625, 0.390625]
    """
    solver = get_solver(solver)
    if not isinstance(grid, TimeGrid):
        raise TypeError(f"grid must be a TimeGrid, as get_grid gives: found {type(grid).__name__}")
    _check(solver, field, grid, noise)
    check_finite(x, "the states to start from have")
    flow, memory = BoundField(field, condition, noise), None
    yield x
    steps = solver.steps(grid, flow.path)
    for i, (t, s) in enumerate(steps):
        x, memory = solver.advance(replace(flow, left=len(steps) - i), x, t, s, memory)
        yield x


def integrate(
    solver: str | Solver,
    field: Field,
    x: Array,
    grid: TimeGrid,
    condition: Array | None = None,
    noise: Noise | None = None,
) -> Array:
    """The last states of :func:`trajectory`, with the same arguments.

    Examples
    --------
    >>> import numpy as np
    >>> x1 = integrate("rk4", lambda x, t, condition: -x, np.ones((1, 1)), TimeGrid.uniform(4))
    >>> bool(abs(x1 - np.exp(-1)) < 1e-4)
    True
    """
    for state in trajectory(solver, field, x, grid, condition, noise):
        x = state
    return x


def _check(solver: Solver, field: Field, grid: TimeGrid, noise: Noise | None) -> None:
    """Refuse at the door what would fail, or mislead, halfway."""
    if solver.stochastic and noise is None:
        raise ValueError(f"{solver} draws noise: pass noise=..., standard normal numbers like its argument")
    if getattr(field, "piecewise_constant", False):
        _check_tolerance(solver)
    if getattr(field, "at_every_time", True):
        return
    path, available = BoundField(field).path, cast(Any, field).times
    off = None if solver.adaptive else _first_off(solver, grid, path, available)
    if solver.adaptive or off is not None:
        where = "times of its own choice" if off is None else f"t = {off:.6g}"
        fitting = [name for name, other in SOLVERS.items() if _fits(other, grid, path, available)]
        raise OffGridError(
            f"{solver} calls the field at {where}, but it exists only at {len(available)} nodes; "
            f"on this grid these solvers stay on the nodes: {', '.join(fitting) or 'none'}"
        )


def _check_tolerance(solver: Solver) -> None:
    if isinstance(solver, Adaptive | AdaptiveExponential | ScipyAdaptive) and solver.rtol < 1e-4:
        raise ValueError(
            f"rtol = {solver.rtol:g} cannot be met on a field that is constant by pieces: take rtol >= 1e-4, "
            "or a solver with fixed steps, such as heun"
        )


def _first_off(solver: Solver, grid: TimeGrid, path: Path, available: tuple[float, ...]) -> float | None:
    """The first time a solver asks for that is not available."""
    calls = solver.calls(grid, path)
    return next((t for t in calls if abs(available[nearest(available, t)] - t) > 1e-9), None)


def _fits(solver: Solver, grid: TimeGrid, path: Path, available: tuple[float, ...]) -> bool:
    try:
        return not solver.adaptive and _first_off(solver, grid, path, available) is None
    except ValueError:  # a number of steps, or levels, that the solver cannot use
        return False
