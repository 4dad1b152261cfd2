"""Jets as rows of a table: kinematics and multiplicities that splittings start from, and further features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from buff.physics import JetKinematics
from buff.physics.kinematics import invariant_mass
from buff.protocols import Array, Numbers, Values

__all__ = [
    *("KINEMATICS", "DerivedColumn", "MarginMap", "derived_columns"),
    *("from_kinematics", "mirrored", "to_kinematics"),
]

#: Columns that particles start from.
KINEMATICS = (
    "particles.pt",
    "particles.eta",
    "particles.phi",
    "particles.log_mass",
    "particles.n",
    "particles.softness",
)
#: Quantiles of a margin, rows that they need, and share of repeated values up to which a column is one of them.
_LEVELS = np.linspace(0.0, 1.0, 401)
_LEAST, _REPEATED = 500, 0.05
_TINY = 1e-12
#: Deviations from symmetry that are not chance.
_SIGMA = 4.0


def from_kinematics(jets: JetKinematics) -> dict[str, Array]:
    """Columns :data:`KINEMATICS`."""
    log_mass = 0.5 * np.log(np.maximum(jets.moment * jets.pt, _TINY))
    softness = np.log(np.maximum(jets.n * jets.softest / jets.pt, _TINY))
    return dict(zip(KINEMATICS, (jets.pt, jets.eta, jets.phi, log_mass, jets.n, softness), strict=True))


def to_kinematics(columns: Mapping[str, Array], most: int, radius: float) -> JetKinematics:
    """Inverse of :func:`from_kinematics`, for values that a model has drawn."""
    pt, eta, phi, log_mass, n, softness = (np.asarray(columns[name], np.float64) for name in KINEMATICS)
    n = np.clip(np.rint(n), 1, most).astype(np.intp)
    pt = np.maximum(pt, _TINY)
    away = np.hypot(eta, phi)
    shrink = np.minimum(1.0, 0.95 * radius / np.maximum(away, _TINY))
    eta, phi = eta * shrink, phi * shrink
    moment = np.minimum(np.exp(2 * log_mass) / pt, pt * (radius**2 - eta**2 - phi**2))
    softest = pt / n * np.minimum(np.exp(softness), 1 - 1e-6)
    return JetKinematics(pt, eta, phi, np.where(n > 1, moment, 0.0), n, softest)


@dataclass(frozen=True)
class DerivedColumn:
    """A feature of jets that is a function of their particles.

    Attributes
    ----------
    name : str
    quantity : {"n", "pt", "mass"}
    scaled : bool
        Whether it is multiplied with the unit of the particles' pT.
    """

    name: str
    quantity: str
    scaled: bool

    def of(self, particles: Numbers, scale: Numbers) -> Array:
        """Its values for particles (n, m, 3)."""
        return _QUANTITIES[self.quantity](particles) * (scale if self.scaled else 1)


_QUANTITIES: dict[str, Callable[[Array], Array]] = {
    "n": lambda p: (p[..., 2] > 0).sum(axis=1),
    "pt": lambda p: p[..., 2].sum(axis=1),
    "mass": invariant_mass,
}


def derived_columns(columns: Mapping[str, Array], particles: Numbers, scale: Numbers) -> tuple[DerivedColumn, ...]:
    """Features that particles decide: multiplicity, sum of pT and mass, found by their values.

    Raises
    ------
    ValueError
        A column is called multiplicity or num_particles, and is something else.
    """
    found = []
    known = {name: quantity(particles) for name, quantity in _QUANTITIES.items()}
    for name, values in columns.items():
        if values.dtype.kind not in "iuf":
            continue
        for quantity, own in known.items():
            factors = (False,) if quantity == "n" else (False, True)
            match = next((s for s in factors if np.allclose(values, own * (scale if s else 1), 2e-4, 1e-9)), None)
            if match is not None:
                found.append(DerivedColumn(name, quantity, match))
                break
        else:
            if name in ("multiplicity", "num_particles"):
                off = np.flatnonzero(values != known["n"])[0]
                raise ValueError(
                    f"jets contradict particles: {name} of jet {off} is {values[off]}, it has {known['n'][off]} "
                    f"particles; "
                    f"drop the column or give it another name"
                )
    return tuple(found)


@dataclass(frozen=True, eq=False)
class MarginMap:
    """Gives columns that a model draws the quantiles they have in the training, class by class.

    Attributes
    ----------
    labels : array of shape (classes, c)
        Features of each class; of width 0 where there are none.
    names : tuple of str
    drawn, wanted : arrays of shape (classes, columns, 401)
        Quantiles.
    """

    labels: Array
    names: tuple[str, ...]
    drawn: Array
    wanted: Array

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        labels: Array,
        pairs: Sequence[tuple[Mapping[str, Array], Mapping[str, Array]]],
    ) -> "MarginMap":
        """From the columns (drawn, wanted) of each class."""
        smooth = [name for name in names if all(_is_smooth(wanted[name]) for _, wanted in pairs)]
        tables = [
            np.stack([[np.quantile(pair[side][name], _LEVELS) for name in smooth] for pair in pairs])
            if smooth
            else None
            for side in (0, 1)
        ]
        empty = np.zeros((len(pairs), 0, len(_LEVELS)))
        drawn, wanted = (empty if table is None else table for table in tables)
        return cls(labels, tuple(smooth), drawn, wanted)

    def __call__(self, columns: Mapping[str, Array], features: Numbers) -> dict[str, Array]:
        """Columns of events with features (n, c) of their classes, shifted from drawn to wanted quantiles."""
        out = dict(columns)
        for k, label in enumerate(self.labels):
            own = (features == label).all(axis=1)
            for j, name in enumerate(self.names):
                drawn, wanted = self.drawn[k, j], self.wanted[k, j]
                values = np.asarray(out[name], np.float64)
                out[name] = np.where(own, values + np.interp(values, drawn, wanted - drawn), values)
        return out

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and named arrays."""
        return {"names": list(self.names)}, {"labels": self.labels, "drawn": self.drawn, "wanted": self.wanted}

    @classmethod
    def from_arrays(cls, record: Mapping[str, Any], arrays: Mapping[str, Array]) -> "MarginMap":
        """Inverse of :meth:`to_arrays`."""
        return cls(arrays["labels"], tuple(record["names"]), arrays["drawn"], arrays["wanted"])


def class_labels(features: Numbers, most: int = 20) -> Array | None:
    """Distinct rows of features (n, c) where they are few and none is rare; None where they are not classes."""
    if not features.shape[1]:
        return np.zeros((1, 0))
    labels, counts = np.unique(features, axis=0, return_counts=True)
    return labels if len(labels) <= most and counts.min() >= _LEAST else None


def mirrored(table: Mapping[str, Array], features: Numbers, odd: str | None = None) -> tuple[str, ...]:
    """Coordinates that are symmetric about 0, and whose sign no other column knows, at four sigma.

    The plane of collisions has no left and no right: what the sample shows of either is chance, and not to be learned.

    Parameters
    ----------
    table : mapping of name to array
        With the columns :data:`KINEMATICS`, of which the centroid is looked at.
    features : array of shape (n, c)
    odd : str, optional
        The pseudorapidity of jets, which changes its sign with that of the centroid: both have a mirror, or neither.
    """
    found: list[str] = []
    for names in ((KINEMATICS[1], odd), (KINEMATICS[2], None)):
        own = [name for name in names if name is not None]
        others = [v for name, v in table.items() if name not in own and v.dtype.kind in "iuf"]
        if all(_is_mirrored(table[name], others, features) for name in own):
            found += own
    return tuple(found)


def _is_mirrored(values: Array, others: Sequence[Array], features: Numbers) -> bool:
    from scipy.stats import mannwhitneyu

    n, sign = len(features), np.sign(values)
    columns = np.column_stack([np.ones(n), *others, features]).astype(np.float64)
    spread = columns.std(axis=0)
    spread[0] = 1.0
    centred = np.where(spread > 0, columns - columns.mean(axis=0), 0.0) / np.where(spread > 0, spread, 1.0)
    centred[:, 0] = 1.0
    pull = np.abs((centred * sign[:, None]).sum(axis=0)) / np.sqrt(n)
    if n < _LEAST or pull.max() >= _SIGMA:
        return False
    left, right = (np.abs(values)[sign == s] for s in (-1, 1))
    return bool(mannwhitneyu(left, right, method="asymptotic").pvalue > 2 * ndtr(-_SIGMA))


def _is_smooth(values: Values) -> bool:
    return values.dtype.kind == "f" and len(np.unique(values)) > (1 - _REPEATED) * len(values)
