import numpy as np
import pytest

from buff.errors import OffGridError
from buff.fields import NodeField
from buff.grids import TimeGrid
from buff.randomness import EventNoise
from buff.solvers import SOLVERS, get_solver, integrate
from buff.solvers.loop import KINDS, unroll

GRID = TimeGrid.uniform(12)


def bends(k):
    return lambda x, condition=None: np.sin(x * np.float32(k + 1)) + np.float32(0.1) * x[:, ::-1]


def followed(program, velocities, x, noise=None, gaussian=None):
    """The states where a program leads x, with the velocity of each node and the frame of a Gaussian part."""
    registers = [x] * program.registers
    for kind, to, a, b, c in program.instructions:
        if kind == "field":
            registers[to] = velocities[b](registers[a])
        elif kind == "frame field":
            registers[to] = velocities[int(c)].frame_velocity(registers[a], registers[b], None)
        elif kind == "noise":
            registers[to] = noise(registers[a])
        elif kind.endswith("frame"):
            turn = gaussian.to_frame if kind == "to frame" else gaussian.from_frame
            registers[to] = turn(registers[a], program.frame_times[b])
        else:
            registers[to] = calculated(kind, registers[a], registers[b], np.float32(c))
    return registers[program.result]


def calculated(kind, a, b, c):
    first, sign, second = kind.split()
    x, y = (c if first == "c" else a), (b if second == "b" else c if second == "c" else a)
    return x + y if sign == "+" else x - y if sign == "-" else x * y if sign == "*" else x / y


def grid_of(name):
    solver = get_solver(name)
    for grid in (GRID, TimeGrid(tuple(0.05 + 0.9 * k / 12 for k in range(13)), partial=True)):
        try:
            return solver, grid, solver.nodes(grid)
        except ValueError:
            continue
    return solver, None, None


#: Their steps depend on the length of the states.
LOOKING = ("pc_0165_em250",)
FIXED = [name for name, solver in SOLVERS.items() if not solver.adaptive and grid_of(name)[1] is not None]


@pytest.mark.parametrize("name", FIXED)
def test_programs_do_what_solvers_do_to_the_last_bit(name):
    solver, grid, times = grid_of(name)
    if name in LOOKING:
        with pytest.raises(ValueError, match="looks at its states"):
            unroll(solver, grid, times)
        return
    program = unroll(solver, grid, times)
    velocities = [bends(k) for k in range(len(times))]
    x0 = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    expected = integrate(solver, NodeField(times, velocities), x0, grid, None, EventNoise(1, stream=1))
    noise = EventNoise(1, stream=1)
    assert np.array_equal(followed(program, velocities, x0, noise), expected)
    assert program.n_draws == noise._calls
    assert sum(i.kind == "field" for i in program.instructions) == solver.nfe(grid)


def test_registers_are_shared():
    program = unroll(get_solver("ab2"), GRID, GRID.times[:-1])
    assert program.registers <= 4
    words, constants = program.table()
    assert words.shape == (len(program.instructions), 4)
    assert constants.dtype == np.float32
    assert words[:, 0].max() < len(KINDS)


def test_what_is_no_program_is_refused():
    with pytest.raises(ValueError, match="chooses its times"):
        unroll(get_solver("dopri5_adaptive"), GRID, GRID.times)
    with pytest.raises(OffGridError, match=r"t = 0\.0416"):
        unroll(get_solver("rk4"), GRID, GRID.times)
