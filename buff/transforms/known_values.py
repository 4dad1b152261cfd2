"""Quantile maps of the values of a column alone, without the missing ones."""

from dataclasses import replace

import numpy as np

from buff.transforms.quantile_map import QuantileMap
from buff.transforms.quantiles import Polyline
from buff.transforms.tails import Tail

__all__ = ["without_missing"]


def without_missing(ranks: QuantileMap) -> QuantileMap:
    """The map in which missing values have no ranks, and the others all.

    Examples
    --------
    >>> x = np.array([np.nan, np.nan, 1.0, 2.0, 3.0, 4.0])
    >>> ranks = QuantileMap.fit(x)
    >>> round(ranks.missing, 3), without_missing(ranks).missing, without_missing(ranks).starts.round(2).tolist()
    (0.333, 0.0, [0.0, 0.25, 0.5, 0.75])
    """
    low, share = ranks.missing, 1 - ranks.missing
    if not low or not share:
        return ranks

    def of_values(line: Polyline) -> Polyline:
        return Polyline(np.clip((line.u - low) / share, 0, 1), line.x)

    def of_tail(tail: Tail | None) -> Tail | None:
        return None if tail is None else replace(tail, mass=tail.mass / share)

    return replace(
        ranks,
        line=of_values(ranks.line),
        smoothed=ranks.smoothed and of_values(ranks.smoothed),
        starts=(ranks.starts - low) / share,
        masses=ranks.masses / share,
        missing=0.0,
        below=of_tail(ranks.below),
        above=of_tail(ranks.above),
    )
