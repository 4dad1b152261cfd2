"""Samplers that step too far and add noise back, and the one-step SDE solver."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from buff.grids import TimeGrid
from buff.paths import LINEAR, Path
from buff.protocols import Array
from buff.solvers.base import BoundField, Solver
from buff.solvers.exponential import ExponentialSinglestep

__all__ = ["Ancestral", "Consistency", "DpmSde", "ancestral_split"]


def ancestral_split(f: float, g: float, eta: float) -> tuple[float, float]:
    """From noise-to-signal ratio f to g: (how far to step, how much noise to add), squares adding up to g^2.

    Examples
    --------
    >>> ancestral_split(math.inf, 3.0, 1.0)
    (0.0, 3.0)
    """
    if not eta:
        return g, 0.0
    up = min(g, eta * g * math.sqrt(1 - (g / f) ** 2))
    return math.sqrt(g**2 - up**2), up


@dataclass(frozen=True)
class Ancestral(Solver):
    """A deterministic step past the target, then noise back up to it.

    Order of the inner solver, weak where noise is added; its calls; noise unless ``eta_ddim`` is 0; stays on any grid
    with a first-order step inside, and at ``eta_ddim=1`` with one of second order, whose middle is then the end of the
    step.

    In noise-to-signal ratios from f to g: step to ``down``, add noise of deviation ``up``, with
    ``up = eta g sqrt(1 - (g / f)^2)``, ``down^2 + up^2 = g^2``. With the first-order step inside this is
    DDIM(eta), and at eta = 1 strided DDPM and Euler-ancestral; with a second-order step DPM2-ancestral and
    DPM-Solver++ 2S-ancestral.

    Parameters
    ----------
    inner : Solver
        One-step solver, deterministic.
    eta_ddim : float
        Scale of the added deviation, 0 (none) to 1 (ancestral). It is not ``eta_sde``, which scales the
        variance rate; the two agree at 0 and 1 only.
    variance : {"small", "large"}
        ``"large"`` adds the variance of the forward step, ``(f^2 - g^2) (1 + g^2) / (1 + f^2)``, as one of
        the two choices of DDPM; the marginal is then kept only as steps go to zero.

    References
    ----------
    Ho, Jain, Abbeel (DDPM), 2020, arXiv:2006.11239; Song, Meng, Ermon (DDIM), 2020, arXiv:2010.02502;
    Karras et al., 2022, arXiv:2206.00364.
    """

    inner: Solver = field(default_factory=ExponentialSinglestep)
    eta_ddim: float = 1.0
    variance: Literal["small", "large"] = "small"

    def __post_init__(self) -> None:
        if not 0 <= self.eta_ddim <= 1:
            raise ValueError(f"eta_ddim must lie in [0, 1]: found {self.eta_ddim!r}")
        if self.variance not in ("small", "large"):
            raise ValueError(f"unknown variance {self.variance!r}: choose small or large")
        if self.variance == "large" and self.eta_ddim != 1:
            raise ValueError(f"the large variance belongs to eta_ddim = 1: found eta_ddim = {self.eta_ddim!r}")
        if self.inner.stochastic:
            raise ValueError(f"the inner solver must be deterministic: found {self.inner}")

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.inner.order

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        return self.eta_ddim > 0

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        return self.inner.steps(grid, path)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        there = flow.at(s)
        f, g = flow.at(t).ratio, there.ratio
        down, up = ancestral_split(f, g, self.eta_ddim)
        if not up:
            return self.inner.advance(flow, x, t, s, memory)
        below = flow.at_ratio(down)
        x, memory = self.inner.advance(flow, x, t, below.t, memory)
        if self.variance == "large":
            # in g / f, so that an infinite f is no exception
            up = math.sqrt((1 - (g / f) ** 2) * (1 + g**2) / (1 + f**-2))
        return there.alpha / below.alpha * x + there.alpha * up * flow.normal(x), memory


@dataclass(frozen=True)
class DpmSde(Solver):
    """DPM-Solver++ SDE, one step: an ancestral first-order step to a middle, then one with D extrapolated.

    Order 2, weak; two calls a step; noise twice a step; calls the field between the times of the grid.

    The middle is at ``lambda_t + r h``. The two noises are increments of one Brownian path in sigma /
    alpha: the middle's is part of the end's. Where h is infinite, the first-order ancestral step is taken.

    Parameters
    ----------
    eta_ddim : float
        Scale of the added deviation, 0 to 1.
    r : float
        Place of the middle, in (0, 1).
    brownian : bool
        False draws independent noises, as some codes do: the weak order drops from 2 to 1.

    References
    ----------
    Lu et al., DPM-Solver++, 2022, arXiv:2211.01095.
    """

    eta_ddim: float = 1.0
    r: float = 0.5
    brownian: bool = True

    order = 2
    stochastic = True

    def __post_init__(self) -> None:
        if not 0 <= self.eta_ddim <= 1:
            raise ValueError(f"eta_ddim must lie in [0, 1]: found {self.eta_ddim!r}")
        if not 0 < self.r < 1:
            raise ValueError(f"r must lie in (0, 1): found {self.r!r}")

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        here, there = flow.at(t), flow.at(s)
        D, e = flow.predict(x, t)
        f, g = here.ratio, there.ratio
        down, up = ancestral_split(f, g, self.eta_ddim)
        if here.pure or there.pure:
            x = there.alpha * (D + down * e)
            return (x + there.alpha * up * flow.normal(x) if up else x), None
        middle = flow.at_ratio(f ** (1 - self.r) * g**self.r)
        m = middle.ratio
        z = flow.normal(x)
        down_m, up_m = ancestral_split(f, m, self.eta_ddim)
        D_m, _ = flow.predict(middle.alpha * (D + down_m * e + up_m * z), middle.t)
        q = (f - m) / (f - g) if self.brownian else 0.0
        z = math.sqrt(q) * z + math.sqrt(1 - q) * flow.normal(x)
        extrapolated = (1 - down / f) / (2 * self.r) * (D_m - D)
        return there.alpha * (D + down * e + extrapolated + up * z), None


@dataclass(frozen=True)
class Consistency(Solver):
    """Multistep sampling from a consistency model: jump to the data, add noise back, jump again.

    Order does not apply; one call a step; noise in all steps but the last; stays on any grid.

    ``x_s = alpha_s (D + sqrt(g^2 - rho_min^2) z)`` with D the model's answer, a sample at ``rho_min`` and
    not a mean. The field must be a consistency model (``TimeField(..., predicts="denoised")``). Exact for an exact
    model.

    Parameters
    ----------
    rho_min : float
        Noise-to-signal ratio of the model's answers, at which the grid should end; 0.002 in the paper, 0 for
        models trained to the very end.

    References
    ----------
    Song, Dhariwal, Chen, Sutskever, 2023, arXiv:2303.01469.
    """

    rho_min: float = 0.0

    order = 1
    stochastic = True

    def __post_init__(self) -> None:
        if not 0 <= self.rho_min <= 1:
            raise ValueError(f"rho_min must lie in [0, 1]: found {self.rho_min!r}")

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        there = flow.at(s)
        D, _ = flow.predict(x, t)
        up = math.sqrt(max(there.ratio**2 - self.rho_min**2, 0.0))
        # the last grid time meets rho_min up to round-off only
        return there.alpha * (D + up * flow.normal(x) if up > 1e-4 * self.rho_min else D), None
