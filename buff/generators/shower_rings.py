"""From the energy of a particle to the energies of rings: total, layers, halves of rings."""

from dataclasses import dataclass

import numpy as np

from buff.generators.shower_walk import Share, Walk, divided, log_energy
from buff.physics import Geometry, Split, SplitTree
from buff.protocols import Array, Integers, Numbers, Scores

__all__ = ["RingWalk", "Standards"]

#: Layers beyond which layers that are alike share the models of their rings.
_MOST_APART = 8
#: Logits of shares in the context: range, and greatest standardised value.
_SHARE_MARGIN, _REACH = 1e-3, 6.0

#: Mean and spread of the logit share of each split, by its number.
Standards = dict[int, tuple[float, float]]


@dataclass(frozen=True)
class RingWalk:
    """The splits above the rings in order, each with the context that it is drawn from.

    Attributes
    ----------
    geometry : Geometry
    tree : SplitTree
    standards : dict
        Filled when walked with ``learn=True``.
    """

    geometry: Geometry
    tree: SplitTree
    standards: Standards

    @property
    def splits(self) -> tuple[Split, ...]:
        """Splits among layers, then among rings; the total before them has number 0."""
        return self.tree.layers + self.tree.rings

    @property
    def shares_models(self) -> bool:
        """Whether layers that are alike share the models of their rings."""
        layers = self.geometry.layers
        return len(layers) > _MOST_APART and len({layer.r_edges for layer in layers}) == 1

    def __call__(self, walk: Walk, share: Share, *, learn: bool = False) -> Array:
        """Energies of all rings, (rings, n)."""
        n = len(walk.incident)
        known = [np.log2(walk.incident), *walk.condition]
        z = share(
            "total",
            0,
            0,
            np.arange(n),
            lambda rows: _stack(known, rows),
            np.log10(walk.incident),
            tuple(range(1, len(known))),
        )
        total = np.where(z * walk.incident < walk.threshold, 0.0, z * walk.incident)
        scores = {0: self._score(0, z, learn)}
        layers = self._layers(walk, total, share, scores, known, learn)
        rings: dict[tuple[int, int], Array] = {}
        bounds = [int(b) for b in self.geometry.ring_bounds]
        for i, energy in enumerate(layers):
            rings[bounds[i], bounds[i + 1]] = energy
        self._rings(walk, rings, layers, share, scores, known, learn)
        return np.stack([rings[i, i + 1] for i in range(bounds[-1])])

    def _layers(
        self, walk: Walk, total: Numbers, share: Share, scores: dict[int, Array], known: list[Array], learn: bool
    ) -> list[Array]:
        n_layers = len(self.geometry.layers)
        parts = {(0, n_layers): total}
        for j, split in enumerate(self.tree.layers, 1):
            context = [*known, *scores.values()]
            energy = parts[split.first, split.last]
            first, last, z = self._split(walk, j, f"layers/{j}", 0, energy, context, len(known), share)
            parts[split.first, split.middle], parts[split.middle, split.last] = first, last
            scores[j] = self._score(j, z, learn)
        return [parts[i, i + 1] for i in range(n_layers)]

    def _rings(
        self,
        walk: Walk,
        parts: dict[tuple[int, int], Array],
        layers: list[Array],
        share: Share,
        scores: dict[int, Array],
        known: list[Array],
        learn: bool,
    ) -> None:
        log_layers = [log_energy(e) for e in layers]
        first_of: dict[int, int] = {}
        for j, split in enumerate(self.tree.rings, len(self.tree.layers) + 1):
            k = j - first_of.setdefault(split.layer, j)
            if self.shares_models:
                key, group = f"rings/{k}", split.layer
                context = [*known, *self._of_layer(split.layer, log_layers), *self._near(j, k, scores, split.layer)]
                start = len(known) + 4
            else:
                key, group = f"rings/{j}", 0
                context, start = [*known, *log_layers, *scores.values()], len(known) + len(layers)
            energy = parts[split.first, split.last]
            a, b, z = self._split(walk, j, key, group, energy, context, start, share)
            parts[split.first, split.middle], parts[split.middle, split.last] = a, b
            scores[j] = self._score(j, z, learn)

    @staticmethod
    def _of_layer(i: int, logs: list[Array]) -> list[Array]:
        before, after = logs[max(i - 1, 0)], logs[min(i + 1, len(logs) - 1)]
        return [np.full(len(before), i, np.float32), before, logs[i], after]

    def _near(self, j: int, k: int, scores: dict[int, Array], layer: int) -> list[Array]:
        """Scores of this layer's earlier splits, and of all splits of the layer before."""
        n_splits = self.geometry.layers[layer].n_r - 1
        blank = np.zeros(len(scores[0]), np.float32)
        before = [scores[i] if layer else blank for i in range(j - k - n_splits, j - k)]
        return [*(scores[i] for i in range(j - k, j)), *before]

    def _split(
        self, walk: Walk, j: int, key: str, group: int, energy: Numbers, context: list[Array], start: int, share: Share
    ) -> tuple[Array, Array, Array]:
        rows = np.flatnonzero(energy > 0)
        z = np.full(len(energy), np.nan)
        p = log_energy(energy)
        base = (*range(2, 2 + len(walk.condition)), *range(start + 1, len(context) + 1))
        z[rows] = share(key, j, group, rows, lambda chosen: _stack([p, *context], chosen), p[rows], base)
        first, last = divided(energy, np.nan_to_num(z), walk.threshold)
        return first, last, z

    def _score(self, j: int, z: Scores, learn: bool) -> Array:
        """Standardised logit of a share, 0 where there was nothing to share; the total as it is."""
        x = z if j == 0 else _logit(z)
        if learn:
            there = x[~np.isnan(x)]
            self.standards[j] = (float(there.mean()), float(there.std()) + 1e-3) if len(there) else (0.0, 1.0)
        mean, spread = self.standards[j]
        return np.nan_to_num(np.clip((x - mean) / spread, -_REACH, _REACH)).astype(np.float32)


def _logit(z: Scores) -> Array:
    z = np.clip(z, _SHARE_MARGIN, 1 - _SHARE_MARGIN)
    return np.log(z / (1 - z))


def _stack(columns: list[Array], rows: Integers) -> Array:
    """Columns as features of these rows."""
    features = np.empty((len(rows), len(columns)), np.float32)
    for k, column in enumerate(columns):
        features[:, k] = column[rows]
    return features
