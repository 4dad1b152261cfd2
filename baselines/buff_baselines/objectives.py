"""Training problems: pairs of noise and data, times, targets, weights."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from buff.grids.discrete import alpha_bar, ratios
from buff.paths import LINEAR, Path
from buff_baselines.fields import BridgeField, TorchField
from buff_baselines.parametrisations import HIGHEST, LOWEST, Parametrisation
from buff_baselines.weights import SPACES, get_loss_weight

__all__ = ["DENSITIES", "BridgeMatching", "Diffusion", "FlowMatching", "Objective"]

Loss = Callable[[nn.Module, Tensor, Tensor, Tensor | None, torch.Generator], Tensor]


class Objective:
    """A loss for each row of a batch.

    Attributes
    ----------
    parametrisation : Parametrisation
        How the network's output becomes a velocity.
    """

    parametrisation: Parametrisation
    #: Outputs of the network, in units of the width of the data.
    n_outputs: int = 1

    def field(self, network: nn.Module) -> TorchField:
        """The velocity that a trained network stands for."""
        return TorchField(network, self.parametrisation)

    def loss(
        self, network: nn.Module, x0: Tensor, x1: Tensor, condition: Tensor | None, rng: torch.Generator
    ) -> Tensor:
        """Losses of shape (n,)."""
        raise NotImplementedError


@dataclass(frozen=True)
class FlowMatching(Objective):
    r"""Regression of the velocity :math:`x_1 - x_0` at :math:`x_t = t x_1 + (1 - t) x_0` (Lipman et al., 2022,
    arXiv:2210.02747; Tong et al., 2023, arXiv:2302.00482).

    Other paths :math:`\alpha(\tau) x_1 + \sigma(\tau) x_0` are scaled to this one, t = alpha / (alpha + sigma); which
    times are trained how often, tau being uniform, and what their errors count, is theirs.

    Attributes
    ----------
    path : Path
    """

    path: Path = LINEAR
    parametrisation: Parametrisation = field(default_factory=lambda: Parametrisation("velocity"))

    def loss(
        self, network: nn.Module, x0: Tensor, x1: Tensor, condition: Tensor | None, rng: torch.Generator
    ) -> Tensor:
        t, weight = self._times(torch.rand(len(x1), 1, generator=rng, device=rng.device))
        F = self.parametrisation.raw(network, t * x1 + (1 - t) * x0, t, condition)
        return weight[:, 0] * (F - (x1 - x0)).square().mean(1)

    def _times(self, tau: Tensor) -> tuple[Tensor, Tensor]:
        """Times with the noise-to-signal ratio of tau, and what a squared error of the linear velocity counts there."""
        now = self.path.at(tau)
        scale = now.alpha + now.sigma
        # dx/dtau = alpha' D + sigma' e with D = x + (1 - t) u and e = x - t u of the linear path
        return now.alpha / scale, (now.delta / scale) ** 2 + torch.zeros_like(tau)


@dataclass(frozen=True)
class BridgeMatching(Objective):
    r"""Schroedinger-bridge flow matching: a bridge of noise between paired ends.

    .. math:: x_t = t x_1 + (1 - t) x_0 + \sigma \sqrt{t (1 - t)}\, z, \qquad
              u = \frac{1 - 2t}{2 t (1 - t)} (x_t - t x_1 - (1 - t) x_0) + x_1 - x_0

    The second half of the output g learns :math:`(\sigma^2 / 2) \nabla \log p_t` by
    :math:`|\lambda g + z|^2, \lambda = 2 \sqrt{t (1 - t)} / \sigma`, for sampling the bridge as a diffusion
    (Tong et al., 2023, arXiv:2307.03672).

    Attributes
    ----------
    noise : float
        sigma.
    """

    noise: float = 1.0
    parametrisation: Parametrisation = field(default_factory=lambda: Parametrisation("velocity"))
    n_outputs: int = 2

    def __post_init__(self) -> None:
        if not self.noise > 0:
            raise ValueError(f"the noise of a bridge must be positive: found {self.noise!r}")

    def field(self, network: nn.Module) -> TorchField:
        return BridgeField(network, self.parametrisation, noise=self.noise)

    def loss(
        self, network: nn.Module, x0: Tensor, x1: Tensor, condition: Tensor | None, rng: torch.Generator
    ) -> Tensor:
        d = x1.shape[1]
        t = torch.rand(len(x1), 1, generator=rng, device=rng.device).clamp(1e-3, 1 - 1e-3)
        z = torch.randn(x1.shape, generator=rng, device=rng.device)
        spread = self.noise * torch.sqrt(t * (1 - t))
        x_t = t * x1 + (1 - t) * x0 + spread * z
        u = (1 - 2 * t) / (2 * t * (1 - t)) * spread * z + x1 - x0
        F = self.parametrisation.raw(network, x_t, t, condition)
        scale = 2 * torch.sqrt(t * (1 - t)) / self.noise
        return (F[:, :d] - u).square().mean(1) + (scale * F[:, d:] + z).square().mean(1)


def _lognormal(n: int, rng: torch.Generator) -> Tensor:
    return torch.exp(-1.2 + 1.2 * torch.randn(n, 1, generator=rng, device=rng.device))


def _vp(n: int, rng: torch.Generator) -> Tensor:
    tau = 1e-3 + (1 - 1e-3) * torch.rand(n, 1, generator=rng, device=rng.device)
    return torch.sqrt(torch.expm1(0.1 * tau + (20.0 - 0.1) / 2 * tau**2))


def _cosine(n: int, rng: torch.Generator) -> Tensor:
    return torch.tan(math.pi / 2 * torch.rand(n, 1, generator=rng, device=rng.device).clamp(1e-3, 1 - 4e-3))


def _ddpm(n: int, rng: torch.Generator) -> Tensor:
    table = torch.tensor(ratios(alpha_bar("ddpm")), dtype=torch.float32, device=rng.device)
    return table[torch.randint(len(table), (n, 1), generator=rng, device=rng.device)]


def _uniform(n: int, rng: torch.Generator) -> Tensor:
    t = torch.rand(n, 1, generator=rng, device=rng.device).clamp(1e-3, 1 - 1e-3)
    return (1 - t) / t


#: Densities of the noise-to-signal ratio in training: EDM's log-normal, the times of VP, the angles of the cosine
#: schedule, the thousand steps of DDPM, the uniform times of flow matching.
DENSITIES = {"lognormal": _lognormal, "vp": _vp, "cosine": _cosine, "ddpm": _ddpm, "uniform": _uniform}


@dataclass(frozen=True)
class Diffusion(Objective):
    """A weighted squared error of the network's own target over a density of noise levels.

    Attributes
    ----------
    parametrisation : Parametrisation
    density : {"lognormal", "vp", "cosine", "ddpm", "uniform"}
    loss_weight : str or mapping
        See :mod:`buff_baselines.weights`.
    scale : float
        Divides the weights, so that their mean over the density is 1.
    """

    parametrisation: Parametrisation
    density: str
    loss_weight: str | Mapping[str, Any]
    scale: float = 1.0

    @classmethod
    def normalised(
        cls, parametrisation: Parametrisation, density: str, loss_weight: str | Mapping[str, Any]
    ) -> "Diffusion":
        """With weights of the network's own error that have mean 1 over the density."""
        if density not in DENSITIES:
            raise ValueError(f"unknown density {density!r}: choose one of {', '.join(DENSITIES)}")
        bare = cls(parametrisation, density, loss_weight)
        rng = torch.Generator().manual_seed(0)
        sigma = DENSITIES[density](100_000, rng).clamp(LOWEST, HIGHEST)
        return cls(parametrisation, density, loss_weight, float(bare.weight(sigma).mean()))

    def weight(self, sigma: Tensor) -> Tensor:
        """The weight of the network's own squared error."""
        s = self.parametrisation.width
        of_data = get_loss_weight(self.loss_weight).of_data(sigma, s)
        return of_data / SPACES[self.parametrisation.predicts](sigma, s) / self.scale

    def loss(
        self, network: nn.Module, x0: Tensor, x1: Tensor, condition: Tensor | None, rng: torch.Generator
    ) -> Tensor:
        sigma = DENSITIES[self.density](len(x1), rng).clamp(LOWEST, HIGHEST)
        t = 1 / (1 + sigma)
        F = self.parametrisation.raw(network, t * x1 + (1 - t) * x0, t, condition)
        error = (F - self.parametrisation.target(x0, x1, t)).square().mean(1)
        return self.weight(sigma)[:, 0] * error
