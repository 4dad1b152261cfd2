"""Errors of solvers against a fine reference."""

import numpy as np
import pytest

from buff.fields import NodeField, TimeField
from buff.grids import TimeGrid, get_grid, noise_grid
from buff.paths import LINEAR
from buff.solvers import get_solver, integrate, solver_errors
from tests.problems import P1, P2

X = np.linspace(-2, 2, 9)[:, None]


def test_errors_are_those_against_the_answer():
    """The flow from N(0, 1) to N(m, s^2) takes x to m + s x."""
    found = solver_errors(P1.field(), X, ["heun", "rk4"], [8, 32, 64])
    assert found.resolution < 1e-10
    for record in found.records:
        end = integrate(record.solver, P1.field(), X, TimeGrid.uniform(record.n_steps))
        assert record.error == pytest.approx(((end - (1.3 + 0.5 * X)) ** 2).mean() ** 0.5, rel=1e-6)
        assert record.nfe == record.n_steps * {"heun": 2, "rk4": 4}[record.solver]
    assert [record.order for record in found.records if record.n_steps == 64] == pytest.approx([2, 4], abs=0.3)
    assert all(np.isnan(record.order) for record in found.records if record.n_steps == 8)
    assert str(found).splitlines()[0].split() == ["solver", "steps", "NFE", "rms", "error", "order"]
    assert len(str(found).splitlines()) == 8


def test_grids_of_sigma_and_solvers_of_ones_own_start_where_they_start():
    def karras(n):
        return TimeGrid.of_ratios(LINEAR, noise_grid("karras", n - 1, append_zero=True))

    x = LINEAR.at(karras(8).times[0]).sigma * X
    found = solver_errors(P2.field(), x, {"mine": get_solver("edm")}, [8, 16], grid=karras)
    assert [(record.solver, record.nfe) for record in found.records] == [("mine", 15), ("mine", 31)]
    assert found.records[0].error > 2 * found.records[1].error > 0
    times = get_grid("uniform", 8).times
    on_times, named = (solver_errors(P2.field(), X, "ab2", 8, grid=grid).records[0] for grid in (times, "uniform"))
    assert on_times[:4] == named[:4]


def test_evaluations_of_adaptive_solvers_are_counted():
    found = solver_errors(P2.field(), X, ["dopri5_adaptive"], 1)
    (record,) = found.records
    assert record.nfe > 12
    assert record.error < 1e-4


def test_what_has_no_reference_is_refused():
    nodes = NodeField((0.0, 0.5, 1.0), [lambda x, condition: x] * 3)
    with pytest.raises(ValueError, match="known at its nodes only"):
        solver_errors(nodes, X, "euler", 2)
    with pytest.raises(ValueError, match="ddpm draws noise: its states follow no ODE"):
        solver_errors(P1.field(), X, "ddpm", 2)
    exact = TimeField(lambda x, t, condition: 0 * x)
    assert np.isnan(solver_errors(exact, X, "euler", [2, 4], fine=2).records[1].order)
