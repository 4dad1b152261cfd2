"""Networks in the coordinates in which the Gaussian part of a flow stands still."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from buff.fields import GaussianFlow
from buff_baselines.objectives import FlowMatching
from buff_baselines.parametrisations import state_width

__all__ = ["FrameMatching", "FrameNetwork"]


class FrameNetwork(nn.Module):  # type: ignore[misc]
    r"""A velocity, of which a network learns what a Gaussian leaves.

    With mu the mean of the data, U and e the eigenvectors and eigenvalues of their covariance, and
    :math:`a = \sqrt{t^2 e + (1 - t)^2}`,

    .. math:: u(x, t) = \mu + U \left( \frac{a'}{a} U^T (x - t \mu) + \frac{\sqrt{e}}{a} F(y, t) \right), \qquad
              y = \frac{U^T (x - t \mu)}{a}

    where F, the network, has inputs and targets of unit width in all directions (the frame of
    :class:`buff.fields.GaussianFlow`). Made to reach the end in one step (:meth:`to_end`), what the Gaussian gives is
    its mean velocity from t to 1, with which :math:`x + (1 - t) u` lies at the end of its path,

    .. math:: \mu + U \frac{(1 + t) e - (1 - t)}{\sqrt{e} + a} y

    Parameters
    ----------
    network : torch.nn.Module
        F, called as ``network(y, t, condition)``.
    d : int
        Width of the states.
    """

    def __init__(self, network: nn.Module, d: int) -> None:
        super().__init__()
        self.network = network
        self.n_conditions = getattr(network, "n_conditions", None)
        self.optional = getattr(network, "optional", False)
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("basis", torch.eye(d))
        self.register_buffer("variances", torch.ones(d))
        self.register_buffer("averaged", torch.zeros((), dtype=torch.bool))

    def set_moments(self, x1: Tensor, weights: Tensor | None = None) -> None:
        """Mean and covariance of data (n, d) with weights (n,)."""
        x = x1.double()
        w = torch.ones(len(x), dtype=x.dtype) if weights is None else weights.double()
        w = w[:, None] / w.sum()
        mean = (w * x).sum(0)
        part = GaussianFlow.of(mean.numpy(), ((w * (x - mean)).T @ (x - mean)).numpy())
        for name in ("mean", "basis", "variances"):
            getattr(self, name).copy_(torch.as_tensor(getattr(part, name)))

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """u at ``x`` scaled to unit width, as :class:`Parametrisation` hands states over."""
        y, a, rate = self._frame(x * state_width(t, 1.0), t)
        width = self.variances.sqrt()
        mean_rate = ((1 + t) * self.variances - (1 - t)) / (width + a)
        inside = torch.where(self.averaged, mean_rate, rate * a) * y + width / a * self.network(y, t, condition)
        return self.mean + inside @ self.basis.T

    def to_end(self) -> None:
        """Make it a network of mean velocities from t to 1, as students by consistency are."""
        self.averaged.fill_(True)

    def residual(self, x: Tensor, t: Tensor, velocity: Tensor, condition: Tensor | None = None) -> Tensor:
        """F less its target at states x (n, d) that move with a velocity."""
        y, a, rate = self._frame(x, t)
        target = ((velocity - self.mean) @ self.basis - rate * a * y) * a / self.variances.sqrt()
        return self.network(y, t, condition) - target

    @property
    def gaussian(self) -> GaussianFlow | None:
        """The Gaussian part; None for a network of mean velocities, which no rule of small steps follows."""
        if self.averaged:
            return None
        return GaussianFlow(*(part.double().cpu().numpy() for part in (self.mean, self.basis, self.variances)))

    def frame_velocity(self, y: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        r"""dy/dt at coordinates y: :math:`\sqrt{e} F / a^2`."""
        squared = t**2 * self.variances + (1 - t) ** 2
        return self.variances.sqrt() / squared * self.network(y, t, condition)

    def _frame(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y, a and a' / a."""
        squared = t**2 * self.variances + (1 - t) ** 2
        a = squared.sqrt()
        return (x - t * self.mean) @ self.basis / a, a, (t * self.variances - (1 - t)) / squared


@dataclass(frozen=True)
class FrameMatching(FlowMatching):
    """:class:`FlowMatching` of a :class:`FrameNetwork`: errors count alike in all directions of the frame."""

    def loss(self, network: Any, x0: Tensor, x1: Tensor, condition: Tensor | None, rng: torch.Generator) -> Tensor:
        t, weight = self._times(torch.rand(len(x1), 1, generator=rng, device=rng.device))
        error = network.residual(t * x1 + (1 - t) * x0, t, x1 - x0, condition)
        return weight[:, 0] * error.square().mean(1)
