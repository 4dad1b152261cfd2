"""What of a table has a distribution to be learned: not its ids, nor what other columns tell."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from buff.errors import warn
from buff.protocols import Array, Values
from buff.tables.columns import Columns, Template, is_missing
from buff.tables.ids import IdPattern, looks_like_ids
from buff.tables.relations import Angle, Coordinates, Order, PairMass, Relation, Relations, Unique, find_relations
from buff.tables.relations.coordinates import LATITUDE, find_coordinates
from buff.tables.relations.discovery import stated_relations
from buff.tables.relations.pair_mass import labels_that_tell
from buff.tables.schema import ASIDE, ColumnSchema, Schema, infer_schema
from buff.tables.written import tell_written

__all__ = ["TableReduction", "find_particles"]

#: Labels of a single row are told of where there are more than so many, and as a share of the rows.
_FEWEST_SINGLE, _SINGLE_SHARE = 20, 0.05
#: Fewer rows show no habits; integers that span so many times their number are wide.
_FEW, _WIDE = 100, 1000
#: Names of azimuths.
_AZIMUTH = re.compile(r"(?i)(^|_|\.|[a-z](?=Phi))phi(\d|_|$)")


@dataclass(frozen=True)
class TableReduction:
    """The way from a table to the columns that are learned, and back.

    Attributes
    ----------
    names : tuple of str
        Columns of the table that comes back.
    template : Template or None
        Of that table.
    ids : mapping from name to IdPattern
    relations : Relations
        Between the other columns.
    schema : Schema or None
        Of all columns; None where nothing is reduced.
    """

    names: tuple[str, ...]
    template: Template | None = None
    ids: Mapping[str, IdPattern] = field(default_factory=dict)
    relations: Relations = field(default_factory=Relations)
    schema: Schema | None = None

    @classmethod
    def of(
        cls,
        columns: Columns,
        schema: Mapping[str, Any] | None = None,
        relations: str | Sequence[Relation | str] | None = "auto",
    ) -> "TableReduction":
        """Reduction of a table.

        Parameters
        ----------
        columns : Columns
        schema : mapping, optional
            Kinds "id", "drop", "angle" (with a ``period``) and "coordinate" (``beside`` another) are taken from it.
        relations : "auto", sequence of Relation or None
            ``"auto"`` finds those that hold in every row; a sequence states some, and finds others if it holds
            ``"auto"`` too; None does neither.

        Raises
        ------
        ValueError, TypeError
            A row breaks a stated relation; ids that repeat; no column is left.

        Warns
        -----
        UserWarning
            A column is taken for an id, see :func:`buff.tables.ids.looks_like_ids`; many labels are of a single row.

        Examples
        --------
        >>> import numpy as np
        >>> from buff.tables import read
        >>> columns = read(np.array([[7, 1], [8, 2], [9, 1]]))
        >>> own = TableReduction.of(columns, {"x0": "id"})
        >>> own.reduce(columns).names, [a.tolist() for a in own.restore((np.array([5, 6]),), 2, seed=0)]
        (('x1',), [[10, 11], [5, 6]])
        """
        stated, search = stated_relations(relations)
        schema = _with_azimuths(schema if isinstance(schema, Mapping) else {}, stated)
        kinds = _kinds(schema)
        unique = [relation for relation in stated if isinstance(relation, Unique)]
        dropped = [name for name, kind in kinds.items() if kind == "drop" and name in columns.names]
        ids = [name for name, kind in kinds.items() if kind == "id" and name in columns.names]
        ids += [relation.column for relation in unique if relation.column not in ids]
        table = dict(zip(columns.names, columns.arrays, strict=True))
        for relation in unique:
            relation.learn(table)
        known = {*ids, *dropped, *(schema or {})}
        texts = [name for name in columns.names if name not in known and table[name].dtype.kind == "O"]
        written = {name for name in texts if tell_written(name, table[name])}
        ids += [name for name in columns.names if name not in known and _is_id(name, table[name], name in written)]
        for name in columns.names:
            if name not in {*known, *ids, *written}:
                _tell_rare(name, table[name])
        _tell_particles(table, schema, relations)
        kept = [j for j, name in enumerate(columns.names) if name not in dropped]
        learned = [j for j in kept if columns.names[j] not in ids]
        if not learned:
            raise ValueError(f"no column is left to be learned beside {[*ids, *dropped]}: leave one of them its kind")
        rest = columns.select(learned)
        angles = _angles(schema, kinds, rest.names) + _coordinates(schema, kinds, rest.names)
        stated = [relation for relation in stated if not isinstance(relation, Unique)]
        bounded = {name for name, own in (schema or {}).items() if isinstance(own, Mapping)}
        if search:
            found = find_relations(rest, [*angles, *stated], bounded)
        else:
            found = Relations.learn([*angles, *stated], rest)
        _tell_masses(table, stated)
        if not (dropped or ids or found.relations):
            return cls(columns.names)
        whole = columns.select(kept)
        patterns = {name: IdPattern.of(table[name]) for name in ids}
        full = _full_schema(whole, schema, patterns, found)
        return cls(whole.names, whole.template, patterns, found, full)

    @property
    def trivial(self) -> bool:
        """Whether tables are learned as they are."""
        return self.template is None

    def reduce(self, columns: Columns) -> Columns:
        """The columns that are learned."""
        if self.trivial:
            return columns
        learned = [j for j, name in enumerate(columns.names) if name in self.names and name not in self.ids]
        return self.relations.reduce(columns.select(learned))

    def restore(self, arrays: Sequence[Array], n: int, *, seed: int, first_event: int = 0) -> tuple[Array, ...]:
        """All columns of ``n`` events, from those that were learned; ids belong to the seed and number of an event."""
        if self.trivial:
            return tuple(arrays)
        values = iter(self.relations.restore(arrays))
        fresh = {name: ids.fresh(n, first_event, seed=seed) for name, ids in self.ids.items()}
        return tuple(fresh[name] if name in fresh else next(values) for name in self.names)

    def overrides(self, schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What of the user's schema is meant for the columns that are learned."""
        if self.trivial or not isinstance(schema, Mapping):
            return schema
        kept = {r.target for r in self.relations if isinstance(r, Order) and r.exchange}
        changed = {n for r in self.relations for n in (r.target, *r.replaced)} - kept | set(self.ids)
        kinds = _kinds(schema)
        return {name: own for name, own in schema.items() if name not in changed and kinds.get(name) not in ASIDE}

    def with_relations(self, relations: Relations) -> "TableReduction":
        """The same reduction by relations that were changed, such as those with their functions back."""
        return replace(self, relations=relations)

    def to_dict(self) -> dict[str, Any] | None:
        """JSON-serialisable form; None for tables that are learned as they are."""
        if self.template is None or self.schema is None:
            return None
        return {
            "template": self.template.to_dict(),
            "ids": {name: ids.to_dict() for name, ids in self.ids.items()},
            "relations": self.relations.to_dict(),
            "schema": self.schema.to_dict(),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any] | None) -> "TableReduction":
        """Inverse of :meth:`to_dict`."""
        if record is None:
            return cls(())
        template = Template.from_dict(record["template"])
        ids = {name: IdPattern.from_dict(own) for name, own in record["ids"].items()}
        relations, schema = Relations.from_dict(record["relations"]), Schema.from_dict(record["schema"])
        return cls(template.names, template, ids, relations, schema)


def _with_azimuths(schema: Mapping[str, Any], stated: Sequence[Relation]) -> Mapping[str, Any]:
    """The schema in which azimuths of pairs are angles."""
    azimuths = [name for pair in stated if isinstance(pair, PairMass) for name in (pair.phi1, pair.phi2)]
    return dict.fromkeys(azimuths, "angle") | dict(schema)


def _kinds(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Kinds that the user gives."""
    own = schema if isinstance(schema, Mapping) else {}
    return {name: spec.get("kind") if isinstance(spec, Mapping) else spec for name, spec in own.items()}


def _angles(schema: Mapping[str, Any] | None, kinds: Mapping[str, Any], names: Sequence[str]) -> list[Relation]:
    """Angles, each of which may be counted from those before it."""
    found: list[str] = [name for name in names if kinds.get(name) == "angle"]
    specs = [(schema or {})[name] for name in found]
    periods = [spec.get("period") if isinstance(spec, Mapping) else None for spec in specs]
    same = [tuple(b for b, q in zip(found[:k], periods[:k], strict=True) if q == p) for k, p in enumerate(periods)]
    return [Angle(name, p, candidates=own) for name, p, own in zip(found, periods, same, strict=True)]


def _coordinates(schema: Mapping[str, Any] | None, kinds: Mapping[str, Any], names: Sequence[str]) -> list[Relation]:
    """Second coordinates, each with the first that it stands beside."""
    pairs: list[Relation] = []
    for name in names:
        if kinds.get(name) == "coordinate":
            own = (schema or {})[name]
            first = own.get("beside") if isinstance(own, Mapping) else None
            if not isinstance(first, str) or first not in names or first == name:
                raise ValueError(
                    f"coordinate {name!r} must stand beside another column: say "
                    f'schema={{"{name}": {{"kind": "coordinate", "beside": NAME}}}}, found {first!r}'
                )
            pairs.append(Coordinates(first, name))
    return pairs


def _is_id(name: str, values: Values, told: bool) -> bool:
    """Whether a column, of texts or of integers, seems to name rows; says so where not enough is ``told``."""
    if values.dtype.kind not in "iuO":
        return False
    why = looks_like_ids(values)
    if not why and _may_number(values):
        warn(
            f"column {name!r} holds integers that never repeat, up to {values.max()}: numbers of events? These tell "
            f'nothing, and cost time: --exclude {name}, in Python schema={{"{name}": "drop"}} or "id"'
        )
    if why and not told:
        text = values.dtype.kind == "O"
        drawn = "values of the same pattern" if text else "numbers"
        otherwise = '"categorical" to learn the texts' if text else '"integer" to learn the numbers'
        what = f"column {name!r} {why} and is taken for an id: new {drawn} are drawn"
        warn(f'{what}. Say schema={{"{name}": "id"}} or "drop", or {otherwise}')
    return bool(why)


def _may_number(values: Values) -> bool:
    """Whether integers are all different, in a wide range."""
    if values.dtype.kind not in "iu" or len(values) <= _FEW:
        return False
    wide = int(values.max()) - int(values.min()) > _WIDE * len(values)
    return wide and len(np.unique(values)) == len(values)


def _tell_particles(table: Mapping[str, Values], schema: Mapping[str, Any], relations: Any) -> None:
    """Say what would be blurred, or have a seam, where columns look like momenta of particles."""
    numbers = [name for name, values in table.items() if values.dtype.kind == "f" and name not in schema]
    particles = list(find_particles(numbers).values())
    if relations == "auto" and len(particles) > 1:
        names = ",".join(particles[0] + particles[1])
        warn(
            f"columns {names} look like momenta of particles: masses computed from these will be blurred. "
            f'--pair {names}, in Python relations=["auto", PairMass(...)], keeps them sharp: see '
            f"docs/start/fast_simulation.md, Resonances and derived quantities"
        )
    named = {name for relation in relations or () if isinstance(relation, Relation) for name in relation.columns}
    free = [name for name in numbers if name not in named]
    for first, second in find_coordinates(free) if any(map(LATITUDE.search, free)) else ():
        warn(
            f"columns {first},{second} look like coordinates, whose clusters, roads and coasts will be blurred: "
            f'schema={{"{second}": {{"kind": "coordinate", "beside": "{first}"}}}} keeps them sharp'
        )
    paired = {name for own in particles for name in own} if len(particles) > 1 or relations != "auto" else set()
    phi = [name for name in numbers if _AZIMUTH.search(name) and name not in paired and _is_turn(table[name])]
    if phi:
        words = ", ".join(f'"{name}": "angle"' for name in phi)
        warn(f"columns {', '.join(phi)} look like angles, and are learned with a seam: schema={{{words}}} takes it out")


def _tell_masses(table: Mapping[str, Values], stated: Sequence[Relation]) -> None:
    """Say where rows of some labels have a pair mass of their own, which those of others would take over."""
    for pair in stated:
        if isinstance(pair, PairMass):
            others = {name: values for name, values in table.items() if name not in pair.columns}
            names = ",".join(labels_that_tell(pair.forward(dict(table))[pair.pt1], others))
            if names:
                warn(
                    f"the {pair} differs strongly between values of {names}, and rare ones would take over the peak of "
                    f"others: --condition {names}, in Python fit(X, condition=...), keeps them apart; buff evaluate "
                    f"--by {names} shows it"
                )


def _is_turn(values: Values) -> bool:
    """Whether numbers fill a turn of radians."""
    known = values[np.isfinite(values)]
    return len(known) > _FEW and 6.0 < float(np.ptp(known)) <= 2 * np.pi + 1e-3


def _tell_rare(name: str, values: Values) -> None:
    """Say that labels come back as they are, where many are of a single row."""
    if values.dtype.kind != "O" or not len(values) or not all(isinstance(v, str | None) for v in values[:20]):
        return
    counts = Counter(values.tolist())
    single = sum(n == 1 for label, n in counts.items() if isinstance(label, str))
    if single > max(_FEWEST_SINGLE, _SINGLE_SHARE * len(values)):
        warn(
            f"column {name!r} has {single} labels of a single row, and labels come back as they are: merge or mask "
            f'rare ones where they tell of persons, or say schema={{"{name}": "categorical"}}'
        )


def _full_schema(
    columns: Columns, schema: Mapping[str, Any] | None, ids: Mapping[str, IdPattern], relations: Relations
) -> Schema:
    """Schema of all columns as they come back; nothing of an id is shown."""
    kinds, angles = _kinds(schema), {relation.target for relation in relations if isinstance(relation, Angle)}
    own = {k: v for k, v in (schema or {}).items() if k in columns.names and kinds.get(k) not in ASIDE and k not in ids}
    plain = columns.select([j for j, name in enumerate(columns.names) if name not in ids])
    known = {column.name: column for column in infer_schema(plain, own)}
    rows = []
    for name, values, dtype in zip(columns.names, columns.arrays, columns.template.dtypes, strict=True):
        if name in ids:
            rows.append(ColumnSchema(name, "id", dtype, float(is_missing(values).mean()), "unique"))
        else:
            rows.append(replace(known[name], kind="angle") if name in angles else known[name])
    return Schema(tuple(rows))


def find_particles(names: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """Columns pt, eta and phi of particles, by what is left of their names: ``pt1`` of "1", ``lead_pt`` of "lead".

    Examples
    --------
    >>> find_particles(["pt1", "eta1", "phi1", "Muon_pt_2", "Muon_eta_2", "Muon_phi_2", "met_pt", "met_phi"])
    {'1': ('pt1', 'eta1', 'phi1'), 'Muon_2': ('Muon_pt_2', 'Muon_eta_2', 'Muon_phi_2')}
    """
    known, found = list(names), {}
    for name in known:
        for place in re.finditer("pt", name, re.IGNORECASE):
            before, word, after = name[: place.start()], place[0], name[place.end() :]
            others = [before + (own.upper() if word == "PT" else own) + after for own in ("eta", "phi")]
            if before[-1:].isalpha() or after[:1].islower() or not set(others) <= set(known):
                continue
            label = "_".join(part.strip("_.") for part in (before, after) if part.strip("_."))
            found[label or word] = (name, others[0], others[1])
    return found
