"""Jet-level observables of five classes of jets, shipped with buff."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from buff.datasets.observables import OBSERVABLES
from buff.datasets.table import Column, Table

__all__ = ["CLASSES", "INDEPENDENT_OBSERVABLES", "JETS_FILE", "JET_COLUMNS", "class_names", "load_jets"]

#: Gluon, light quark, top, W and Z jets.
CLASSES = ("g", "q", "t", "w", "z")
#: The nine observables of which the others are functions, as benchmarks use them.
INDEPENDENT_OBSERVABLES = ("d12", "d23", "mass", "sum_pt", "tau1", "tau2", "tau3", "ecf2", "ecf3")
#: The columns of :func:`load_jets`.
JET_COLUMNS = (
    *OBSERVABLES,
    Column("jet_pt", "GeV", "continuous", "transverse momentum of the jet, all particles"),
    Column("jet_class", "1", "categorical", "g, q (light quark), t, w or z"),
    Column("event", "1", "integer", "number of the collision, shared by its two jets"),
)
JETS_FILE = Path(__file__).parent / "data" / "jets.parquet"


def load_jets(classes: str | Sequence[str] = CLASSES, n: int | None = None) -> Table:
    """Observables of simulated jets of about 1 TeV, in the setting of the JetNet data.

    The jets come from Pythia 8 by ``python -m buff.datasets.make_jets``; the metadata of the table say how.
    Masses, sums and scales are relative to the jet pT, as in Kansal et al. (2021), arXiv:2106.11535; multiply
    by ``jet_pt`` to get GeV. Two jets can come from one collision: split with :meth:`Table.split`, which
    keeps them together. The number of the collision, ``event``, has no distribution to be learned: fit the columns of
    interest, ``jets.select(("mass", "tau1", "jet_pt"))``, or leave it out by ``BUFF(schema={"event": "drop"})``.

    Parameters
    ----------
    classes : str or sequence of str
        Among ``"g"``, ``"q"``, ``"t"``, ``"w"``, ``"z"``.
    n : int, optional
        Jets of each class, the first of the file; all by default.

    Returns
    -------
    Table
        mass, sum_pt, tau1, tau2, tau3, d12, d23, ecf2, ecf3, D2, groomed_mass, z_g (float32), multiplicity,
        jet_pt (GeV), jet_class and event.

    Raises
    ------
    ValueError
        For an unknown class, or more jets than there are.

    Examples
    --------
    >>> jets = load_jets("t", n=1000)
    >>> train, test = jets.split(0.5, random_state=0)
    >>> train.to_numpy(INDEPENDENT_OBSERVABLES).shape[1]
    9
    >>> jets.units["mass"], jets.units["jet_pt"]
    ('pT', 'GeV')
    """
    import pyarrow.parquet as pq

    table = Table.from_arrow(pq.read_table(JETS_FILE))
    chosen = [np.flatnonzero(table["jet_class"] == jet_class) for jet_class in class_names(classes)]
    available = min(len(rows) for rows in chosen)
    if n is not None and not 0 < n <= available:
        raise ValueError(f"n lies between 1 and {available}, the jets there are of a class; got {n!r}")
    return table.rows(np.concatenate([rows[:n] for rows in chosen]))


def class_names(classes: str | Sequence[str]) -> tuple[str, ...]:
    """The classes asked for as a tuple; ValueError for none, an unknown or a repeated one.

    Examples
    --------
    >>> class_names("t")
    ('t',)
    """
    names = (classes,) if isinstance(classes, str) else tuple(classes)
    unknown = [name for name in names if name not in CLASSES]
    if unknown or not names or len(set(names)) < len(names):
        raise ValueError(f"classes are among {', '.join(CLASSES)}, each once, got {list(names)}")
    return names
