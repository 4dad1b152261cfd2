"""UniPC: a predictor and a corrector that share their field calls."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from buff.paths import Marginal
from buff.protocols import Array
from buff.solvers.base import BoundField, Solver, combine
from buff.solvers.exponential import Basis, check_basis, phi

__all__ = ["UniPC"]


@dataclass(frozen=True)
class _Past:
    """Values of M by lambda, newest first, and the predictions (D, e) they start from."""

    at: Marginal
    predictions: tuple[Array, Array]
    values: tuple[tuple[float, Array], ...]


@dataclass(frozen=True)
class UniPC(Solver):
    """A predictor, and a corrector that uses the call of the next step.

    Order p + 1 (p without corrector); one call a step; no noise; stays on any grid.

    With M = D (or e) and ``h = lambda_s - lambda_t``, ``z = -h`` (or h), ``c = alpha`` (or sigma), ``r_m =
    (lambda_m - lambda_t) / h`` the past steps and, in the corrector, ``r_p = 1`` the new one: ``x_s =
    alpha_s D + sigma_s e - c_s B sum_m rho_m (M_m - M) / r_m``, where rho solves ``sum_m r_m^(k-1) rho_m =
    k! phi_k(z) / B``. The call at the predicted state corrects that state and starts the next step; the
    last state is not corrected.

    Parameters
    ----------
    p : int
        Order of the predictor, 1 to 3; it ramps up over the first steps. 3 without guidance, 2 with.
    variant : {"bh1", "bh2"}
        ``B = z`` or ``B = expm1(z)``. They differ only where a single weight is taken as 1/2.
    basis : {"denoised", "noise"}
        What is taken to vary slowly.
    corrector : bool
        Without it, UniP of order p; p = 2 with bh2 is DPM-Solver++ 2M.
    lower_order_final : bool
        End with fewer values, two in the last step but one and one in the last, as published codes do where steps are
        few (below 10 or 15).

    References
    ----------
    Zhao, Bai, Rao, Zhou, Lu, 2023, arXiv:2302.04867.
    """

    p: int = 3
    variant: Literal["bh1", "bh2"] = "bh2"
    basis: Basis = "denoised"
    corrector: bool = True
    lower_order_final: bool = False

    def __post_init__(self) -> None:
        check_basis(self.basis)
        if self.p not in (1, 2, 3):
            raise ValueError(f"p must be 1, 2 or 3: found {self.p!r}")
        if self.variant not in ("bh1", "bh2"):
            raise ValueError(f"unknown variant {self.variant!r}: choose bh1 or bh2")

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.p + self.corrector

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        here, there = flow.at(t), flow.at(s)
        predictions = D, e = flow.predict(x, t)
        M = D if self.basis == "denoised" else e
        if memory and self.corrector:
            x = self._move(memory, here, (here.log_snr, M))
            # M is kept: only the other prediction follows the corrected state
            if self.basis == "denoised":
                predictions = D, (x - here.alpha * D) / here.sigma
            else:
                predictions = (x - here.sigma * e) / here.alpha, e
        most = flow.at_most(self.p) if self.lower_order_final else self.p
        values = ((here.log_snr, M), *(memory.values if memory else ()))[:most]
        past = None if here.pure else _Past(here, predictions, values)
        if past is None or there.pure:
            return there.combine(*predictions), past
        return self._move(past, there), past

    def _move(self, past: _Past, there: Marginal, new: tuple[float, Array] | None = None) -> Array:
        """From ``past.at`` to ``there``: the predictor, or with the new value of M the corrector."""
        lam, M = past.values[0]
        h = there.log_snr - lam
        others = [*past.values[1:], *([new] if new else [])]
        r = [(other - lam) / h for other, _ in others]
        first_order = there.combine(*past.predictions)
        if not others:
            return first_order
        z, c = (-h, there.alpha) if self.basis == "denoised" else (h, there.sigma)
        rho = self._weights(r, z)
        slope = combine([w / ratio for w, ratio in zip(rho, r, strict=True)], [value - M for _, value in others])
        return first_order - c * slope

    def _weights(self, r: list[float], z: float) -> list[float]:
        """``B rho``."""
        if len(r) == 1:
            return [(z if self.variant == "bh1" else math.expm1(z)) / 2]
        k = np.arange(1, len(r) + 1)
        b = [math.factorial(i) * phi(i, z) for i in k.tolist()]
        solution: list[float] = np.linalg.solve(np.array(r) ** (k[:, None] - 1), b).tolist()
        return solution
