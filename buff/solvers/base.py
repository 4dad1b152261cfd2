"""What a solver is: a rule for one step, from which everything else about it follows; and the one time loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from numbers import Real
from typing import Any, cast, final

import numpy as np

from buff.errors import OffGridError, check_finite, check_states, checked_step, checked_velocity
from buff.grids import TimeGrid, as_grid, nearest
from buff.paths import LINEAR, Marginal, Path
from buff.protocols import Array, Field, Noise

__all__ = ["SOLVERS", "BoundField", "Solver", "combine", "get_solver", "integrate", "trajectory"]


@dataclass(frozen=True)
class BoundField:
    """What a solver's step sees: velocities and predictions of a batch, checked as they come.

    Parameters
    ----------
    field : Field
        Velocity; a plain function is taken to live on the linear path.
    condition : array of shape (n, c), optional
        Passed to the field.
    noise : Noise, optional
        Standard normal numbers like its argument.
    left : int, optional
        Steps left to take, this one included, where that is known.
    """

    field: Field
    condition: Array | None = None
    noise: Noise | None = None
    left: int | None = None

    @property
    def path(self) -> Path:
        """The path the field lives on."""
        return cast(Path, getattr(self.field, "path", LINEAR))

    def rows(self, chosen: Array) -> "BoundField":
        """The flow of some rows of the batch (a mask)."""
        return self if self.condition is None else replace(self, condition=self.condition[chosen])

    def at(self, t: float) -> Marginal:
        """The marginal at time t."""
        return self.path.at(t)

    def at_ratio(self, ratio: float) -> Marginal:
        """The marginal at which ``sigma / alpha`` equals ``ratio``."""
        return self.path.at(self.path.time(ratio))

    def velocity(self, x: Array, t: float) -> Array:
        """u(x, t), or an error that says when the field went wrong and for how many rows."""
        u = self.unchecked(x, t)
        check_finite(u, f"at t = {t:.6g} the field returned")
        return u

    def unchecked(self, x: Array, t: float) -> Array:
        """u(x, t), finite or not."""
        return checked_velocity(self.field(x, t, self.condition), x, t)

    @property
    def gaussian(self) -> Any:
        """The :class:`~buff.fields.GaussianFlow` that the field is close to, if it knows one."""
        return getattr(self.field, "gaussian", None)

    def frame_velocity(self, y: Array, t: float) -> Array:
        """dy/dt of states given by their coordinates y in the frame of ``gaussian``."""
        x = self.gaussian.from_frame(y, t)
        g = checked_velocity(cast(Any, self.field).frame_velocity(x, y, t, self.condition), x, t)
        check_finite(g, f"at t = {t:.6g} the field returned")
        return g

    def predict(self, x: Array, t: float) -> tuple[Array, Array]:
        """Denoised data D and noise e at x, from one field call."""
        here, u = self.at(t), self.velocity(x, t)
        return here.denoised(x, u), here.noise(x, u)

    def at_most(self, k: int) -> int:
        """k values of a multistep rule, or as many as there are steps left."""
        return k if self.left is None else min(k, self.left)

    def normal(self, x: Array) -> Array:
        """Fresh standard normal numbers like x."""
        if self.noise is None:
            raise ValueError("this solver draws noise: pass noise=..., standard normal numbers like its argument")
        z = self.noise(x)
        if z.shape != x.shape:
            raise ValueError(f"noise returned shape {tuple(z.shape)} for states of shape {tuple(x.shape)}")
        return z


def combine(weights: Sequence[float], terms: Sequence[Array]) -> Array:
    """``sum_i weights_i terms_i``, leaving out zero weights."""
    total, *others = [w * term for w, term in zip(weights, terms, strict=False) if w]
    for other in others:
        total = total + other
    return total


class Solver(ABC):
    """A rule that carries states over one step. Immutable: one solver may serve many fields at once.

    A new solver writes :meth:`advance`; nodes and nfe are read off it.

    Attributes
    ----------
    order : int
        Order of the global error (weak order for a stochastic solver).
    stochastic : bool
        Whether it draws noise.
    adaptive : bool
        Whether it chooses times of its own, so that the field must exist at every time.
    """

    order: int
    stochastic: bool = False
    adaptive: bool = False

    @abstractmethod
    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        """Carry x (n, d) from t to s; ``memory`` is what the step before gave back, None at the start."""

    @final
    def step(self, field: Field, x: Array, t: float, s: float, *, memory: Any = None, **how: Any) -> tuple[Array, Any]:
        """:meth:`advance` along a field, with its ``condition`` and ``noise``."""
        return self.advance(BoundField(field, **how), x, t, s, memory)

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        """The steps (t, s) taken over a grid: its intervals, unless the solver groups or repeats them."""
        return grid.steps

    @final
    def calls(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[float, ...]:
        """The times of all field calls over a grid, in the order they are made.

        Found by walking the grid with one number for a state, so that it cannot disagree with what steps do.
        """
        if self.adaptive:
            raise ValueError(f"{self} chooses its times as it goes: it has no fixed nodes and no fixed nfe")
        recorder, x, memory = _Recorder(path), np.ones((1, 1)), None
        for t, s in self.steps(grid, path):
            bound = BoundField(recorder, noise=np.ones_like)
            x, memory = checked_step(self, self.advance(bound, x, t, s, memory))
        return tuple(recorder.calls)

    @final
    def nodes(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[float, ...]:
        """The times at which the field is called over a grid, sorted: where a tree field needs its models.

        Examples
        --------
        >>> get_solver("rk4").nodes(TimeGrid.uniform(2))
        (0.0, 0.25, 0.5, 0.75, 1.0)
        """
        nodes: list[float] = []
        for t in sorted(self.calls(grid, path)):
            if not nodes or t - nodes[-1] > 1e-9:
                nodes.append(t)
        # a stage that lands on a time of the grid takes its exact value
        return tuple(grid.times[grid.index_of(t)] if grid.has(t) else t for t in nodes)

    @final
    def nfe(self, grid: TimeGrid, path: Path = LINEAR) -> int:
        """Number of field evaluations over a grid."""
        return len(self.calls(grid, path))


class _Recorder:
    """A field that notes when it is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[float] = []

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        self.calls.append(t)
        return 0.5 * x


#: What to do where no solver fits.
_NONE_FITS = "no solver stays on the nodes of this grid: take one whose times are nodes"
#: Solvers by name, see :data:`buff.solvers.listed.LISTED`.
SOLVERS: dict[str, Solver] = {}


def get_solver(name: str | Solver, **hyperparameters: Any) -> Solver:
    """A solver by name, with any of its hyperparameters changed.

    Parameters
    ----------
    name : str or Solver
        A name in ``SOLVERS``, or a solver.
    **hyperparameters
        Replace those of the named solver.

    Raises
    ------
    ValueError
        Unknown name, hyperparameter or value, with those that are valid.

    Examples
    --------
    >>> get_solver("ab3", start="rk4")
    AdamsBashforth(order=3, start='rk4')
    """
    if isinstance(name, str) and name not in SOLVERS:
        raise ValueError(f"unknown solver {name!r}: choose one of {', '.join(SOLVERS)}")
    if not isinstance(name, str | Solver):
        raise TypeError(f"solver must be a name or a Solver: found {type(name).__name__}")
    solver = SOLVERS[name] if isinstance(name, str) else name
    known: list[str] = [f.name for f in fields(cast(Any, solver))] if is_dataclass(solver) else []
    for key in hyperparameters:
        if key not in known:
            valid = ", ".join(known) or "none"
            raise ValueError(f"{name} has no hyperparameter {key!r}: choose from {valid}")
        value = hyperparameters[key]
        if type(getattr(solver, key)) in (int, float) and (isinstance(value, bool) or not isinstance(value, Real)):
            raise TypeError(f"{key} of {name} must be a number: found {value!r}")
    return cast(Solver, replace(cast(Any, solver), **hyperparameters)) if hyperparameters else solver


def trajectory(
    solver: str | Solver,
    field: Field,
    x: Array,
    grid: TimeGrid | Sequence[float],
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
    grid : TimeGrid or sequence of float
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
    """
    solver = get_solver(solver)
    grid = as_grid(grid)
    _check(solver, field, grid, noise)
    check_states(x, field)
    flow, memory = BoundField(field, condition, noise), None
    yield x
    steps = solver.steps(grid, flow.path)
    for i, (t, s) in enumerate(steps):
        x, memory = checked_step(solver, solver.advance(replace(flow, left=len(steps) - i), x, t, s, memory))
        yield x


def integrate(
    solver: str | Solver,
    field: Field,
    x: Array,
    grid: TimeGrid | Sequence[float],
    condition: Array | None = None,
    noise: Noise | None = None,
) -> Array:
    """The last states of :func:`trajectory`, with the same arguments.

    Examples
    --------
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
    rtol = getattr(solver, "rtol", 1.0)
    if getattr(field, "piecewise_constant", False) and rtol < 1e-4:
        raise ValueError(
            f"rtol = {rtol:g} cannot be met on a field that is constant by pieces: take rtol >= 1e-4, "
            "or a solver with fixed steps, such as heun"
        )
    path = BoundField(field).path
    if solver.stochastic and _noise_grows(grid, path):
        raise ValueError(f"{solver} draws noise, and takes steps towards data only: run fields backwards without noise")
    if getattr(field, "at_every_time", True):
        return
    available = cast(Any, field).times
    where = _off_nodes(solver, grid, path, available)
    if where:
        fitting = [name for name, other in SOLVERS.items() if _fits(other, grid, path, available)]
        raise OffGridError(
            f"{solver} calls the field at {where}, but it exists only at {len(available)} nodes{_shown(available)}; "
            + (f"on this grid these solvers stay on the nodes: {', '.join(fitting)}" if fitting else _NONE_FITS)
        )


def _shown(times: tuple[float, ...]) -> str:
    """Few times in brackets."""
    return f" (t = {', '.join(f'{t:.4g}' for t in times)})" if len(times) <= 21 else ""


def _off_nodes(solver: Solver, grid: TimeGrid, path: Path, available: tuple[float, ...]) -> str:
    """The first time a solver asks for that is not available; empty where all are."""
    if solver.adaptive:
        return "times of its own choice"
    off = (t for t in solver.calls(grid, path) if abs(available[nearest(available, t)] - t) > 1e-9)
    return next((f"t = {t:.6g}" for t in off), "")


def _noise_grows(grid: TimeGrid, path: Path) -> bool:
    """Whether a grid leads from data to noise, as that of a reversed field."""
    return path.schedule.ratio(grid.times[0]) < path.schedule.ratio(grid.times[-1])


def _fits(solver: Solver, grid: TimeGrid, path: Path, available: tuple[float, ...]) -> bool:
    if solver.stochastic and _noise_grows(grid, path):
        return False
    try:
        return not _off_nodes(solver, grid, path, available)
    except ValueError:  # a number of steps, or levels, that the solver cannot use
        return False
