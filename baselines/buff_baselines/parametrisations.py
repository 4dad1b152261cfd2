r"""What a network is asked for, and the velocity that follows: all on the linear path.

Paths with the same noise-to-signal ratio differ by a factor of the state (Karras et al., 2022, arXiv:2206.00364;
Kingma, Gao, 2023, arXiv:2303.00848), so every diffusion is written here as a flow on ``x_t = t x1 + (1 - t) x0`` with
:math:`\sigma = (1 - t) / t`. Which noise levels are trained how often, what is predicted and how errors are weighted is
all that is left of "VP", "EDM" or "DDPM"; the sampler is free. Networks see the state scaled to unit width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["PREDICTIONS", "Parametrisation", "state_width"]

PREDICTIONS = ("velocity", "edm", "noise", "v", "data")
#: Noise-to-signal ratios outside of which the level a network is told stays as it is.
LOWEST, HIGHEST = 2e-3, 152.0
#: Nearly pure noise, a prediction of the noise says next to nothing about the data: denoised data are those of then.
_EARLIEST = 1 / 21
#: Nearly pure data, a prediction of the data says next to nothing about the noise: it falls to 0 as 1 - t from then.
_LATEST = 0.99


@dataclass(frozen=True)
class Parametrisation:
    r"""From a network's output F to the velocity u, and the target of F.

    With :math:`n^2 = (1 - t)^2 + s^2 t^2` and s the width of the data,

    ========  ======================================================  ==================================
    predicts  u                                                       target of F
    ========  ======================================================  ==================================
    velocity  F                                                       x1 - x0
    edm       ((s^2 t - (1 - t)) x + s n F) / n^2                     ((1 - t) x1 - s^2 t x0) / (s n)
    noise     (x - F) / t                                             x0
    v         ((t - (1 - t)) x - n F) / n^2, s = 1                    (t x0 - (1 - t) x1) / n
    data      (F - x) / (1 - t)                                       x1
    ========  ======================================================  ==================================

    Attributes
    ----------
    predicts : {"velocity", "edm", "noise", "v", "data"}
    width : float
        s, the standard deviation of the data in the space of the model.
    """

    predicts: str
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.predicts not in PREDICTIONS:
            raise ValueError(f"unknown prediction {self.predicts!r}: choose one of {', '.join(PREDICTIONS)}")

    def raw(self, network: nn.Module, x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        """F at states x (n, d) and times t (n, 1)."""
        return network(x / self._norm(t), self.level(t), condition)

    def level(self, t: Tensor) -> Tensor:
        """What the network is told about t: t itself for a velocity, ln(sigma) / 4 for a diffusion."""
        return t if self.predicts == "velocity" else torch.log(ratio(t)) / 4

    def target(self, x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
        """The target of F."""
        n, s = self._norm(t), self.width
        targets = {
            "velocity": lambda: x1 - x0,
            "edm": lambda: ((1 - t) * x1 - s**2 * t * x0) / (s * n),
            "noise": lambda: x0,
            "v": lambda: (t * x0 - (1 - t) * x1) / state_width(t, 1.0),
            "data": lambda: x1,
        }
        return targets[self.predicts]()

    def velocity(self, F: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """u of outputs F at states x (n, d) and times t (n, 1), not 0 to read from noise, not 1 from data."""
        n, s = self._norm(t), self.width
        formulas = {
            "velocity": lambda: F,
            "edm": lambda: ((s**2 * t - (1 - t)) * x + s * n * F) / n**2,
            "v": lambda: ((2 * t - 1) * x - n * F) / n**2,
            "noise": lambda: (x - F) / t,
            "data": lambda: (F - x) / (1 - t),
        }
        return formulas[self.predicts]()

    def field(self, network: nn.Module, x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        """u of a network at states x (n, d) and times t (n, 1), finite at both ends."""
        s = t.clamp(_EARLIEST if self.predicts == "noise" else 0.0, _LATEST if self.predicts == "data" else 1.0)
        y = x * (self._norm(s) / self._norm(t))
        u = self.velocity(self.raw(network, y, s, condition)[:, : x.shape[1]], y, s)
        if self.predicts == "noise":
            denoised = y + (1 - s) * u
            return torch.where(t < s, (denoised - x) / (1 - t).clamp(min=1 - _EARLIEST), u)
        if self.predicts == "data":
            noise = (y - s * u) * (1 - t) / (1 - s)
            return torch.where(t > s, (x - noise) / t.clamp(min=_LATEST), u)
        return u

    def _norm(self, t: Tensor) -> Tensor:
        return state_width(t, self.width if self.predicts == "edm" else 1.0)


def ratio(t: Tensor) -> Tensor:
    """sigma = (1 - t) / t, kept between the ends that networks know."""
    return ((1 - t) / t.clamp(min=1e-6)).clamp(LOWEST, HIGHEST)


def state_width(t: Tensor, width: float) -> Tensor:
    """Standard deviation of states at times t for data of a width: what networks see is divided by it."""
    return torch.sqrt((1 - t) ** 2 + (width * t) ** 2)
