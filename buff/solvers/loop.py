"""A solver on its walk over a grid: with states, or with symbols for states, which writes down its program.

What a solver does to a state does not depend on the state, as long as its steps are fixed: it calls the field at nodes
and takes sums, differences and multiples. A program says the same to what is not Python: compiled samplers, exported
models. Every instruction is one elementary operation in single precision, in the solver's own order, so that whoever
follows the program gets the solver's results bit by bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partialmethod
from typing import Any, NamedTuple, cast

import numpy as np

from buff.errors import OffGridError, check_states, checked_step
from buff.fields.steps import with_condition
from buff.grids import TimeGrid, as_grid, nearest
from buff.paths import LINEAR, Path
from buff.protocols import Array, Field, Noise
from buff.solvers.base import BoundField, Solver, get_solver
from buff.solvers.refused import between_nodes, no_noise, noise_grows, warn_without_frame

__all__ = ["KINDS", "Instruction", "Program", "integrate", "trajectory", "unroll"]

#: What instructions do: the number of a kind is its place. ``c`` is the constant. The last three belong to the frame of
#: a Gaussian part: coordinates at a time, states at a time, and dy/dt of states a with coordinates b.
KINDS = (
    *("field", "noise", "a + b", "a - b", "a * b", "a / b", "a + c", "a - c", "c - a", "a * c", "a / c"),
    *("to frame", "from frame", "frame field"),
)
_BINARY = {"+": ("a + b", "a + c", "a + c"), "-": ("a - b", "a - c", "c - a"), "*": ("a * b", "a * c", "a * c")}
_BINARY["/"] = ("a / b", "a / c", "")


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
        Velocity; a function of x and t alone will do where there is no condition.
    x : array of shape (n, d)
        States at the first time of the grid. NumPy, CuPy or PyTorch; its precision is kept.
    grid : TimeGrid or sequence of float
        Where to stop.
    condition : array of shape (n, c), optional
        Passed to the field.
    noise : Noise, optional
        ``noise(x)`` gives standard normal numbers like x; needed by stochastic solvers, and for them alone.

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
    if getattr(field, "times", None) is None:
        field = with_condition(field)
    _check(solver, field, grid, noise)
    check_states(x, field)
    flow, memory = BoundField(field, condition, noise if solver.stochastic else None), None
    yield x
    steps = solver.steps(grid, flow.path)
    for i, (t, s) in enumerate(steps):
        x, memory = checked_step(solver, solver.advance(replace(flow, left=len(steps) - i), x, t, s, memory), x)
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
    """Raise for noise, tolerance, direction or nodes that the solver cannot work with, before the first step."""
    if solver.stochastic and not callable(noise):
        raise no_noise(solver, noise)
    rtol = getattr(solver, "rtol", 1.0)
    if getattr(field, "piecewise_constant", False) and rtol < 1e-4:
        raise ValueError(
            f"rtol = {rtol:g} cannot be met on a field that is constant by pieces: take rtol >= 1e-4, "
            "or a solver with fixed steps, such as heun"
        )
    path = BoundField(field).path
    if solver.stochastic and noise_grows(grid, path):
        raise ValueError(f"{solver} draws noise, and takes steps towards data only: run fields backwards without noise")
    if getattr(field, "at_every_time", True):
        warn_without_frame(solver, field)
        return
    available = cast(Any, field).times
    if where := solver.off_nodes(grid, path, available):
        raise between_nodes(solver, grid, path, available, where)


class Instruction(NamedTuple):
    """``registers[to] = kind(registers[a], registers[b], c)``.

    For a field b is the number of the node, for a frame that of the time in ``Program.frame_times``; for the field in a
    frame c is the number of the node.
    """

    kind: str
    to: int
    a: int = 0
    b: int = 0
    c: float = 0.0


@dataclass(frozen=True)
class Program:
    """Instructions that carry the states in register 0 to those in register ``result``.

    Attributes
    ----------
    instructions : tuple of Instruction
    registers : int
        How many are needed.
    result : int
    frame_times : tuple of float
        Times at which states go into the frame of a Gaussian part, or come out of it.

    Examples
    --------
    >>> from buff.solvers import get_solver
    >>> grid = TimeGrid.uniform(2)
    >>> program = unroll(get_solver("euler"), grid, (0.0, 0.5))
    >>> [instruction.kind for instruction in program.instructions]
    ['field', 'a * c', 'a * c', 'a + b', 'field', 'a * c', 'a * c', 'a + b']
    """

    instructions: tuple[Instruction, ...]
    registers: int
    result: int
    frame_times: tuple[float, ...] = ()

    @property
    def n_draws(self) -> int:
        """Draws of noise on the way."""
        return sum(instruction.kind == "noise" for instruction in self.instructions)

    def table(self) -> tuple[Array, Array]:
        """Kinds and operands, int32 of shape (n, 4), and constants, float32 of shape (n,)."""
        rows = [(KINDS.index(kind), to, a, b) for kind, to, a, b, _ in self.instructions]
        constants = [instruction.c for instruction in self.instructions]
        return np.array(rows, np.int32).reshape(-1, 4), np.array(constants, np.float32)


def unroll(
    solver: Solver, grid: TimeGrid, times: Sequence[float], path: Path = LINEAR, *, framed: bool = False
) -> Program:
    """The program of a solver over a grid, for a field known at ``times``.

    Parameters
    ----------
    solver : Solver
        With fixed steps; may draw noise.
    grid : TimeGrid
    times : sequence of float
        Nodes of the field.
    path : Path
        Of the field.
    framed : bool
        Whether the field has a Gaussian part, whose frame solvers such as ``"ifab2"`` integrate in.

    Raises
    ------
    ValueError
        The solver chooses its steps by what it finds, or does something that is no sum, difference or multiple.
    OffGridError
        It calls the field between the nodes.
    """
    if solver.adaptive:
        raise ValueError(f"{solver} chooses its times as it goes: its steps are no fixed program")
    tape = _Tape(tuple(times), path, framed)
    x, memory = _Symbol(tape, 0), None
    steps = solver.steps(grid, path)
    for i, (t, s) in enumerate(steps):
        bound = BoundField(tape.field, None, tape.noise, left=len(steps) - i)
        try:
            x, memory = solver.advance(bound, x, t, s, memory)
        except (AttributeError, TypeError) as error:
            raise _Unfit(f"{solver} looks at its states: its steps are no fixed program") from error
    n_calls = sum(kind in ("field", "frame field") for kind, *_ in tape.instructions)
    if n_calls != len(solver.calls(grid, path)):
        raise _Unfit(f"{solver} calls the field as the state tells it to: say adaptive = True in its class")
    return replace(_compact(tape.instructions, x.register), frame_times=tuple(tape.frame_times))


class _Unfit(ValueError):
    """A solver that no program describes."""


@dataclass
class _Tape:
    """What has been done so far; every result has a register of its own."""

    times: tuple[float, ...]
    path: Path
    framed: bool = False
    instructions: list[Instruction] = field(default_factory=list)
    frame_times: list[float] = field(default_factory=list)

    def put(self, kind: str, a: int, b: int = 0, c: float = 0.0) -> "_Symbol":
        to = len(self.instructions) + 1
        self.instructions.append(Instruction(kind, to, a, b, c))
        return _Symbol(self, to)

    @property
    def field(self) -> Any:
        return _SymbolicField(self, self.path, self.times)

    def noise(self, x: "_Symbol") -> "_Symbol":
        return self.put("noise", x.register)

    def to_frame(self, x: "_Symbol", t: float) -> "_Symbol":
        return self.put("to frame", x.register, self._place(t))

    def from_frame(self, y: "_Symbol", t: float) -> "_Symbol":
        return self.put("from frame", y.register, self._place(t))

    def _place(self, t: float) -> int:
        if t not in self.frame_times:
            self.frame_times.append(t)
        return self.frame_times.index(t)


@dataclass(frozen=True)
class _SymbolicField:
    tape: _Tape
    path: Path
    times: tuple[float, ...]

    def __call__(self, x: "_Symbol", t: float, condition: None = None) -> "_Symbol":
        return self.tape.put("field", x.register, self._node(t))

    @property
    def gaussian(self) -> "_Tape | None":
        return self.tape if self.tape.framed else None

    def frame_velocity(self, x: "_Symbol", y: "_Symbol", t: float, condition: None = None) -> "_Symbol":
        return self.tape.put("frame field", x.register, y.register, self._node(t))

    def _node(self, t: float) -> int:
        node = nearest(self.times, t)
        if abs(self.times[node] - t) >= 1e-9:
            raise OffGridError(f"no model at t = {t:.6g}: the solver leaves the nodes")
        return node


@dataclass(frozen=True, eq=False)
class _Symbol:
    """Stands for states: remembers what is done to it."""

    tape: _Tape
    register: int
    shape: tuple[int, ...] = (1, 1)

    __array_ufunc__ = None  # numbers of NumPy leave the arithmetic to it

    def _with(self, other: Any, sign: str, reflected: bool = False) -> "_Symbol":
        both, plain, mirrored = _BINARY[sign]
        if isinstance(other, _Symbol):
            return self.tape.put(both, self.register, other.register)
        kind = mirrored if reflected else plain
        if type(other) not in (int, float) or not kind:
            # a double of NumPy would make states double
            raise _Unfit(f"the solver takes states {sign} {type(other).__name__}: no program says that")
        return self.tape.put(kind, self.register, c=float(other))

    def __neg__(self) -> "_Symbol":
        return self.tape.put("a * c", self.register, c=-1.0)

    def __abs__(self) -> Array:
        return np.zeros(self.shape)  # values are looked at only to see whether they are finite


# sums, differences, products and ratios, with the symbol on either side
for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/")):
    setattr(_Symbol, f"__{_name}__", partialmethod(_Symbol._with, sign=_sign))
    setattr(_Symbol, f"__r{_name}__", partialmethod(_Symbol._with, sign=_sign, reflected=True))


def _two(kind: str) -> bool:
    return kind.endswith("b") or kind == "frame field"


def _operands(instruction: Instruction) -> tuple[int, ...]:
    return (instruction.a, instruction.b) if _two(instruction.kind) else (instruction.a,)


def _compact(instructions: list[Instruction], result: int) -> Program:
    """Leave out what nobody reads, and let values share registers once they are no longer needed."""
    needed, kept = {result}, []
    for instruction in reversed(instructions):
        # noise is drawn in turn, needed or not
        if instruction.to in needed or instruction.kind == "noise":
            kept.append(instruction)
            needed.update(_operands(instruction))
    kept.reverse()
    last = {register: i for i, instruction in enumerate(kept) for register in _operands(instruction)}
    last[result] = len(kept)
    place, free, n = {0: 0}, list[int](), 1
    renamed = []
    for i, instruction in enumerate(kept):
        a = place[instruction.a]
        b = place[instruction.b] if _two(instruction.kind) else instruction.b
        free += [place.pop(r) for r in set(_operands(instruction)) if last.get(r) == i]
        if free:
            to = free.pop()
        else:
            to, n = n, n + 1
        place[instruction.to] = to
        if instruction.to not in last:  # noise that nobody reads
            free.append(place.pop(instruction.to))
        renamed.append(Instruction(instruction.kind, to, a, b, instruction.c))
    return Program(tuple(renamed), n, place[result])
