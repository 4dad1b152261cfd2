"""All splits of a shower: rows to learn them from, models, and showers drawn from the models."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from buff.archive import Archive, read_archive, write_archive
from buff.errors import ArchiveError
from buff.generators.shower_angles import AngleWalk
from buff.generators.shower_rings import RingWalk, Standards
from buff.generators.shower_split import EnergySplit, SplitRows, SplitSettings
from buff.generators.shower_walk import Walk
from buff.physics import Geometry, SplitTree
from buff.protocols import Array, Indices, Numbers, Weights
from buff.randomness import EventNoise
from buff.records import checked_list, checked_number, checked_record, nested, require
from buff.trees.conditional import ConditionalSettings

__all__ = ["CascadeSettings", "ShowerCascade"]

#: Voxels of a geometry in a file, at most.
_MOST_VOXELS = 10**7

#: How trees of empty parts are grown: among layers and rings, and around the axis, where there are far more rows.
_RING_ATOMS = ConditionalSettings(n_estimators=25, max_depth=4, reg_lambda=5.0, min_child_weight=5.0)
_ANGLE_ATOMS = ConditionalSettings(max_depth=6, learning_rate=0.3, reg_lambda=1.0, min_child_weight=5.0)


@dataclass(frozen=True)
class CascadeSettings:
    """How the splits are learned.

    Attributes
    ----------
    rings, angles : ConditionalSettings
        Of splits among layers and rings, and around the axis.
    max_rows : int
        Rows that a model is grown on at most.
    n_jobs : int
        Models at a time.
    cache_dir : str or None
        Where fitted models are kept.
    """

    rings: ConditionalSettings = field(default_factory=ConditionalSettings)
    angles: ConditionalSettings = field(
        default_factory=lambda: ConditionalSettings(max_depth=7, learning_rate=0.3, reg_lambda=5.0)
    )
    max_rows: int = 250_000
    n_jobs: int = 1
    cache_dir: str | None = None

    def of(self, key: str) -> SplitSettings:
        """Settings of a model by its name."""
        if key.startswith("angles"):
            return SplitSettings(self.angles, _ANGLE_ATOMS, max_rows=self.max_rows)
        return SplitSettings(self.rings, _RING_ATOMS, max_rows=self.max_rows, logit=key != "total")


@dataclass(frozen=True)
class ShowerCascade:
    """A fitted cascade.

    Attributes
    ----------
    geometry : Geometry
    symmetric : bool
        Whether showers are turned and mirrored.
    threshold : float
        Least energy of a voxel, MeV.
    standards : dict
        Scales of the shares in the context of later splits.
    models : mapping from name to EnergySplit
    """

    geometry: Geometry
    symmetric: bool
    threshold: float
    standards: Standards
    models: Mapping[str, EnergySplit]

    @classmethod
    def fit(
        cls,
        geometry: Geometry,
        showers: Array,
        incident: Numbers,
        condition: Numbers,
        settings: CascadeSettings,
        *,
        symmetric: bool,
        weights: Weights | None = None,
        seed: int = 0,
    ) -> "ShowerCascade":
        """Learn from showers (n, voxels), energies (n,) and features of the condition (n, c)."""
        rng = np.random.default_rng(seed)
        positive = showers[showers > 0]
        empty = cls(geometry, symmetric, float(positive.min()) if len(positive) else 0.0, {}, {})
        layers = [np.ascontiguousarray(np.moveaxis(x, 0, -1), dtype=float) for x in geometry.split(showers)]
        if symmetric:
            layers = _turned(layers, _turns(rng.random(len(incident)), layers))
        rows = empty._rows(layers, Walk(incident, list(condition.T), 0.0), weights, settings.max_rows, rng)
        jobs = [(key, part, settings.of(key), seed, settings.cache_dir) for key, part in rows.items()]
        if settings.n_jobs == 1:
            fitted = [_fit_split(*job) for job in jobs]
        else:
            fitted = Parallel(settings.n_jobs)(delayed(_fit_split)(*job) for job in jobs)
        return replace(empty, models=dict(zip(rows, fitted, strict=True)))

    @property
    def _walks(self) -> tuple[RingWalk, AngleWalk]:
        tree = SplitTree.of(self.geometry)
        return RingWalk(self.geometry, tree, self.standards), AngleWalk(self.geometry, tree, self.symmetric)

    @property
    def n_numbers(self) -> int:
        """Uniform numbers of a shower: one a split, and one for the turn."""
        rings, angles = self._walks
        return 1 + len(rings.splits) + sum(1 for _ in angles.numbered()) + 1

    def _rows(
        self, layers: list[Array], walk: Walk, weights: Weights | None, max_rows: int, rng: np.random.Generator
    ) -> dict[str, SplitRows]:
        """Rows of each model, from showers that are known: (angles, rings, n) a layer."""
        rings, angles = self._walks
        energies = np.concatenate([x.sum(axis=0) for x in layers])
        teacher = _Teacher(weights, max_rows, rng, _counts(angles, rings))
        teacher.truth = lambda j: _ring_share(rings, energies, walk.incident, j)
        rings(walk, teacher, learn=True)
        numbered = {j: (i, r, split) for i, r, split, j in angles.numbered()}

        def of_angle(j: int) -> Array:
            i, r, split = numbered[j]
            middle = split.start + split.a
            return _shares(
                layers[i][split.start : middle, r].sum(axis=0), layers[i][middle : middle + split.b, r].sum(axis=0)
            )

        teacher.truth = of_angle
        angles(walk, energies, teacher)
        return teacher.rows()

    def sample(self, incident: Numbers, condition: Array, noise: EventNoise) -> Array:
        """Float32 showers (n, voxels) of particles with these energies."""
        rings, angles = self._walks
        u = noise.uniform(len(incident), self.n_numbers)
        n_rings = 1 + len(rings.splits)
        walk = Walk(incident, list(condition.T), self.threshold)
        layers = angles(walk, rings(walk, self._drawer(u)), self._drawer(u[:, n_rings:]))
        if self.symmetric:
            layers = _turned(layers, _turns(u[:, -1], layers))
        showers = np.empty((len(incident), self.geometry.n_voxels), np.float32)
        for a, b, x in zip(self.geometry.bounds[:-1], self.geometry.bounds[1:], layers, strict=True):
            showers[:, a:b] = x.reshape(b - a, -1).T
        return showers

    def _drawer(self, u: Numbers) -> Callable[..., Array]:
        def draw(
            key: str, j: int, group: int, rows: Indices, features: Any, p: Numbers, base: tuple[int, ...]
        ) -> Array:
            if not len(rows):
                return np.empty(0)
            return self.models[key].sample(features(rows), p, group, u[rows, j])

        return draw

    def to_archive(self) -> Archive:
        """As parts of a file."""
        geometry = self.geometry
        parts = {key: model.to_archive() for key, model in self.models.items()}
        record = {
            "geometry": [
                geometry.name,
                geometry.min_energy,
                [[x.number, x.r_edges, x.n_alpha] for x in geometry.layers],
            ],
            "symmetric": self.symmetric,
            "threshold": self.threshold,
            "standards": [list(self.standards), [list(x) for x in self.standards.values()]],
            "models": {key: part.record for key, part in parts.items()},
        }
        arrays = {f"{key}/{name}": x for key, part in parts.items() for name, x in part.arrays.items()}
        blobs = {f"{key}/{name}": x for key, part in parts.items() for name, x in part.blobs.items()}
        return Archive("showers", record, arrays, blobs)

    @classmethod
    def from_archive(cls, archive: Archive) -> "ShowerCascade":
        """Inverse of :meth:`to_archive`; ArchiveError for parts that are lost or of other types."""
        from buff.physics import Layer

        parts = ("geometry", "symmetric", "threshold", "standards", "models")
        record = checked_record(archive.record, "a cascade", parts)
        name, lowest, layers = checked_list(record["geometry"], "a geometry", length=3)
        require(type(record["symmetric"]) is bool, "symmetric is neither true nor false")
        geometry = Geometry(name, tuple(Layer(number, tuple(r), n_alpha) for number, r, n_alpha in layers), lowest)
        models = {
            key: EnergySplit.from_archive(
                Archive("split", part, nested(archive.arrays, key), nested(archive.blobs, key))
            )
            for key, part in record["models"].items()
        }
        require(geometry.n_voxels <= _MOST_VOXELS, f"a geometry has {geometry.n_voxels} voxels")
        standards = {
            int(j): (checked_number(mean, "a mean"), checked_number(spread, "a spread", 0))
            for j, (mean, spread) in zip(*record["standards"], strict=True)
        }
        return cls(
            geometry, record["symmetric"], checked_number(record["threshold"], "threshold", 0), standards, models
        )


class _Teacher:
    """Answers a walk by the shares of showers that are known, and keeps the rows that models learn from."""

    truth: Callable[[int], Array]

    def __init__(
        self, weights: Weights | None, max_rows: int, rng: np.random.Generator, counts: Mapping[str, int]
    ) -> None:
        self._weights, self._max_rows, self._rng, self._counts = weights, max_rows, rng, counts
        self._parts: dict[str, list[SplitRows]] = defaultdict(list)

    def __call__(
        self, key: str, j: int, group: int, rows: Indices, features: Any, p: Numbers, base: tuple[int, ...]
    ) -> Array:
        z = self.truth(j)[rows]
        # twice the rows that are learned from: models of atoms and of shares take those they can use
        keep = 2 * self._max_rows / max(self._counts[key] * len(self.truth(j)), 1)
        kept = np.arange(len(rows)) if keep >= 1 else np.flatnonzero(self._rng.random(len(rows)) < keep)
        if len(kept) or not self._parts[key]:
            weights = None if self._weights is None else self._weights[rows[kept]]
            number = np.full(len(kept), group)
            self._parts[key].append(
                SplitRows(
                    features(rows[kept]),
                    z[kept],
                    p[kept],
                    number,
                    np.array(base, np.intp),
                    key.startswith("angles"),
                    weights,
                )
            )
        return z

    def rows(self) -> dict[str, SplitRows]:
        """All rows of each model."""
        return {key: _joined(parts) for key, parts in self._parts.items()}


def _joined(parts: list[SplitRows]) -> SplitRows:
    weights = None if parts[0].weights is None else np.concatenate([part.weights for part in parts])
    columns = ("features", "z", "p", "group")
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return replace(parts[0], weights=weights, **joined)


def _counts(angles: AngleWalk, rings: RingWalk) -> dict[str, int]:
    """Number of splits that share each model."""
    counts: dict[str, int] = defaultdict(lambda: len(rings.geometry.layers) if rings.shares_models else 1)
    counts["total"] = 1
    for i, _, split, _ in angles.numbered():
        key = f"angles/{angles.geometry.layers[i].n_alpha}/{split.a}+{split.b}"
        counts[key] = counts[key] + 1 if key in counts else 1
    return counts


def _shares(first: Numbers, last: Numbers) -> Array:
    """Share of the first part; NaN where there is no energy. Exactly 0 or 1 only where a part is empty."""
    total = first + last
    with np.errstate(invalid="ignore"):
        z = first / total
    z = np.where((z >= 1) & (last > 0), 1 - 2.0**-40, z)
    return np.where((z <= 0) & (first > 0), 2.0**-40, z)


def _ring_share(walk: RingWalk, energies: Numbers, incident: Numbers, j: int) -> Array:
    if j == 0:
        return energies.sum(axis=0) / incident
    split = walk.splits[j - 1]
    at = walk.geometry.ring_bounds if split.layer < 0 else np.arange(len(energies) + 1)
    first, middle, last = at[split.first], at[split.middle], at[split.last]
    return _shares(energies[first:middle].sum(axis=0), energies[middle:last].sum(axis=0))


def _turns(u: Numbers, layers: list[Array]) -> Array:
    """Number of a turn for each uniform number: sectors, then mirrored or not."""
    n_alpha = max(len(x) for x in layers)
    return (u * 2 * n_alpha).astype(int)


def _turned(layers: list[Array], turns: Numbers) -> list[Array]:
    """Showers (angles, rings, n) turned by whole sectors about the axis, every second one mirrored."""
    result = []
    for x in layers:
        n_alpha, _, n = x.shape
        if n_alpha == 1:
            result.append(x)
            continue
        sign = np.where(turns % 2, -1, 1)
        source = (sign * np.arange(n_alpha)[:, None] + turns // 2) % n_alpha
        result.append(x[source, :, np.arange(n)].swapaxes(1, 2))
    return result


def _fit_split(key: str, rows: SplitRows, settings: SplitSettings, seed: int, cache_dir: str | None) -> EnergySplit:
    """Fit the model of a split, or read it from the cache."""
    seed = int(np.random.SeedSequence([seed % 2**64, *key.encode()]).generate_state(1)[0] % 2**31)
    if cache_dir is None:
        with threadpool_limits(1):
            return EnergySplit.fit(rows, settings, seed)
    path = Path(cache_dir) / f"split-{_fingerprint(rows, settings, seed)}.zip"
    try:
        return EnergySplit.from_archive(read_archive(path))
    except (FileNotFoundError, ArchiveError):
        model = EnergySplit.fit(rows, settings, seed)
        os.makedirs(cache_dir, exist_ok=True)
        write_archive(path, model.to_archive())
        return model


def _fingerprint(rows: SplitRows, settings: SplitSettings, seed: int) -> str:
    digest = hashlib.sha256(repr((settings, seed, rows.shares)).encode())
    for x in (rows.features, rows.z, rows.p, rows.group, rows.base, rows.weights):
        digest.update(b"" if x is None else np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()[:32]
