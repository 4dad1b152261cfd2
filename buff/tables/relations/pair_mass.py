"""Two particles, of which the mass that they have together is learned in place of a transverse momentum."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, combinations
from typing import ClassVar, Self

import numpy as np

from buff.protocols import Array, Values
from buff.tables.relations.base import Relation, Table

__all__ = ["PairMass", "labels_that_tell", "pair_momenta"]

#: Squared masses of pairs, in units of their momenta, that rounding alone would make.
_NOTHING = 1e-14
#: A column of labels has so many values at most; of so many columns and rows pairs are looked at.
_LEVELS, _MOST_COLUMNS, _MOST_ROWS = 4, 8, 20_000
#: Rows of a label that are compared, and the Kolmogorov distance from which on they differ strongly.
_FEWEST, _STRONGLY = 30, 0.3


@dataclass(frozen=True)
class PairMass(Relation):
    r"""The invariant mass of two particles is learned in place of pt1, ``log(pt2 / pt1)`` in place of pt2.

    .. math:: M^2 = m_1^2 + m_2^2 + 2 (E_1 E_2 - \vec p_1 \cdot \vec p_2)

    A peak of the mass is much narrower than what single columns tell of it, and is blurred where these are learned.
    What comes back are pt, eta and phi, whose mass is the one that was learned; phi are learned as angles.

    Parameters
    ----------
    pt1, eta1, phi1, pt2, eta2, phi2 : str
        Columns: transverse momenta above 0, pseudorapidities, azimuths in radians; none missing.
    mass1, mass2 : float
        Of the particles, in the unit of pt.

    Examples
    --------
    >>> names = ("pt1", "eta1", "phi1", "pt2", "eta2", "phi2")
    >>> table = {name: np.array([x]) for name, x in zip(names, (40.0, 0.5, 0.1, 30.0, -0.2, 3.0), strict=True)}
    >>> pair = PairMass(*names).learn(table)
    >>> learned = pair.forward(table)
    >>> learned["pt1"].round(2).tolist(), pair.backward(learned)["pt2"].round(9).tolist()
    ([73.09], [30.0])
    """

    kind: ClassVar[str] = "pair mass"
    pt1: str
    eta1: str
    phi1: str
    pt2: str
    eta2: str
    phi2: str
    mass1: float = 0.0
    mass2: float = 0.0
    rows: int = 0

    @property
    def target(self) -> str:
        return self.pt1

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.eta1, self.phi1, self.pt2, self.eta2, self.phi2

    @property
    def replaced(self) -> tuple[str, ...]:
        return self.pt1, self.pt2

    def learn(self, table: Table) -> Self:
        self._require(table)
        if len(set(self.columns)) < 6:
            raise ValueError(f"{self}: the same column is named twice")
        for name in self.columns:
            values = table[name]
            if values.dtype.kind not in "iuf":
                raise TypeError(f"column {name!r} of {self} holds {values.dtype}, no numbers")
            self._refuse(table, ~np.isfinite(values.astype(np.float64)), [name])
        for name in self.replaced:
            self._refuse(table, table[name] <= 0, [name])
        for name in (self.phi1, self.phi2):
            if np.ptp(table[name].astype(np.float64)) > 2 * np.pi + 0.01:
                raise ValueError(f"column {name!r} of {self} spans more than 2 pi: give azimuths in radians")
        pt1, eta1, _, pt2, eta2, _ = self._values(table)
        scale = pt1 * np.cosh(eta1) * pt2 * np.cosh(eta2)
        self._refuse(table, self._excess(table) <= _NOTHING * scale, self.columns)  # no angle between them
        return self.seen(len(pt1))

    def encode(self, table: Table) -> Array | None:
        return table[self.pt1]

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        assert rest is not None
        return rest

    def forward(self, table: Table) -> dict[str, Array]:
        """The table with the mass in the place of pt1, and the logarithm of the ratio in that of pt2."""
        pt1, _, _, pt2, _, _ = self._values(table)
        mass = np.sqrt(self.mass1**2 + self.mass2**2 + 2 * self._excess(table))
        return {**table, self.pt1: mass, self.pt2: np.log(pt2 / pt1)}

    def backward(self, table: Table) -> dict[str, Array]:
        """Inverse of :meth:`forward`."""
        mass, eta1, phi1, log_ratio, eta2, phi2 = self._values(table)
        momenta = pair_momenta(mass, np.exp(log_ratio), (eta1, phi1), (eta2, phi2), (self.mass1, self.mass2))
        return {**table, **dict(zip(self.replaced, momenta, strict=True))}

    def _values(self, table: Table) -> list[Array]:
        names = (self.pt1, self.eta1, self.phi1, self.pt2, self.eta2, self.phi2)
        return [table[name].astype(np.float64) for name in names]

    def _excess(self, table: Table) -> Array:
        """``(M^2 - m1^2 - m2^2) / 2``, where terms that nearly cancel are taken together."""
        pt1, eta1, phi1, pt2, eta2, phi2 = self._values(table)
        p1, p2 = pt1 * np.cosh(eta1), pt2 * np.cosh(eta2)
        e1, e2 = np.hypot(p1, self.mass1), np.hypot(p2, self.mass2)
        heavy = ((self.mass1 * e2) ** 2 + (self.mass2 * p1) ** 2) / (e1 * e2 + p1 * p2)
        return np.asarray(pt1 * pt2 * _opening(eta1 - eta2, phi1 - phi2) + heavy)

    def __str__(self) -> str:
        names = (self.pt1, self.eta1, self.phi1, self.pt2, self.eta2, self.phi2)
        return f"mass of ({', '.join(names[:3])}) and ({', '.join(names[3:])})"


def pair_momenta(
    mass: Array, ratio: Array, first: tuple[Array, Array], second: tuple[Array, Array], masses: tuple[float, float]
) -> tuple[Array, Array]:
    """pT of two particles of masses ``m1``, ``m2`` with ``pt2 = ratio pt1``, from their invariant mass.

    With a = cosh(eta1), b = ratio cosh(eta2) and c the product of the momenta at pt1 = 1, ``x = pt1^2`` solves
    ``(a^2 x + m1^2) (b^2 x + m2^2) = (K + c x)^2`` for ``K = (M^2 - m1^2 - m2^2) / 2``.

    Parameters
    ----------
    mass, ratio : arrays of shape (n,)
    first, second : pairs of arrays of shape (n,)
        eta and phi.
    masses : pair of float
    """
    (eta1, phi1), (eta2, phi2), (m1, m2) = first, second, masses
    a, b = np.cosh(eta1), ratio * np.cosh(eta2)
    apart = ratio * _opening(eta1 - eta2, phi1 - phi2)  # a b - c
    c = a * b - apart
    k = np.maximum((mass**2 - m1**2 - m2**2) / 2, m1 * m2)
    square = np.maximum(apart * (a * b + c), np.finfo(float).tiny)
    linear, constant = (a * m2) ** 2 + (b * m1) ** 2 - 2 * k * c, (m1 * m2) ** 2 - k**2
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0.0))
    # of both ways to write the root, the one in which nothing cancels
    below = np.maximum(linear + root, np.finfo(float).tiny)
    x = np.where(linear < 0, (root - linear) / (2 * square), -2 * constant / below)
    pt1 = np.sqrt(np.maximum(x, 0.0))
    return pt1, ratio * pt1


def _opening(deta: Array, dphi: Array) -> Array:
    """``cosh(deta) - cos(dphi)``."""
    return np.asarray(2 * (np.sinh(deta / 2) ** 2 + np.sin(dphi / 2) ** 2))


def labels_that_tell(mass: Array, table: Mapping[str, Array]) -> tuple[str, ...]:
    """The one or two columns of few values in which a rare class has a mass unlike that of the others; none: ().

    Such are charges, of which like-sign pairs have no resonance. Unlike is what has a distance of Kolmogorov and
    Smirnov of 0.3 from the other rows, beyond its error.

    Parameters
    ----------
    mass : array of shape (n,)
    table : mapping from name to array of shape (n,)
        Columns to look at.

    Examples
    --------
    >>> charge = np.tile([-1, 1], 100), np.repeat([-1, 1], 100)
    >>> mass = np.where(charge[0] == charge[1], 20.0, 91.0)
    >>> labels_that_tell(mass, {"Q1": charge[0], "Q2": charge[1]})
    ('Q1', 'Q2')
    """
    step = -(-len(mass) // _MOST_ROWS)
    mass = mass[::step]
    codes: dict[str, Array] = {}
    for name, values in table.items():
        own, code = np.unique(values[::step].astype(str), return_inverse=True)
        if 1 < len(own) <= _LEVELS and len(codes) < _MOST_COLUMNS:
            codes[name] = code
    order = np.argsort(mass)
    last = np.append(np.diff(mass[order]) > 0, True)  # of equal values
    for names in chain(combinations(codes, 1), combinations(codes, 2)):
        joint = sum(codes[name][order] * _LEVELS**k for k, name in enumerate(names))
        for label in np.unique(joint):
            inside = joint == label
            n, rest = int(inside.sum()), int((~inside).sum())
            if min(n, rest) < _FEWEST:
                continue
            distance = np.abs(np.cumsum(inside / n - ~inside / rest))[last].max()
            if distance > max(_STRONGLY, 2 * np.sqrt(1 / n + 1 / rest)):
                return names
    return ()
