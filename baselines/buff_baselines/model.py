"""A trained network with its solver and grid, as a value."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from safetensors.torch import save as save_tensors

from buff.fields import Reversed
from buff.flows import SampleRequest
from buff.grids import TimeGrid
from buff.protocols import Array
from buff.solvers import Solver, integrate, trajectory
from buff_baselines.fields import TorchField

__all__ = ["NeuralModel"]


@dataclass(frozen=True, eq=False)
class NeuralModel:
    """What draws scores: the protocol of :class:`buff.flows.FlowModel`.

    Attributes
    ----------
    field : TorchField
        The velocity, at every time.
    solver : Solver
    grid : TimeGrid
    n_dims : int
        Number of scores.
    """

    field: TorchField
    solver: Solver
    grid: TimeGrid
    n_dims: int

    #: Every network has a field of scores, and noise that its events come from.
    no_field: ClassVar[str] = ""
    no_latents: ClassVar[str] = ""

    def solved_by(self, solver: Solver | None, grid: TimeGrid | None) -> "NeuralModel":
        """The same network, followed by another solver or on another grid; None for those that it has."""
        return replace(self, solver=solver or self.solver, grid=grid or self.grid)

    def draw(self, batch: SampleRequest) -> Array:
        """Scores of one batch of events, at once."""
        x0, condition, noise = self._start(batch)
        return integrate(self.solver, self.field, x0, self.grid, condition, noise)

    def trajectory(self, request: SampleRequest) -> Iterator[Array]:
        """Scores of all events at once, at the start and after every step."""
        x0, condition, noise = self._start(request)
        return trajectory(self.solver, self.field, x0, self.grid, condition, noise)

    def transport(self, x0: Array, condition: Array | None = None) -> Array:
        """Scores x1 (n, d) where the flow takes states x0 (n, d) of its start."""
        return integrate(self.solver, self.field, x0, self.grid, condition)

    def encode(self, x1: Array, condition: Array | None = None) -> Array:
        """States that :meth:`transport` takes to scores x1 (n, d), up to the error of the steps (Heun's rule)."""
        return integrate("heun", Reversed(self.field), x1, self.grid.backwards(), condition)

    def _start(self, request: SampleRequest) -> tuple[Array, Array | None, Any]:
        batch = request.batch(0, request.n)
        noise = batch.noise()
        return noise(np.empty((batch.n, self.n_dims), np.float32)), batch.condition, noise

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
        """A JSON-serialisable record, no arrays, and the weights of the network as safetensors."""
        weights = {name: tensor.cpu().contiguous() for name, tensor in self.field.network.state_dict().items()}
        return {"width": self.field.parametrisation.width}, {}, {"network.safetensors": save_tensors(weights)}
