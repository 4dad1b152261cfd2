"""Solvers by name."""

import re
from inspect import getdoc

import pytest

from buff.grids import TimeGrid, noise_grid
from buff.paths import LINEAR
from buff.solvers import (
    RALSTON,
    SOLVERS,
    Ancestral,
    ExponentialSinglestep,
    RungeKutta,
    Solver,
    describe_samplers,
    get_solver,
)


def test_every_name_gives_its_solver():
    for name, solver in SOLVERS.items():
        assert get_solver(name) is solver
        assert get_solver(solver) is solver
        assert isinstance(solver, Solver)


def test_unknown_names_list_the_valid_ones():
    with pytest.raises(ValueError, match=r"unknown solver 'hoin': choose one of euler, midpoint, .*consistency"):
        get_solver("hoin")
    with pytest.raises(ValueError, match="heun has no hyperparameter 'eta': choose from tableau, span"):
        get_solver("heun", eta=1)
    with pytest.raises(ValueError, match="pndm has no hyperparameter 'k': choose from none"):
        get_solver("pndm", k=1)
    with pytest.raises(TypeError, match="a name or a Solver, not its class: found int"):
        get_solver(3)


def test_hyperparameters_replace_those_of_the_name():
    assert get_solver("euler", tableau=RALSTON) == SOLVERS["ralston"]
    assert get_solver(RungeKutta(), span=2) == RungeKutta(span=2)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("ab2", {"order": 5}, "1 to 4 values"),
        ("ab2", {"start": "rk9"}, "unknown start 'rk9': choose one of euler, heun, rk4"),
        ("lms2", {"k": 0}, "1 to 4 values"),
        ("lms2", {"weights": "x"}, "unknown weights 'x'"),
        ("dpm2", {"fractions": (0.5, 0.4)}, "increasing numbers in"),
        ("dpm2", {"fractions": (1.0,)}, "increasing numbers in"),
        ("dpm3", {"fractions": (0.3, 0.6)}, "second fraction must be 2/3"),
        ("dpm2", {"basis": "score"}, "unknown basis 'score'"),
        ("dpmpp_2m", {"k": 4}, "k must be 1, 2 or 3"),
        ("dpmpp_2m", {"eta_sde": -0.1}, "eta_sde must lie"),
        ("dpmpp_2m", {"correction": "simpson"}, "unknown correction"),
        ("dpmpp_sde", {"r": 1.0}, "r must lie"),
        ("dpmpp_sde", {"eta_ddim": 2.0}, "eta_ddim must lie"),
        ("unipc2", {"p": 4}, "p must be"),
        ("unipc2", {"variant": "bh3"}, "unknown variant"),
        ("ddim", {"eta_ddim": 1.5}, "eta_ddim must lie"),
        ("ddpm", {"variance": "learned"}, "unknown variance"),
        ("ddim", {"variance": "large"}, "the large variance belongs to eta_ddim = 1"),
        ("ddpm", {"inner": Ancestral()}, "inner solver must be deterministic"),
        ("euler_maruyama", {"diffusion": "w"}, "unknown diffusion"),
        ("euler_maruyama", {"scale": -1.0}, "scale must lie"),
        ("reverse_diffusion", {"scale": 2.0}, "scale does not apply"),
        ("predictor_corrector", {"snr": 0.0}, "snr must lie"),
        ("predictor_corrector", {"n_corrector": -1}, "n_corrector must not"),
        ("predictor_corrector", {"norm": "l1"}, "unknown norm"),
        ("predictor_corrector", {"n_predictor": 0}, "n_predictor must be at least 1, or None"),
        ("dpmpp_3m", {"kappa": 7.0}, "kappa must lie in"),
        ("consistency", {"rho_min": 2.0}, "rho_min must lie"),
    ],
)
def test_values_out_of_range(name, change, message):
    with pytest.raises(ValueError, match=message):
        get_solver(name, **change)


def test_values_that_are_no_numbers_are_named():
    with pytest.raises(TypeError, match="eta_ddim of ddim must be a number: found 'a'"):
        get_solver("ddim", eta_ddim="a")
    with pytest.raises(TypeError, match="order of ab2 must be a number: found True"):
        get_solver("ab2", order=True)


def test_records_describe_every_solver():
    records = describe_samplers()
    assert [r.name for r in records] == list(SOLVERS)
    for record in records:
        solver = SOLVERS[record.name]
        assert (record.order_of_steps, record.stochastic) == (solver.order, solver.stochastic)
        assert record.order_at_ends <= record.order <= solver.order
        assert record.reference
        assert record.needs_offgrid == (record.stays_on == "none")
    nfe = {r.name: r.nfe for r in records}
    assert (nfe["euler"], nfe["heun"], nfe["rk4"], nfe["ralston_nodes"]) == ("N", "2N", "4N", "2N/3")
    assert (nfe["pndm"], nfe["restart"], nfe["dopri5_adaptive"]) == ("N + 9", "2N + 7", "adaptive")


def test_evaluations_are_those_of_sigma_grids_that_end_at_zero():
    """Of EDM 2N - 1 (Karras et al., 2022, algorithm 1)."""
    nfe = {r.name: r.nfe for r in describe_samplers()}
    counts = {"N": 12, "2N": 24, "2N - 1": 23, "3N - 2": 34, "4N": 48}
    grid = TimeGrid.of_ratios(LINEAR, noise_grid("karras", 11, append_zero=True))
    for name in ("edm", "heun", "ab4", "unipc3", "rk4", "dpm3", "dpmpp_2s", "dpm2_ancestral", "dpmpp_sde"):
        assert get_solver(name).nfe(grid) == counts[nfe[name]], name
    assert (nfe["edm"], nfe["dpmpp_sde"]) == ("2N - 1", "2N - 1")


def test_every_solver_says_where_it_comes_from():
    for solver in {type(s) for s in SOLVERS.values()} - {RungeKutta}:
        assert "References" in (solver.__doc__ or ""), solver


@pytest.mark.parametrize("solver", sorted({type(s) for s in SOLVERS.values()}, key=str))
def test_every_solver_says_order_calls_noise_and_nodes(solver):
    line = re.search(r"^Order .+?\n\n", getdoc(solver), re.S | re.M)
    assert line
    _, calls, noise, nodes = re.split(r";\s", line[0].strip(), maxsplit=3)
    assert re.search("call", calls)
    assert re.search("noise", noise)
    assert re.search("grid|every\\s+time", nodes)


def test_singlestep_order_is_its_number_of_stages():
    assert [ExponentialSinglestep(f).order for f in ((), (0.4,), (0.2, 2 / 3))] == [1, 2, 3]
