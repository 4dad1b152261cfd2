"""Check of event weights, and replacement of negative ones by a policy."""

import sys
from typing import Any

import numpy as np

from buff.errors import warn
from buff.protocols import ConditionLike, TableLike, Values, WeightsLike
from buff.tables import check_weights
from buff.weights import positive_weights

__all__ = ["resolve_negative_weights"]

#: Weights are extreme where rows count like less than this share of them; of fewer rows nothing is said.
_EFFECTIVE_SHARE, _FEWEST_ROWS = 0.05, 200


def resolve_negative_weights(
    sample_weight: WeightsLike,
    policy: str,
    X: TableLike,
    *,
    condition: ConditionLike = None,
    schema: Any = None,
    verbose: int = 0,
) -> Any:
    """Weights of which none is negative, by a policy of :mod:`buff.weights`.

    Their number is checked where their rows are known. A verbose fit tells what became of the effective sample size.

    Raises
    ------
    ValueError, TypeError
        For weights that are no finite numbers, and for negative ones if the policy is ``"error"``.
    """
    weights = check_weights(sample_weight, positive_sum=False)
    negative = weights < 0
    if not negative.any():
        _warn_of_few(weights)
        return sample_weight
    if policy == "error":
        raise ValueError(
            f"sample_weight has {negative.sum()} negative values, the first {weights[negative][0]}: "
            f'negative_weights="smooth" learns the local mean weight and uses that, see buff.weights'
        )
    result = positive_weights(X, weights, policy=policy, condition=condition, schema=schema)
    if verbose:
        print(f"weights: {result}", file=sys.stderr)
    return result.values


def _warn_of_few(weights: Values) -> None:
    """Tell the effective number of rows, (sum w)^2 / sum w^2, where a few weights outweigh all others."""
    if weights.ndim != 1 or len(weights) < _FEWEST_ROWS or not weights.any():
        return
    w = weights / weights.max()
    effective = w.sum() ** 2 / np.sum(w**2)
    if effective < _EFFECTIVE_SHARE * len(w):
        heavy = np.sort(w)[-max(1, len(w) // 100) :].sum() / w.sum()
        warn(
            f"sample_weight: {len(w):,} rows count like {effective:,.0f} of equal weight, and the heaviest 1 % have "
            f"{heavy:.0%} of it all: what is learned scatters like a sample of that size; check or cap the weights"
        )
