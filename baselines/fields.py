"""A network as a field: what samplers know."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from baselines.parametrisations import Parametrisation
from buff.fields import AbstractField
from buff.paths import LINEAR, Path
from buff.protocols import Array

__all__ = ["TorchField"]


@dataclass(frozen=True)
class TorchField(AbstractField):
    """The velocity of a network, for NumPy arrays and for tensors alike.

    Parameters
    ----------
    network : torch.nn.Module
        ``network(x, level, condition)``.
    parametrisation : Parametrisation
    """

    network: nn.Module
    parametrisation: Parametrisation
    path: Path = LINEAR
    times: tuple[float, ...] | None = field(default=None, init=False, repr=False)

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        numpy = isinstance(x, np.ndarray)
        tensor: Any = torch.from_numpy(np.ascontiguousarray(x)) if numpy else x
        with torch.no_grad():
            first = next(self.network.parameters())
            state = tensor.to(first)
            given: Any = np.array(condition) if numpy and condition is not None else condition
            given = None if given is None else torch.as_tensor(given).to(first)
            times = torch.full((len(state), 1), float(t), dtype=first.dtype, device=first.device)
            u = self.parametrisation.field(self.network, state, times, given).to(tensor)
        return u.numpy() if numpy else u
