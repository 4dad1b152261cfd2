r"""The iterations of unfolding, all of them steps of expectation maximisation on the density of truth.

.. math:: \pi_{n+1}(t) = \frac{1}{\epsilon(t)} \int p_n(t \mid r)\, d(r)\, \mathrm{d}r, \qquad
          p_n(t \mid r) \propto p_0(t \mid r)\, \frac{\pi_n(t)}{\pi_0(t)}

with d the measured density and epsilon the efficiency (D'Agostini, 1995, doi:10.1016/0168-9002(95)00274-X; without
bins Andreassen et al., 2020, arXiv:1911.09107). The starting point matters less with each; noise matters more.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from buff.boosters import ClassifierSettings
from buff.protocols import Array, Indices
from buff.unfolding.events import Simulation
from buff.unfolding.ratios import conditional_mean, density_ratio

__all__ = ["Draws", "History", "Iteration", "Step", "drain", "reweighting", "updating"]

#: Largest factor, and the inverse of the smallest, by which a prior may be changed in all.
LARGEST_FACTOR = 100.0
#: A change this much larger than the one before, and larger than this in itself, is no convergence.
_GROWTH, _NOTABLE = 1.5, 0.05
#: Share of the events that the weights must be worth.
_WORTH = 0.005


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
        lines += [f"{i.number:9d} {i.change:8.4f} {i.effective:10.4f} {i.clipped:8.4f}" for i in self]
        return "\n".join(lines)


@dataclass(frozen=True)
class Step:
    """An iteration, and the weights of the unfolded events after it, in units of measured events."""

    iteration: Iteration
    weights: Array


@dataclass(frozen=True, eq=False)
class Draws:
    """Truth drawn for measured events.

    Attributes
    ----------
    scores : array of shape (n m, features)
        m draws of each of n measured events, those of an event next to each other.
    rows : array of shape (n m,)
        Number of the measured event.
    """

    scores: Array
    rows: Indices

    @property
    def n_samples(self) -> int:
        """Draws an event."""
        return len(self.rows) // (int(self.rows[-1]) + 1)


def reweighting(
    simulation: Simulation,
    reco_scores: Array,
    data_weights: Array,
    settings: ClassifierSettings,
    n_iterations: int,
    seed: int,
) -> Iterator[Step]:
    r"""OmniFold: simulated truth with weights.

    .. math:: \ell_n(r) = \frac{d(r)}{\sum_t \nu_n\, p(r, t)}, \qquad
              \nu_{n+1}(t) = E[\nu_n\, \ell_n(r) \mid t, \text{passes both}]

    The mean over the events that pass both is the one that expectation maximisation asks for; it holds for events that
    are missed by the detector, too.

    References
    ----------
    Andreassen et al., 2020, arXiv:1911.09107; Andreassen et al., 2021, arXiv:2105.04448.
    """
    n = simulation.n_matched
    w, total = simulation.matched_weights, data_weights.sum()
    truth, reco = simulation.truth_scores[:n], simulation.reco_scores[:n]
    factors, before = np.ones(len(simulation.weights)), simulation.weights
    for number in range(1, n_iterations + 1):
        ratio = density_ratio(reco_scores, data_weights, reco, w * factors[:n], settings, seed=seed)
        pulled = np.clip(factors[:n] * ratio.of_rows, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
        pushed = conditional_mean(pulled, truth, w, settings, seed=seed + 1)
        factors, clipped = _clipped(np.concatenate([pushed.of_rows, pushed(simulation.truth_scores[n:])]))
        factors *= w.sum() / (w @ factors[:n])
        after = simulation.weights * factors
        yield Step(_iteration(number, before, after, clipped), after * (total / (w @ factors[:n])))
        before = after


def updating(
    closure: Draws,
    closure_weights: Array,
    draws: Draws,
    data_weights: Array,
    settings: ClassifierSettings,
    n_iterations: int,
    seed: int,
) -> Iterator[Step]:
    r"""Posterior draws, weighted by what they say about the prior.

    .. math:: w_{n+1}(t) = \frac{\sum_j d_j\, p_n(t \mid r_j)}{\sum_i w_i\, p_0(t \mid r_i)}, \qquad
              p_n(t_{jk} \mid r_j) = \frac{w_n(t_{jk})}{\sum_l w_n(t_{jl})}

    with j the measured and i the simulated events that pass both selections, where efficiencies cancel. The denominator
    is the prior that the learned posterior stands for. That of the simulation differs by what was not learned, and each
    iteration would add that difference again. Nothing is trained but classifiers: the posterior under another prior has
    the same draws with other weights.

    Parameters
    ----------
    closure, closure_weights
        Draws for simulated events, and the weights of these events.
    draws, data_weights
        Draws for measured events, and the weights of these events.
    """
    prior = np.repeat(closure_weights / closure.n_samples, closure.n_samples)
    weights = np.repeat(data_weights / draws.n_samples, draws.n_samples)
    yield Step(_iteration(1, weights, weights, 0.0, change=np.nan), weights)
    for number in range(2, n_iterations + 1):
        ratio = density_ratio(
            draws.scores,
            weights,
            closure.scores,
            prior,
            settings,
            groups=(draws.rows, closure.rows),
            seed=seed,
        )
        factors, clipped = _clipped(ratio.of_numerator)
        before, weights = weights, _within(factors, draws, data_weights)
        yield Step(_iteration(number, before, weights, clipped), weights)


def drain(steps: Iterator[Step]) -> tuple[Array, History]:
    """Weights after the last iteration, and the history; one that diverges ends the iterations with a warning.

    Raises
    ------
    FloatingPointError
        Weights are not finite.
    """
    history: list[Iteration] = []
    weights = np.empty(0)
    for step in steps:
        now = step.iteration
        if not np.isfinite(step.weights).all():
            raise FloatingPointError(f"iteration {now.number} gave weights that are not finite: lower n_iterations")
        history.append(now)
        if reason := _divergence(history):
            if len(history) > 1:
                warnings.warn(f"{reason}: kept iteration {now.number - 1}", ConvergenceWarning, stacklevel=4)
                break
            warnings.warn(reason, ConvergenceWarning, stacklevel=4)
        weights = step.weights
    return weights, History(history)


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


def _within(factors: Array, draws: Draws, data_weights: Array) -> Array:
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


def _clipped(factors: Array) -> tuple[Array, float]:
    limited = np.clip(factors, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    return limited, float(np.mean(limited != factors))


def _iteration(number: int, before: Array, after: Array, clipped: float, change: float | None = None) -> Iteration:
    if change is None:
        change = float(np.abs(after / after.sum() - before / before.sum()).sum() / 2)
    effective = float(after.sum() ** 2 / (after @ after) / len(after))
    return Iteration(number, change, effective, clipped)
