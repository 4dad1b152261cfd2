"""Splits found on projections of the gradient, for trees whose leaves hold many outputs."""

from typing import Any

import numpy as np

from buff.protocols import Array

__all__ = ["can_sketch", "sketched_squares"]


def can_sketch() -> bool:
    """Whether this XGBoost lets splits see a gradient of their own: experimental since 3.2."""
    try:
        from xgboost.objective import TreeObjective
    except ImportError:
        return False
    return hasattr(TreeObjective, "split_grad")


def sketched_squares(d: int, k: int, seed: int) -> Any:
    """Squared error whose split search sees k random combinations of the d gradients, new ones each round.

    With P of independent N(0, 1/k) entries, ``|P^T g|^2`` has mean ``|g|^2``: gains are right on average
    (Johnson, Lindenstrauss, 1984), while leaves are computed from all d gradients.
    """
    from xgboost.objective import TreeObjective

    class SketchedSquares(TreeObjective):  # type: ignore[misc]
        def __call__(self, iteration: int, y_pred: Array, dtrain: Any) -> tuple[Array, Array]:
            y = dtrain.get_label().reshape(-1, d)
            xp = _namespace(y_pred)
            weights = dtrain.get_weight()
            gradient = y_pred.reshape(-1, d) - xp.asarray(y)
            hessian = xp.ones_like(gradient)
            if len(weights):
                w = xp.asarray(weights)[:, None]
                gradient, hessian = gradient * w, hessian * w
            return gradient, hessian

        def split_grad(self, iteration: int, grad: Array, hess: Array) -> tuple[Array, Array]:
            xp = _namespace(grad)
            rng = np.random.default_rng([seed, iteration])
            projection = rng.standard_normal((d, min(k, d))).astype(np.float32) / np.sqrt(min(k, d))
            return grad @ xp.asarray(projection, dtype=grad.dtype), xp.ascontiguousarray(hess[:, : min(k, d)])

    return SketchedSquares()


def _namespace(array: Array) -> Any:
    if isinstance(array, np.ndarray):
        return np
    import cupy

    return cupy
