"""A network as a field: what samplers know."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from buff.fields import AbstractField, GaussianFlow
from buff.paths import LINEAR, Path
from buff.protocols import Array
from buff.solvers import Solver
from buff.solvers import get_solver as get_buff_solver
from buff.solvers.base import BoundField
from buff_baselines.parametrisations import Parametrisation

__all__ = ["BridgeField", "BridgeSolver", "TorchField", "get_solver"]


@dataclass(frozen=True)
class TorchField(AbstractField):
    """The velocity of a network, for NumPy arrays and for tensors alike.

    Parameters
    ----------
    network : torch.nn.Module
        ``network(x, level, condition)``.
    parametrisation : Parametrisation
    path : Path
        The path the network was trained on.
    """

    network: nn.Module
    parametrisation: Parametrisation
    path: Path = LINEAR
    times: tuple[float, ...] | None = field(default=None, init=False, repr=False)

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        return self._evaluated(self.parametrisation.field, x, t, condition)

    @cached_property
    def gaussian(self) -> GaussianFlow | None:  # type: ignore[override]
        """Coordinates for solvers such as ``"ifab2"``: of networks that learned in the frame of a Gaussian."""
        part = getattr(self.network, "gaussian", None)
        return part if isinstance(part, GaussianFlow) else None

    def frame_velocity(self, x: Array, y: Array, t: float, condition: Array | None = None) -> Array:
        return self._evaluated(lambda network, *at: network.frame_velocity(*at), y, t, condition)

    def _evaluated(self, function: Any, x: Array, t: float, condition: Array | None) -> Array:
        """``function(network, x, t, condition)`` where the network lives, returned where x lives."""
        first = next(self.network.parameters())
        self._check_condition(x, condition)
        with torch.no_grad():
            state = _tensor_like(first, x)
            given = None if condition is None else _tensor_like(first, condition).expand(len(state), -1)
            times = torch.full((len(state), 1), float(t), dtype=first.dtype, device=first.device)
            values = function(self.network, state, times, given)
        return values.cpu().numpy().astype(x.dtype) if isinstance(x, np.ndarray) else values.to(x)

    def _check_condition(self, x: Array, condition: Array | None) -> None:
        wanted = getattr(self.network, "n_conditions", None)
        if condition is not None and (condition.ndim != 2 or len(condition) not in (1, len(x))):
            raise ValueError(
                f"the condition has shape {tuple(condition.shape)}: {len(x)} states need shape ({len(x)}, c), or (1, c)"
            )
        found = 0 if condition is None else condition.shape[1]
        if wanted is None or found == wanted or (condition is None and getattr(self.network, "optional", False)):
            return
        advice = "condition_encoder_.transform(condition) makes them" if wanted else "it was fitted without condition"
        if wanted and condition is None:
            advice += (
                "; a network fitted with condition_dropout=0.1 does without as well, and for guidance Guided takes the "
                "field of another, fitted without condition, as unconditional="
            )
        raise ValueError(f"the network takes {wanted} features of a condition, found {found}: {advice}")


@dataclass(frozen=True)
class BridgeField(TorchField):
    """The velocity u of a bridge, and the drift u + g of its diffusion, for :class:`BridgeSolver`.

    Parameters
    ----------
    noise : float
        Of the bridge.
    """

    noise: float = field(default=1.0, kw_only=True)

    def drift(self, x: Array, t: float, condition: Array | None = None) -> Array:
        """u + g, with g = (noise^2 / 2) grad log p_t."""
        return self._evaluated(self._drift, x, t, condition)

    def _drift(self, network: nn.Module, x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        F = self.parametrisation.raw(network, x, t, condition)
        return F[:, : x.shape[1]] + F[:, x.shape[1] :]


@dataclass(frozen=True)
class BridgeSolver(Solver):
    r"""Euler-Maruyama along a bridge: :math:`dx = (u + g) dt + \sigma dW`; one call a step.

    References
    ----------
    Tong et al., 2023, arXiv:2307.03672.
    """

    order = 1
    stochastic = True

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        if not isinstance(flow.field, BridgeField):
            raise ValueError("solver='bridge' follows the diffusion of method='sbcfm': choose another solver")
        drift = flow.field.drift(x, t, flow.condition)
        return x + (s - t) * drift + flow.field.noise * math.sqrt(s - t) * flow.normal(x), memory


def get_solver(name: str | Solver) -> Solver:
    """The solver ``bridge``, or one of buff's by name."""
    return BridgeSolver() if name == "bridge" else get_buff_solver(name)


def _tensor_like(first: Tensor, x: Array) -> Tensor:
    tensor: Tensor = torch.tensor(x) if isinstance(x, np.ndarray) else x
    return tensor.to(first)
