"""Showers as tables: flow matching of all voxels at once with trees, in the manner of CaloForest, at reduced size."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from buff.protocols import Array
from buff.trees import Booster, FlatForest, TreeSettings, flattened

__all__ = ["FlatShowers"]

#: Width, relative to the incident energy, below which a voxel counts as constant.
_CONSTANT = 1e-12


@dataclass
class FlatShowers:
    """One regressor for all voxels at each time and incident energy, Euler's rule from noise to showers.

    Voxels over the incident energy are scaled to [-1, 1] for each energy; trees learn v = x1 - x0 from
    x_t = t x1 + (1 - t) x0, x0 ~ N(0, I), at the left ends of ``n_nodes`` equal steps. The published model has 100
    nodes, 20 noise vectors a shower and 20 trees of depth 7 for each voxel (J. Cresswell, T. Kim, 2024,
    arXiv:2408.16046): here trees have leaves of all voxels and splits that see a projection of the gradient. Voxels
    below the least energy of the training are set to 0.
    """

    n_nodes: int = 10
    noise_draws: int = 2
    trees: TreeSettings = field(
        default_factory=lambda: TreeSettings(
            n_estimators=10, max_depth=7, learning_rate=0.7, reg_lambda=1.0, layout="sketch"
        )
    )
    random_state: int = 0

    def fit(self, showers: Array, incident_energies: Array) -> Self:
        """Learn from showers (n, voxels) of a few energies (n,), MeV."""
        self.threshold_ = showers[showers > 0].min()
        self.energies_ = {
            float(e): self._fit_energy(showers[incident_energies == e] / e, k)
            for k, e in enumerate(np.unique(incident_energies))
        }
        return self

    def sample(self, incident_energies: Array, random_state: int = 0) -> Array:
        """One shower for each energy of the training."""
        rng = np.random.default_rng(random_state)
        showers = np.zeros((len(incident_energies), next(iter(self.energies_.values())).low.size), np.float32)
        for e, model in self.energies_.items():
            rows = np.flatnonzero(incident_energies == e)
            showers[rows] = model.sample(len(rows), rng) * e
        return np.where(showers < self.threshold_, 0, showers)

    def _fit_energy(self, voxels: Array, k: int) -> "_OfEnergy":
        rng = np.random.default_rng([self.random_state, k])
        low, width = voxels.min(axis=0), np.ptp(voxels, axis=0)
        x1 = np.repeat(_scaled(voxels, low, width), self.noise_draws, axis=0)
        x0 = rng.standard_normal(x1.shape, np.float32)
        nodes = []
        for i in range(self.n_nodes):
            t = np.float32(i / self.n_nodes)
            booster = Booster.fit(t * x1 + (1 - t) * x0, x1 - x0, self.trees, seed=self.random_state)
            nodes.append(flattened(booster))
        return _OfEnergy(low, width, nodes)


@dataclass
class _OfEnergy:
    """Scale of the voxels and trees of each node."""

    low: Array
    width: Array
    nodes: list[Booster | FlatForest]

    def sample(self, n: int, rng: np.random.Generator) -> Any:
        x = rng.standard_normal((n, self.low.size), np.float32)
        for node in self.nodes:
            x += node(x) / len(self.nodes)
        return np.maximum((np.clip(x, -1, 1) + 1) / 2 * self.width + self.low, 0)


def _scaled(voxels: Array, low: Array, width: Array) -> Array:
    constant = width < _CONSTANT
    return np.where(constant, 0, 2 * (voxels - low) / np.where(constant, 1, width) - 1).astype(np.float32)
