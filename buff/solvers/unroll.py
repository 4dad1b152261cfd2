"""A solver on a grid as a program: the arithmetic that it does, found by walking the grid once with symbols for states.

What a solver does to a state does not depend on the state, as long as its steps are fixed: it calls the field at nodes
and takes sums, differences and multiples. A program says the same to what is not Python: compiled samplers, exported
models. Every instruction is one elementary operation in single precision, in the solver's own order, so that whoever
follows the program gets the solver's results bit by bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from buff.errors import OffGridError
from buff.grids import TimeGrid, nearest
from buff.paths import LINEAR, Path
from buff.protocols import Array
from buff.solvers.base import BoundField, Solver

__all__ = ["KINDS", "Instruction", "Program", "unroll"]

#: What instructions do: the number of a kind is its place. ``c`` is the constant. The last three belong to the frame of
#: a Gaussian part: coordinates at a time, states at a time, and dy/dt of states a with coordinates b.
KINDS = (
    *("field", "noise", "a + b", "a - b", "a * b", "a / b", "a + c", "a - c", "c - a", "a * c", "a / c"),
    *("to frame", "from frame", "frame field"),
)
_BINARY = {"+": ("a + b", "a + c", "a + c"), "-": ("a - b", "a - c", "c - a"), "*": ("a * b", "a * c", "a * c")}
_BINARY["/"] = ("a / b", "a / c", "")


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
    >>> float(program([lambda x: -x, lambda x: -x], np.float32(1)))
    0.25
    """

    instructions: tuple[Instruction, ...]
    registers: int
    result: int
    frame_times: tuple[float, ...] = ()

    @property
    def n_draws(self) -> int:
        """Draws of noise on the way."""
        return sum(instruction.kind == "noise" for instruction in self.instructions)

    def __call__(self, velocities: Sequence[Any], x: Array, noise: Any = None, gaussian: Any = None) -> Array:
        """Follow the program from states x, with the velocity of each node and the frame of a Gaussian part."""
        registers: list[Any] = [x] * self.registers
        for kind, to, a, b, c in self.instructions:
            if kind == "field":
                registers[to] = velocities[b](registers[a])
            elif kind == "frame field":
                registers[to] = velocities[int(c)].frame_velocity(registers[a], registers[b], None)
            elif kind == "noise":
                registers[to] = noise(registers[a])
            elif kind.endswith("frame"):
                turn = gaussian.to_frame if kind == "to frame" else gaussian.from_frame
                registers[to] = turn(registers[a], self.frame_times[b])
            else:
                registers[to] = _calculate(kind, registers[a], registers[b], np.float32(c))
        return registers[self.result]

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

    def __add__(self, other: Any) -> "_Symbol":
        return self._with(other, "+")

    def __radd__(self, other: Any) -> "_Symbol":
        return self._with(other, "+", reflected=True)

    def __sub__(self, other: Any) -> "_Symbol":
        return self._with(other, "-")

    def __rsub__(self, other: Any) -> "_Symbol":
        return self._with(other, "-", reflected=True)

    def __mul__(self, other: Any) -> "_Symbol":
        return self._with(other, "*")

    def __rmul__(self, other: Any) -> "_Symbol":
        return self._with(other, "*", reflected=True)

    def __truediv__(self, other: Any) -> "_Symbol":
        return self._with(other, "/")

    def __rtruediv__(self, other: Any) -> "_Symbol":
        return self._with(other, "/", reflected=True)

    def __neg__(self) -> "_Symbol":
        return self.tape.put("a * c", self.register, c=-1.0)

    def __abs__(self) -> Array:
        return np.zeros(self.shape)  # values are looked at only to see whether they are finite


def _calculate(kind: str, a: Array, b: Array, c: Any) -> Array:
    first, sign, second = kind.split()
    x, y = (c if first == "c" else a), (b if second == "b" else c if second == "c" else a)
    return x + y if sign == "+" else x - y if sign == "-" else x * y if sign == "*" else x / y


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
