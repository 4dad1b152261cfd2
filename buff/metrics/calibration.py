r"""Whether posterior draws deserve their names: coverage of intervals, uniform ranks, TARP; energy score.

All but the last rests on one number an event: the place of the truth among its posterior draws,

.. math:: u = \frac{\#\{\text{draws} < \text{truth}\} + U (\#\{\text{ties}\} + 1)}{m + 1},
          \quad U \sim \mathrm{uniform}(0, 1),

which is uniform on [0, 1] if the posterior is right, exactly so for any number m of draws and any spikes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from buff.metrics.estimate import Estimate, weighted_mean
from buff.metrics.samples import Rows, Seed, as_rows, as_weights, centre_and_scale

__all__ = ["Ranks", "Tarp", "energy_score", "interval_coverage", "posterior_places", "sbc", "tarp"]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Simulation-based calibration of every column.

    Parameters
    ----------
    places : array of shape (n, d)
        Place of the truth among the draws, in [0, 1].
    histogram : array of shape (d, bins)
        Share of the weight in equal bins of the place; each 1 / bins if calibrated.
    p_values : tuple of float
        Probability of a histogram this uneven if calibrated, by chi-squared.
    """

    places: Rows
    histogram: Rows
    p_values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Tarp:
    """Coverage of credible regions around random points, all columns together.

    Parameters
    ----------
    credibility : array of shape (levels,)
        Credibility of the regions.
    coverage : array of shape (levels,)
        Share of truths inside.
    error : array of shape (levels,)
        Standard errors of the coverage.
    bias : Estimate
        Coverage less credibility, averaged over the levels above 1/2: below 0 for posteriors too narrow,
        above for too wide, 0 if calibrated.
    p_value : float
        Probability of places this uneven if calibrated, by chi-squared in 20 bins.
    """

    credibility: Rows
    coverage: Rows
    error: Rows
    bias: Estimate
    p_value: float


def posterior_places(truth: npt.ArrayLike, draws: npt.ArrayLike, *, random_state: Seed = 0) -> Rows:
    """Place u of each truth among its posterior draws, column by column.

    Parameters
    ----------
    truth : array-like of shape (n, d) or (n,)
        True values of n events.
    draws : array-like of shape (n, m, d) or (n, m)
        m posterior draws of each.
    random_state : int, numpy.random.Generator or None
        Source of the numbers that break ties.

    Returns
    -------
    array of shape (n, d)

    Raises
    ------
    ValueError
        If the shapes do not fit or a value is not finite.

    Examples
    --------
    >>> posterior_places([0.0], [[-1.0, 1.0, 2.0]])
    array([[0.40924042]])
    """
    x, y = _events(truth, draws)
    return _places(x[:, None, :], y, np.random.default_rng(random_state))


def interval_coverage(
    truth: npt.ArrayLike,
    draws: npt.ArrayLike,
    level: float = 0.68,
    *,
    weights: npt.ArrayLike | None = None,
    random_state: Seed = 0,
) -> tuple[Estimate, ...]:
    r"""Share of truths inside the central interval of their posterior, for every column.

    .. math:: c = E\,[\,|u - \tfrac12| < \tfrac12 \mathrm{level}\,]

    Parameters
    ----------
    truth : array-like of shape (n, d) or (n,)
        True values.
    draws : array-like of shape (n, m, d) or (n, m)
        Posterior draws of each event.
    level : float
        Credibility of the interval: 0.68 and 0.95 are usual.
    weights : array-like of shape (n,), optional
        Event weights of either sign, with a positive sum.
    random_state : int, numpy.random.Generator or None
        Source of the numbers that break ties.

    Returns
    -------
    tuple of Estimate
        One a column; equal to ``level`` within errors if calibrated, larger if the posterior is too wide.

    Raises
    ------
    ValueError
        If the level is outside (0, 1) or the shapes do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth, draws = rng.normal(size=10_000), rng.normal(size=(10_000, 50))
    >>> print(interval_coverage(truth, draws, 0.9)[0])
    0.9014 ± 0.0030
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, found {level}")
    places = posterior_places(truth, draws, random_state=random_state)
    w = as_weights(weights, len(places), "weights")
    return tuple(weighted_mean(np.abs(u - 0.5) < level / 2, w) for u in places.T)


def sbc(
    truth: npt.ArrayLike,
    draws: npt.ArrayLike,
    *,
    n_bins: int = 20,
    weights: npt.ArrayLike | None = None,
    random_state: Seed = 0,
) -> Ranks:
    """Simulation-based calibration: are the truths' places among the draws uniform?

    Parameters
    ----------
    truth : array-like of shape (n, d) or (n,)
        True values.
    draws : array-like of shape (n, m, d) or (n, m)
        Posterior draws of each event.
    n_bins : int
        Bins of the chi-squared test.
    weights : array-like of shape (n,), optional
        Event weights of either sign, with a positive sum.
    random_state : int, numpy.random.Generator or None
        Source of the numbers that break ties.

    Returns
    -------
    Ranks

    References
    ----------
    Talts et al. (2018), arXiv:1804.06788.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sbc(rng.normal(size=2000), 0.5 * rng.normal(size=(2000, 50))).p_values[0] < 1e-6
    True
    """
    if n_bins < 2:
        raise ValueError(f"n_bins must be at least 2, found {n_bins}")
    places = posterior_places(truth, draws, random_state=random_state)
    w = as_weights(weights, len(places), "weights")
    histogram = np.array([_histogram(u, w, n_bins) for u in places.T]) / w.sum()
    return Ranks(places, histogram, tuple(_uniformity(u, w, n_bins) for u in places.T))


def tarp(
    truth: npt.ArrayLike,
    draws: npt.ArrayLike,
    *,
    n_levels: int = 20,
    weights: npt.ArrayLike | None = None,
    random_state: Seed = 0,
) -> Tarp:
    """Test of accuracy with random points: joint calibration of all columns.

    A point is drawn uniformly in the box of the truths for every event; the region is the ball around it that
    reaches a share of the draws. The place of the truth's distance among those of the draws is uniform if the
    posterior is right.

    Parameters
    ----------
    truth : array-like of shape (n, d) or (n,)
        True values.
    draws : array-like of shape (n, m, d) or (n, m)
        Posterior draws of each event.
    n_levels : int
        Number of credibilities, equally spaced up to 1.
    weights : array-like of shape (n,), optional
        Event weights of either sign, with a positive sum.
    random_state : int, numpy.random.Generator or None
        Source of the points.

    Returns
    -------
    Tarp

    References
    ----------
    Lemos et al. (2023), arXiv:2302.03026.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth, draws = rng.normal(size=(2000, 2)), rng.normal(size=(2000, 50, 2))
    >>> tarp(truth, draws).p_value > 0.01, tarp(truth, 0.5 * draws).p_value < 1e-6
    (True, True)
    """
    if n_levels < 2:
        raise ValueError(f"n_levels must be at least 2, found {n_levels}")
    x, y = _events(truth, draws)
    w = as_weights(weights, len(x), "weights")
    rng = np.random.default_rng(random_state)
    mean, scale = centre_and_scale(x, np.ones(len(x)))
    x, y = (x - mean) / scale, (y - mean) / scale
    point = rng.uniform(x.min(axis=0), x.max(axis=0), size=x.shape)
    to_truth = np.linalg.norm(x - point, axis=1)
    to_draws = np.linalg.norm(y - point[:, None, :], axis=2)
    u = _places(to_truth[:, None, None], to_draws[:, :, None], rng)[:, 0]
    credibility = np.arange(1, n_levels + 1) / n_levels
    inside = [weighted_mean(u < level, w) for level in credibility]
    # [u < c] - c averaged over the levels c from 1/2 to 1
    over = 2 * np.minimum(1 - u, 0.5) - 0.75
    return Tarp(
        credibility,
        np.array([estimate.value for estimate in inside]),
        np.array([estimate.error for estimate in inside]),
        weighted_mean(over, w),
        _uniformity(u, w, 20),
    )


def energy_score(z: Rows, x: Rows, weights: Rows | None = None) -> float:
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


def _events(truth: npt.ArrayLike, draws: npt.ArrayLike) -> tuple[Rows, Rows]:
    x, y = as_rows(truth, "truth"), np.asarray(draws)
    if np.ndim(truth) == 1 and y.ndim == 2:
        y = y[:, :, None]
    if y.ndim != 3 or y.shape[0] != len(x) or y.shape[2] != x.shape[1] or not y.shape[1]:
        expected = f"({len(x)}, m, {x.shape[1]})"
        raise ValueError(f"draws: shape {expected} expected for this truth, found {np.shape(draws)}")
    return x, as_rows(y.reshape(len(x), -1), "draws").reshape(y.shape)


def _places(truth: Rows, draws: Rows, rng: np.random.Generator) -> Rows:
    below = (draws < truth).sum(axis=1)
    ties = (draws == truth).sum(axis=1)
    return np.asarray((below + rng.random(below.shape) * (ties + 1)) / (draws.shape[1] + 1))


def _histogram(u: Rows, w: Rows, n_bins: int) -> Rows:
    numbers = np.minimum((u * n_bins).astype(int), n_bins - 1)
    return np.asarray(np.bincount(numbers, w, minlength=n_bins), dtype=np.float64)


def _uniformity(u: Rows, w: Rows, n_bins: int) -> float:
    """Chi-squared p-value; a bin's variance is the sum of squared weights expected in it."""
    deviation = _histogram(u, w, n_bins) - w.sum() / n_bins
    return float(chi2.sf(np.sum(deviation**2) / (np.sum(w**2) / n_bins), n_bins - 1))
