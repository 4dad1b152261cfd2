"""From the energies of rings to those of voxels: each ring divides around the axis, inside out, layer by layer."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from buff.generators.shower_walk import Share, Walk, added, divided, log_energy
from buff.physics import Geometry, SplitTree
from buff.physics.split_tree import AngleSplit, angle_splits
from buff.protocols import Array, Indices, Numbers

__all__ = ["AngleWalk"]

#: Energy, MeV, that is nothing beside those that are compared.
_NOTHING = np.float32(1e-6)


@dataclass(frozen=True)
class AngleWalk:
    """The splits around the axis in order, each with the context that it is drawn from.

    Splits of as many sectors share a model whatever their ring; angles count from the ring's own split, so that what is
    learned on one side holds on all, unless ``symmetric`` is false.
    """

    geometry: Geometry
    tree: SplitTree
    symmetric: bool = True

    def numbered(self) -> Iterator[tuple[int, int, AngleSplit, int]]:
        """(layer, ring, split, number) of all splits."""
        j = 0
        for layer, r in self.tree.angles:
            for split in angle_splits(self.geometry.layers[layer].n_alpha):
                yield layer, r, split, j
                j += 1

    def __call__(self, walk: Walk, rings: Numbers, share: Share) -> list[Array]:
        """Energies of voxels, one array (angles, rings, n) a layer, from those of ``rings`` (all rings, n)."""
        n, bounds = len(walk.incident), self.geometry.ring_bounds
        layers = [np.zeros((x.n_alpha, x.n_r, n), np.float32) for x in self.geometry.layers]
        j = 0
        for group, (i, r) in enumerate(self.tree.angles):
            own = rings[bounds[i] : bounds[i + 1]]
            if r == 0:
                surroundings = _Surroundings.of(self.geometry, layers, i, n)
            ring = _Ring.of(walk, surroundings, own, r, group)
            for split in angle_splits(self.geometry.layers[i].n_alpha):
                self._split(walk, ring, split, j, share)
                j += 1
            layers[i][:, r, ring.events] = ring.energy
            surroundings.add(layers[i][:, r], r)
        for i, layer in enumerate(self.geometry.layers):
            if layer.n_alpha == 1:
                layers[i][0] = rings[bounds[i] : bounds[i + 1]]
        return layers

    def _split(self, walk: Walk, ring: "_Ring", split: AngleSplit, j: int, share: Share) -> None:
        """Divide sectors ``start:start + a + b``; until then energy is spread evenly over them."""
        a, b = slice(split.start, split.start + split.a), slice(split.start + split.a, split.start + split.a + split.b)
        energy = added(ring.energy[a]) + added(ring.energy[b])
        rows = np.flatnonzero(energy > 0)
        if not len(rows):
            return
        n_alpha = len(ring.energy)
        whole = split.a + split.b == n_alpha
        base = _base_features(len(ring.patterns), whole)
        fixed = [] if self.symmetric else [np.float32(split.start)]

        def features(events: Indices) -> Array:
            there = np.searchsorted(ring.events, events) if len(ring.events) != ring.n else events
            return _context(ring, split, energy, there, [*fixed, *(c[events] for c in walk.condition)], whole)

        key = f"angles/{n_alpha}/{split.a}+{split.b}"
        p = log_energy(energy[rows])
        z = np.zeros(len(energy))
        z[rows] = share(key, j, ring.group, ring.events[rows], features, p, base)
        first, last = divided(energy, z, walk.threshold)
        ring.energy[a], ring.energy[b] = first / split.a, last / split.b


@dataclass
class _Surroundings:
    """What is known around a ring, for all events: (angles, n) each."""

    radii: Array
    layer: Array
    before: Array
    whole: Array
    weighted: Array
    inner: Array
    inner_weighted: Array
    previous: list[Array]

    @classmethod
    def of(cls, geometry: Geometry, layers: list[Array], i: int, n: int) -> "_Surroundings":
        here = geometry.layers[i]
        blank = np.zeros((here.n_alpha, n), np.float32)
        alike = [k for k in range(i) if geometry.layers[k].n_alpha == here.n_alpha]
        before = np.zeros((here.n_alpha, here.n_r, n), np.float32)
        whole = weighted = blank
        if alike:
            front = layers[alike[-1]]
            share = here.overlaps(geometry.layers[alike[-1]]).astype(np.float32)
            for r in range(here.n_r):
                for k in np.flatnonzero(share[:, r]):
                    before[:, r] += share[k, r] * front[:, k]
            whole = added(front.swapaxes(0, 1))
            radii = (geometry.layers[alike[-1]].r / geometry.layers[alike[-1]].r.max()).astype(np.float32)
            weighted = sum((radii[k] * front[:, k] for k in range(len(radii))), blank)
        return cls(here.r, blank, before, whole, weighted, blank.copy(), blank.copy(), [blank, blank])

    def add(self, energy: Numbers, r: int) -> None:
        """A ring that is known from now on."""
        self.previous = [energy.copy(), self.previous[0]]
        self.inner += energy
        self.inner_weighted += energy * np.float32(self.radii[r] / self.radii[-1])

    def patterns(self, r: int, events: Indices | slice) -> list[Array]:
        """Energies around ring ``r`` by angle."""
        found = (*self.previous, self.inner, self.before[:, r], self.whole, self.inner_weighted, self.weighted)
        return [x[:, events] for x in found]


@dataclass
class _Ring:
    """A ring that divides, of the events in which it has energy.

    Attributes
    ----------
    events : array of their numbers
    energy : float64 array of shape (angles, events)
    patterns : list of float32 arrays of shape (angles, events)
    shared : list of arrays of shape (events,)
        Context that all splits of the ring have.
    """

    n: int
    group: int
    events: Indices
    energy: Array
    total: Array
    patterns: list[Array]
    shared: list[Array]

    @classmethod
    def of(cls, walk: Walk, around: _Surroundings, rings: Numbers, r: int, group: int) -> "_Ring":
        n = rings.shape[1]
        events = np.flatnonzero(rings[r] > 0)
        chosen: Indices | slice = slice(None) if len(events) == n else events
        patterns = around.patterns(r, chosen)
        total = rings[r][chosen]
        n_alpha = len(patterns[0])
        after = rings[r + 1][chosen] if r + 1 < len(rings) else np.zeros(len(events))
        hits = (patterns[0] > 0).sum(axis=0).astype(np.float32)
        shared = [
            log_energy(total),
            np.log2(walk.incident[chosen]).astype(np.float32),
            np.full(len(events), group, np.float32),
            log_energy(added(rings)[chosen]),
            _fraction(total.astype(np.float32), after.astype(np.float32)),
            hits if r else np.full(len(events), -1, np.float32),
        ]
        return cls(n, group, events, np.repeat(total[None] / n_alpha, n_alpha, axis=0), total, patterns, shared)


def _fraction(a: Numbers, b: Numbers) -> Array:
    return (a + _NOTHING) / (a + b + 2 * _NOTHING)


def _base_features(n_patterns: int, whole: bool) -> tuple[int, ...]:
    """The shares among the features of :func:`_context`."""
    return tuple(range(n_patterns)) if whole else tuple(range(n_patterns + 5))


def _context(ring: _Ring, split: AngleSplit, energy: Numbers, rows: Indices, more: list[Array], whole: bool) -> Array:
    """Features of a split: shares of the same sectors elsewhere first, then logarithms of energies."""
    n_alpha, width = len(ring.energy), split.a + split.b
    everything = len(rows) == len(energy)

    def of(x: Numbers) -> Array:
        return x if everything else x[..., rows]

    here = of(energy).astype(np.float32)
    shares, logs = [], [log_energy(here), _fraction(here, of(ring.total).astype(np.float32) - here)]
    middle, end = split.start + split.a, split.start + width
    sums = [(added(of(x[split.start : middle])), added(of(x[middle:end]))) for x in ring.patterns]
    for first, last in sums:
        shares.append(_fraction(first / split.a, last / split.b))
        logs.append(log_energy(first + last))
    if not whole:
        before, after = (split.start - 1) % n_alpha, end % n_alpha
        left, right = of(ring.energy[before]).astype(np.float32), of(ring.energy[after]).astype(np.float32)
        density = here / width
        shares += [_fraction(left, right), _fraction(left, density), _fraction(right, density)]
        inner = ring.patterns[0]
        level = (sums[0][0] + sums[0][1]) / width
        shares += [_fraction(of(inner[before]), level), _fraction(of(inner[after]), level)]
        logs.append(_fraction(level * width, added(of(inner)) - level * width))
    columns = [*shares, *logs, *(of(x) for x in ring.shared), *more]
    features = np.empty((len(rows), len(columns)), np.float32)
    for k, column in enumerate(columns):
        features[:, k] = column
    return features
