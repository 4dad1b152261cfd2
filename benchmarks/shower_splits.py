"""Six splits of a shower cascade, each by a boosted distribution function and by a one-dimensional flow of trees.

Both learn the same ranks given the same context, on half of the rows; the other half judges. The continuous ranked
probability score of draws, E|X - y| - E|X - X'| / 2, is lowest in the mean for the true distribution (T. Gneiting,
A. Raftery, 2007, doi:10.1198/016214506000001437).
"""

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import kstest

from benchmarks.records import Measurement
from buff import BUFF
from buff.generators.shower_cascade import CascadeSettings, ShowerCascade
from buff.generators.shower_split import EnergySplit, SplitRows
from buff.generators.shower_walk import Walk
from buff.physics import Geometry
from buff.protocols import Array
from buff.trees.conditional import ConditionalDistribution

__all__ = ["BOOSTED", "FLOWS", "compare_splits"]

BOOSTED, FLOWS = "six splits, boosted distributions", "six splits, one-dimensional flows"
#: Splits among layers, among rings, and around the axis: names of their models in photon showers.
SPLITS = ("layers/1", "layers/2", "rings/5", "rings/20", "angles/10/5+5", "angles/10/1+1")
#: Draws a row; ranks this close to 0 and 1 are kept from them.
_DRAWS, _MARGIN = 8, 1e-6

Draw = Callable[[Array, int], Array]


def compare_splits(showers: Array, energies: Array, geometry: str, seed: int, n: int = 10_000) -> Iterator[Measurement]:
    """Scores and costs of both, means over the splits, on at most ``n`` rows of each."""
    rows = _rows(showers, energies, Geometry.of(geometry), 2 * n, seed)
    found: dict[str, list[dict[str, float]]] = {BOOSTED: [], FLOWS: []}
    for key in SPLITS:
        features, u = _ranks(rows[key].at_most(n, np.random.default_rng(seed)), CascadeSettings(), key)
        train, held = np.arange(len(u)) % 2 == 0, np.arange(len(u)) % 2 == 1
        for name, fit in ((BOOSTED, _boosted), (FLOWS, _flow)):
            start = time.process_time()
            draw = fit(features[train], u[train], CascadeSettings(), key, seed)
            fitted = time.process_time()
            draws = np.stack([draw(features[held], k) for k in range(_DRAWS)])
            spent = time.process_time() - fitted
            found[name].append(
                {
                    "split_crps": _crps(draws, u[held]),
                    "split_ks": float(kstest(draws[0], u[held]).statistic),
                    "split_fit_cpu": fitted - start,
                    "split_draw_us": spent / draws.size * 1e6,
                }
            )
    for name, of_splits in found.items():
        yield Measurement(name, seed, {q: float(np.mean([x[q] for x in of_splits])) for q in of_splits[0]})


def _rows(showers: Array, energies: Array, geometry: Geometry, most: int, seed: int) -> dict[str, SplitRows]:
    layers = [np.ascontiguousarray(np.moveaxis(x, 0, -1), dtype=float) for x in geometry.split(showers)]
    cascade = ShowerCascade(geometry, True, 0.0, {}, {})
    return cascade._rows(layers, Walk(energies, [], 0.0), None, most, np.random.default_rng(seed))


def _ranks(rows: SplitRows, settings: CascadeSettings, key: str) -> tuple[Array, Array]:
    """Context with the linear mean, and ranks of what is left, of the splits that divide."""
    split = EnergySplit.fit(rows, settings.of(key))
    rows = rows.take(np.flatnonzero((rows.z > 0) & (rows.z < 1) & np.isin(rows.group, list(split.groups))))
    x, mean, u = split._ranked(rows.z), np.zeros(len(rows), np.float32), np.zeros(len(rows))
    for k, group in split.groups.items():
        own = np.flatnonzero(rows.group == k)
        mean[own] = group.linear(split._basis(rows.features[own], rows.p[own]))[:, 0]
        u[own] = ndtr((group.ranks.encode(x[own], rows.p[own]) - mean[own]) / group.spread)
    return np.column_stack([rows.features, mean]), np.clip(u, _MARGIN, 1 - _MARGIN)


def _boosted(features: Array, u: Array, settings: CascadeSettings, key: str, seed: int) -> Draw:
    model = ConditionalDistribution.fit(features, u, settings.of(key).inside, seed=seed).flattened()
    return lambda x, k: model.ppf(x, np.random.default_rng([seed, k]).random(len(x)))


def _flow(features: Array, u: Array, settings: CascadeSettings, key: str, seed: int) -> Draw:
    model = BUFF(random_state=seed).fit(ndtri(u)[:, None], condition=features)

    def draw(x: Array, k: int) -> Array:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="condition: ")  # of held-out rows a few lie outside
            drawn = model.sample(len(x), condition=x, random_state=k + 1)
        return ndtr(np.asarray(drawn)[:, 0])

    return draw


def _crps(draws: Array, u: Array) -> Any:
    """Mean score of draws (m, n) for values (n,), by all pairs of draws."""
    m = len(draws)
    apart = sum(np.abs(draws[i] - draws[j]).mean() for i in range(m) for j in range(i)) / (m * (m - 1) / 2)
    return float(np.abs(draws - u).mean() - apart / 2)
