"""What a solver is: a rule for one step, from which all else follows; and the default rule, of Adams and Bashforth."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from numbers import Real
from typing import Any, Literal, cast, final

import numpy as np

from buff.errors import check_finite, checked_noise, checked_step, checked_velocity
from buff.grids import TimeGrid, nearest
from buff.paths import LINEAR, Marginal, Path
from buff.protocols import Array, Field, Noise
from buff.solvers.tableaus import EULER, HEUN, RK4

__all__ = [
    "SOLVERS",
    "STARTS",
    "AdamsBashforth",
    "BoundField",
    "IntegratingFactor",
    "Solver",
    "Start",
    "check_multistep",
    "combine",
    "get_solver",
    "lagrange_weights",
]

Start = Literal["euler", "heun", "rk4"]
STARTS = {"euler": EULER, "heun": HEUN, "rk4": RK4}


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
            raise ValueError(
                "this solver draws noise: its class says stochastic = True, and noise=... gives standard normal numbers"
            )
        return checked_noise(self.noise, x)


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
        """The times of all field calls over a grid, in their order, found by walking it with small to large states."""
        if self.adaptive:
            raise ValueError(f"{self} chooses its times as it goes: it has no fixed nodes and no fixed nfe")
        found: list[list[float]] = []
        for start in (1e-3, 0.1, 1.0, 3.0, 100.0):
            recorder, x, memory = _Recorder(path), np.full((1, 1), start), None
            for t, s in self.steps(grid, path):
                x, memory = checked_step(self, self.step(recorder, x, t, s, memory=memory, noise=np.ones_like), x)
            found.append(recorder.calls)
        if any(calls != found[0] for calls in found):
            raise ValueError(f"{self} calls the field as the state tells it to: say adaptive = True in its class")
        return tuple(found[0])

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

    def off_nodes(self, grid: TimeGrid, path: Path, available: tuple[float, ...]) -> str:
        """The first time it asks for over a grid that is not available; empty where all are."""
        if self.adaptive:
            return "times of its own choice"
        off = (t for t in self.calls(grid, path) if abs(available[nearest(available, t)] - t) > 1e-9)
        return next((f"t = {t:.6g}" for t in off), "")


class _Recorder:
    """A field that notes when it is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[float] = []

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        self.calls.append(t)
        return 0.5 * x


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
        meant = "".join(f"did you mean {near!r}? " for near in get_close_matches(name, SOLVERS, n=1, cutoff=0.75))
        raise ValueError(f"unknown solver {name!r}: {meant}choose one of {', '.join(SOLVERS)}")
    if not isinstance(name, str | Solver):
        raise TypeError(
            f"solver must be a name or a Solver, not its class: found {getattr(name, '__name__', type(name).__name__)}"
        )
    solver = SOLVERS[name] if isinstance(name, str) else name
    known: list[str] = [f.name for f in fields(cast(Any, solver))] if is_dataclass(solver) else []
    for key in hyperparameters:
        if key not in known:
            raise ValueError(f"{name} has no hyperparameter {key!r}: choose from {', '.join(known) or 'none'}")
        value = hyperparameters[key]
        if type(getattr(solver, key)) in (int, float) and (isinstance(value, bool) or not isinstance(value, Real)):
            raise TypeError(f"{key} of {name} must be a number: found {value!r}")
    return cast(Solver, replace(cast(Any, solver), **hyperparameters)) if hyperparameters else solver


def check_multistep(order: int, start: str) -> None:
    """Refuse orders above 4 and unknown starting methods."""
    if order not in (1, 2, 3, 4):
        raise ValueError(f"a multistep method takes 1 to 4 values: found {order!r}")
    if start not in STARTS:
        raise ValueError(f"unknown start {start!r}: choose one of {', '.join(STARTS)}")


def lagrange_weights(nodes: Sequence[float], t: float, s: float) -> tuple[float, ...]:
    """``w_j``, the integral over [t, s] of the j-th Lagrange polynomial through ``nodes``.

    Examples
    --------
    >>> [round(w, 6) for w in lagrange_weights([0, -1], 0, 1)]
    [1.5, -0.5]
    """
    z = (np.array(nodes, dtype=np.float64) - t) / (s - t)
    powers = np.arange(len(nodes))
    return tuple(((s - t) * np.linalg.solve(z ** powers[:, None], 1 / (powers + 1))).tolist())


@dataclass(frozen=True)
class AdamsBashforth(Solver):
    """``x_s = x_t + sum_j w_j u_j`` over the last k slopes.

    Order k, with a start that allows it; one call a step; no noise; stays on any grid, unless it starts with ``"rk4"``.

    The weights integrate the polynomial through the last k slopes exactly, so steps may vary.

    Parameters
    ----------
    order : int
        k, 1 to 4.
    start : {"euler", "heun", "rk4"}
        How to make the first k - 1 steps. ``"euler"`` takes lower orders while slopes are missing
        (1, 2, ...): no extra call, but the error of the first step limits the asymptotic order to 2.

    References
    ----------
    Bashforth, Adams, 1883; Hairer, Norsett, Wanner, "Solving ordinary differential equations I", III.5.
    """

    order: int = 2
    start: Start = "euler"

    def __post_init__(self) -> None:
        check_multistep(self.order, self.start)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        u = flow.velocity(x, t)
        past = ((t, u), *(memory or ()))[: self.order]
        if len(past) < self.order and self.start != "euler":
            return self._started(flow.velocity, x, t, s, u), past
        weights = lagrange_weights([time for time, _ in past], t, s)
        return x + combine(weights, [slope for _, slope in past]), past

    def _started(self, velocity: Callable[[Array, float], Array], x: Array, t: float, s: float, first: Array) -> Array:
        """A step while slopes are missing."""
        from buff.solvers.runge_kutta import runge_kutta_step  # which needs what is above

        return runge_kutta_step(STARTS[self.start], velocity, x, t, s, first=first)


@dataclass(frozen=True)
class IntegratingFactor(AdamsBashforth):
    r"""Adams-Bashforth in coordinates where a Gaussian flow stands still: exact on Gaussians.

    Order k, with a start that allows it; one call a step; no noise; stays on any grid, unless it starts with ``"rk4"``.

    In ``y = U^T (x - alpha mu) / a(t)`` of the field's :class:`~buff.fields.GaussianFlow` only the rest of the
    velocity is left, ``dy/dt = U^T (u - u_Gauss) / a(t)``, and ``y_s = y_t + sum_j w_j (dy/dt)_j`` with the weights of
    Adams-Bashforth. Where the field has no such part, y is x.

    Parameters
    ----------
    order : int
        k, 1 to 4.
    start : {"euler", "heun", "rk4"}
        As in :class:`AdamsBashforth`.

    References
    ----------
    Lawson, 1967, doi:10.1137/0704033; Cox, Matthews, "Exponential time differencing for stiff systems", 2002,
    doi:10.1006/jcph.2002.6995 (their IFAB2).
    """

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        gaussian = flow.gaussian
        if gaussian is None:
            return super().advance(flow, x, t, s, memory)
        y, past = memory or (gaussian.to_frame(x, t), ())
        g = flow.frame_velocity(y, t)
        past = ((t, g), *past)[: self.order]
        if len(past) < self.order and self.start != "euler":
            y = self._started(flow.frame_velocity, y, t, s, g)
        else:
            weights = lagrange_weights([time for time, _ in past], t, s)
            y = y + combine(weights, [slope for _, slope in past])
        return gaussian.from_frame(y, s), (y, past)
