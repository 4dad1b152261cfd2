"""Adams-Bashforth: past slopes instead of more field calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from buff.protocols import Array
from buff.solvers.base import BoundField, Solver, combine
from buff.solvers.runge_kutta import runge_kutta_step
from buff.solvers.tableaus import EULER, HEUN, RK4

__all__ = ["STARTS", "AdamsBashforth", "IntegratingFactor", "Start", "check_multistep", "lagrange_weights"]

Start = Literal["euler", "heun", "rk4"]
STARTS = {"euler": EULER, "heun": HEUN, "rk4": RK4}


def check_multistep(order: int, start: str) -> None:
    """Refuse orders above 4 and unknown starting methods."""
    if order not in (1, 2, 3, 4):
        raise ValueError(f"a multistep method takes 1 to 4 values: found {order!r}")
    if start not in STARTS:
        raise ValueError(f"unknown start {start!r}: choose one of {', '.join(STARTS)}")


def lagrange_weights(nodes: Sequence[float], t: float, s: float) -> tuple[float, ...]:
    """``w_j``, the integral over [t, s] of the j-th Lagrange polynomial through ``nodes``.

    Examples
    --------
    >>> [round(w, 6) for w in lagrange_weights([0, -1], 0, 1)]
    [1.5, -0.5]
    """
    z = (np.array(nodes, dtype=np.float64) - t) / (s - t)
    powers = np.arange(len(nodes))
    return tuple(((s - t) * np.linalg.solve(z ** powers[:, None], 1 / (powers + 1))).tolist())


@dataclass(frozen=True)
class AdamsBashforth(Solver):
    """``x_s = x_t + sum_j w_j u_j`` over the last k slopes.

    Order k, with a start that allows it; one call a step; no noise; stays on any grid, unless it starts with ``"rk4"``.

    The weights integrate the polynomial through the last k slopes exactly, so steps may vary.

    Parameters
    ----------
    order : int
        k, 1 to 4.
    start : {"euler", "heun", "rk4"}
        How to make the first k - 1 steps. ``"euler"`` takes lower orders while slopes are missing
        (1, 2, ...): no extra call, but the error of the first step limits the asymptotic order to 2.

    References
    ----------
    Bashforth, Adams, 1883; Hairer, Norsett, Wanner, "Solving ordinary differential equations I", III.5.
    """

    order: int = 2
    start: Start = "euler"

    def __post_init__(self) -> None:
        check_multistep(self.order, self.start)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        u = flow.velocity(x, t)
        past = ((t, u), *(memory or ()))[: self.order]
        if len(past) < self.order and self.start != "euler":
            return runge_kutta_step(STARTS[self.start], flow.velocity, x, t, s, first=u), past
        weights = lagrange_weights([time for time, _ in past], t, s)
        return x + combine(weights, [slope for _, slope in past]), past


@dataclass(frozen=True)
class IntegratingFactor(AdamsBashforth):
    r"""Adams-Bashforth in coordinates where a Gaussian flow stands still: exact on Gaussians.

    Order k, with a start that allows it; one call a step; no noise; stays on any grid, unless it starts with ``"rk4"``.

    In ``y = U^T (x - alpha mu) / a(t)`` of the field's :class:`~buff.fields.GaussianFlow` only the rest of the
    velocity is left, ``dy/dt = U^T (u - u_Gauss) / a(t)``, and ``y_s = y_t + sum_j w_j (dy/dt)_j`` with the weights of
    Adams-Bashforth. Where the field has no such part, y is x.

    Parameters
    ----------
    order : int
        k, 1 to 4.
    start : {"euler", "heun", "rk4"}
        As in :class:`AdamsBashforth`.

    References
    ----------
    Lawson, 1967, doi:10.1137/0704033; Cox, Matthews, "Exponential time differencing for stiff systems", 2002,
    doi:10.1006/jcph.2002.6995 (their IFAB2).
    """

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        gaussian = flow.gaussian
        if gaussian is None:
            return super().advance(flow, x, t, s, memory)
        y, past = memory or (gaussian.to_frame(x, t), ())
        g = flow.frame_velocity(y, t)
        past = ((t, g), *past)[: self.order]
        if len(past) < self.order and self.start != "euler":
            y = runge_kutta_step(STARTS[self.start], flow.frame_velocity, y, t, s, first=g)
        else:
            weights = lagrange_weights([time for time, _ in past], t, s)
            y = y + combine(weights, [slope for _, slope in past])
        return gaussian.from_frame(y, s), (y, past)
