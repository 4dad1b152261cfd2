"""How the simulated detector sees the bins of a column: efficiency, fakes, purity, stability."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from buff.protocols import Array
from buff.unfolding.events import Simulation

__all__ = ["Response"]


@dataclass(frozen=True, eq=False, repr=False)
class Response:
    r"""Simulated events of a column that truth and reco both have, by their bins at both levels.

    With N_ij the weight of events in bin i of truth and j of reco that pass both selections, T_i and R_j that of all
    that pass at truth and at detector level:

    .. math:: \epsilon_i = \sum_j N_{ij} / T_i, \quad f_j = 1 - \sum_i N_{ij} / R_j, \quad
              p_i = N_{ii} / \sum_k N_{ki}, \quad s_i = N_{ii} / \sum_k N_{ik}

    where sums run over all values, in a bin or not. Prints as a table.

    Attributes
    ----------
    name : str
    edges : array of shape (b + 1,)
    matched : array of shape (b, b)
        N, rows are bins of truth.
    efficiency : array of shape (b,)
        Share of the events of a bin of truth that pass at detector level; NaN for a bin without events, as below.
    fakes : array of shape (b,)
        Share of those of a bin of reco that do not pass at truth level.
    purity : array of shape (b,)
        Share of the matched events of a bin of reco whose truth lies in the same bin.
    stability : array of shape (b,)
        Share of the matched events of a bin of truth that are found in the same bin.
    migration : array of shape (b, b)
        P(bin of reco | bin of truth) of events that pass both selections, N with rows of truth divided by their sums.
    """

    name: str
    edges: Array
    matched: Array
    efficiency: Array
    fakes: Array
    purity: Array
    stability: Array
    migration: Array

    @classmethod
    def of(cls, simulation: Simulation, name: str, edges: Array) -> "Response":
        """Of the simulated events; ValueError for a column that is not at both levels."""
        s, n = simulation, simulation.n_matched
        if name not in s.reco.names:
            raise ValueError(f"reco has no column {name!r}, only {', '.join(s.reco.names)}: a response needs both")
        truth, reco = (table.arrays[table.names.index(name)] for table in (s.truth, s.reco))
        w = s.matched_weights
        matched = np.histogram2d(truth[:n], reco[:n], [edges, edges], weights=w)[0]
        in_truth, in_reco = (np.histogram(x[:n], edges, weights=w)[0] for x in (truth, reco))
        passing = np.histogram(truth, edges, weights=s.weights)[0]
        faked = np.histogram(reco[n:], edges, weights=s.fake_weights)[0]
        same = np.diag(matched)
        shares = (
            _share(in_truth, passing),
            _share(faked, in_reco + faked),
            _share(same, in_reco),
            _share(same, in_truth),
        )
        return cls(name, edges, matched, *shares, _share(matched, in_truth[:, None]))

    def rows(self) -> list[tuple[str, ...]]:
        """Names and numbers of each bin, as text."""
        head = (self.name, *self._shares)
        places = (f"{low:g} to {high:g}" for low, high in pairwise(self.edges))
        rows = zip(places, *self._shares.values(), strict=True)
        return [head, *((place, *(f"{share:.3f}" for share in own)) for place, *own in rows)]

    @property
    def summary(self) -> str:
        """The range of each share, and where purity is least: a line."""
        known = {name: own for name, own in self._shares.items() if not np.isnan(own).all()}
        ranges = ", ".join(f"{name} {np.nanmin(own):.2f} to {np.nanmax(own):.2f}" for name, own in known.items())
        least = (
            f" (purity least from {self.rows()[1 + int(np.nanargmin(self.purity))][0]})" if "purity" in known else ""
        )
        return f"{self.name}, simulated: {ranges or 'no events in its bins'}{least}"

    @property
    def _shares(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in ("efficiency", "fakes", "purity", "stability")}

    def __repr__(self) -> str:
        return "\n".join(f"{place:<20}" + "".join(f"{x:>11}" for x in own) for place, *own in self.rows())


def _share(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
