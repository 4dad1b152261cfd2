"""One trained view of the simulation, and what it makes of measured events."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.boosters import ClassifierSettings
from buff.preprocessing import Columns
from buff.protocols import Array
from buff.unfolding.events import Simulation
from buff.unfolding.iterations import Draws, History, drain, reweighting, updating
from buff.unfolding.posteriors import Bridge, LocatedFlow, Posterior
from buff.unfolding.ratios import Share, density_ratio, share_of

__all__ = ["Measured", "Member", "Unfolded", "draws_for"]

#: Draws in all that are aimed at, and the most that an event gets.
_DRAWS, _MOST_DRAWS = 200_000, 100

#: Truth that is seen more rarely than this is not corrected further.
LEAST_EFFICIENCY = 0.01


@dataclass(frozen=True, eq=False)
class Measured:
    """Measured events and, where there is some, what is known to be background among them.

    Attributes
    ----------
    reco : Columns
    scores : array of shape (n, features)
    weights : array of shape (n,)
    background_scores : array of shape (b, features)
    background_weights : array of shape (b,)
    """

    reco: Columns
    scores: Array
    weights: Array
    background_scores: Array
    background_weights: Array

    def resampled(self, rng: np.random.Generator) -> "Measured":
        """The same events with weights times Poisson numbers of mean 1: another experiment of the same length."""
        weights, background = (
            w * rng.poisson(1.0, len(w)) for w in (self.weights, self.background_weights)
        )
        return replace(self, weights=weights, background_weights=background)


@dataclass(frozen=True, eq=False)
class Unfolded:
    """Truth with weights in units of measured events.

    Attributes
    ----------
    events : Columns
    weights : array of shape (n,)
    rows : array of shape (n,)
        The measured event that each belongs to, -1 for simulated ones.
    history : History
    signal : array of shape (measured events,)
        Weights without background and fakes.
    clipped : float
        Share of the events whose efficiency is below the least that is corrected for.
    """

    events: Columns
    weights: Array
    rows: Array
    history: History
    signal: Array
    clipped: float


@dataclass(frozen=True, eq=False)
class Member:
    """A simulation with its weights, and what was learned from it.

    Attributes
    ----------
    simulation : Simulation
    posterior : Posterior or None
    closure : Draws or None
        Posterior draws for the simulated events that pass both selections.
    efficiency : Share
        P(passes at detector level | truth).
    purity : Share
        P(passes at truth level | reco), 1 less the share of fakes.
    settings : ClassifierSettings
    seed : int
    """

    simulation: Simulation
    posterior: Posterior | None
    closure: Draws | None
    efficiency: Share
    purity: Share
    settings: ClassifierSettings
    seed: int

    @classmethod
    def fit(
        cls, simulation: Simulation, method: str, generator: Any, settings: ClassifierSettings, seed: int
    ) -> "Member":
        """Learn posterior (unless events are to be reweighted), efficiency and purity."""
        n, s = simulation.n_matched, simulation
        posterior, closure = None, None
        if method != "reweight":
            kind: Any = Bridge if method == "bridge" else LocatedFlow
            posterior = kind.fit(s, s.matched_weights, generator, seed)
            closure = _drawn(s, posterior, s.reco.take(np.arange(n)), draws_for(n, 1), seed + 1)[1]
        reco_weights = np.concatenate([s.matched_weights, s.fake_weights])
        efficiency = share_of(s.truth_scores, np.arange(len(s.truth)) < n, s.weights, settings, seed=seed)
        purity = share_of(s.reco_scores, np.arange(len(s.reco)) < n, reco_weights, settings, seed=seed)
        return cls(simulation, posterior, closure, efficiency, purity, settings, seed)

    def draw(self, measured: Measured, n_samples: int) -> tuple[Columns, Draws]:
        """Posterior draws of truth, as a table and as scores."""
        assert self.posterior is not None
        return _drawn(self.simulation, self.posterior, measured.reco, n_samples, self.seed)

    def unfold(
        self, measured: Measured, n_iterations: int, drawn: tuple[Columns, Draws] | None
    ) -> Unfolded:
        """Truth of the measured events, by weights of simulated events or of the draws given."""
        signal = self.signal(measured)
        simulation = self.simulation
        if drawn is None:
            steps = reweighting(simulation, measured.scores, signal, self.settings, n_iterations, self.seed)
            weights, history = drain(steps)
            nowhere = np.full(len(simulation.truth), -1)
            return Unfolded(simulation.truth, weights, nowhere, history, signal, 0.0)
        events, draws = drawn
        assert self.closure is not None
        prior = simulation.matched_weights
        steps = updating(self.closure, prior, draws, signal, self.settings, n_iterations, self.seed)
        weights, history = drain(steps)
        efficiency = self.efficiency(draws.scores)
        seen = np.maximum(efficiency, LEAST_EFFICIENCY)
        return Unfolded(
            events, weights / seen, draws.rows, history, signal, float(np.mean(efficiency < LEAST_EFFICIENCY))
        )

    def signal(self, measured: Measured) -> Array:
        r"""Weights of the measured events without background and fakes.

        .. math:: d(r) \to (d(r) - b(r))\, P(\text{passes at truth level} \mid r)

        with b / d from a classifier, so that no weight is negative. Where b exceeds d nothing is left, and all else is
        scaled to the difference of the sums. Fakes are a share of what is seen, as the simulation has it.
        """
        w, b = measured.weights, measured.background_weights
        if len(b) and b.sum() > 0:
            if b.sum() >= w.sum():
                raise ValueError(
                    f"the background has weight {b.sum():g}, all measured events {w.sum():g}: nothing is left"
                )
            ratio = density_ratio(
                measured.background_scores, b, measured.scores, w, self.settings, seed=self.seed
            )
            w = w * np.clip(1 - ratio.of_rows * (b.sum() / w.sum()), 0, None)
            w = w * ((measured.weights.sum() - b.sum()) / w.sum())
        return np.asarray(w * self.purity(measured.scores))


def draws_for(n: int, least: int) -> int:
    """Draws of each of n events."""
    return int(np.clip(_DRAWS // n, least, _MOST_DRAWS))


def _drawn(
    simulation: Simulation, posterior: Posterior, reco: Columns, n_samples: int, seed: int
) -> tuple[Columns, Draws]:
    events = posterior.draw(reco, n_samples, seed)
    rows = np.repeat(np.arange(len(reco)), n_samples)
    return events, Draws(simulation.truth_space.transform(events), rows)
