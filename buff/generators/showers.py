"""ShowerBUFF: learn calorimeter showers, draw new ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive, write_archive
from buff.errors import check_resources, check_whole
from buff.estimator import BaseEstimator
from buff.generators.persistence import pack, restored, to_json
from buff.generators.shower_cascade import CascadeSettings, ShowerCascade
from buff.generators.shower_checks import check_incident_energies, check_shower_weights, check_showers
from buff.generators.shower_plan import ShowerPlan, looks_symmetric, plan_showers
from buff.physics import Geometry
from buff.protocols import Array, ConditionLike, Numbers, RandomState, TableLike, WeightsLike
from buff.randomness import EventNoise, jobs_for, sampling_seed, seed_from
from buff.records import checked_number, nested
from buff.tables import Schema
from buff.transforms import ConditionEncoder
from buff.trees.conditional import ConditionalSettings

__all__ = ["ShowerBUFF"]

#: Voxels of a batch, so that all that is known of it stays near the processor; showers below which calls cost the most.
_BATCH_VOXELS, _BATCH_SHOWERS = 1_500_000, 1000
#: Energies this close to the ends of the training, relatively, belong to it: single precision.
_ROUNDING = 1e-6


class ShowerBUFF(BaseEstimator):
    r"""Calorimeter showers by boosted trees: a cascade of conditional one-dimensional distributions.

    The energy of a particle becomes that of its shower, which divides among layers, rings, and sectors around the
    axis. Each division draws the share :math:`z = E_A / (E_A + E_B)` from a conditional distribution
    (:class:`buff.trees.conditional.ConditionalDistribution`) given the energy that divides, divisions before, and
    what the rings around received. Energies of all parts add up exactly, voxels are zero as often as they should be,
    and none is below the least energy of the training.

    Parameters
    ----------
    geometry : str, path or buff.physics.Geometry
        ``"ds1-photons"``, ``"ds1-pions"``, ``"ds2"``, ``"ds3"`` of the CaloChallenge, a binning ``.xml`` of its kind,
        or a detector of your own (:meth:`buff.physics.Geometry.from_voxels`).
    symmetry : bool or "auto"
        Whether a shower turned by a sector, or mirrored, is as likely as before: then showers are turned at random.
        ``"auto"`` finds out from the mean energies of the sectors.
    rings, angles : mapping, optional
        Settings of trees of divisions down to rings, and around the axis: ``n_levels``, ``n_estimators``,
        ``max_depth``, ``learning_rate``, ``reg_lambda``, ``min_child_weight``, ``max_bin`` of
        :class:`buff.trees.conditional.ConditionalSettings`.
    max_rows : int
        Divisions that a model is grown on at most.
    n_jobs : int, optional
        Models at a time in training, batches in sampling.
    max_memory : int, optional
        Bytes that training may hold.
    cache_dir : path, optional
        Folder where fitted models are kept, so that an interrupted fit goes on.
    random_state, verbose
        As in :class:`buff.BUFF`.

    Attributes
    ----------
    geometry_ : Geometry
    cascade_ : ShowerCascade
        The fitted models.
    energy_range_ : tuple of float
        Least and greatest energy of a particle, MeV, that showers can be asked for.
    plan_ : ShowerPlan

    References
    ----------
    C. Krause et al. (2024), arXiv:2410.21611 (CaloChallenge); J. Cresswell et al. (2024), arXiv:2408.16046
    (CaloForest).

    Examples
    --------
    >>> from buff.datasets import make_showers
    >>> data = make_showers(300, "ds1-photons", random_state=0)
    >>> model = ShowerBUFF(rings={"n_estimators": 3}, angles={"n_estimators": 3}, random_state=0)
    >>> showers = model.fit(data.showers, data.incident_energies).sample([1000.0, 2000.0])
    >>> showers.shape
    (2, 368)
    """

    _encoder: ConditionEncoder | None
    _seed: int

    def __init__(
        self,
        geometry: Any = "ds1-photons",
        *,
        symmetry: Any = "auto",
        rings: Mapping[str, Any] | None = None,
        angles: Mapping[str, Any] | None = None,
        max_rows: int = 250_000,
        n_jobs: int | None = None,
        max_memory: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.geometry = geometry
        self.symmetry = symmetry
        self.rings = rings
        self.angles = angles
        self.max_rows = max_rows
        self.n_jobs = n_jobs
        self.max_memory = max_memory
        self.cache_dir = cache_dir
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        showers: Any,
        incident_energies: Any,
        *,
        condition: ConditionLike = None,
        sample_weight: WeightsLike = None,
    ) -> Self:
        """Learn the distribution of showers given the energies of their particles.

        Parameters
        ----------
        showers : array-like of shape (n, voxels)
            Energies of voxels, MeV.
        incident_energies : array-like of shape (n,) or (n, 1)
            Energies of the particles, MeV.
        condition : table of n rows, optional
            What showers depend on besides, such as the angle of incidence; :meth:`sample` asks for it.
        sample_weight : array-like of shape (n,), optional
            Weights that are not negative.

        Raises
        ------
        ValueError
            See :func:`buff.generators.shower_checks.check_showers`; parameters that are off.
        MemoryError
            If ``max_memory`` does not suffice.
        """
        settings, self._seed = self._settings(), seed_from(self.random_state)
        geometry, x, energies, weights = self._checked(showers, incident_energies, sample_weight)
        features = self._fit_encoder(condition, sample_weight, len(x))
        if weights is not None:
            used = weights > 0
            x, energies, weights, features = x[used], energies[used], weights[used], features[used]
        self.plan_ = plan_showers(geometry, len(x), features.shape[1], settings, self.max_memory)
        settings = replace(settings, n_jobs=self.plan_.n_workers)
        self.geometry_ = geometry
        self.symmetric_ = self._symmetric(geometry, x)
        self.energy_range_ = (float(energies.min()), float(energies.max()))
        self.cascade_ = ShowerCascade.fit(
            geometry, x, energies, features, settings, symmetric=self.symmetric_, weights=weights, seed=self._seed
        )
        self.n_features_in_ = x.shape[1]
        return self

    def plan(self, showers: TableLike, incident_energies: Any, *, condition: ConditionLike = None) -> ShowerPlan:
        """What :meth:`fit` would cost, without fitting: models, memory, time from a trial."""
        settings = self._settings()
        geometry, x, energies, _ = self._checked(showers, incident_energies, None)
        n_conditions = 0 if condition is None else ConditionEncoder().fit(condition, None).transform(condition).shape[1]
        return plan_showers(geometry, len(x), n_conditions, settings, self.max_memory, trial=(x, energies))

    def sample(
        self,
        incident_energies: Any,
        *,
        condition: Any = None,
        random_state: RandomState = None,
        first_event: int = 0,
        batch_size: int | None = None,
    ) -> Array:
        """One shower for each particle.

        Parameters
        ----------
        incident_energies : array-like of shape (n,) or (n, 1)
            Any energies, MeV, within ``energy_range_``.
        condition : table of n rows
            Where the model was fitted with one.
        random_state
            Seed; that of the estimator unless given.
        first_event : int
            Number of the first shower: event i of a seed is the same whatever batches it is drawn in.
        batch_size : int, optional
            Showers at a time.

        Returns
        -------
        float32 array of shape (n, voxels), MeV

        Raises
        ------
        ValueError
            Energies outside of the range that was trained.
        """
        check_is_fitted(self)
        energies = self._within_range(check_incident_energies(incident_energies))
        features = self._condition_features(condition, len(energies))
        first_event = check_whole("first_event", first_event, 0)
        size = (
            max(_BATCH_SHOWERS, _BATCH_VOXELS // self.geometry_.n_voxels)
            if batch_size is None
            else check_whole("batch_size", batch_size, 1)
        )
        seed = sampling_seed(random_state, self.random_state, self._seed)
        jobs = [
            (energies[i : i + size], features[i : i + size], EventNoise(seed, first_event + i))
            for i in range(0, len(energies), size)
        ]
        if effective_n_jobs(self.n_jobs) == 1 or self.n_jobs is None or len(jobs) < 2:
            parts = [self.cascade_.sample(*job) for job in jobs]
        else:
            parts = Parallel(jobs_for(self.n_jobs, len(jobs)))(delayed(self.cascade_.sample)(*job) for job in jobs)
        return np.concatenate([np.empty((0, self.geometry_.n_voxels), np.float32), *parts])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file that :func:`buff.load` reads: no pickle, no training showers."""
        check_is_fitted(self)
        write_archive(path, self.to_archive())

    def to_archive(self) -> Archive:
        """Everything that makes the fitted model."""
        cascade = self.cascade_.to_archive()
        record, arrays = pack({"condition": self._encoder})
        record |= {
            "parameters": to_json(self.get_params()) | {"geometry": self.geometry_.name},
            "entropy": str(self._seed),
            "range": list(self.energy_range_),
            "cascade": cascade.record,
        }
        return Archive(type(self).__name__, record, arrays | dict(cascade.arrays), cascade.blobs)

    @classmethod
    def from_archive(cls, archive: Archive) -> Self:
        """Inverse of :meth:`to_archive`."""
        record = archive.record
        model = restored(cls, record["parameters"])
        there = record["condition"] is not None
        model._encoder = (
            ConditionEncoder.from_arrays(record["condition"], nested(archive.arrays, "condition")) if there else None
        )
        parts = Archive("showers", record["cascade"], archive.arrays, archive.blobs)
        model.cascade_ = ShowerCascade.from_archive(parts)
        model.geometry_ = model.cascade_.geometry
        if model.geometry not in ("ds1-photons", "ds1-pions", "ds2", "ds3"):
            model.geometry = model.geometry_
        model.symmetric_ = model.cascade_.symmetric
        low, high = (checked_number(energy, "an energy", 0) for energy in record["range"])
        model.energy_range_ = low, high
        model._seed, model.n_features_in_ = int(record["entropy"]), model.geometry_.n_voxels
        width = 0 if model._encoder is None else model._encoder.n_dims
        model.cascade_.sample(np.array([low, high]), np.zeros((2, width), np.float32), EventNoise(0))
        return model

    def _settings(self) -> CascadeSettings:
        """The parameters that models are grown by, checked."""
        check_resources(self)
        defaults = CascadeSettings()
        if self.symmetry not in (True, False, "auto"):
            raise ValueError(f"symmetry must be True, False or 'auto', found {self.symmetry!r}")
        return CascadeSettings(
            rings=_changed("rings", defaults.rings, self.rings),
            angles=_changed("angles", defaults.angles, self.angles),
            max_rows=check_whole("max_rows", self.max_rows, 100),
            n_jobs=1 if self.n_jobs is None else effective_n_jobs(self.n_jobs),
            cache_dir=None if self.cache_dir is None else os.fspath(self.cache_dir),
        )

    def _checked(
        self, showers: TableLike, incident_energies: Any, weights: WeightsLike
    ) -> tuple[Geometry, Array, Array, Array | None]:
        geometry = Geometry.of(self.geometry)
        x, energies = check_showers(showers, incident_energies, geometry)
        return geometry, x, energies, check_shower_weights(weights, len(x))

    def _symmetric(self, geometry: Geometry, showers: Numbers) -> bool:
        if self.symmetry == "auto":
            return geometry.has_symmetry and looks_symmetric(geometry, showers)
        if self.symmetry and not geometry.has_symmetry:
            raise ValueError(
                f"symmetry=True, but layers of {geometry.name!r} are cut into different numbers of angles: "
                "leave it at 'auto'"
            )
        return bool(self.symmetry)

    @property
    def condition_schema_(self) -> Schema | None:
        """Kinds and bounds of the columns of the condition; None without one."""
        check_is_fitted(self)
        return None if self._encoder is None else self._encoder.schema

    def _fit_encoder(self, condition: ConditionLike, sample_weight: WeightsLike, n: int) -> Array:
        self._encoder = None if condition is None else ConditionEncoder().fit(condition, sample_weight)
        return self._condition_features(condition, n)

    def _condition_features(self, condition: ConditionLike, n: int) -> Array:
        if (condition is None) != (self._encoder is None):
            fitted = "without" if self._encoder is None else "with"
            raise ValueError(f"the model was fitted {fitted} condition: give the same here")
        if self._encoder is None:
            return np.zeros((n, 0), np.float32)
        features = self._encoder.transform(condition)
        if len(features) not in (1, n):
            raise ValueError(f"condition has {len(features)} rows for {n} showers: give one each, or one for all")
        return np.broadcast_to(features, (n, features.shape[1]))

    def _within_range(self, energies: Numbers) -> Array:
        low, high = self.energy_range_
        wrong = np.flatnonzero((energies < low * (1 - _ROUNDING)) | (energies > high * (1 + _ROUNDING)))
        if len(wrong):
            raise ValueError(
                f"incident_energies must lie between {low:g} and {high:g} MeV, where the model was trained; "
                f"found {energies[wrong[0]]:g} in row {wrong[0]} and {len(wrong) - 1:,} more"
            )
        return energies


def _changed(name: str, settings: ConditionalSettings, changes: Mapping[str, Any] | None) -> ConditionalSettings:
    known = vars(settings)
    unknown = sorted(set(changes or {}) - set(known))
    if unknown:
        raise ValueError(f"{name} has no settings {unknown}, it has {sorted(known)}")
    return replace(settings, **(changes or {}))
