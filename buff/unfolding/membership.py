"""Which of its frequent values truth has: their shares in posterior draws, put right for groups of measured events."""

from dataclasses import dataclass

import numpy as np

from buff.protocols import Array, Integers, Weights
from buff.unfolding.features import COMBINATIONS

__all__ = ["Membership"]

#: Simulated events that a group of measured events has at least; those of smaller ones count with the largest.
_FEWEST = 25
#: Largest factor that a draw gets, and the inverse of the smallest.
_LARGEST = 20.0


@dataclass(frozen=True, eq=False)
class Membership:
    r"""Factors of posterior draws that give them the frequent values which simulated truth has.

    .. math:: m(t, r) = \frac{p(a(t) \mid g(r))}{q(a(t) \mid g(r))}

    with a and g which frequent values truth and reco have, p their shares in simulated events and q those in draws for
    the same events. A spike is a narrow step of the posterior: regularised trees draw it too rarely for the events that
    it belongs to, and now and then for all others. Both cancel in the sum of all draws, but not under another prior,
    which weights the draws of single events: iterations come too late, and then go too far.

    Attributes
    ----------
    group : array of shape (combinations,)
        Which combination of reco's frequent values an event with each of them counts as.
    factors : array of shape (combinations, combinations)
        Of draws, by the group of the event and the combination of truth's frequent values that the draw has.
    """

    group: Integers
    factors: Array

    @classmethod
    def of(cls, reco: Integers, truth: Integers, drawn: Integers, weights: Weights) -> "Membership":
        """From combinations, see :func:`buff.unfolding.features.combinations`, of simulated events.

        Parameters
        ----------
        reco, truth : arrays of shape (n,)
        drawn : array of shape (m n,)
            Of m draws for each event, next to each other.
        weights : array of shape (n,)
        """
        counts = np.bincount(reco, minlength=COMBINATIONS)
        group = np.where(counts >= _FEWEST, np.arange(COMBINATIONS), np.argmax(counts))
        m = len(drawn) // len(truth)
        p, q = _shares(group[reco], truth, weights), _shares(group[reco].repeat(m), drawn, weights.repeat(m))
        factors = np.divide(p, q, out=np.ones_like(p), where=q > 0)
        return cls(group, np.clip(factors, 1 / _LARGEST, _LARGEST))

    def __call__(self, reco: Integers, drawn: Integers) -> Array:
        """Factors of draws of the measured events, those of an event next to each other."""
        return np.asarray(self.factors[self.group[reco].repeat(len(drawn) // len(reco)), drawn])


def _shares(groups: Integers, cells: Integers, weights: Weights) -> Array:
    """Share of each cell in each group, 0 for groups that have no event."""
    sums = np.bincount(groups * COMBINATIONS + cells, weights, COMBINATIONS**2).reshape(COMBINATIONS, COMBINATIONS)
    total = sums.sum(axis=1, keepdims=True)
    return np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
