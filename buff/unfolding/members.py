"""One trained view of the simulation, and what it makes of measured events."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from buff.protocols import Array, TableLike, WeightsLike
from buff.tables import Columns
from buff.trees import ClassifierSettings
from buff.unfolding.event_weights import EventWeights, checked_weights
from buff.unfolding.events import Simulation, row_count
from buff.unfolding.features import combinations, features, frequent_values
from buff.unfolding.iterations import Draws, History, Prior, drain, reweighting, updating
from buff.unfolding.membership import Membership
from buff.unfolding.posteriors import Bridge, LocatedFlow, Posterior
from buff.unfolding.ratios import FEWEST_EVENTS, Share, density_ratio, require_events, share_of

__all__ = ["POORLY_SEEN", "Measured", "Member", "Unfolded", "with_weights"]

#: Draws in all that are aimed at, and draws in all that refolding looks at.
_DRAWS, _REFOLDED = 200_000, 50_000
#: Draws that an event gets at least, as weights within an event need a choice, and at most.
_FEWEST_DRAWS, _MOST_DRAWS = 10, 100
#: Draws of each simulated event that tell how often posteriors have frequent values.
_MEMBER_DRAWS = 3

#: Truth that is seen so many times more rarely than on average is not corrected further in any case.
_MOST_CORRECTED = 100.0
#: Bisections for that limit.
_HALVINGS = 30
#: Truth that is seen so many times more rarely than on average is poorly seen.
POORLY_SEEN = 5.0


@dataclass(frozen=True, eq=False)
class Measured:
    """Measured events and, where there is some, what is known to be background among them.

    Attributes
    ----------
    reco : Columns
    scores : array of shape (n, features)
    background_scores : array of shape (b, features)
    of_data, of_background : EventWeights
    """

    reco: Columns
    scores: Array
    background_scores: Array
    of_data: EventWeights
    of_background: EventWeights

    @classmethod
    def of(
        cls, simulation: Simulation, reco: TableLike, weights: WeightsLike, background: Any, policy: str
    ) -> "Measured":
        """Tables with the columns of the simulation's reco; background as :meth:`Unfolder.unfold` takes it."""
        columns, data = _weighted(simulation, reco, weights, "reco", "sample_weight", policy)
        table, own = with_weights(background)
        if table is None or row_count(table, "background") == 0:
            events, b = columns.take(slice(0)), EventWeights(np.empty(0), np.empty(0), (), policy)
        else:
            events, b = _weighted(simulation, table, own, "background", "weights of the background", policy)
        space = simulation.reco_space
        return cls(columns, features(space, columns), features(space, events), data, b)

    @property
    def weights(self) -> Array:
        """Weights of the measured events, none negative."""
        return self.of_data.values

    def resampled(self, rng: np.random.Generator) -> "Measured":
        """A copy with weights times Poisson numbers of mean 1: another experiment of the same length."""
        return replace(self, of_data=self.of_data.resampled(rng), of_background=self.of_background.resampled(rng))

    def with_background(self, factor: float) -> "Measured":
        """A copy with so many times the background."""
        own = self.of_background
        return replace(self, of_background=replace(own, given=factor * own.given, values=factor * own.values))


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
    efficiency : array of shape (n,)
    last : pair of arrays of shape (n,), optional
        Weights before and after the last iteration that was made, which need not be one of the result.
    further : array of shape (n,), optional
        Weights after further iterations.
    refolded : array of shape (matched simulated events,), optional
        See :meth:`Member.refolding`.
    """

    events: Columns
    weights: Array
    rows: Array
    history: History
    signal: Array
    efficiency: Array
    last: tuple[Array, Array] | None = None
    further: Array | None = None
    refolded: Array | None = None


@dataclass(frozen=True, eq=False)
class Member:
    """A simulation with its weights, and what was learned from it.

    Attributes
    ----------
    simulation : Simulation
    posterior : Posterior or None
    efficiency : Share
        P(passes at detector level | truth). Where a posterior draws truth, it counts draws in the place of the events
        that pass: at a threshold draws are blurred, and the inverse of a sharp efficiency blows up what lies there.
    purity : Share
        P(passes at truth level | reco), 1 less the share of fakes.
    settings : ClassifierSettings
    seed : int
    """

    simulation: Simulation
    posterior: Posterior | None
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
        posterior = None
        if method != "reweight":
            kind: Any = Bridge if method == "bridge" else LocatedFlow
            posterior = kind.fit(s, s.matched_weights, generator, seed)
        reco_weights = np.concatenate([s.matched_weights, s.fake_weights])
        truth = s.truth_scores
        if posterior is not None and len(truth) > n:
            drawn = posterior.draw(s.reco.take(slice(n)), 1, seed + 2)
            truth = np.concatenate([features(s.truth_space, drawn), truth[n:]])
        efficiency = share_of(truth, np.arange(len(truth)) < n, s.weights, settings, seed=seed)
        purity = share_of(s.reco_scores, np.arange(len(s.reco)) < n, reco_weights, settings, seed=seed)
        return cls(simulation, posterior, efficiency, purity, settings, seed)

    @cached_property
    def least_efficiency(self) -> float:
        r"""Limit of the correction for efficiency: that with which simulated draws become as many as was simulated.

        .. math:: \sum_{i\ \text{passes both}} \frac{w_i}{\max(\epsilon_i, \epsilon_{\min})} = \sum_i w_i

        The mean inverse of an efficiency that is learned is above the inverse of its mean, the more so the smaller it
        is; at thresholds little else would be seen.
        """
        s, low = self.simulation, self.efficiency.constant / _MOST_CORRECTED
        high, total = self.efficiency.constant, s.weights.sum()
        efficiency, w = self.efficiency.of_rows[: s.n_matched], s.matched_weights
        for _ in range(_HALVINGS):
            middle = np.sqrt(low * high)
            if np.sum(w / np.maximum(efficiency, middle)) > total:
                low = middle
            else:
                high = middle
        return float(low)

    @cached_property
    def membership(self) -> Membership | None:
        """Factors of draws where truth has frequent values."""
        s, n = self.simulation, self.simulation.n_matched
        if self.posterior is None or not frequent_values(s.truth_space):
            return None
        drawn = features(s.truth_space, self.posterior.draw(s.reco.take(slice(n)), _MEMBER_DRAWS, self.seed + 3))
        reco, truth = combinations(s.reco_space, s.reco_scores[:n]), combinations(s.truth_space, s.truth_scores[:n])
        return Membership.of(reco, truth, combinations(s.truth_space, drawn), s.matched_weights)

    def drawn(self, measured: Measured, n_samples: int | None) -> tuple[Columns, Draws] | None:
        """So many draws of each measured event, or as many as it takes; None where simulated events are weighted."""
        return None if self.posterior is None else self.draw(measured, n_samples or _draws_for(len(measured.weights)))

    def draw(self, measured: Measured, n_samples: int) -> tuple[Columns, Draws]:
        """Posterior draws of truth, as a table and as scores."""
        assert self.posterior is not None
        s, events = self.simulation, self.posterior.draw(measured.reco, n_samples, self.seed)
        scores, rows = features(s.truth_space, events), np.repeat(np.arange(len(measured.reco)), n_samples)
        if self.membership is None:
            return events, Draws(scores, rows)
        found = combinations(s.reco_space, measured.scores), combinations(s.truth_space, scores)
        return events, Draws(scores, rows, self.membership(*found))

    def unfold(
        self,
        measured: Measured,
        n_iterations: int | None,
        drawn: tuple[Columns, Draws] | None,
        further: bool = False,
    ) -> Unfolded:
        """Truth of the measured events, by weights of simulated events or of the draws given."""
        signal, s = self.signal(measured), self.simulation
        prior = Prior(s, measured.scores, signal, self.settings, self.seed, np.ones(len(s.truth)))
        further = further and bool(np.count_nonzero(signal) >= FEWEST_EVENTS)
        if drawn is None:
            weights, last, after, history = drain(reweighting(prior, n_iterations, further))
            rows, efficiency = np.full(len(s.truth), -1), self.efficiency.of_rows
            return Unfolded(s.truth, weights, rows, history, signal, efficiency, last, after)
        events, draws = drawn
        weights, last, after, history = drain(updating(prior, draws, n_iterations, further))
        efficiency = self.efficiency(draws.scores)
        seen = np.maximum(efficiency, self.least_efficiency)
        last = None if last is None else (last[0] / seen, last[1] / seen)
        after = None if after is None else after / seen
        return Unfolded(events, weights / seen, draws.rows, history, signal, efficiency, last, after)

    def refolding(self, unfolded: Unfolded) -> Array | None:
        """Weights of the simulated events that pass both cuts, which give them the unfolded truth at detector level.

        Of draws, a classifier between these and simulated truth says them; None where there are too few events.
        """
        s, n = self.simulation, self.simulation.n_matched
        if self.posterior is None:
            return unfolded.weights[:n]
        if np.count_nonzero(unfolded.signal) < FEWEST_EVENTS:
            return None
        m = len(unfolded.rows) // len(unfolded.signal)
        used = np.arange(len(unfolded.rows)) % m < max(_REFOLDED // len(unfolded.signal), 1)
        z = features(s.truth_space, unfolded.events.take(np.flatnonzero(used)))
        ratio = density_ratio(z, unfolded.weights[used], s.truth_scores, s.weights, self.settings, seed=self.seed)
        return np.asarray(s.matched_weights * ratio.of_rows[:n] * (unfolded.weights.sum() / s.weights.sum()))

    def signal(self, measured: Measured) -> Array:
        r"""Weights of the measured events without background and fakes.

        .. math:: d(r) \to (d(r) - b(r))\, P(\text{passes at truth level} \mid r)

        with b / d from a classifier, so that no weight is negative. Where b exceeds d nothing is left, and all else is
        scaled to the difference of the sums. Fakes are a share of what is seen, as the simulation has it.
        """
        w, b = measured.weights, measured.of_background.values
        if len(b) and b.sum() > 0:
            if b.sum() >= w.sum():
                raise ValueError(
                    f"the background has weight {b.sum():g}, all measured events {w.sum():g}: nothing is left"
                )
            require_events(b, "background events")
            require_events(w, "measured events that background is taken from")
            ratio = density_ratio(measured.background_scores, b, measured.scores, w, self.settings, seed=self.seed)
            w = w * np.clip(1 - ratio.of_rows * (b.sum() / w.sum()), 0, None)
            w = w * ((measured.weights.sum() - b.sum()) / w.sum())
        return np.asarray(w * self.purity(measured.scores))


def _draws_for(n: int) -> int:
    """Draws of each of n events."""
    return int(np.clip(_DRAWS // n, _FEWEST_DRAWS, _MOST_DRAWS))


def _weighted(
    simulation: Simulation, table: TableLike, weights: WeightsLike, name: str, what: str, policy: str
) -> tuple[Columns, EventWeights]:
    columns = simulation.measured(table, name)
    return columns, EventWeights.of(checked_weights(weights, len(columns), what, policy), (columns,), policy)


def with_weights(given: Any, name: str = "background") -> tuple[Any, Any]:
    """A table and its weights, if there are any; ValueError for other tuples."""
    if not isinstance(given, tuple):
        return given, None
    if len(given) != 2:
        raise ValueError(f"{name} must be a table or a pair (table, weights), found a tuple of {len(given)}")
    return given
