"""JetBUFF: learn jets as clouds of particles, draw new ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive, write_archive
from buff.errors import check_jobs, check_whole
from buff.estimator import BaseEstimator
from buff.flows import CostEstimate
from buff.generators.buff import BUFF
from buff.generators.jet_archive import jets_from_archive, jets_to_archive
from buff.generators.jet_clouds import read_clouds
from buff.generators.jet_features import JetFeatures
from buff.generators.jet_guides import guide_columns, with_guides
from buff.generators.jet_rows import checked_settings, held_bytes, plan_stages, splitting_rows
from buff.generators.jet_sampling import LEAST_JETS, JetSampler, with_rejection
from buff.generators.jet_stages import SplittingFlows
from buff.generators.jet_table import from_kinematics
from buff.generators.jet_tables import JetTables
from buff.grids import TimeGrid
from buff.physics import JetKinematics, SplittingTree
from buff.physics.kinematics import with_mass
from buff.protocols import Array, ConditionLike, Numbers, RandomState, TableLike, WeightsLike
from buff.randomness import sampling_seed, seed_from
from buff.transforms.transformer import checked_weights

__all__ = ["JetBUFF"]

#: Radii beyond which particles are too far out.
_TOO_FAR = 1.05
#: Share of particles that lie inside the radius, and of jets that may have particles too far out.
_INSIDE, _MAY_BE_OUT = 0.9995, 0.02
#: Features of jets are shared by jets like them: they name no row, as a measurement does, and trees may split by them.
_SHARED = {"min_split_loss": 0.0, "max_bin": 64}


class JetBUFF(BaseEstimator):
    r"""Jets as clouds of particles, by boosted flow matching of their splitting histories.

    Particles are clustered (:class:`buff.physics.SplittingTree`). A :class:`BUFF` learns the table of jets: what
    particles start from (sum of pT, centroid, mass, multiplicity, softest pT) and the features that are given. From
    there each splitting is drawn by a conditional flow given what surrounds it, one flow for each kind of node, until
    only particles are left. Multiplicities, sums of pT and centroids are met exactly. Where ``jet_eta`` is a feature,
    positions are learned about the rapidity of the jet, which its massless particles surround.

    Parameters
    ----------
    n_steps : int
        Steps of a flow from noise to data.
    solver : str
    grid : str, TimeGrid or increasing times
        As in :class:`BUFF`.
    effort : float
        Share of the rows and trees that the flows of splittings take by default: below 1 for quick trials.
    stages : mapping, optional
        Settings of kinds of nodes, "root", "kids" (the first two branches), "big" (8 particles and more), "mid",
        "three" and "two": ``{"kids": {"n_estimators": 40, "noise_budget": 400_000}}``.
    exponent : float
        Of the clustering: 1 for kT, 0 for Cambridge/Aachen, -1 for anti-kT.
    radius : float, optional
        Of the jets; from the particles unless given.
    max_particles : int, optional
        The hardest particles to keep of a jet.
    pt_column : str or None
        The column of ``jets`` in units of which particles' pT is given; ``"auto"``: ``jet_pt`` or ``pt`` if there is
        one.
    given_jets : bool
        Whether :meth:`sample` shall take features of jets: costs one more table model.
    guides : sequence of str
        Observables (``jet_guides.KNOWN_GUIDES``) that are drawn with jets and tell splittings what to aim at.
    max_odds : float or None
        Jets are accepted with probability ``min(1, w / max_odds)`` or drawn again; w: density of training jets over
        that of drawn ones by a classifier, raked to the masses, sums of pT and positions of training. None: all are.
    jet_model : BUFF, optional
        Prototype of the table models.
    device, n_jobs, max_memory, cache_dir, random_state, verbose
        As in :class:`BUFF`.

    Attributes
    ----------
    radius_ : float
    max_particles_ : int
    jet_model_ : BUFF
        Of the jet table.
    derived_ : tuple of str
        Features of jets that follow from particles: they are computed, never drawn, and met exactly where they are
        given.
    plan_ : CostEstimate
    stage_seconds_ : dict
        CPU seconds of training by kind of node.

    References
    ----------
    R. Kansal et al. (2021), arXiv:2106.11535 (the task); C. Jiang, S. Qian and H. Qu (2024), arXiv:2404.18219 (BUFF).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> particles = np.concatenate([0.1 * rng.standard_normal((300, 5, 2)), rng.exponential(size=(300, 5, 1))], axis=2)
    >>> model = JetBUFF(n_steps=4, effort=0.01, jet_model=BUFF(noise_budget=3_000), random_state=0).fit(particles)
    >>> model.sample(10).shape
    (10, 5, 3)
    """

    features_: JetFeatures

    def __init__(
        self,
        n_steps: int = 10,
        solver: str = "ab2",
        *,
        grid: str | TimeGrid | Sequence[float] = "uniform",
        effort: float = 1.0,
        stages: Mapping[str, Mapping[str, Any]] | None = None,
        exponent: float = 1.0,
        radius: float | None = None,
        max_particles: int | None = None,
        pt_column: str | None = "auto",
        given_jets: bool = True,
        guides: Sequence[str] = (),
        max_odds: float | None = 1.6,
        jet_model: BUFF | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
        max_memory: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_steps = n_steps
        self.solver = solver
        self.grid = grid
        self.effort = effort
        self.stages = stages
        self.exponent = exponent
        self.radius = radius
        self.max_particles = max_particles
        self.pt_column = pt_column
        self.given_jets = given_jets
        self.guides = guides
        self.max_odds = max_odds
        self.jet_model = jet_model
        self.device = device
        self.n_jobs = n_jobs
        self.max_memory = max_memory
        self.cache_dir = cache_dir
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self, particles: Any, jets: Any = None, *, condition: ConditionLike = None, sample_weight: WeightsLike = None
    ) -> JetBUFF:
        """Learn the distribution of jets.

        Parameters
        ----------
        particles : array of shape (n, k, 3 or 4), awkward array or datasets.JetClouds
            eta_rel, phi_rel (radian, about the jet axis), pt_rel, and a mask where there is one; padding has pT 0. Any
            order. Awkward arrays are lists of records of these (or of three numbers) a jet.
        jets : table of n rows, optional
            Features of jets to be generated too; those of ``JetClouds`` by default.
        condition : table, array of shape (n,), or names of columns of ``jets``, optional
            Labels or numbers that jets will be asked for.
        sample_weight : array of shape (n,), optional
            Not negative.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter, what was found and what is valid: see :func:`read_clouds`.
        MemoryError
            The fit needs more than ``max_memory``.
        """
        settings = checked_settings(self)
        cloud, weights, values, asked = self._read(particles, jets, condition, sample_weight)
        self.seed_ = seed = seed_from(self.random_state)
        guides = guide_columns(cloud, self.guides)
        start = from_kinematics(JetKinematics.of(*np.moveaxis(cloud, -1, 0)))
        table = start | self.features_.generated(values) | guides
        with_given = self.given_jets and values is not None
        given = self._table_model(seed % 2**63 + 1).set_params(tree_params=_SHARED) if with_given else None
        models = self._table_model(seed % 2**63), given
        self.tables_ = JetTables.fit(models, table, self.features_, values, asked, weights)
        self.features_ = self.features_.fitted(values)
        own = self.tables_.condition_features(asked, len(cloud))
        features = with_guides(self.features_.encode(values, own), guides)
        scale = self.features_.scale(values, len(cloud))
        budgets = {name: own.noise_budget for name, own in settings.items()}
        tree = SplittingTree(self.radius_, float(self.exponent))
        rows = splitting_rows(tree, cloud, scale, features, weights, budgets, seed % 2**31)
        stages = plan_stages(rows, settings, held_bytes(rows, len(cloud), budgets, cloud))
        plan = CostEstimate.combined([*filter(None, [self.jet_model_.plan_]), *stages])
        self.plan_ = with_rejection(plan, len(cloud), features.shape[1], cloud.nbytes, self)
        self.flows_ = SplittingFlows.fit(tree, rows, self.max_particles_, settings, seed % 2**31)
        self.stage_seconds_ = self.flows_.seconds
        del rows  # the classifier needs the memory
        self.rejection_ = None
        if self.max_odds is not None and len(cloud) >= LEAST_JETS:
            real = cloud, features, scale
            self.rejection_ = self._sampler.rejection_of(real, asked, weights, float(self.max_odds), seed)
        return self

    def plan(
        self, particles: Any, jets: Any = None, *, condition: ConditionLike = None, sample_weight: WeightsLike = None
    ) -> CostEstimate:
        """What :meth:`fit` would cost, after a trial of a few seconds; trains nothing.

        Raises
        ------
        MemoryError
            The fit would need more than ``max_memory``.
        """
        twin = clone(self)
        settings = checked_settings(twin)
        cloud, weights, values, asked = twin._read(particles, jets, condition, sample_weight)
        table = from_kinematics(JetKinematics.of(*np.moveaxis(cloud, -1, 0))) | twin.features_.generated(values)
        table |= guide_columns(cloud, self.guides)
        plans = [twin._table_model(0).plan(pa.table(table), condition=asked, sample_weight=weights)]
        few = np.arange(min(len(cloud), 5_000))
        scale = twin.features_.scale(values, len(cloud))[few]
        tree, none = SplittingTree(twin.radius_, float(self.exponent)), np.zeros((len(few), 0))
        own, budgets = None if weights is None else weights[few], {k: kind.noise_budget for k, kind in settings.items()}
        rows = splitting_rows(tree, cloud[few], scale, none, own, budgets, 0)
        held = held_bytes(rows, len(cloud), budgets, cloud[few])
        plans += plan_stages(rows, settings, held, len(cloud) / len(few), trial=True)
        return with_rejection(CostEstimate.combined(plans), len(cloud), len(self.guides), cloud.nbytes, self)

    def sample(
        self,
        n_samples: int | None = None,
        *,
        condition: Any = None,
        jets: TableLike | None = None,
        random_state: RandomState = None,
        first_event: int = 0,
        batch_size: int | None = None,
        return_condition: bool = False,
    ) -> Any:
        """Draw jets.

        Jet i depends on the random state, on i and on what it is given alone: not on batches, threads, or how many are
        drawn.

        Parameters
        ----------
        n_samples : int, optional
            Number of jets; 1, or one for each row of ``jets`` or ``condition``, unless told.
        jets : table, optional
            Features of jets, the columns that were fitted: particles are drawn for them. Those that follow from
            particles (``derived_``) are met exactly where kinematics allow.
        condition, random_state, first_event, batch_size, return_condition
            As in :meth:`BUFF.sample`.

        Returns
        -------
        particles, or (particles, jets) if features of jets were fitted, or JetClouds
            In the containers that were fitted, particles in falling pT.
        """
        check_is_fitted(self)
        check_jobs(self.n_jobs)
        given = None if jets is None else self.features_.read_given(jets, self.max_particles_)
        n = self._number(n_samples, condition, given)
        check_whole("first_event", first_event, 0)
        batch_size = None if batch_size is None else check_whole("batch_size", batch_size, 1)
        seed = sampling_seed(random_state, self.random_state, self.seed_)
        cloud, start, condition = self._sampler.draw(n, condition, given, (seed, first_event, batch_size))
        if given is not None and (mass := self.features_.given_mass(given)) is not None:
            cloud = with_mass(cloud, mass)
        columns = start.columns if given is None else {**start.columns, **given}
        cloud = self.features_.centred(cloud, columns, -1)
        result = self._restore(cloud, columns, start.scale, condition)
        return (result, condition) if return_condition else result

    @property
    def _sampler(self) -> JetSampler:
        parts = self.tables_, self.features_, self.flows_, self.rejection_
        return JetSampler(*parts, self.max_particles_, self.radius_, tuple(self.guides), self.n_jobs)

    @property
    def jet_model_(self) -> BUFF:
        """The model of the jet table."""
        return self.tables_.model

    @classmethod
    def from_archive(cls, archive: Archive) -> JetBUFF:
        """The model of a file that :meth:`save` wrote."""
        return jets_from_archive(cls, archive)  # type: ignore[no-any-return]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file that :func:`buff.load` reads: no pickle, no training rows."""
        check_is_fitted(self)
        write_archive(path, jets_to_archive(self))

    def _read(
        self, particles: Any, jets: Any, condition: ConditionLike, sample_weight: WeightsLike
    ) -> tuple[Array, Array | None, dict[str, Array] | None, Any]:
        """Validate everything: particles (n, k, 3), weights, features by name, and the condition."""
        cloud, self.template_ = read_clouds(particles, self.max_particles)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(cloud))
        if len(cloud) < 2:
            raise ValueError(f"particles: 2 jets are the least that can be learned from, found {len(cloud)}")
        if jets is None and self.template_.container == "clouds":
            jets = particles.jets
        self.features_, values, asked = JetFeatures.read(jets, condition, cloud, self.pt_column)
        cloud = self.features_.centred(cloud, values)
        self._set_facts(cloud)
        return cloud, weights, values, asked

    def _set_facts(self, cloud: Array) -> None:
        real, away = cloud[..., 2] > 0, np.hypot(cloud[..., 0], cloud[..., 1])
        self.max_particles_ = int(cloud.shape[1])
        self.derived_ = tuple(entry.name for entry in self.features_.derived)
        self.radius_ = float(self.radius or max(np.quantile(away[real], _INSIDE), 1e-6))
        out = ((away > _TOO_FAR * self.radius_) & real).any(axis=1)
        if self.radius is not None and out.mean() > _MAY_BE_OUT:
            raise ValueError(
                f"radius={self.radius}: {out.sum()} of {len(out)} jets have particles beyond it, the first is jet "
                f"{out.argmax()}; give a larger radius, or None to take it from the particles"
            )

    def _table_model(self, seed: int) -> BUFF:
        model: BUFF = clone(self.jet_model) if self.jet_model is not None else BUFF()
        common = {name: getattr(self, name) for name in ("device", "n_jobs", "max_memory", "cache_dir", "verbose")}
        model.set_params(**common, random_state=seed)
        return model

    def _number(self, n_samples: Any, condition: ConditionLike, given: Mapping[str, Array] | None) -> int:
        rows, asked = None if given is None else len(next(iter(given.values()))), self.tables_.n_conditions(condition)
        if n_samples is None:
            return rows or asked or 1
        if rows not in (None, n_samples):
            raise ValueError(f"jets has {rows} rows and n_samples is {n_samples}: they must agree, or leave it out")
        return check_whole("n_samples", n_samples, 0)

    def _restore(self, cloud: Numbers, columns: Mapping[str, Array], scale: Numbers, condition: ConditionLike) -> Any:
        particles = self.template_.restore(cloud)
        jets = self.features_.restore(columns, cloud, scale, self.tables_.aligned(condition, len(cloud)))
        if self.template_.container == "clouds":
            from buff.datasets import JetClouds, Table

            return JetClouds(particles, Table.from_arrow(jets))
        return particles if jets is None else (particles, jets)
