"""What to know of each solver before choosing it."""

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, cast

from buff.grids import TimeGrid, noise_grid
from buff.paths import LINEAR
from buff.solvers.adaptive import Adaptive, ScipyAdaptive
from buff.solvers.base import STARTS, AdamsBashforth, Solver
from buff.solvers.exponential import ExponentialMultistep
from buff.solvers.langevin import PredictorCorrector
from buff.solvers.listed import LISTED
from buff.solvers.noise_multistep import NoiseMultistep
from buff.solvers.runge_kutta import ReducedRungeKutta, RungeKutta
from buff.solvers.unipc import UniPC

__all__ = ["SamplerRecord", "describe_samplers"]


@dataclass(frozen=True)
class SamplerRecord:
    """What to know of a solver before choosing it.

    Attributes
    ----------
    name : str
        For ``get_solver``.
    order : int
        Global order between times that have noise and signal, weak where stochastic, with the start the solver has: the
        first step of a multistep rule of higher order limits it.
    order_at_ends : int
        That on a grid from 0 to 1. Pure noise and pure data have no finite lambda, and steps there are of order 1 for
        rules in lambda. One such step limits the order to 2.
    order_of_steps : int
        That of the steps after the first, the global order after exact first ones.
    nfe : str
        Field calls for N steps from a finite noise to pure data, as sigma grids that end at zero take them.
    stochastic : bool
        Whether it draws noise.
    stays_on : str
        The grids on whose times all field calls fall: "any grid", "uniform in t", "uniform in lambda" or
        "none".
    hyperparameters : str
        With their defaults.
    reference : str
        Authors, year, arXiv.
    """

    name: str
    order: int
    order_at_ends: int
    order_of_steps: int
    nfe: str
    stochastic: bool
    stays_on: str
    hyperparameters: str
    reference: str

    @property
    def needs_offgrid(self) -> bool:
        """Whether the field must exist between the times of the grid, whatever the grid."""
        return self.stays_on == "none"


def describe_samplers() -> tuple[SamplerRecord, ...]:
    """One record a solver, in the order of ``SOLVERS``.

    Examples
    --------
    >>> [(r.name, r.order, r.order_at_ends, r.nfe) for r in describe_samplers() if r.name in ("rk4", "unipc3")]
    [('rk4', 4, 4, '4N'), ('unipc3', 3, 2, 'N')]
    """
    return tuple(_describe(name, solver, reference) for name, (solver, reference) in LISTED.items())


def _describe(name: str, solver: Solver, reference: str) -> SamplerRecord:
    shown = ", ".join(f"{f.name}={getattr(solver, f.name)}" for f in fields(cast(Any, solver)))
    probed = replace(solver, n_predictor=None) if isinstance(solver, PredictorCorrector) else solver
    nfe, grid = ("adaptive", "none") if solver.adaptive else (_nfe_formula(probed), _stays_on(probed))
    in_time = isinstance(solver, RungeKutta | ReducedRungeKutta | Adaptive | ScipyAdaptive)
    order = min(solver.order, _limit(solver))
    at_ends = order if in_time else min(order, 2)
    return SamplerRecord(name, order, at_ends, solver.order, nfe, solver.stochastic, grid, shown, reference)


def _limit(solver: Solver) -> int:
    """One order above that of the first steps of a rule that looks back."""
    if isinstance(solver, AdamsBashforth | NoiseMultistep):
        return STARTS[solver.start].order + 1
    if isinstance(solver, UniPC):  # its first step is of order 1, and corrected
        return 3 if solver.corrector else 2
    return 2 if isinstance(solver, ExponentialMultistep) else solver.order


def _probes(n_steps: int) -> dict[str, TimeGrid]:
    """Grids away from the ends, where fewer calls may do."""
    unit = TimeGrid.uniform(n_steps).times
    return {
        "any grid": TimeGrid(tuple(0.05 + 0.9 * t**1.5 for t in unit), partial=True),
        "uniform in t": TimeGrid(tuple(0.05 + 0.9 * t for t in unit), partial=True),
        "uniform in lambda": TimeGrid.of_ratios(LINEAR, noise_grid("lu", n_steps, low=1 / 19, high=19.0)),
    }


def _stays_on(solver: Solver) -> str:
    for name, grid in _probes(12).items():
        if all(grid.has(t) for t in solver.calls(grid)):
            return name
    return "none"


def _nfe_formula(solver: Solver) -> str:
    unit = {n: TimeGrid.uniform(n).times for n in (12, 24, 36)}
    few, more, many = (
        solver.nfe(TimeGrid(tuple(0.05 + 0.95 * t for t in times), partial=True)) for times in unit.values()
    )
    if many - more != more - few:
        return "depends on the grid"
    rate, constant = Fraction(more - few, 12), 2 * few - more
    numerator = "N" if rate.numerator == 1 else f"{rate.numerator}N"
    formula = numerator if rate.denominator == 1 else f"{numerator}/{rate.denominator}"
    return f"{formula} {'-+'[constant > 0]} {abs(constant)}" if constant else formula
