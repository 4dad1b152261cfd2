"""Solvers: rules that carry states along a field, and the one loop that applies them over a grid."""

from buff.solvers.accuracy import SolverError, SolverErrors, solver_errors
from buff.solvers.adaptive import Adaptive, AdaptiveExponential, ScipyAdaptive
from buff.solvers.ancestral import Ancestral, Consistency, DpmSde
from buff.solvers.base import SOLVERS, AdamsBashforth, BoundField, IntegratingFactor, Solver, get_solver
from buff.solvers.described import SamplerRecord, describe_samplers
from buff.solvers.excursions import RESTARTS, Churned, Interval, Restart
from buff.solvers.exponential import DenoisedEnd, ExponentialMultistep, ExponentialSinglestep
from buff.solvers.langevin import EulerMaruyama, PredictorCorrector
from buff.solvers.loop import integrate, trajectory
from buff.solvers.noise_multistep import NoiseMultistep, PseudoNumerical
from buff.solvers.runge_kutta import ReducedRungeKutta, RungeKutta
from buff.solvers.tableaus import (
    BOGACKI_SHAMPINE,
    DORMAND_PRINCE,
    EULER,
    HEUN,
    MIDPOINT,
    RALSTON,
    RK4,
    RK38,
    Tableau,
)
from buff.solvers.unipc import UniPC

__all__ = [
    "BOGACKI_SHAMPINE",
    "DORMAND_PRINCE",
    "EULER",
    "HEUN",
    "MIDPOINT",
    "RALSTON",
    "RESTARTS",
    "RK4",
    "RK38",
    "SOLVERS",
    "AdamsBashforth",
    "Adaptive",
    "AdaptiveExponential",
    "Ancestral",
    "BoundField",
    "Churned",
    "Consistency",
    "DenoisedEnd",
    "DpmSde",
    "EulerMaruyama",
    "ExponentialMultistep",
    "ExponentialSinglestep",
    "IntegratingFactor",
    "Interval",
    "NoiseMultistep",
    "PredictorCorrector",
    "PseudoNumerical",
    "ReducedRungeKutta",
    "Restart",
    "RungeKutta",
    "SamplerRecord",
    "ScipyAdaptive",
    "Solver",
    "SolverError",
    "SolverErrors",
    "Tableau",
    "UniPC",
    "describe_samplers",
    "get_solver",
    "integrate",
    "solver_errors",
    "trajectory",
]
