"""Multistep methods for the noise e in reduced coordinates: LMS, DEIS, iPNDM and PNDM."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from buff.paths import Marginal
from buff.protocols import Array
from buff.solvers.base import STARTS, BoundField, Solver, Start, check_multistep, combine, lagrange_weights
from buff.solvers.runge_kutta import noise_of, runge_kutta_step

__all__ = ["NoiseMultistep", "PseudoNumerical"]

_GAUSS = np.polynomial.legendre.leggauss(24)
#: Adams-Bashforth on equal steps, order 1 to 4.
_FIXED = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def _log_lagrange_weights(nodes: Sequence[float], t: float, s: float) -> tuple[float, ...]:
    """As :func:`lagrange_weights`, for polynomials in the logarithm; 24 Gauss-Legendre points."""
    points, w = _GAUSS
    low, high = math.log(t), math.log(s)
    z = low + (high - low) * (points + 1) / 2
    others = [[v for v in nodes if v != node] for node in nodes]
    basis = [
        math.prod(((z - math.log(v)) / math.log(node / v) for v in rest), start=np.ones(24))
        for node, rest in zip(nodes, others, strict=True)
    ]
    return tuple(float(w @ (L * np.exp(z))) * (high - low) / 2 for L in basis)


@dataclass(frozen=True)
class NoiseMultistep(Solver):
    """``x_s / alpha_s = x / alpha + sum_j C_j e_j`` over the last e.

    Order k, with a start that allows it (2 for ``"fixed"``); one call a step; no noise; stays on any grid, unless it
    starts with ``"rk4"``.

    C_j integrates over ``rho = sigma / alpha``, in which every path has the same flow.

    Parameters
    ----------
    k : int
        How many values of e, 1 to 4.
    weights : {"rho", "log_rho", "fixed"}
        ``"rho"`` integrates the polynomial in rho through the past e (LMS, equal to rho-DEIS);
        ``"log_rho"`` the polynomial in ln rho (DEIS); ``"fixed"`` takes the coefficients of equal steps
        (iPNDM), of order 2 on any but equal steps in rho.
    start : {"euler", "heun", "rk4"}
        How to make the first steps. ``"euler"`` ramps the order up at no extra call and limits the asymptotic
        order to 2.
    lower_order_final : bool
        End with fewer values, two in the last step but one and one in the last, as published codes do where steps are
        few (below 10 or 15).

    References
    ----------
    Liu, Ren, Lin, Zhao (PNDM), 2022, arXiv:2202.09778; Zhang, Chen (DEIS), 2022, arXiv:2204.13902; Karras
    et al., 2022, arXiv:2206.00364.
    """

    k: int = 2
    weights: Literal["rho", "log_rho", "fixed"] = "rho"
    start: Start = "euler"
    lower_order_final: bool = False

    def __post_init__(self) -> None:
        check_multistep(self.k, self.start)
        if self.weights not in ("rho", "log_rho", "fixed"):
            raise ValueError(f"unknown weights {self.weights!r}: choose rho, log_rho or fixed")

    @property
    def order(self) -> int:  # type: ignore[override]
        return min(self.k, 2) if self.weights == "fixed" else self.k

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        here, there = flow.at(t), flow.at(s)
        D, e = flow.predict(x, t)
        most = flow.at_most(self.k) if self.lower_order_final else self.k
        past = ((here.ratio, e), *(memory or ()))[:most] if not here.pure else ()
        if not past or not there.alpha or (self.weights == "log_rho" and not there.sigma):
            return there.combine(D, e), past
        if len(past) < most and there.sigma and self.start != "euler":
            y = x / here.alpha
            y = runge_kutta_step(STARTS[self.start], noise_of(flow), y, here.ratio, there.ratio, e)
            return there.alpha * y, past
        C = self._weights([rho for rho, _ in past], there.ratio)
        return _transfer(x, here, there, combine(C, [noise for _, noise in past])), past

    def _weights(self, rhos: list[float], end: float) -> Sequence[float]:
        if self.weights == "fixed":
            return [(end - rhos[0]) * w for w in _FIXED[len(rhos) - 1]]
        return (lagrange_weights if self.weights == "rho" else _log_lagrange_weights)(rhos, rhos[0], end)


def _transfer(x: Array, here: Marginal, there: Marginal, integral: Array) -> Array:
    """``x_s`` from the integral of e over rho."""
    return there.alpha / here.alpha * x + there.alpha * integral


@dataclass(frozen=True)
class PseudoNumerical(Solver):
    """PNDM: three pseudo Runge-Kutta steps of four calls, then iPNDM.

    Order 2; one call a step and nine more; no noise; the first three steps call the field between the grid's times.

    A pseudo step is RK4 with each slope replaced by the exact flow for a frozen e; its middle is at
    ``(t + s) / 2``. Order 2 on any but equal steps in sigma / alpha.

    References
    ----------
    Liu, Ren, Lin, Zhao, 2022, arXiv:2202.09778.
    """

    order = 2

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        if len(memory or ()) >= 3 or flow.at(t).pure or flow.at(s).pure:
            return NoiseMultistep(4, "fixed").advance(flow, x, t, s, memory)
        here, middle, there = flow.at(t), flow.at((t + s) / 2), flow.at(s)

        def moved(to: Marginal, e: Array) -> Array:
            return _transfer(x, here, to, (to.ratio - here.ratio) * e)

        e1 = flow.predict(x, t)[1]
        e2 = flow.predict(moved(middle, e1), middle.t)[1]
        e3 = flow.predict(moved(middle, e2), middle.t)[1]
        e4 = flow.predict(moved(there, e3), s)[1]
        return moved(there, (e1 + 2 * e2 + 2 * e3 + e4) / 6), ((here.ratio, e1), *(memory or ()))
