r"""The iterations of unfolding, all of them steps of expectation maximisation on the density of truth.

.. math:: \pi_{n+1}(t) = \frac{1}{\epsilon(t)} \int p_n(t \mid r)\, d(r)\, \mathrm{d}r, \qquad
          p_n(t \mid r) \propto p_0(t \mid r)\, \frac{\pi_n(t)}{\pi_0(t)}

with d the measured density and epsilon the efficiency (D'Agostini, 1995, doi:10.1016/0168-9002(95)00274-X; without
bins Andreassen et al., 2020, arXiv:1911.09107). The starting point matters less with each; noise matters more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from buff.errors import warn
from buff.kernels import dot
from buff.protocols import Array, Indices, Numbers
from buff.trees import ClassifierSettings
from buff.unfolding.events import Simulation
from buff.unfolding.moving import moving
from buff.unfolding.ratios import Ratio, conditional_mean, density_ratio, require_events
from buff.unfolding.refolding import Refolded, described, refold
from buff.unfolding.spikes import Spikes
from buff.weights import effective_size

__all__ = ["Draws", "History", "Iteration", "Prior", "Step", "drain", "reweighting", "updating"]

#: Where iterations that are not counted beforehand end at the latest.
MOST_ITERATIONS = 10
#: Largest factor, and the inverse of the smallest, by which a prior may be changed in all.
LARGEST_FACTOR = 100.0
#: A change this much larger than the one before, and larger than this in itself, is no convergence.
_GROWTH, _NOTABLE = 1.5, 0.05
#: Share of the events that the weights must be worth.
_WORTH = 0.005
#: Statistical errors by which the last iteration may move truth; with 1 they amplify that nature's detector is another.
_MOVED = 2.0


@dataclass(frozen=True)
class Iteration:
    """What an iteration did.

    Attributes
    ----------
    number : int
        From 1.
    change : float
        Total variation between the unfolded density and that of the iteration before (at first: the simulation, or
        NaN where unfolded events are drawn and not weighted).
    effective : float
        Events that the weights are worth, as a share of the events.
    clipped : float
        Share of the events whose factor reached its limit.
    """

    number: int
    change: float
    effective: float
    clipped: float


class History(tuple[Iteration, ...]):
    """All iterations; prints as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = [f"{'iteration':>9} {'change':>8} {'effective':>10} {'clipped':>8}"]
        for i in self:
            change = "–" if np.isnan(i.change) else f"{i.change:.4f}"
            lines.append(f"{i.number:9d} {change:>8} {i.effective:10.4f} {i.clipped:8.4f}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Step:
    """An iteration, and the weights of the unfolded events after it, in units of measured events.

    ``further`` ones, and the one that ``settled`` iterations, only tell how far the result depends on where these end.
    """

    iteration: Iteration
    weights: Array
    further: bool = False
    settled: bool = False


@dataclass(frozen=True, eq=False)
class Draws:
    """Truth drawn for measured events.

    Attributes
    ----------
    scores : array of shape (n m, features)
        m draws of each of n measured events, those of an event next to each other.
    rows : array of shape (n m,)
        Number of the measured event.
    factors : array of shape (n m,) or None
        What draws count under the prior of the simulation: those of :class:`~buff.unfolding.membership.Membership`;
        None for 1.
    """

    scores: Array
    rows: Indices
    factors: Array | None = None

    @property
    def n_samples(self) -> int:
        """Draws an event."""
        return len(self.rows) // (int(self.rows[-1]) + 1)


@dataclass(frozen=True, eq=False)
class Prior:
    r"""Simulated events with weights that make them look more like the measured ones: OmniFold.

    .. math:: \ell_n(r) = \frac{d(r)}{\sum_t \nu_n\, p(r, t)}, \qquad
              \nu_{n+1}(t) = E[\nu_n\, \ell_n(r) \mid t, \text{passes both}]

    The mean over the events that pass both is the one that expectation maximisation asks for; it holds for events that
    are missed by the detector, too.

    Attributes
    ----------
    simulation : Simulation
    reco_scores, data_weights : arrays of shape (n, features) and (n,)
        Of the measured events.
    settings : ClassifierSettings
    seed : int
    factors : array of shape (matched + missed,)
        nu of the simulated events, from trees that did not see them.
    nu : Ratio or None
        nu elsewhere, but for the factors of ``spikes``; None for 1.
    spikes : Spikes
    clipped : float
        Share of the events whose factor reached its limit.

    References
    ----------
    Andreassen et al., 2020, arXiv:1911.09107; Andreassen et al., 2021, arXiv:2105.04448.
    """

    simulation: Simulation
    reco_scores: Array
    data_weights: Array
    settings: ClassifierSettings
    seed: int
    factors: Array
    nu: Ratio | None = None
    spikes: Spikes = field(default_factory=Spikes)
    clipped: float = 0.0

    @cached_property
    def ratio(self) -> Ratio:
        """Measured density over that of the weighted simulation, at detector level."""
        s, n = self.simulation, self.simulation.n_matched
        what = "measured events that reweighting learns from (draws of one iteration need none)"
        require_events(self.data_weights, what)
        weights = s.matched_weights * self.factors[:n]
        return density_ratio(
            self.reco_scores, self.data_weights, s.reco_scores[:n], weights, self.settings, seed=self.seed
        )

    @cached_property
    def refolded(self) -> tuple[Refolded, ...]:
        """Measured events beside the weighted simulation, column by column."""
        s, n, d = self.simulation, self.simulation.n_matched, self.data_weights
        weights = s.matched_weights * self.factors[:n]
        return refold(s.reco_space, s.reco_scores[:n], weights * (d.sum() / weights.sum()), self.reco_scores, d)

    def settled(self, before: "Prior | None" = None) -> bool:
        """Whether measured events and simulated ones cannot be told apart, by a classifier or by any column alone.

        Iterations end where the data are described within their uncertainty (Morozov, 1966): those that follow would
        amplify noise, and what differs between the detectors of simulation and nature. A classifier may overlook what
        few events differ in, so that no column and no frequent value may be off either, or none that got closer since
        the prior ``before``; and nothing may have moved since by much more than measured events can tell.
        """
        if before is None:
            return not self.ratio.gain > 0 and described(self.refolded)
        return not (self.moved(before) or self.ratio.gain > 0) and described(self.refolded, before.refolded)

    def moved(self, before: "Prior") -> bool:
        """Whether truth moved since an earlier prior, see :func:`buff.unfolding.moving.moving`."""
        s, z = self.simulation, self.simulation.truth_scores
        one, other = ((z, s.weights * prior.factors) for prior in (before, self))
        moves = moving(s.truth_space, z, one, other, effective_size(self.data_weights))
        return any(move.moving.sigmas > _MOVED for move in moves)

    def updated(self) -> "Prior":
        """After another iteration."""
        s, n, w = self.simulation, self.simulation.n_matched, self.simulation.matched_weights
        pulled = np.clip(self.factors[:n] * self.ratio.of_rows, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
        nu = conditional_mean(pulled, s.truth_scores[:n], w, self.settings, seed=self.seed + 1)
        factors = np.concatenate([nu.of_rows, nu(s.truth_scores[n:])])
        spikes = Spikes.of(s, factors, self.reco_scores, self.data_weights)
        factors, clipped = _clipped(factors * spikes(s.truth_scores))
        factors = factors * (w.sum() / dot(w, factors[:n]))
        return replace(self, factors=factors, nu=nu, spikes=spikes, clipped=clipped)


def reweighting(prior: Prior, n_iterations: int | None, further: bool = False) -> Iterator[Step]:
    """Simulated truth with weights, for so many iterations or until measured events are described.

    With ``further``, a last step has the weights after :func:`_further` ones.
    """
    s, total = prior.simulation, prior.data_weights.sum()

    def step(number: int, before: Array, further: bool = False) -> Step:
        after = s.weights * prior.factors
        scale = total / dot(s.matched_weights, prior.factors[: s.n_matched])
        return Step(_iteration(number, before, after, prior.clipped), after * scale, further)

    last, number, most = prior, 0, n_iterations or MOST_ITERATIONS
    while number < most and not (n_iterations is None and number > 0 and prior.settled(last)):
        last, prior, number = prior, prior.updated(), number + 1
        yield step(number, s.weights * last.factors)
    if further:
        for _ in range(number, _further(number, n_iterations)):
            last, prior = prior, prior.updated()
        yield step(_further(number, n_iterations), s.weights * last.factors, True)


def updating(prior: Prior, draws: Draws, n_iterations: int | None, further: bool = False) -> Iterator[Step]:
    r"""Posterior draws, weighted by what they say about the prior.

    .. math:: p_n(t_{jk} \mid r_j) = \frac{\nu_{n-1}(t_{jk})}{\sum_l \nu_{n-1}(t_{jl})}

    for the draws k of the measured event j, times the factors of the draws. Nothing is trained but classifiers. After n
    iterations the density of the draws is that of nu_n, with the fluctuations that the measured events have. With
    ``further``, a last step has the weights after :func:`_further` ones.
    """
    data_weights = prior.data_weights

    def step(number: int, before: Array, further: bool = False) -> Step:
        assert prior.nu is not None
        factors, clipped = _clipped(prior.nu(draws.scores) * prior.spikes(draws.scores))
        if draws.factors is not None:
            factors = factors * draws.factors
        after = _within(factors, draws, data_weights)
        return Step(_iteration(number, before, after, clipped), after, further)

    weights = np.repeat(data_weights / draws.n_samples, draws.n_samples)
    if draws.factors is not None:
        weights = _within(draws.factors, draws, data_weights)
    yield Step(_iteration(1, weights, weights, 0.0, change=np.nan), weights)
    number, updates = 1, 0
    while number < (n_iterations or MOST_ITERATIONS):
        last, prior, updates = prior, prior.updated(), updates + 1
        now = step(number + 1, weights)
        if n_iterations is None and prior.settled(last):
            yield replace(now, settled=True)
            break
        number, weights = number + 1, now.weights
        yield now
    if further:
        for _ in range(_further(number, n_iterations) - 1 - updates):
            prior = prior.updated()
        yield step(_further(number, n_iterations), weights, True)


def _further(number: int, asked: int | None) -> int:
    """Iterations that tell what ending after ``number`` left out: twice as many, and all where none were asked for."""
    return 2 * number if asked is not None else max(2 * number, MOST_ITERATIONS)


def drain(steps: Iterator[Step]) -> tuple[Array, tuple[Array, Array] | None, Array | None, History]:
    """Weights of the result, those before and after the last iteration made, those after further ones, and the history.

    An iteration that diverges ends them with a warning.

    Raises
    ------
    FloatingPointError
        Weights are not finite.
    """
    history: list[Iteration] = []
    weights, last, further = np.empty(0), None, None
    for step in steps:
        if step.further:
            further = step.weights if np.isfinite(step.weights).all() else None
            break
        now = step.iteration
        if not np.isfinite(step.weights).all():
            raise FloatingPointError(f"iteration {now.number} gave weights that are not finite: lower n_iterations")
        if len(weights):
            last = weights, step.weights
        if step.settled:
            continue
        history.append(now)
        if reason := _divergence(history):
            if len(history) > 1:
                warn(f"{reason}: kept iteration {now.number - 1}", ConvergenceWarning)
                break
            warn(reason, ConvergenceWarning)
        weights = step.weights
    return weights, last, further, History(history)


def _divergence(history: list[Iteration]) -> str:
    """Why the last iteration is worse than none, if it is."""
    now = history[-1]
    if now.effective < _WORTH:
        return (
            f"iteration {now.number} diverges: the weights are worth {now.effective:.2%} of the events, below "
            f"{_WORTH:.1%}, with {now.clipped:.1%} of the factors at their limit of {LARGEST_FACTOR:g}; "
            f"data and simulation may not overlap"
        )
    before = history[-2].change if len(history) > 1 else np.nan
    if now.number > 2 and now.change > _GROWTH * before and now.change > _NOTABLE:
        return (
            f"iteration {now.number} diverges: the unfolded density changed by {now.change:.3f} (total variation), "
            f"the iteration before by {before:.3f}"
        )
    return ""


def _within(factors: Numbers, draws: Draws, data_weights: Numbers) -> Array:
    r"""Weights of an event's m draws that sum to the weight of the event: in proportion to their factors, nearly.

    With S the sum of the factors w, plain shares w / S lean towards equal ones by 1 / m of the difference: all draws of
    an event move the sum that they are divided by. The jackknife (Quenouille, 1956, doi:10.1093/biomet/43.3-4.353)
    takes that away,

    .. math:: w_k \Big( \frac{m}{S} - \frac{m - 1}{m} \sum_{i \ne k} \frac{1}{S - w_i} \Big).
    """
    m = draws.n_samples
    w = factors.reshape(-1, m)
    total = w.sum(axis=1, keepdims=True)
    if m > 1:
        without = 1 / (total - w)
        shares = w * (m / total - (m - 1) / m * (without.sum(axis=1, keepdims=True) - without))
        w = np.clip(shares, 0, None)  # below zero where one draw outweighs all others
        total = w.sum(axis=1, keepdims=True)
    return np.asarray((w * (data_weights[:, None] / total)).ravel())


def _clipped(factors: Numbers) -> tuple[Array, float]:
    limited = np.clip(factors, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    return limited, float(np.mean(limited != factors))


def _iteration(number: int, before: Numbers, after: Numbers, clipped: float, change: float | None = None) -> Iteration:
    if change is None:
        change = float(np.abs(after / after.sum() - before / before.sum()).sum() / 2)
    effective = float(after.sum() ** 2 / dot(after, after) / len(after))
    return Iteration(number, change, effective, clipped)
