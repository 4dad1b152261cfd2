"""From fitted parts to jets: tables, splittings, and jets that are drawn again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import ndtr

from buff.flows import CostEstimate
from buff.flows.stages import StageNoise
from buff.generators.jet_features import JetFeatures
from buff.generators.jet_guides import guide_columns, with_guides
from buff.generators.jet_rejection import JetRejection, rejection_bytes
from buff.generators.jet_stages import SplittingFlows
from buff.generators.jet_table import to_kinematics
from buff.generators.jet_tables import JetTables
from buff.physics import JetKinematics
from buff.protocols import Array
from buff.randomness import jobs_for

__all__ = ["LEAST_JETS", "JetSampler", "Proposal", "with_rejection"]

#: Where particles' noise starts among the streams of an event: far from those of the jet table. Jets at a time.
_STREAM, _BATCH = 2**20, 4096
#: Jets from which on a classifier learns enough of them, that it is shown at most, and drawn ones to each of them.
LEAST_JETS, _MOST_JETS, _DRAWN = 2000, 20_000, 2
#: Jets of which the margins of what is taken are read, to each of the training.
_READ = 8
#: From the seed of a jet table to that of the next attempt.
_NEXT = 0x9E3779B97F4A7C15
#: Attempts at a jet; so many of them start from kinematics of their own.
N_JETS, N_TABLES = 8, 3
#: Particles up to which several attempts are made at once: there is as much to do for few as for these.
_AHEAD = 12_000
#: Where the noise of the decisions starts among the stages of an event: beyond all splittings.
_DECISION = 1000


@dataclass(frozen=True, eq=False)
class Proposal:
    """What particles of jets start from.

    Attributes
    ----------
    columns : mapping of name to array
        Of the jet table.
    kinematics : JetKinematics
    scale : array of shape (n,)
        Unit of the particles' pT.
    features : array of shape (n, c)
        Conditions, classes and guides.
    """

    columns: Mapping[str, Array]
    kinematics: JetKinematics
    scale: Array
    features: Array

    @classmethod
    def chosen(cls, proposals: Sequence["Proposal"], used: Array) -> "Proposal":
        """Entry i of the proposal with the number ``used[i]``."""
        first, rows = proposals[0], np.arange(len(used))

        def pick(parts: list[Array]) -> Array:
            return np.stack(parts)[used, rows] if len(parts) > 1 else parts[0]

        return cls(
            {name: pick([p.columns[name] for p in proposals]) for name in first.columns},
            JetKinematics(
                **{name: pick([vars(p.kinematics)[name] for p in proposals]) for name in vars(first.kinematics)}
            ),
            pick([p.scale for p in proposals]),
            pick([p.features for p in proposals]),
        )


def with_rejection(plan: CostEstimate, n_jets: int, n_features: int, nbytes: int, model: Any) -> CostEstimate:
    """The plan of a fit with the memory of its classifier, beside ``nbytes`` of jets.

    Raises
    ------
    MemoryError
        It needs more than ``model.max_memory``.
    """
    if model.max_odds is None or n_jets < LEAST_JETS:
        return plan
    own = rejection_bytes((1 + _DRAWN) * min(n_jets, _MOST_JETS), n_features)
    return plan.with_step(nbytes + own, model.max_memory, "fit fewer jets, set max_odds=None, or raise max_memory")


@dataclass(frozen=True, eq=False)
class JetSampler:
    """Everything that jets are drawn by.

    Attributes
    ----------
    tables : JetTables
    features : JetFeatures
    flows : SplittingFlows
    rejection : JetRejection or None
    most : int
        Particles of a jet at most.
    radius : float
    guides : tuple of str
    n_jobs : int or None
    """

    tables: JetTables
    features: JetFeatures
    flows: SplittingFlows
    rejection: JetRejection | None
    most: int
    radius: float
    guides: tuple[str, ...]
    n_jobs: int | None

    def draw(
        self, n: int, condition: Any, given: Mapping[str, Array] | None, numbering: tuple[int, int, int | None]
    ) -> tuple[Array, Proposal, Any]:
        """Particles of n jets, what they started from, and their conditions.

        Parameters
        ----------
        n : int
        condition, given
            Of jets.
        numbering : (seed, first event, batch size or None)
        """
        seed, first, batch = numbering
        proposals = []
        for again in range(1 if self.rejection is None else N_TABLES):
            options = {"random_state": (seed + again * _NEXT) % 2**127, "first_event": first, "batch_size": batch}
            columns, condition = self.tables.draw(n, condition, given, self.features, options)
            proposals.append(self._proposal(columns, condition, given))
        cloud, used = np.zeros((n, self.most, 3)), np.zeros(n, np.intp)
        todo, attempt = np.arange(n), 0
        while len(todo) and attempt < N_JETS:
            # jets that are drawn again are put together, and are given more than one attempt where they are few
            ahead = min(N_JETS - attempt, max(1, _AHEAD // (self.most * len(todo)))) if attempt else 1
            attempts, parts = np.arange(attempt, attempt + ahead), _parts(todo, batch or _BATCH)
            n_jobs, failed = jobs_for(self.n_jobs, len(parts)), []
            run = Parallel(n_jobs, backend="threading", return_as="generator", pre_dispatch="2*n_jobs")
            draw = delayed(self._attempts)
            jobs = (draw(StageNoise(seed, first + i, _STREAM), proposals, i, attempts) for i in parts)
            for i, (jets, chosen, fine) in zip(parts, run(jobs), strict=True):
                cloud[i], used[i] = jets, _proposal_of(chosen, proposals)
                failed.append(i[~fine])
            todo, attempt = np.concatenate(failed), attempt + ahead
        return cloud, Proposal.chosen(proposals, used), condition

    def rejection_of(
        self, real: tuple[Array, Array, Array], condition: Any, weights: Array | None, max_odds: float, seed: int
    ) -> JetRejection:
        """A classifier of training jets (particles, features, scale) from jets that are drawn without it."""
        rng = np.random.default_rng(seed % 2**31)
        shown = np.sort(rng.permutation(len(real[0]))[:_MOST_JETS])
        real, n = (real[0][shown], real[1][shown], real[2][shown]), len(shown)
        weights = None if weights is None else weights[shown]
        own, asked = None if weights is None else weights / weights.sum(), self.tables.aligned(condition)

        def drawn(times: int, stream: int) -> tuple[Array, Array, Array]:
            chosen = np.resize(rng.permutation(n), times * n) if own is None else rng.choice(n, times * n, p=own)
            few = None if asked is None else asked.take(shown[chosen])
            particles, start, _ = self.draw(len(chosen), few, None, (seed % 2**63 + stream, 0, None))
            return particles, start.features, start.scale

        found = JetRejection.fit(real, drawn(_DRAWN, 2), weights, max_odds, seed % 2**31)
        return found.balanced(real, (drawn(1, 3 + k) for k in range(_READ)), weights, N_TABLES)

    def _proposal(self, columns: dict[str, Array], condition: Any, given: Mapping[str, Array] | None) -> Proposal:
        kinematics = to_kinematics(columns, self.most, self.radius)
        kinematics = kinematics if given is None else self.features.constrained(kinematics, given)
        known: Mapping[str, Array] = columns if given is None else given
        features = self.features.encode(known, self.tables.condition_features(condition, len(kinematics)))
        features = with_guides(features, {name: columns[name] for name in guide_columns(None, self.guides)})
        return Proposal(columns, kinematics, self.features.scale(known, len(kinematics)), features)

    def _attempts(
        self, noise: StageNoise, proposals: Sequence[Proposal], rows: Array, attempts: Array
    ) -> tuple[Array, Array, Array]:
        """Particles of the events ``rows`` in the first attempt that is taken, else in the last; which, and whether.

        Jets of which a particle is too far out, or that the classifier refuses, are not taken: decisions on an event
        depend on that event alone.
        """
        n, shape = len(rows), (len(attempts), len(rows))
        starts = [proposals[k] for k in _proposal_of(attempts, proposals)]
        scale, features = (np.concatenate([getattr(p, name)[rows] for p in starts]) for name in ("scale", "features"))
        kinematics = JetKinematics.join([p.kinematics.take(rows) for p in starts])
        own = replace(noise, events=np.tile(noise.events, len(attempts)))
        jets = self.flows.particles(kinematics, scale, features, own, np.repeat(attempts, n))
        fine = self.flows.inside(jets)
        if self.rejection is not None and fine.any():
            i = np.flatnonzero(fine)
            uniform = np.concatenate([ndtr(noise.draw(_DECISION + k, 1, 1)[:, 0, 0]) for k in attempts])
            fine[i] = self.rejection.accepts(jets[i], features[i], scale[i], uniform[i])
        fine = fine.reshape(shape)
        chosen = np.where(fine.any(axis=0), fine.argmax(axis=0), len(attempts) - 1)
        return jets.reshape(*shape, -1, 3)[chosen, np.arange(n)], attempts[chosen], fine.any(axis=0)


def _proposal_of(attempts: Array, proposals: Sequence[Proposal]) -> Array:
    return np.minimum(attempts, len(proposals) - 1)


def _parts(rows: Array, size: int) -> list[Array]:
    return np.split(rows, range(size, len(rows), size))
