"""Nearest neighbours: whether training rows were memorised, and precision, recall, density, coverage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import hypot, nan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from buff.metrics.columns import TableLike, read_tables
from buff.metrics.estimate import Estimate, weighted_mean
from buff.metrics.indicators import joint_features
from buff.metrics.samples import Rows, Seed, as_pair, as_weights, centre_and_scale, subsample
from buff.tables import Schema

__all__ = ["Manifold", "Memorisation", "memorisation", "precision_recall"]

#: Share of held-out rows that are near to training rows, and how many it has to be at least.
_NEAREST, _FEWEST = 0.01, 5


@dataclass(frozen=True)
class Memorisation:
    """Generated rows beside the training rows nearest to them.

    Parameters
    ----------
    share_closer : Estimate
        Share of generated rows nearer to training rows than to as many held-out ones: 0.5 if nothing was
        memorised, 1 if every row is a copy.
    distance_ratio : Estimate
        5th percentile of the generated rows' distances to the nearest training row, over that of held-out
        rows: about 1, and below where rows were copied with noise; nan where held-out rows are copies too.
    copies : int
        Generated rows equal to a training row.
    expected_copies : float
        As many as held-out rows would have: above 0 in tables of few distinct rows.
    share_near : Estimate
        Share of generated rows as near to a training row as the nearest percent of held-out rows are. Copies add their
        own share, exact ones and such with noise that is small beside the distances of rows.
    expected_near : float
        That of held-out rows: 0.01, and more where they are few or distances repeat.
    """

    share_closer: Estimate
    distance_ratio: Estimate
    copies: int
    expected_copies: float
    share_near: Estimate = field(default_factory=lambda: Estimate(nan, nan))
    expected_near: float = nan

    def __str__(self) -> str:
        return (
            f"closer to training than to held-out rows: {self.share_closer} (0.5 expected), "
            f"5th percentile of distance over that of held-out rows: {self.distance_ratio} (1), "
            f"exact copies: {self.copies} ({self.expected_copies:g}), "
            f"as near as the nearest held-out rows: {self.share_near} ({self.expected_near:g})"
        )


@dataclass(frozen=True)
class Manifold:
    """Precision, recall, density and coverage of a generated sample.

    Parameters
    ----------
    precision : Estimate
        Share of generated rows inside the neighbour ball of some real row.
    recall : Estimate
        Share of real rows inside the neighbour ball of some generated row.
    density : Estimate
        Mean number of real balls around a generated row, over k; about 1 for equal distributions.
    coverage : Estimate
        Share of real balls that hold a generated row.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def memorisation(
    train: TableLike,
    held_out: TableLike,
    generated: TableLike,
    *,
    schema: Schema | Mapping[str, Any] | None = None,
    generated_weights: npt.ArrayLike | None = None,
    standardise: bool = True,
    max_rows: int | None = 20_000,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Memorisation:
    """Check a generated sample for copies of its training rows.

    Distances are Euclidean. Training and held-out samples are thinned to equal size for the share, and the
    held-out rows must be no part of the training. Tables with names are compared as :func:`buff.metrics.report` does:
    in standard deviations and without ids.

    Parameters
    ----------
    train, held_out, generated : array-like of shape (n, d), or table
        Rows trained on, rows of the same origin kept aside, rows generated.
    schema : Schema or mapping from column name to a kind, optional
        Kinds of named columns that are known.
    generated_weights : array-like of shape (n,), optional
        Event weights of the generated rows, none negative, for the share.
    standardise : bool
        Whether to measure in units of the training columns' standard deviations.
    max_rows : int or None
        Generated and held-out samples are thinned to so many rows; training rows are all searched for the
        distances.
    n_bootstrap : int
        Bootstrap replicas behind the error of the ratio; 0 for none.
    random_state : int, numpy.random.Generator or None
        Source of thinning and replicas.

    Returns
    -------
    Memorisation

    References
    ----------
    Platzer & Reutterer (2021), arXiv:2104.00635.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train, held_out = rng.normal(size=(2, 500, 3))
    >>> check = memorisation(train, held_out, train[:100])
    >>> check.share_closer.value, check.copies
    (1.0, 100)
    """
    given: dict[str, Any] = {"train": train, "held_out": held_out, "generated": generated}
    if any(_has_names(rows) for rows in given.values()):
        given = dict(zip(given, joint_features(*read_tables(given, schema=schema)), strict=True))
        standardise = False
    a, y = as_pair(given["train"], given["generated"], names=("train", "generated"))
    b, _ = as_pair(given["held_out"], given["generated"], names=("held_out", "generated"))
    v = as_weights(generated_weights, len(y), "generated_weights", signed=False)
    rng = np.random.default_rng(random_state)
    y, v = subsample(y, v, max_rows, rng)
    b, _ = subsample(b, np.ones(len(b)), max_rows, rng)
    if standardise:
        mean, scale = centre_and_scale(a, np.ones(len(a)))
        a, b, y = (a - mean) / scale, (b - mean) / scale, (y - mean) / scale
    thinned = subsample(a, np.ones(len(a)), len(b), rng)[0]
    to_train = _nearest(thinned, y)
    to_held_out = _nearest(subsample(b, np.ones(len(b)), len(a), rng)[0], y)
    closer = np.where(to_train == to_held_out, 0.5, to_train < to_held_out)
    generated_distance, held_out_distance = _nearest(a, y), _nearest(a, b)
    return Memorisation(
        weighted_mean(closer, v),
        _percentile_ratio(generated_distance, held_out_distance, n_bootstrap, rng),
        int((generated_distance == 0).sum()),
        float((held_out_distance == 0).mean() * len(y)),
        *_near(generated_distance, held_out_distance, v),
    )


def _has_names(rows: Any) -> bool:
    structured = isinstance(rows, np.ndarray) and bool(rows.dtype.names)
    return structured or isinstance(rows, Mapping) or hasattr(rows, "columns")


def precision_recall(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    k: int = 5,
    standardise: bool = True,
    max_rows: int | None = 10_000,
    random_state: Seed = 0,
) -> Manifold:
    r"""Precision, recall, density and coverage from balls that reach the k-th neighbour of their own sample.

    Errors count the rows judged and take the balls as given. Weights have no meaning here, as a neighbour
    counts once whatever it weighs: draw unweighted rows first.

    Parameters
    ----------
    real, generated : array-like of shape (n, d) and (m, d)
        The samples, of more than k rows.
    k : int
        Number of the neighbour, the row itself not counted.
    standardise : bool
        Whether to measure in units of the real columns' standard deviations.
    max_rows : int or None
        Larger samples are thinned to so many rows: the cost is quadratic.
    random_state : int, numpy.random.Generator or None
        Source of the thinning.

    Returns
    -------
    Manifold

    References
    ----------
    Kynkaanniemi et al. (2019), arXiv:1904.06991; Naeem et al. (2020), arXiv:2002.09797.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 2))
    >>> precision_recall(x[:200], x[200:] + 100).coverage.value
    0.0
    """
    x, y = as_pair(real, generated)
    if not 1 <= k < min(len(x), len(y)):
        raise ValueError(f"k: between 1 and {min(len(x), len(y)) - 1}, below the number of rows; found {k}")
    rng = np.random.default_rng(random_state)
    if standardise:
        mean, scale = centre_and_scale(x, np.ones(len(x)))
        x, y = (x - mean) / scale, (y - mean) / scale
    x, y = (subsample(rows, np.ones(len(rows)), max_rows, rng)[0] for rows in (x, y))
    real_radius, generated_radius = _radii(x, k), _radii(y, k)
    balls_around, inside_any = np.zeros(len(y)), np.zeros(len(x), dtype=bool)
    covered = np.zeros(len(x), dtype=bool)
    for block, distance in _distances(x, y):
        in_real_ball = distance <= real_radius[block, None]
        balls_around += in_real_ball.sum(axis=0)
        covered[block] = in_real_ball.any(axis=1)
        inside_any[block] = (distance <= generated_radius).any(axis=1)
    judged = (balls_around > 0, inside_any, balls_around / k, covered)
    return Manifold(*(weighted_mean(values, np.ones(len(values))) for values in judged))


def _nearest(x: Rows, of: Rows) -> Rows:
    """Distance of each row of ``of`` to the nearest row of x."""
    nearest = NearestNeighbors(n_neighbors=1).fit(x).kneighbors(of, return_distance=False)[:, 0]
    # the search may round the distance of a copy to something above 0
    return np.asarray(np.linalg.norm(x[nearest] - of, axis=1))


def _radii(x: Rows, k: int) -> Rows:
    distance, _ = NearestNeighbors(n_neighbors=k).fit(x).kneighbors()
    return np.asarray(distance[:, -1])


def _distances(x: Rows, y: Rows) -> Iterator[tuple[slice, Rows]]:
    step = max(1, 2_000_000 // len(y))
    for start in range(0, len(x), step):
        block = slice(start, start + step)
        yield block, cdist(x[block], y)


def _near(generated: Rows, held_out: Rows, weights: Rows) -> tuple[Estimate, float]:
    """Share of generated rows within the distance of the nearest held-out rows, and the share of these."""
    least = max(_NEAREST, min(0.5, _FEWEST / len(held_out)))
    cut = float(np.quantile(held_out, least, method="higher"))
    share, expected = weighted_mean(generated <= cut, weights), float((held_out <= cut).mean())
    return Estimate(share.value, hypot(share.error, sqrt(expected * (1 - expected) / len(held_out)))), expected


def _percentile_ratio(x: Rows, y: Rows, n_bootstrap: int, rng: np.random.Generator) -> Estimate:
    def ratio(a: Rows, b: Rows) -> float:
        below = float(np.quantile(b, 0.05))
        return float(np.quantile(a, 0.05)) / below if below > 0 else float("nan")

    resampled = [ratio(rng.choice(x, len(x)), rng.choice(y, len(y))) for _ in range(n_bootstrap)]
    return Estimate.from_replicas(np.array([ratio(x, y), *resampled]))
