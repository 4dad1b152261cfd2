"""Observables of whole jets on which their splittings are conditioned."""

from collections.abc import Mapping, Sequence

import numpy as np

from buff.datasets.observables import jet_observables
from buff.protocols import Array, Numbers

__all__ = ["KNOWN_GUIDES", "guide_columns", "with_guides"]

#: Observables that may guide: those of :func:`buff.datasets.jet_observables`, and ratios of N-subjettiness.
KNOWN_GUIDES = ("tau1", "tau2", "tau3", "tau21", "tau32", "d12", "d23", "ecf2", "ecf3", "D2", "groomed_mass", "z_g")
_PREFIX = "guides."


def guide_columns(particles: Numbers | None, guides: Sequence[str]) -> dict[str, Array]:
    """Columns of the jet table, by name; empty ones without particles.

    Raises
    ------
    ValueError
        An unknown name.
    """
    if unknown := [name for name in guides if name not in KNOWN_GUIDES]:
        raise ValueError(f"guides has the unknown names {unknown}, they are {list(KNOWN_GUIDES)}")
    if not guides or particles is None:
        return {_PREFIX + name: np.zeros(0) for name in guides}
    table = jet_observables(particles)
    known = {name: np.asarray(table[name], np.float64) for name in table.names}
    for name, above, below in (("tau21", "tau2", "tau1"), ("tau32", "tau3", "tau2")):
        known[name] = np.divide(known[above], known[below], out=np.zeros(len(particles)), where=known[below] > 0)
    return {_PREFIX + name: known[name] for name in guides}


def with_guides(features: Numbers, columns: Mapping[str, Array]) -> Array:
    """Features (n, c) of jets with the guides beside them."""
    return np.column_stack([features, *(np.asarray(values, np.float64) for values in columns.values())])
