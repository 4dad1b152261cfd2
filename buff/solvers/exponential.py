"""Exponential integrators: exact for the linear part of the flow, in ``lambda = ln(alpha / sigma)``.

With D (or e) frozen over a step, the flow is solved exactly by ``x = alpha D + sigma e``; the methods here
add what D (or e) changes by. All are written so that they are exact at both ends: there is no division by
sigma or alpha, and where a step in lambda is infinite the first-order step is taken.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from buff.grids import TimeGrid
from buff.paths import LINEAR, Marginal, Path
from buff.protocols import Array
from buff.solvers.base import BoundField, Solver
from buff.solvers.runge_kutta import grouped

__all__ = ["Basis", "DenoisedEnd", "ExponentialMultistep", "ExponentialSinglestep", "check_basis", "phi"]

#: What is taken to vary slowly: D (DPM-Solver++) or e (DPM-Solver).
Basis = Literal["denoised", "noise"]


def check_basis(basis: str) -> None:
    """Refuse an unknown basis."""
    if basis not in ("denoised", "noise"):
        raise ValueError(f"unknown basis {basis!r}: choose denoised or noise")


def phi(k: int, z: float) -> float:
    """``sum_{j >= 1} z^j / (j + k)!``: expm1(z) for k = 0, then ``phi_k = phi_{k-1} / z - 1 / k!``.

    The recursion loses every digit near z = 0, where the sum is used.

    Examples
    --------
    >>> phi(1, -1e-8)
    -4.999999983333333e-09
    """
    if abs(z) < 1:
        return math.fsum(z**j / math.factorial(j + k) for j in range(1, 20))
    return math.expm1(z) if k == 0 else phi(k - 1, z) / z - 1 / math.factorial(k)


def _scale(at: Marginal, basis: Basis) -> float:
    return float(at.alpha if basis == "denoised" else at.sigma)


@dataclass(frozen=True)
class ExponentialSinglestep(Solver):
    """DPM-Solver (basis noise) and DPM-Solver++ (basis denoised), one-step methods of order 1 to 3.

    Order 1 to 3, one more than fractions; a call a stage; no noise; order 1 stays on any grid, others call the field
    between its times unless ``span`` puts their stages there.

    With ``h = lambda_s - lambda_t``, ``z = -h`` and ``c = alpha`` for D (``z = h``, ``c = sigma`` for e), M
    either of them and M_i its value at ``lambda_t + r_i h``:

    order 1: ``x_s = alpha_s D + sigma_s e``; order 2 adds ``-c_s phi_0(z) / (2 r_1) (M_1 - M)``; order 3 adds
    ``-c_s phi_1(z) / r_2 (M_2 - M)``.

    Parameters
    ----------
    fractions : tuple of float
        r_i in (0, 1), none to two of them, increasing. (1/2,) for order 2, (1/3, 2/3) for order 3; the last
        must be 2/3 for order 3 to be reached.
    basis : {"denoised", "noise"}
        D is the safer choice with guidance and near the data.
    span : int
        Grid intervals a step; on a grid uniform in lambda, ``order`` of them put the stages on grid times.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver, 2022, arXiv:2206.00927; DPM-Solver++, 2022, arXiv:2211.01095.
    """

    fractions: tuple[float, ...] = ()
    basis: Basis = "denoised"
    span: int = 1

    def __post_init__(self) -> None:
        check_basis(self.basis)
        r = (0.0, *self.fractions, 1.0)
        if len(r) > 4 or any(b <= a for a, b in pairwise(r)):
            raise ValueError(f"fractions are up to two increasing numbers in (0, 1): found {self.fractions}")
        if len(r) == 4 and not math.isclose(r[2], 2 / 3):
            raise ValueError(f"the second fraction must be 2/3 for order 3: found {r[2]}")

    @property
    def order(self) -> int:  # type: ignore[override]
        return 1 + len(self.fractions)

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        return grouped(grid, self.span)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        return self.pair(flow, x, t, s)[1], None

    def pair(self, flow: BoundField, x: Array, t: float, s: float) -> tuple[Array, Array]:
        """The step of one order less, from the same stages, and the step."""
        here, there = flow.at(t), flow.at(s)
        predictions = flow.predict(x, t)
        first_order = there.combine(*predictions)
        h = there.log_snr - here.log_snr
        if not self.fractions or math.isinf(h):
            return first_order, first_order
        kind, z = (0, -h) if self.basis == "denoised" else (1, h)

        def change(r: float, correction: Array = 0.0) -> Array:
            stage = flow.at_ratio(math.exp(-here.log_snr - r * h))
            x_r = stage.combine(*predictions) - _scale(stage, self.basis) * correction
            return flow.predict(x_r, stage.t)[kind] - predictions[kind]

        c, r1 = _scale(there, self.basis), self.fractions[0]
        first = change(r1)
        second_order = first_order - c * phi(0, z) / (2 * r1) * first
        if self.order == 2:
            return first_order, second_order
        r2 = self.fractions[1]
        last = change(r2, r2 / r1 * phi(1, r2 * z) * first)
        return second_order, first_order - c * phi(1, z) / r2 * last


@dataclass(frozen=True)
class ExponentialMultistep(Solver):
    """DPM-Solver++ 2M and 3M and their SDE forms: past D instead of more field calls.

    Order k, 2 for the published ``kappa``, weak and at most 2 as an SDE; one call a step; noise where ``eta_sde`` is
    above 0; stays on any grid.

    ``x_s = alpha_s D + sigma_s exp(-eta h) e + alpha_s (correction) + sigma_s sqrt(1 - exp(-2 eta h)) z``.
    With ``z1 = (1 + eta) h``, r_i the past steps in units of h and D_i past values, the correction is
    ``-phi_0(-z1) / 2 (D - D_1) / r_1`` (midpoint) or ``-phi_1(-z1) (D - D_1) / r_1`` (trapezoid) at order
    2, and ``-phi_1(-z1) g_1 - kappa phi_2(-z1) g_2`` at order 3, g the divided differences of D. The order
    ramps up over the first steps.

    Parameters
    ----------
    k : int
        How many values of D: 1 (DDIM), 2 or 3.
    eta_sde : float
        Scale of the diffusion w: 0 the flow, 1 the reverse SDE; useful 0 to 1. Above 0 the weak order is at
        most 2, whatever k.
    correction : {"midpoint", "trapezoid"}
        For k = 2. The step with two values that starts a run with three is always ``"trapezoid"``.
    kappa : float
        2 is the consistent value, which gives order 3. Published codes have 1, which gives order 2.
    lower_order_final : bool
        End with fewer values, two in the last step but one and one in the last, as published codes do where steps are
        few (below 10 or 15).

    References
    ----------
    Lu et al., DPM-Solver++, 2022, arXiv:2211.01095; the SDE forms follow from the same integral with the
    reverse SDE's noise.
    """

    k: int = 2
    eta_sde: float = 0.0
    correction: Literal["midpoint", "trapezoid"] = "midpoint"
    kappa: float = 2.0
    lower_order_final: bool = False

    def __post_init__(self) -> None:
        if self.k not in (1, 2, 3):
            raise ValueError(f"k must be 1, 2 or 3: found {self.k!r}")
        if not 0 <= self.eta_sde <= 10:
            raise ValueError(f"eta_sde must lie in [0, 10] (useful: 0 to 1): found {self.eta_sde!r}")
        if not 0 <= self.kappa <= 2:
            raise ValueError(f"kappa must lie in [0, 2] (consistent: 2, published: 1): found {self.kappa!r}")
        if self.correction not in ("midpoint", "trapezoid"):
            raise ValueError(f"unknown correction {self.correction!r}: choose midpoint or trapezoid")

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.k if self.kappa == 2 and not self.eta_sde else min(self.k, 2)

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        return self.eta_sde > 0

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        here, there = flow.at(t), flow.at(s)
        D, e = flow.predict(x, t)
        h = there.log_snr - here.log_snr
        most = flow.at_most(self.k) if self.lower_order_final else self.k
        past = ((here.log_snr, D), *(memory or ()))[:most] if not here.pure else ()
        x = there.alpha * D + there.sigma * (math.exp(-self.eta_sde * h) if self.stochastic else 1.0) * e
        if len(past) > 1 and math.isfinite(h):
            x = x + there.alpha * self._correction(past, h)
        if self.stochastic and there.sigma:
            x = x + there.sigma * math.sqrt(-math.expm1(-2 * self.eta_sde * h)) * flow.normal(x)
        return x, past

    def _correction(self, past: tuple[tuple[float, Array], ...], h: float) -> Array:
        z1 = (1 + self.eta_sde) * h
        r = [(newer[0] - older[0]) / h for newer, older in pairwise(past)]
        slope = [(newer[1] - older[1]) / step for (newer, older), step in zip(pairwise(past), r, strict=True)]
        if len(past) == 2:
            midpoint = self.k == 2 and self.correction == "midpoint"
            return -(phi(0, -z1) / 2 if midpoint else phi(1, -z1)) * slope[0]
        bend = (slope[0] - slope[1]) / (r[0] + r[1])
        return -phi(1, -z1) * (slope[0] + r[0] * bend) - self.kappa * phi(2, -z1) * bend


@dataclass(frozen=True)
class DenoisedEnd(Solver):
    """Any solver, with the step that reaches pure data replaced by ``x = alpha D``.

    For paths whose velocity does not exist at the data (VP): end the grid with ``..., 1 - 1e-3, 1``.

    Parameters
    ----------
    inner : Solver
        Solver of all other steps.

    Examples
    --------
    >>> from buff.solvers import HEUN, RungeKutta
    >>> DenoisedEnd(RungeKutta(HEUN)).nfe(TimeGrid.uniform(5))
    9
    """

    inner: Solver

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.inner.order

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        return self.inner.stochastic

    @property
    def adaptive(self) -> bool:  # type: ignore[override]
        return self.inner.adaptive

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        return self.inner.steps(grid, path)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        there = flow.at(s)
        if there.sigma:
            return self.inner.advance(flow, x, t, s, memory)
        return there.alpha * flow.predict(x, t)[0], None
