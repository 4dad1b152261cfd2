"""How good draws from conditional distributions are, as one number."""

from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from buff.protocols import Array
from buff.transforms.conditions import read_any
from buff.transforms.transformer import checked_weights

__all__ = ["ScoredPairs", "energy_score"]

#: Draws of each row behind a score.
_DRAWS = 20


def _has_pairs(model: Any) -> bool:
    return bool(model.coupling == "paired")


class ScoredPairs:
    """What lets searches compare estimators of p(target | source)."""

    @available_if(_has_pairs)  # type: ignore[untyped-decorator]
    def score(self: Any, X: Any, y: Any, *, condition: Any = None, sample_weight: Any = None) -> float:
        """How good draws for rows with known targets are, for model selection: larger is better.

        The negative energy score of 20 draws a row, in normal scores of the target. For paired tables only.
        """
        check_is_fitted(self)
        target = read_any(y, "y", "y")[0]
        draws = self.sample(X, _DRAWS, condition=condition, random_state=0)
        z, x = (self.space_.transform(table) for table in (target, read_any(draws, "y", "y")[0]))
        if len(x) != _DRAWS * len(z):
            n = len(x) // _DRAWS
            raise ValueError(f"X has {n} rows and y has {len(z)}: a target for every source row is needed")
        weights = None if sample_weight is None else checked_weights(sample_weight, len(z))
        return energy_score(z, x.reshape(len(z), _DRAWS, -1), weights)


def energy_score(z: Array, x: Array, weights: Array | None = None) -> float:
    r"""Negative energy score of draws for events whose outcome is known.

    .. math:: -\sum_i w_i \Big( E\,|x_i - z_i| - \tfrac12 E\,|x_i - x_i'| \Big) \Big/ \sum_i w_i

    with x and x' independent draws. Its expectation is largest for draws from the true distribution (Gneiting, Raftery,
    2007, doi:10.1198/016214506000001437).

    Parameters
    ----------
    z : array of shape (n, d)
        What happened.
    x : array of shape (n, m, d)
        Draws, two an event at least.
    weights : array of shape (n,), optional

    Examples
    --------
    >>> energy_score(np.array([[0.0]]), np.array([[[-1.0], [1.0]]]))
    0.0
    """
    m = x.shape[1]
    to_truth = np.linalg.norm(x - z[:, None], axis=2).mean(axis=1)
    among = np.mean([np.linalg.norm(x - np.roll(x, k, axis=1), axis=2).mean(axis=1) for k in range(1, m)], axis=0)
    return float(np.average(among / 2 - to_truth, weights=weights))
