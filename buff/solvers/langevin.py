"""Discretised reverse SDEs: Euler-Maruyama and predictor-corrector."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from buff.grids import TimeGrid
from buff.paths import LINEAR, Path
from buff.protocols import Array
from buff.solvers.base import BoundField, Solver

__all__ = ["EulerMaruyama", "PredictorCorrector"]


@dataclass(frozen=True)
class EulerMaruyama(Solver):
    """``x += h (u + w / 2 s) + sqrt(w h) z``: an SDE with the flow's marginals, for any w(t) >= 0.

    Order 1, weak; one call a step; noise in every step; stays on any grid.

    Parameters
    ----------
    diffusion : {"safe", "reverse", "discrete"}
        ``"safe"``: ``w = scale sigma (alpha' sigma - alpha sigma')``, which is ``scale (1 - t)`` on the
        linear path and finite at both ends. ``"reverse"``: ``w = scale 2 sigma^2 lambda'``, the reverse SDE
        at scale = 1. ``"discrete"``: the reverse SDE in sigma / alpha with the step's exact variance
        ``f^2 - g^2`` (reverse diffusion sampling); scale does not apply. Both are infinite where there is no
        signal yet; the step from there is the ancestral one.
    scale : float
        Factor of w; useful 0.5 to 2.
    noise_at_end : bool
        Whether to add noise in the step that ends at t = 1; without it the mean of that step is returned.

    References
    ----------
    Song et al., 2020, arXiv:2011.13456; Maruyama, 1955. 250 to 1000 steps are usual.
    """

    diffusion: Literal["safe", "reverse", "discrete"] = "safe"
    scale: float = 1.0
    noise_at_end: bool = False

    order = 1
    stochastic = True

    def __post_init__(self) -> None:
        if self.diffusion not in ("safe", "reverse", "discrete"):
            raise ValueError(f"unknown diffusion {self.diffusion!r}: choose safe, reverse or discrete")
        if not 0 <= self.scale <= 100:
            raise ValueError(f"scale must lie in [0, 100] (useful: 0.5 to 2): found {self.scale!r}")
        if self.diffusion == "discrete" and self.scale != 1:
            raise ValueError(f"scale does not apply to the discrete diffusion: found {self.scale!r}")

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        mean, deviation = self._law(flow, x, t, s)
        if s == 1 and not self.noise_at_end:
            return mean, None
        return mean + deviation * flow.normal(x), None

    def _law(self, flow: BoundField, x: Array, t: float, s: float) -> tuple[Array, float]:
        """Mean and deviation of the state at s."""
        here, there, u = flow.at(t), flow.at(s), flow.velocity(x, t)
        e = here.noise(x, u)
        if self.diffusion != "safe" and not here.alpha:
            return there.alpha * here.denoised(x, u), there.sigma
        if self.diffusion == "discrete":
            variance = here.ratio**2 - there.ratio**2
            y = x / here.alpha - variance / here.ratio * e
            return there.alpha * y, there.alpha * math.sqrt(variance)
        # w / sigma, so that w s / 2 = -(w / sigma) e / 2 needs no division by sigma
        rate = self.scale * here.delta * (2 / here.alpha if self.diffusion == "reverse" else 1.0)
        return x + (s - t) * (u - rate / 2 * e), math.sqrt(rate * here.sigma * (s - t))


@dataclass(frozen=True)
class PredictorCorrector(Solver):
    """Langevin steps at each time, then a predictor step to the next.

    Order 1, weak; ``n_corrector`` calls a step and those of the predictor; noise in every step; stays on any grid that
    its predictor stays on.

    Corrector: ``x += a s + sqrt(2 a) z`` with ``a = 2 (snr |z| / |s|)^2``, written with e = -sigma s. It leaves a
    bias of order snr^2 that more steps do not remove: snr wants tuning, not raising.

    Parameters
    ----------
    predictor : Solver
        One-step predictor; Euler-Maruyama by default.
    snr : float
        Signal-to-noise ratio of the corrector, in (0, 1). Published: 0.16, 0.17, 0.15, 0.075.
    n_corrector : int
        Langevin steps at each time; 0 leaves the predictor alone.
    n_predictor : int, optional
        If given, the number of steps the grid must have.
    norm : {"unit", "batch"}
        How to take ``|z| / |e|``: as 1, which it nears in many dimensions, or from mean norms over the
        batch, as in the paper, which couples the rows. (A ratio of each row's own makes the step depend on
        the state, and the corrector then leaves another law than p_t.)

    References
    ----------
    Song et al., 2020, arXiv:2011.13456, algorithms 2 to 5 (their factor alpha of the VP case, 1 - beta, is
    taken as 1).
    """

    predictor: Solver = field(default_factory=EulerMaruyama)
    snr: float = 0.16
    n_corrector: int = 1
    n_predictor: int | None = None
    norm: Literal["unit", "batch"] = "unit"

    order = 1
    stochastic = True

    def __post_init__(self) -> None:
        if not 0 < self.snr < 1:
            raise ValueError(f"snr must lie in (0, 1): found {self.snr!r}")
        if self.n_corrector < 0:
            raise ValueError(f"n_corrector must not be negative: found {self.n_corrector!r}")
        if self.n_predictor is not None and self.n_predictor < 1:
            raise ValueError(f"n_predictor must be at least 1, or None: found {self.n_predictor!r}")
        if self.norm not in ("unit", "batch"):
            raise ValueError(f"unknown norm {self.norm!r}: choose unit or batch")

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        if self.n_predictor is not None and grid.n_steps != self.n_predictor:
            raise ValueError(
                f"n_predictor = {self.n_predictor} asks for a grid of {self.n_predictor} steps: "
                f"found {grid.n_steps} (n_predictor=None accepts any)"
            )
        return self.predictor.steps(grid, path)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        sigma = flow.at(t).sigma
        for _ in range(self.n_corrector):
            _, e = flow.predict(x, t)
            z = flow.normal(x)
            step = self.snr * (_mean_norm(z) / _mean_norm(e) if self.norm == "batch" else 1.0)
            x = x - 2 * sigma * step**2 * e + 2 * sigma * step * z
        return self.predictor.advance(flow, x, t, s, memory)


def _mean_norm(x: Array) -> float:
    return float(((x * x).sum(1) ** 0.5).mean())
