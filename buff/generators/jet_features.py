"""Features of jets in addition to their particles: which are drawn, which are computed, which are given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from buff.generators.jet_table import DerivedColumn, derived_columns
from buff.physics import JetKinematics
from buff.physics.kinematics import axis_offset
from buff.protocols import Array, ConditionLike, Mask, Numbers, TableLike, Values
from buff.tables import Columns, read
from buff.tables.columns import Template
from buff.transforms import ConditionEncoder
from buff.transforms.conditions import read_any

__all__ = ["JetFeatures"]

#: Prefixes that keep names of jets and of conditions apart.
_JETS, _CONDITION = "jets.", "condition."
#: Numbers that identify events: there is nothing to learn about them.
_EVENT = "event"
#: Names of the pseudorapidity of jets, factors of its offset that are believed, and how sure they must be.
_ETA, _TILTS, _SIGMA = ("jet_eta", "eta"), (0.5, 2.0), 5.0


@dataclass(frozen=True, eq=False)
class JetFeatures:
    """What is known of the columns of the jets' table.

    Attributes
    ----------
    template : Template or None
        The container; None without features.
    names : tuple of str
        Columns that come back, in order.
    derived : tuple of DerivedColumn
        Those that particles decide.
    conditions : tuple of str
        Those that jets are asked for.
    pt : str or None
        The unit of the particles' pT.
    labels : ConditionEncoder or None
        Of drawn columns that hold classes.
    labelled : tuple of str
        These columns.
    eta : str or None
        The pseudorapidity of jets, about which particles are given.
    tilt : float
        Particles lie about so many times the offset of the jet's rapidity from it: see :meth:`centred`.
    """

    template: Template | None = None
    names: tuple[str, ...] = ()
    derived: tuple[DerivedColumn, ...] = ()
    conditions: tuple[str, ...] = ()
    pt: str | None = None
    labels: ConditionEncoder | None = None
    labelled: tuple[str, ...] = ()
    eta: str | None = None
    tilt: float = 0.0

    @classmethod
    def read(
        cls, jets: Any, condition: Any, particles: Array, pt_column: str | None
    ) -> tuple["JetFeatures", dict[str, Array] | None, Any]:
        """Features, values by name (None without any), and the condition as a table."""
        if jets is None:
            if condition is not None and _is_names(condition):
                raise ValueError(f"condition={condition!r} names columns of jets, and there are no jets")
            if pt_column not in (None, "auto"):
                raise ValueError(f"pt_column={pt_column!r} is a column of jets, and there are no jets")
            return cls(), None, None if condition is None else _agreeing(condition, len(particles))
        columns, _ = read_any(jets, "j", "jets") if isinstance(jets, Mapping) else (read(jets, prefix="j"), False)
        if len(columns) != len(particles):
            raise ValueError(f"jets has {len(columns)} rows and particles has {len(particles)} jets: they must agree")
        kept = [j for j, name in enumerate(columns.names) if name != _EVENT]
        columns = columns.select(kept)
        values = dict(zip(columns.names, columns.arrays, strict=True))
        asked: tuple[str, ...] = ()
        if condition is not None and _is_names(condition):
            asked = (condition,) if isinstance(condition, str) else tuple(condition)
            if absent := [name for name in asked if name not in values]:
                raise ValueError(f"condition names the columns {absent}, jets has {list(values)}")
            condition = pa.table({name: values[name] for name in asked})
        elif condition is not None:
            condition = _agreeing(condition, len(particles))
        pt = _pt_name(pt_column, values, particles)
        own = {name: column for name, column in values.items() if name not in asked}
        scale = np.asarray(values[pt], np.float64) if pt else np.ones(len(particles))
        free = {name: column for name, column in own.items() if name != pt}
        features = cls(columns.template, columns.names, derived_columns(free, particles, scale), asked, pt)
        return features.leaning(particles, own), own, condition

    @property
    def drawn(self) -> tuple[str, ...]:
        """Columns that a model draws."""
        follows = {entry.name for entry in self.derived} | set(self.conditions)
        return tuple(name for name in self.names if name not in follows)

    @property
    def odd(self) -> str | None:
        """The column of the jet table that changes its sign where eta does: the pseudorapidity of jets."""
        return None if self.eta is None or self.eta not in self.drawn else _JETS + self.eta

    @property
    def asked(self) -> tuple[str, ...]:
        """Columns that are given where jets are."""
        return tuple(name for name in self.names if name not in self.conditions)

    def generated(self, jets: Mapping[str, Array] | None) -> dict[str, Array]:
        """Columns of the jet table beside the kinematics."""
        return {} if jets is None else {_JETS + name: jets[name] for name in self.drawn}

    def scale(self, columns: Mapping[str, Array] | None, n: int) -> Array:
        """Unit of pT of each jet."""
        if self.pt is None or columns is None:
            return np.ones(n)
        values = columns[_JETS + self.pt] if _JETS + self.pt in columns else columns[self.pt]
        return np.maximum(np.asarray(values, np.float64), 1e-12)

    def leaning(self, particles: Array, jets: Mapping[str, Array] | None) -> "JetFeatures":
        """With the tilt of these jets; 0 where their pseudorapidity is not known, or does not tell where particles lie.

        A jet's axis in pseudorapidity is beyond the rapidity that its massless particles surround. A centroid off the
        axis would be taken for a recoil, the soft particles on the other side.
        """
        names = [name for name in _ETA if jets is not None and name in jets and jets[name].dtype.kind in "iuf"]
        if not names or jets is None:
            return self
        offset = axis_offset(particles, np.asarray(jets[names[0]], np.float64))
        centroid = JetKinematics.of(*np.moveaxis(particles, -1, 0)).eta
        power = float(offset @ offset)
        if power == 0 or not np.isfinite(power):
            return self
        tilt = float(offset @ centroid) / power
        error = float(np.sqrt(((centroid - tilt * offset) ** 2).mean() / power))
        known = tilt > _SIGMA * error and _TILTS[0] < tilt < _TILTS[1]
        return replace(self, eta=names[0], tilt=tilt) if known else self

    def centred(self, particles: Array, columns: Mapping[str, Array] | None, sign: int = 1) -> Array:
        """Particles about their jet's rapidity; with the sign -1 back about its axis."""
        if self.eta is None or columns is None:
            return particles
        eta = columns[_JETS + self.eta] if _JETS + self.eta in columns else columns[self.eta]
        shift = sign * self.tilt * axis_offset(particles, np.asarray(eta, np.float64))
        moved = particles.copy()
        moved[..., 0] = np.where(particles[..., 2] > 0, particles[..., 0] - shift[:, None], 0.0)
        return moved

    def fitted(self, jets: Mapping[str, Array] | None) -> "JetFeatures":
        """With encoders of the classes among the drawn columns."""
        labelled = tuple(name for name in self.drawn if jets is not None and jets[name].dtype.kind in "OUb")
        labelled = tuple(name for name in labelled if jets is not None and len(np.unique(jets[name].astype(str))) > 1)
        if not labelled or jets is None:
            return self
        return replace(self, labels=ConditionEncoder().fit(_table(jets, labelled)), labelled=labelled)

    def encode(self, columns: Mapping[str, Array] | None, condition: Array) -> Array:
        """Features (n, c) of jets that their particles depend on: conditions and classes."""
        if self.labels is None or columns is None:
            return condition
        known = {name: columns[_JETS + name] if _JETS + name in columns else columns[name] for name in self.labelled}
        return np.hstack([condition, self.labels.transform(_table(known, self.labelled))])

    def read_given(self, jets: TableLike, most: int) -> dict[str, Array]:
        """Values of the features that particles are asked for, by name.

        Raises
        ------
        ValueError
            Missing columns, no features were fitted; multiplicities below 1 or above ``most``, negative masses, sums
            of pT that are not positive.
        """
        if self.template is None:
            raise ValueError("jets: the model was fitted without features of jets, fit(particles, jets)")
        columns = read_any(jets, "j", "jets")[0]
        if columns.template.is_frame or isinstance(jets, Mapping):
            values = dict(zip(columns.names, columns.arrays, strict=True))
        elif len(columns.names) == len(self.asked):
            values = dict(zip(self.asked, columns.arrays, strict=True))
        else:
            raise ValueError(f"jets has {len(columns.names)} columns, expected {len(self.asked)}: {list(self.asked)}")
        if absent := [name for name in self.asked if name not in values]:
            raise ValueError(f"jets lacks the columns {absent}, found {list(values)}")
        given = {name: values[name] for name in self.asked}
        self._check_given(given, most)
        return given

    def given_table(self, jets: Mapping[str, Array], condition: Columns | None) -> pa.Table:
        """Features and conditions as the condition of what particles start from."""
        # whole numbers are amounts here, of which any may be asked for
        known = {name: a.astype(np.float64) if a.dtype.kind in "iu" else a for name, a in jets.items()}
        known = {_JETS + name: known[name] for name in self.asked}
        if condition is not None:
            known |= {_CONDITION + name: a for name, a in zip(condition.names, condition.arrays, strict=True)}
        return _table(known, tuple(known))

    def constrained(self, jets: JetKinematics, given: Mapping[str, Array]) -> JetKinematics:
        """Kinematics that agree with the features that are given."""
        scale = self.scale(given, len(jets))
        for entry in sorted(self.derived, key=lambda entry: ("n", "pt", "mass").index(entry.quantity)):
            values = np.asarray(given[entry.name], np.float64) / (scale if entry.scaled else 1)
            if entry.quantity == "n":
                n = values.astype(np.intp)
                softest = jets.softest * jets.n / n
                jets = replace(jets, n=n, softest=softest, moment=np.where(n > 1, jets.moment, 0.0))
            elif entry.quantity == "pt":
                ratio = values / jets.pt
                jets = replace(jets, pt=values, moment=jets.moment / ratio, softest=jets.softest * ratio)
            else:
                # masses beyond those of jets are met once there are particles, as far as they can be
                own = np.minimum(values, jets.pt)
                jets = replace(jets, moment=np.where(jets.n > 1, own**2 / jets.pt, 0.0))
        return jets

    def _check_given(self, given: Mapping[str, Array], most: int) -> None:
        for entry in self.derived:
            values = _numbers(entry.name, given[entry.name])
            if entry.quantity == "n":
                off = (values < 1) | (values > most) | (values != np.rint(values))
                _refuse(entry.name, given[entry.name], off, f"a whole number from 1 to {most}")
            elif entry.quantity == "pt":
                _refuse_unless_positive(entry.name, values)
            else:
                _refuse(entry.name, values, ~(values >= 0), "not negative")
        if self.pt is not None:
            _refuse_unless_positive(self.pt, given[self.pt])

    def given_mass(self, given: Mapping[str, Array]) -> Array | None:
        """The mass that particles must have, in their unit."""
        for entry in self.derived:
            if entry.quantity == "mass":
                values = np.asarray(given[entry.name], np.float64)
                return values / (self.scale(given, len(values)) if entry.scaled else 1)
        return None

    def restore(
        self, columns: Mapping[str, Array], particles: Numbers, scale: Numbers, condition: Columns | None
    ) -> Any:
        """The table of jets in the container that was fitted; None without features."""
        if self.template is None:
            return None
        values = {name.removeprefix(_JETS): column for name, column in columns.items()}
        values |= {entry.name: entry.of(particles, scale) for entry in self.derived}
        if condition is not None and self.conditions:
            values |= dict(zip(condition.names, condition.arrays, strict=True))
        return self.template.restore([values[name] for name in self.names])

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and named arrays."""
        record, arrays = (None, {}) if self.labels is None else self.labels.to_arrays()
        facts = {
            "template": None if self.template is None else self.template.to_dict(),
            "names": list(self.names),
            "derived": [vars(entry) for entry in self.derived],
            "conditions": list(self.conditions),
            "pt": self.pt,
            "labels": record,
            "labelled": list(self.labelled),
            "eta": self.eta,
            "tilt": self.tilt,
        }
        return facts, arrays

    @classmethod
    def from_arrays(cls, record: Mapping[str, Any], arrays: Mapping[str, Array]) -> "JetFeatures":
        """Inverse of :meth:`to_arrays`."""
        labels, template = record["labels"], record["template"]
        return cls(
            None if template is None else Template.from_dict(template),
            tuple(record["names"]),
            tuple(DerivedColumn(**entry) for entry in record["derived"]),
            tuple(record["conditions"]),
            record["pt"],
            None if labels is None else ConditionEncoder.from_arrays(labels, arrays),
            tuple(record["labelled"]),
            record.get("eta"),  # absent from files of models without
            float(record.get("tilt", 0.0)),
        )


def _table(values: Mapping[str, Array], names: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.array(values[name], from_pandas=True) for name in names})


def _is_names(condition: ConditionLike) -> bool:
    """Whether a condition is given as names of columns."""
    if isinstance(condition, str):
        return True
    return (
        isinstance(condition, list | tuple) and 0 < len(condition) <= 20 and all(isinstance(c, str) for c in condition)
    )


def _agreeing(condition: ConditionLike, n: int) -> Any:
    rows = len(read_any(condition)[0])
    if rows != n:
        raise ValueError(f"condition has {rows} rows and particles has {n} jets: they must agree")
    return condition


def _pt_name(pt_column: str | None, values: Mapping[str, Array], particles: Numbers) -> str | None:
    if pt_column is None or pt_column == "auto":
        total = particles[..., 2].sum(axis=1)
        candidates = [] if pt_column is None else [name for name in ("jet_pt", "pt") if name in values]
        pt_column = next((k for k in candidates if not np.allclose(_numbers(k, values[k]), total, 2e-4)), None)
        if pt_column is None:
            return None
    if pt_column not in values:
        raise ValueError(f"pt_column={pt_column!r} is no column of jets, they are {list(values)}")
    _refuse_unless_positive(pt_column, values[pt_column])
    return pt_column


def _refuse_unless_positive(name: str, values: Values) -> None:
    own = _numbers(name, values)
    _refuse(name, values, ~((own > 0) & (own < np.inf)), "positive")


def _numbers(name: str, values: Values) -> Array:
    try:
        return np.asarray(values, np.float64)
    except ValueError as error:
        raise ValueError(f"jets: {name} must be numbers: {error}") from error


def _refuse(name: str, values: Values, bad: Mask, valid: str) -> None:
    if bad.any():
        raise ValueError(f"jets: {name} of jet {bad.argmax()} is {values[bad.argmax()]}, and must be {valid}")
