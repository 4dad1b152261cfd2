"""Unfolder: from detector to truth, event by event."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive, write_archive
from buff.errors import check_whole
from buff.estimator import BaseEstimator
from buff.metrics import energy_score
from buff.protocols import FlagsLike, RandomState, TableLike, WeightsLike
from buff.randomness import seed_from
from buff.trees import ClassifierSettings
from buff.unfolding.diagnostics import Diagnostics
from buff.unfolding.events import Simulation
from buff.unfolding.members import Measured, Member
from buff.unfolding.posteriors import Posterior
from buff.unfolding.replicas import checked_counts, fitted_members, shaken
from buff.unfolding.result import UnfoldingResult
from buff.unfolding.settings import (
    METHODS,
    check_settings,
    classifier_settings,
    default_generator,
    iterations_of,
    replica_counts,
)
from buff.unfolding.stored import archive_of, restored_unfolder, simulation_and_members
from buff.unfolding.support import warned_outside
from buff.unfolding.systematics import alternatives, checked_alternatives, checked_uncertainty, other_backgrounds

__all__ = ["Unfolder"]

#: Streams of random seeds.
_NOMINAL, _SIMULATION, _MODEL, _DATA = range(4)


def _has_posterior(unfolder: Unfolder) -> bool:
    return unfolder.method != "reweight"


class Unfolder(BaseEstimator):
    """The distribution of truth behind measured events, without bins and in any number of dimensions.

    Simulated events are pairs of truth and reco, each of which may pass or fail a selection: those that pass both teach
    the response, those that pass at truth level only the efficiency, those that pass at detector level only are fakes.

    - ``"conditional"`` learns p(truth | reco), a flow from noise under the condition of the measured event, and draws.
    - ``"bridge"`` draws with a flow that starts at the measured event.
    - ``"reweight"`` (OmniFold) weights the simulated events until they look like the measured ones at detector level.
    - ``"iterated"`` takes the draws of ``"conditional"`` and gives them the weights that ``"reweight"`` learns as a
      function of truth: draws from the posterior under the prior that the measured events ask for.

    The first two depend on the truth that was simulated wherever the detector is not sharp, the others ever less with
    each iteration. Draws belong to measured events and fluctuate as these do; weighted simulated events are smoother.
    A fitted Unfolder holds the simulated events, and so does its file: see :meth:`save`.

    Parameters
    ----------
    method : {"iterated", "conditional", "bridge", "reweight"}
    n_iterations : int or None
        Of the prior; None is 1 for ``"conditional"`` and ``"bridge"``. The others go on, ten times at most, until the
        refolded events describe the measured ones, for a classifier and in every column and frequent value, and the
        last one moved no bin of truth by more than two statistical errors. Each solves for the shares of spikes.
    n_samples : int or None
        Draws of truth for each measured event; None is 200,000 in all, but 10 at least and 100 at most an event.
    n_replicas : int or mapping
        Unfoldings behind :meth:`UnfoldingResult.covariance`: so many of each source, or ``{"data": 50, "simulation":
        10, "model": 5}``; 0 or at least 2 of a source, b + 3 for a chi-squared of b bins. Each has the iterations of
        the result and repeats the classifiers with Poisson weights on measured events and background (data), or a fit
        with such weights on simulated events (simulation) or other seeds (model), which do not say how far it
        depends on the simulation: see ``alternative`` of :meth:`unfold`.
    negative_weights : {"error", "smooth", "cancel"}
        What to do with negative weights of simulated, measured or background events: refuse them, or take positive ones
        that stand for the same density of truth and reco, see :func:`buff.weights.positive_weights`. Replicas shake the
        weights as they are given.
    generator : BUFF or BUFFTransport, optional
        What the flow is a clone of: a BUFFTransport of pairs for ``"bridge"``, whose ``noise`` may be any, else a BUFF.
    classifier : ClassifierSettings or mapping, optional
        Of efficiency, fakes, background and prior: see :class:`buff.trees.ClassifierSettings`.
    n_jobs : int or None
        Of the generator, where none is given.
    random_state : None, int or NumPy generator
    verbose : int
        1 shows progress of members and replicas, and of the generator's fit where none is given.

    Attributes
    ----------
    simulation_ : Simulation
        The events that passed, in normal scores.
    method_ : str
        That of the fit.
    members_ : mapping from source to tuple of Member
        What was learned from them, once and for each replica.
    n_features_in_ : int
        Columns of truth.

    References
    ----------
    Andreassen et al., "OmniFold", 2020, arXiv:1911.09107; Andreassen et al., 2021, arXiv:2105.04448; Bellagente et al.,
    2020, arXiv:2006.06685; Backes, Butter, Dunford, Malaescu, 2024, arXiv:2212.08674.

    Examples
    --------
    >>> from buff.datasets import gaussian_1d
    >>> simulated, nature = gaussian_1d().sample(2000, 0), gaussian_1d(mean=0.5).sample(1000, 1)
    >>> unfolder = Unfolder(n_iterations=3, n_samples=10, random_state=0).fit(simulated.truth, simulated.reco)
    >>> result = unfolder.unfold(nature.reco)
    >>> bool(abs(np.average(result.events[:, 0], weights=result.weights) - 0.5) < 0.1)
    True
    """

    def __init__(
        self,
        method: str = "iterated",
        *,
        n_iterations: int | None = None,
        n_samples: int | None = None,
        n_replicas: int | Mapping[str, int] = 0,
        negative_weights: str = "error",
        generator: Any = None,
        classifier: ClassifierSettings | Mapping[str, Any] | None = None,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.method = method
        self.n_iterations = n_iterations
        self.n_samples = n_samples
        self.n_replicas = n_replicas
        self.negative_weights = negative_weights
        self.generator = generator
        self.classifier = classifier
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        truth: Any,
        reco: Any,
        *,
        pass_truth: Any = None,
        pass_reco: Any = None,
        sample_weight: Any = None,
    ) -> Unfolder:
        """Learn the detector from simulated events.

        Parameters
        ----------
        truth : table of shape (n, p)
        reco : table of shape (n, q)
            Row i of both is event i. A row that fails the selection of its table may hold anything.
        pass_truth, pass_reco : array of bool of shape (n,), optional
            The event passes the selection at this level; all do by default.
        sample_weight : array of shape (n,), optional
            Event weights; see ``negative_weights`` for those of both signs.

        Raises
        ------
        ValueError, TypeError
            Unpaired lengths, no events that pass both selections, values missing in events that pass, weights that sum
            to zero, or negative ones without a policy for them, unknown names.
        """
        check_settings(self)
        self.simulation_ = simulation = Simulation.of(
            truth, reco, pass_truth, pass_reco, sample_weight, self.negative_weights
        )
        self.n_features_in_ = simulation.truth_space.n_features_in_
        self._entropy = seed_from(self.random_state)
        counts = replica_counts(self.n_replicas)
        streams = [np.random.default_rng([self._entropy, _SIMULATION, i]) for i in range(counts["simulation"])]
        seeds = [self._seed(_NOMINAL), *(self._seed(_MODEL, i) for i in range(counts["model"]))]
        self.method_ = self.method
        self.members_ = fitted_members(simulation, streams, seeds, self._member, self.verbose)
        return self

    @available_if(_has_posterior)  # type: ignore[untyped-decorator]
    def sample(self, reco: TableLike, n_samples: int = 1, *, random_state: RandomState = None) -> Any:
        """Draw truth for measured events, under the prior of the simulation.

        Parameters
        ----------
        reco : table of shape (n, q)
        n_samples : int
            Draws of each event.
        random_state : None, int or NumPy generator
            None takes the estimator's.

        Returns
        -------
        array of shape (n, n_samples, p) for NumPy arrays, else a table of n * n_samples rows
            In the container of truth; draws of one event are next to each other.

        Warns
        -----
        UserWarning
            Measured events lie where no simulated one does.
        """
        check_is_fitted(self)
        check_whole("n_samples", n_samples, 1)
        seed = self._seed(_DATA) if random_state is None else seed_from(random_state) % 2**31
        columns = self.simulation_.measured(reco, "reco")
        draws = self._posterior.draw(columns, int(n_samples), seed)
        warned_outside(self.simulation_, columns)
        table = draws.template.restore(draws.arrays)
        return table.reshape(len(columns), n_samples, -1) if isinstance(table, np.ndarray) else table

    @available_if(_has_posterior)  # type: ignore[untyped-decorator]
    def score(
        self,
        truth: TableLike,
        reco: TableLike,
        *,
        pass_truth: FlagsLike | None = None,
        pass_reco: FlagsLike | None = None,
        sample_weight: WeightsLike = None,
    ) -> float:
        """How good posteriors of events with known truth are, for model selection: larger is better.

        The negative energy score of 20 draws an event, in normal scores of truth; arguments are those of :meth:`fit`.
        Events count that pass both selections. In a search flags and weights arrive here by metadata routing.
        """
        check_is_fitted(self)
        space, given = self.simulation_.truth_space, (pass_truth, pass_reco, sample_weight, self.negative_weights)
        known, measured, weights = self.simulation_.pairs(truth, reco, *given)
        draws = self._posterior.draw(measured, 20, self._seed(_DATA))
        return energy_score(space.transform(known), space.transform(draws).reshape(len(known), 20, -1), weights)

    def unfold(
        self,
        reco: TableLike,
        *,
        sample_weight: WeightsLike = None,
        background: TableLike | None = None,
        background_uncertainty: float = 0.0,
        n_iterations: int | None = None,
        n_replicas: int | Mapping[str, int] | None = None,
        alternative: Unfolder | Sequence[Unfolder] | Mapping[str, Unfolder | Sequence[Unfolder]] = (),
    ) -> UnfoldingResult:
        """The distribution of truth behind measured events.

        Parameters
        ----------
        reco : table of shape (n, q)
            Measured events that pass the selection.
        sample_weight : array of shape (n,), optional
            See ``negative_weights`` for those of both signs.
        background : table of shape (b, q), or pair of such a table and weights of shape (b,), optional
            Events whose weights sum to the background expected among the measured ones. A classifier turns them into
            the share of background at each measured event, so that no weight is negative.
        background_uncertainty : float
            Of its normalisation, relative: unfoldings with so much more and less are a source of the covariance.
        n_iterations : int, optional
            Instead of the estimator's.
        n_replicas : int or mapping, optional
            Instead of the estimator's; 0 for none. Of simulation and model there are no more than :meth:`fit` was told.
        alternative : Unfolder, sequence of these, or mapping from name to these, optional
            Fitted to other simulations of the same columns. Each unfolds the same events with as many iterations, and
            its difference is a source of the covariance, under its name; several of one name are variations of it, such
            as up and down, whose squares are averaged.

        Returns
        -------
        UnfoldingResult

        Warns
        -----
        UserWarning
            Measured events lie where no simulated one does; much of the unfolded weight is poorly seen.
        sklearn.exceptions.ConvergenceWarning
            An iteration diverges; the one before is kept.

        Raises
        ------
        ValueError, TypeError
            Other columns than simulated, missing values, too little weight, more replicas than fitted, bad alternative.
        """
        check_is_fitted(self)
        check_settings(self)
        if self.method != self.method_:
            raise ValueError(f"method is {self.method!r} and was {self.method_!r} in the fit: fit again")
        counts = checked_counts(self.n_replicas if n_replicas is None else n_replicas, self.members_)
        others = checked_alternatives(alternative, self.members_)
        uncertainty = checked_uncertainty(background_uncertainty, background)
        iterations = iterations_of(self.method, self.n_iterations if n_iterations is None else n_iterations)
        measured = Measured.of(self.simulation_, reco, sample_weight, background, self.negative_weights)
        outside = warned_outside(self.simulation_, measured.reco, measured.weights)
        member = self.members_["nominal"][0]
        drawn = member.drawn(measured, self.n_samples)
        unfolded = member.unfold(measured, iterations, drawn, further=iterations != 1 or METHODS[self.method] is None)
        nominal, n = replace(unfolded, refolded=member.refolding(unfolded)), len(unfolded.history)
        own = (lambda other: other.drawn(measured, self.n_samples), (self._entropy, _DATA), self.verbose)
        replicas = tuple(shaken(self.members_, measured, n, counts, drawn, *own))
        replicas += tuple(alternatives(others, reco, n, {"sample_weight": sample_weight, "background": background}))
        replicas += tuple(other_backgrounds(member, measured, n, drawn, uncertainty))
        diagnostics = Diagnostics.of(nominal, measured, outside, member)
        return UnfoldingResult.of(self.method, nominal, replicas, diagnostics, outside, self.simulation_, measured)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write simulated events and all that was learned to one file that :func:`buff.load` reads, without pickle.

        What is read unfolds to the same events and weights, bit by bit.
        """
        check_is_fitted(self)
        write_archive(path, self.to_archive())

    def to_archive(self) -> Archive:
        """Everything that makes the fitted Unfolder, as JSON, arrays and trees."""
        return archive_of(self, self._entropy)

    @classmethod
    def from_archive(cls, archive: Archive) -> Unfolder:
        """Inverse of :meth:`to_archive`; what does not fit together raises an error."""
        unfolder = restored_unfolder(cls, archive.record)
        check_settings(unfolder)
        unfolder._entropy = int(archive.record["entropy"])
        unfolder.method_ = unfolder.method
        unfolder.simulation_, unfolder.members_ = simulation_and_members(archive, unfolder.negative_weights)
        unfolder.n_features_in_ = unfolder.simulation_.truth_space.n_features_in_
        return unfolder

    @property
    def _posterior(self) -> Posterior:
        posterior = self.members_["nominal"][0].posterior
        assert posterior is not None
        return posterior

    def _member(self, simulation: Simulation, seed: int) -> Member:
        return Member.fit(simulation, self.method, self._generator(), classifier_settings(self.classifier), seed)

    def _generator(self) -> Any:
        if self.generator is not None:
            return self.generator
        # bars within bars are for a terminal, not for a log
        told = self.verbose if sys.stderr.isatty() or not any(replica_counts(self.n_replicas).values()) else 0
        return default_generator(self.method, self.simulation_.n_matched, n_jobs=self.n_jobs, verbose=told)

    def _seed(self, stream: int, number: int = 0) -> int:
        return int(np.random.SeedSequence([self._entropy, stream, number]).generate_state(1)[0] >> 1)
