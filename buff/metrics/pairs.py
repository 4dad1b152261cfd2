"""Can a classifier tell (posterior draw, reco) from (truth, reco)?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from buff.metrics.classifier import ClassifierTest, c2st
from buff.metrics.samples import Rows, Seed, as_rows, as_weights, centre_and_scale

__all__ = ["pair_test"]


def pair_test(
    truth: npt.ArrayLike,
    reco: npt.ArrayLike,
    draws: npt.ArrayLike,
    classifier: Literal["trees", "mlp"] = "trees",
    *,
    weights: npt.ArrayLike | None = None,
    random_state: Seed = 0,
    **options: Any,
) -> ClassifierTest:
    r"""Classifier test of the joint distribution of truth and reco: 0.5 if every posterior is right.

    Marginals of unfolded events can be right while each event is unfolded wrongly; pairs see that. Both samples share
    their reco, so the two pairs of one event are never split between folds and are permuted as one. Beside reco and
    truth the classifier sees :math:`x - \hat x(y)`, the distance of x from the best linear guess from reco y: where the
    detector is sharp, trees would need many splits to see it.

    The floor is 0.5 with the error of the test itself; the area of two halves of the true pairs, for comparison, is
    ``real_floor(c2st, np.column_stack([truth, reco]))``.

    Parameters
    ----------
    truth : array-like of shape (n, d) or (n,)
        True values of n held-out events.
    reco : array-like of shape (n, q) or (n,)
        What the detector saw of them.
    draws : array-like of shape (n, d) or (n,)
        One posterior draw of truth for each reco.
    classifier : {"trees", "mlp"}
        As in :func:`c2st`.
    weights : array-like of shape (n,), optional
        Event weights of either sign, with a positive sum.
    random_state : int, numpy.random.Generator or None
        Source of folds, classifiers and permutations.
    **options
        ``n_splits``, ``seeds`` and ``n_permutations`` of :func:`c2st`.

    Returns
    -------
    ClassifierTest

    Raises
    ------
    ValueError
        If the numbers of events or of columns differ.

    References
    ----------
    Lopez-Paz & Oquab (2017), arXiv:1610.06545; for posteriors, Linhart, Gramfort & Rodrigues (2023), arXiv:2306.03580.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=1000)
    >>> reco = truth + 0.5 * rng.normal(size=1000)
    >>> right, shuffled = 0.8 * reco + np.sqrt(0.2) * rng.normal(size=1000), rng.permutation(truth)
    >>> [pair_test(truth, reco, draws, seeds=1).p_value < 0.01 for draws in (right, shuffled)]
    [False, True]
    """
    x, y, z = as_rows(truth, "truth"), as_rows(reco, "reco"), as_rows(draws, "draws")
    if len(y) != len(x) or z.shape != x.shape:
        raise ValueError(
            f"reco and draws: one row a true event expected, draws with its columns; found truth {x.shape}, "
            f"reco {y.shape}, draws {z.shape}"
        )
    w = None if weights is None else as_weights(weights, len(x), "weights")
    guess = _linear_guess(x, y)
    event = np.arange(len(x))
    real, generated = (np.hstack([y, rows, rows - guess]) for rows in (x, z))
    return c2st(
        real,
        generated,
        classifier,
        real_weights=w,
        generated_weights=w,
        groups=(event, event),
        random_state=random_state,
        **options,
    )


def _linear_guess(x: Rows, y: Rows) -> Rows:
    """Least squares of truth in reco. Any function of reco would do: both samples are given the same."""
    mean, scale = centre_and_scale(y, np.ones(len(y)))
    features = np.column_stack([np.ones(len(y)), (y - mean) / scale])
    return np.asarray(features @ np.linalg.lstsq(features, x, rcond=None)[0])
