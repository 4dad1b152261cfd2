"""Solvers by name, with where they come from, and the one time loop of the package."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from numbers import Real
from typing import Any, cast

from buff.errors import OffGridError
from buff.grids import TimeGrid, nearest
from buff.paths import Path
from buff.protocols import Array, Field, Noise
from buff.solvers.adaptive import Adaptive, AdaptiveExponential, ScipyAdaptive
from buff.solvers.ancestral import Ancestral, Consistency, DpmSde
from buff.solvers.base import BoundField, Solver, check_finite
from buff.solvers.excursions import Churned, Restart
from buff.solvers.exponential import ExponentialMultistep, ExponentialSinglestep
from buff.solvers.langevin import EulerMaruyama, PredictorCorrector
from buff.solvers.multistep import AdamsBashforth, IntegratingFactor
from buff.solvers.noise_multistep import NoiseMultistep, PseudoNumerical
from buff.solvers.runge_kutta import ReducedRungeKutta, RungeKutta
from buff.solvers.tableaus import BOGACKI_SHAMPINE, DORMAND_PRINCE, HEUN, MIDPOINT, RALSTON, RK4, RK38
from buff.solvers.unipc import UniPC

__all__ = ["LISTED", "SOLVERS", "get_solver", "integrate", "trajectory"]

_ADAMS = "Bashforth, Adams, 1883"
_COX = "Cox, Matthews, 2002, doi:10.1006/jcph.2002.6995"
_DDIM = "Song, Meng, Ermon, 2020, arXiv:2010.02502"
_DDPM = "Ho, Jain, Abbeel, 2020, arXiv:2006.11239"
_DEIS = "Zhang, Chen, 2022, arXiv:2204.13902"
_DPM = "Lu et al., 2022, arXiv:2206.00927"
_DPMPP = "Lu et al., 2022, arXiv:2211.01095"
_EDM = "Karras et al., 2022, arXiv:2206.00364"
_KUTTA = "Kutta, 1901"
_PNDM = "Liu, Ren, Lin, Zhao, 2022, arXiv:2202.09778"
_SDE = "Song et al., 2020, arXiv:2011.13456"
_UNIPC = "Zhao et al., 2023, arXiv:2302.04867"

_HALF, _THIRDS = (1 / 2,), (1 / 3, 2 / 3)
_DPM2, _DPM3 = ExponentialSinglestep(_HALF, "noise"), ExponentialSinglestep(_THIRDS, "noise")
_DPMPP_2S, _DPMPP_3S = ExponentialSinglestep(_HALF), ExponentialSinglestep(_THIRDS)

#: Solvers by name, each with its reference.
LISTED: dict[str, tuple[Solver, str]] = {
    "euler": (RungeKutta(), "Euler, 1768"),
    "midpoint": (RungeKutta(MIDPOINT), "Runge, 1895"),
    "midpoint_nodes": (RungeKutta(MIDPOINT, span=2), "Runge, 1895"),
    "ralston": (RungeKutta(RALSTON), "Ralston, 1962"),
    "ralston_nodes": (RungeKutta(RALSTON, span=3), "Ralston, 1962"),
    "heun": (RungeKutta(HEUN), "Heun, 1900"),
    "bogacki_shampine": (RungeKutta(BOGACKI_SHAMPINE), "Bogacki, Shampine, 1989"),
    "bogacki_shampine_nodes": (RungeKutta(BOGACKI_SHAMPINE, span=4), "Bogacki, Shampine, 1989"),
    "rk4": (RungeKutta(RK4), _KUTTA),
    "rk4_nodes": (RungeKutta(RK4, span=2), _KUTTA),
    "rk38": (RungeKutta(RK38), _KUTTA),
    "rk38_nodes": (RungeKutta(RK38, span=3), _KUTTA),
    "dopri5": (RungeKutta(DORMAND_PRINCE), "Dormand, Prince, 1980"),
    "dopri5_adaptive": (Adaptive(DORMAND_PRINCE), "Dormand, Prince, 1980"),
    "bogacki_shampine_adaptive": (Adaptive(BOGACKI_SHAMPINE), "Bogacki, Shampine, 1989"),
    "scipy_rk45": (ScipyAdaptive(), _SDE),
    "ab1": (AdamsBashforth(1), _ADAMS),
    "ab2": (AdamsBashforth(2), _ADAMS),
    "ab3": (AdamsBashforth(3), _ADAMS),
    "ab4": (AdamsBashforth(4), _ADAMS),
    **{f"ifab{k}": (IntegratingFactor(k), _COX) for k in (1, 2, 3)},
    "edm": (ReducedRungeKutta(HEUN), _EDM),
    "edm_stochastic": (Churned(), _EDM),
    "edm_stochastic_nodes": (Churned(snap=True), _EDM),
    "restart": (Restart(), "Xu et al., 2023, arXiv:2306.14878"),
    "restart_nodes": (Restart(snap=True), "Xu et al., 2023, arXiv:2306.14878"),
    **{f"lms{k}": (NoiseMultistep(k, "rho"), _DEIS) for k in (1, 2, 3, 4)},
    **{f"deis{k}": (NoiseMultistep(k, "log_rho"), _DEIS) for k in (1, 2, 3, 4)},
    "ipndm": (NoiseMultistep(4, "fixed"), _PNDM),
    "pndm": (PseudoNumerical(), _PNDM),
    "dpm1": (ExponentialSinglestep(basis="noise"), _DPM),
    "dpm2": (_DPM2, _DPM),
    "dpm3": (_DPM3, _DPM),
    "dpm2_nodes": (replace(_DPM2, span=2), _DPM),
    "dpm3_nodes": (replace(_DPM3, span=3), _DPM),
    "dpm12_adaptive": (AdaptiveExponential(_DPM2), _DPM),
    "dpm23_adaptive": (AdaptiveExponential(_DPM3), _DPM),
    "dpmpp_2s": (_DPMPP_2S, _DPMPP),
    "dpmpp_3s": (_DPMPP_3S, _DPMPP),
    "dpmpp_2s_nodes": (replace(_DPMPP_2S, span=2), _DPMPP),
    "dpmpp_3s_nodes": (replace(_DPMPP_3S, span=3), _DPMPP),
    "dpmpp_2m": (ExponentialMultistep(2), _DPMPP),
    "dpmpp_3m": (ExponentialMultistep(3), _DPMPP),
    "dpmpp_3m_published": (ExponentialMultistep(3, kappa=1.0), _DPMPP),
    "dpmpp_sde": (DpmSde(), _DPMPP),
    "dpmpp_2m_sde": (ExponentialMultistep(2, eta_sde=1.0), _DPMPP),
    "dpmpp_3m_sde": (ExponentialMultistep(3, eta_sde=1.0), _DPMPP),
    "unipc1": (UniPC(1), _UNIPC),
    "unipc2": (UniPC(2), _UNIPC),
    "unipc3": (UniPC(3), _UNIPC),
    "ddim": (Ancestral(eta_ddim=0.0), _DDIM),
    "ddpm": (Ancestral(), _DDPM),
    "ddpm_large": (Ancestral(variance="large"), _DDPM),
    "euler_ancestral": (Ancestral(), _EDM),
    "dpm2_ancestral": (Ancestral(_DPM2), _DPM),
    "dpmpp_2s_ancestral": (Ancestral(_DPMPP_2S), _DPMPP),
    "euler_maruyama": (EulerMaruyama(), _SDE),
    "reverse_diffusion": (EulerMaruyama("discrete"), _SDE),
    "predictor_corrector": (PredictorCorrector(), _SDE),
    "pc_0165_em250": (PredictorCorrector(snr=0.165, n_predictor=250), _SDE),
    "consistency": (Consistency(), "Song, Dhariwal, Chen, Sutskever, 2023, arXiv:2303.01469"),
}

#: Solvers by name.
SOLVERS: dict[str, Solver] = {name: solver for name, (solver, _) in LISTED.items()}


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
