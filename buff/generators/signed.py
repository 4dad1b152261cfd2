"""Event weights of both signs at the door of a generator."""

import sys
from typing import Any

from buff.protocols import ConditionLike, TableLike, WeightsLike
from buff.transforms.transformer import finite_weights
from buff.weights import positive_weights

__all__ = ["resolve_negative_weights"]


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
    weights = finite_weights(sample_weight)
    negative = weights < 0
    if not negative.any():
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
