"""Weights of events, of either sign as they are given and of one sign as they are used."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from buff.protocols import Array, Numbers
from buff.tables import Columns
from buff.tables.weights import check_weights
from buff.weights import PositiveWeights, effective_size, positive_weights

__all__ = ["EventWeights", "checked_weights"]

#: Fewer rows than this have no local mean.
_FEWEST = 20


@dataclass(frozen=True, eq=False)
class EventWeights:
    """Weights of the events of some tables.

    Attributes
    ----------
    given : array of shape (n,)
    values : array of shape (n,)
        The weights given or, where some of these are negative, positive ones that stand for the same density.
    tables : tuple of one or two Columns
        What the events look like.
    policy : {"error", "smooth", "cancel"}
        For negative weights, see :func:`buff.weights.positive_weights`.
    note : PositiveWeights or None
        What became of the statistics where weights were changed.
    """

    given: Array
    values: Array
    tables: tuple[Columns, ...]
    policy: str
    note: PositiveWeights | None = None

    @classmethod
    def of(cls, given: Numbers, tables: tuple[Columns, ...], policy: str) -> "EventWeights":
        """Positive weights by the policy; of few events, or of events that cancel, the mean or 0 if that is below."""
        if not (given < 0).any():
            return cls(given, given, tables, policy)
        if len(given) < _FEWEST or given.sum() <= 0:
            return cls(given, np.full(len(given), max(given.mean(), 0.0)), tables, policy)
        X, condition = (*(table.template.restore(table.arrays) for table in tables), None)[:2]
        note = positive_weights(X, given, policy=policy, condition=condition)
        return cls(given, note.values, tables, policy, note)

    def resampled(self, rng: np.random.Generator) -> "EventWeights":
        """A copy with the weights given times Poisson numbers of mean 1, made positive anew."""
        return EventWeights.of(self.given * rng.poisson(1.0, len(self.given)), self.tables, self.policy)

    @property
    def inflation(self) -> float:
        """By how much the variance of a sum is larger than the positive weights say: 1 for weights left as they are."""
        return effective_size(self.values) / effective_size(self.given) if self.note else 1.0


def checked_weights(weights: Any, n: int, name: str, policy: str = "error") -> Array:
    """Weights of n events, float64; None stands for ones.

    Raises
    ------
    TypeError
        No real numbers.
    ValueError
        Another length, weights that are not finite, a sum that is not positive; negative weights under the policy
        ``"error"``.
    """
    advice = (
        'negative_weights="smooth" learns the local mean weight and uses that, see buff.weights; events to be '
        "subtracted are background"
    )
    return check_weights(weights, n, name, signed=policy != "error", advice=advice)
