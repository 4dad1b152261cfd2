"""Measured events that the simulation does not know."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from buff.errors import warn
from buff.protocols import Array, Numbers, Values, Weights
from buff.tables import Columns

if TYPE_CHECKING:
    from buff.unfolding.events import Simulation

__all__ = ["Neighbours", "outside_support", "refuse_unknown", "warned_outside"]

#: Simulated events that stand for all in the search for neighbours.
_MAX_NEIGHBOURS = 20_000
#: How much farther from its nearest simulated event a measured one may be than simulated ones are from each other.
_MARGIN = 2.0


@dataclass(frozen=True)
class Neighbours:
    """Numbers of simulated events in units of their standard deviation, for the search of neighbours.

    Attributes
    ----------
    scale : array of shape (d,)
    tree : cKDTree or None
        Of at most 20,000 events; None for fewer than two columns of numbers.
    reach : float
        The farthest that one of them is from its nearest neighbour.
    """

    scale: Array
    tree: cKDTree | None
    reach: float

    @classmethod
    def of(cls, simulated: Columns, seed: int = 0) -> "Neighbours":
        """From the columns of numbers."""
        numbers = [_number(values) for values in simulated.arrays if values.dtype.kind not in "OUS"]
        if len(numbers) < 2:
            return cls(np.ones(len(numbers)), None, 0.0)
        x = np.column_stack(numbers)
        scale = x.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        if len(x) > _MAX_NEIGHBOURS:
            x = x[np.random.default_rng(seed).choice(len(x), _MAX_NEIGHBOURS, replace=False)]
        tree = cKDTree(x / scale)
        return cls(scale, tree, float(tree.query(x / scale, k=2)[0][:, 1].max()))

    def far(self, y: Numbers) -> Array:
        """Events (n, d) that are twice as far from the next one as any of these."""
        if self.tree is None:
            return np.zeros(len(y), bool)
        return np.asarray(self.tree.query(y / self.scale)[0] > _MARGIN * self.reach)


def outside_support(simulated: Columns, measured: Columns, neighbours: Neighbours | None = None) -> Array:
    """Which measured events lie where no simulated event does.

    An event is outside if one of its numbers is farther beyond the simulated ones than the last hundredth of these
    reaches; or if, with all numbers in units of their standard deviation, its nearest simulated neighbour is twice as
    far as any simulated event's. Labels say nothing: see :func:`refuse_unknown`. ``neighbours`` of the simulated events
    are found once for many calls.

    Returns
    -------
    array of bool of shape (n,)
    """
    outside = np.zeros(len(measured), bool)
    numbers = []
    for known, values in zip(simulated.arrays, measured.arrays, strict=True):
        if known.dtype.kind not in "OUS":
            numbers.append(_number(values))
            outside |= _beyond(_number(known), numbers[-1])
    if len(numbers) > 1:
        outside |= (neighbours or Neighbours.of(simulated)).far(np.column_stack(numbers))
    return outside


def warned_outside(simulation: "Simulation", measured: Columns, weights: Weights | None = None) -> Array:
    """Flags as of :func:`outside_support`, with a warning that counts them."""
    outside = outside_support(simulation.reco, measured, simulation.neighbours)
    if outside.any():
        share = np.average(outside, weights=weights)
        warn(
            f"{outside.sum()} of {len(outside)} measured events ({share:.2%} of the weight) lie where no simulated "
            f"event does, the first is row {np.flatnonzero(outside)[0]}: what is said of their truth is a guess"
            + ("; did you apply the selection of reco?" if len(simulation.truth) > simulation.n_matched else "")
        )
    return outside


def refuse_unknown(simulated: Columns, measured: Columns, name: str) -> None:
    """Raise ValueError for labels that were never simulated, and for other values than the only one that was.

    Nothing can be said of such events.
    """
    for label, known, values in zip(simulated.names, simulated.arrays, measured.arrays, strict=True):
        labels = known.dtype.kind in "OUS"
        if not labels and (known != known[0]).any():
            continue
        levels = np.unique(known) if labels else known[:1]
        unknown = np.flatnonzero(~np.isin(values, levels))
        if len(unknown):
            raise ValueError(
                f"{name}: {len(unknown)} of {len(values)} events have a value in column {label!r} that no simulated "
                f"event has, the first is {values[unknown[0]]!r} in event {unknown[0]}: drop them, or count them as "
                f"background; simulated are {', '.join(map(repr, levels[:10].tolist()))}"
            )


def _number(values: Values) -> Array:
    return (values.astype(np.int64) if values.dtype.kind in "mM" else values).astype(np.float64)


def _beyond(known: Values, values: Values) -> Array:
    low, high = known.min(), known.max()
    inner = np.quantile(known, [0.01, 0.99])
    return np.asarray((values < 2 * low - inner[0]) | (values > 2 * high - inner[1]))
