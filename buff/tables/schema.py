"""What each column is, by its values and by what the user knows better; and which have a distribution to learn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from buff.protocols import Array, Values
from buff.records import checked_list, checked_number, checked_record, known_part, require
from buff.tables.advice import find_ids, warn_of_masses, warn_of_particles
from buff.tables.categories import ORDERS
from buff.tables.columns import Columns, Template, is_missing, kind_of, summary
from buff.tables.ids import IdPattern
from buff.tables.kinds import (
    ASIDE,
    KEYS,
    KINDS,
    TAILS,
    ColumnSchema,
    bounds,
    check_choice,
    check_kind,
    checked_order,
    normalised,
    numbers_of,
)
from buff.tables.layout import as_text
from buff.tables.relations import Angle, Order, Relation, Relations, Unique, find_relations
from buff.tables.stated import stated_angles, stated_coordinates, stated_kinds, stated_relations, with_azimuths

__all__ = ["Schema", "TableReduction", "infer_schema"]


@dataclass(frozen=True)
class Schema:
    """The columns of a table, by name or position; prints as a table.

    Examples
    --------
    >>> from buff.tables import infer_schema, read
    >>> infer_schema(read([[0.5, "a"], [1.5, "b"], [2.5, "b"]]), {"x0": {"lower": 0}})
    name  kind         dtype   missing  values       bounds       tails  order
    x0    continuous   object  0        0.5 .. 2.5   [0.0, None]  clip
    x1    categorical  object  0        2: 'a', 'b'                      similar
    """

    columns: tuple[ColumnSchema, ...]

    def __getitem__(self, key: str | int) -> ColumnSchema:
        if isinstance(key, int):
            return self.columns[key]
        for column in self.columns:
            if column.name == key:
                return column
        raise KeyError(f"no column {key!r}; the columns are {[column.name for column in self.columns]}")

    def __iter__(self) -> Iterator[ColumnSchema]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        return as_text(self.columns)

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        """What makes :func:`infer_schema` find the same for another table of these columns."""
        return {
            column.name: {key: value for key in KEYS if (value := getattr(column, key)) is not None}
            for column in self.columns
            if column.kind != "constant"
        }

    def to_dict(self) -> list[dict[str, Any]]:
        """JSON-serialisable form."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_dict(cls, records: list[dict[str, Any]]) -> "Schema":
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        ArchiveError
            Facts of a column that are lost or of other types.
        """
        name = "the schema of a column"
        known = [f.name for f in fields(ColumnSchema)]
        records = [known_part(record, name, known) for record in checked_list(records, "the schema", dict)]
        for record in records:
            checked_record(record, name, ("name", "kind", "dtype", "missing", "summary", "order"))
            require(isinstance(record["name"], str) and isinstance(record["kind"], str), "a column has no name")
            require(
                record["kind"] in (*KINDS, *ASIDE),
                f"column {record['name'][:40]!r} is {record['kind'][:40]!r}, a kind that this version does not know: "
                "load the file with the version of buff that wrote it, or add the kind as it was for the fit",
            )
            checked_number(record["missing"], "the share of missing values", 0, 1)
        orders = (tuple(r["order"]) if isinstance(r["order"], list) else r["order"] for r in records)
        return cls(tuple(ColumnSchema(**r | {"order": o}) for r, o in zip(records, orders, strict=True)))


def infer_schema(
    columns: Columns,
    overrides: "Mapping[str, Any] | Schema | None" = None,
    *,
    tails: str = "clip",
    categories: str = "similar",
) -> Schema:
    """Schema of a table.

    Parameters
    ----------
    columns : Columns
    overrides : mapping from column name to a kind or a mapping, or Schema, optional
        A mapping has any of the keys ``kind``, ``lower``, ``upper``, ``tails`` and ``order``.
    tails : {"clip", "extrapolate"}
        For the columns whose tails are not overridden.
    categories : {"lexical", "frequency", "similar", "onehot"}
        Likewise for the order of categories; declared, ordered categories keep their order.

    Raises
    ------
    ValueError
        For unknown columns, kinds, keys, tails and orders, with the valid ones, and for data that contradict
        an override: values out of bounds, fractions in an integer column, levels missing in an order.
    """
    for what, found, choices in (("tails", tails, TAILS), ("categories", categories, ORDERS)):
        if found not in choices:
            check_choice(what, found, choices)
    if isinstance(overrides, Schema):
        overrides = overrides.overrides
    if not isinstance(overrides, Mapping | None):
        raise TypeError(f"schema must be a mapping from column name to a kind or a mapping, found {overrides!r}")
    overrides = dict(overrides or {})
    unknown = sorted(set(overrides) - set(columns.names), key=str)
    if unknown:
        raise ValueError(f"schema names unknown columns {unknown}; the columns are {list(columns.names)}")
    default = {"tails": tails, "order": categories}
    return Schema(
        tuple(
            _column(columns, j, normalised(name, overrides[name]) if name in overrides else {}, default)
            for j, name in enumerate(columns.names)
        )
    )


def _column(columns: Columns, j: int, override: dict[str, Any], default: dict[str, Any]) -> ColumnSchema:
    name, values, template = columns.names[j], columns.arrays[j], columns.template
    missing = is_missing(values)
    known = values[~missing] if missing.any() else values
    constant = not len(known) or (not missing.any() and _all_equal(known))
    inferred = "constant" if constant else kind_of(known, template.categories[j] is not None)
    kind = inferred if inferred == "constant" else override.get("kind", inferred)
    if kind != inferred:
        check_kind(name, known, kind)
    order, own = None, KINDS[kind]
    if own.is_label:
        declared = template.categories[j] if template.ordered[j] else None
        order = override.get("order") or declared or ("lexical" if kind == "boolean" else default["order"])
    elif "order" in override and kind != "constant":
        raise ValueError(f"column {name!r} is {kind} and has no order of categories; remove order or set kind")
    compared = numbers_of(name, kind, known) if known.dtype.kind == "O" and own.is_number else known
    lower, upper = bounds(name, kind, compared, override) if override else (None, None)
    return ColumnSchema(
        name=name,
        kind=kind,
        dtype=template.dtypes[j],
        missing=float(missing.mean()),
        summary=summary(compared, own),
        lower=lower,
        upper=upper,
        tails=override.get("tails", default["tails"]),
        order=checked_order(name, known, order) if isinstance(order, tuple) else order,
    )


def _all_equal(values: Values) -> bool:
    return bool(np.all(values == values[0]))


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
        stated, search = ([], True) if relations == "auto" else stated_relations(relations)
        schema = dict(schema) if isinstance(schema, Mapping) else {}
        if stated:
            schema = with_azimuths(schema, stated)
        kinds = stated_kinds(schema) if schema else {}
        unique = [relation for relation in stated if isinstance(relation, Unique)]
        dropped = [name for name, kind in kinds.items() if kind == "drop" and name in columns.names]
        ids = [name for name, kind in kinds.items() if kind == "id" and name in columns.names]
        ids += [relation.column for relation in unique if relation.column not in ids]
        table = dict(zip(columns.names, columns.arrays, strict=True))
        for relation in unique:
            relation.learn(table)
        known = {*ids, *dropped, *schema}
        odd = [name for name in columns.names if name not in known and table[name].dtype.kind in "iuO"]
        ids += find_ids(table, odd) if odd else []
        if columns.template.is_frame:
            warn_of_particles(table, schema, relations)
        kept = [j for j, name in enumerate(columns.names) if name not in dropped]
        learned = [j for j in kept if columns.names[j] not in ids]
        if not learned:
            raise ValueError(f"no column is left to be learned beside {[*ids, *dropped]}: leave one of them its kind")
        rest = columns.select(learned)
        own = stated_angles(schema, kinds, rest.names) + stated_coordinates(schema, kinds, rest.names) if kinds else []
        own += [relation for relation in stated if not isinstance(relation, Unique)]
        bounded = {name for name, said in schema.items() if isinstance(said, Mapping)}
        found = find_relations(rest, own, bounded) if search else Relations.learn(own, rest)
        if stated:
            warn_of_masses(table, stated)
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
        fresh = {name: ids.fresh(n, first_event, seed=seed, column=name) for name, ids in self.ids.items()}
        return tuple(fresh[name] if name in fresh else next(values) for name in self.names)

    def overrides(self, schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What of the user's schema is meant for the columns that are learned."""
        if self.trivial or not isinstance(schema, Mapping):
            return schema
        kept = {r.target for r in self.relations if isinstance(r, Order) and r.exchange}
        changed = {n for r in self.relations for n in (r.target, *r.replaced)} - kept | set(self.ids)
        kinds = stated_kinds(schema)
        return {name: own for name, own in schema.items() if name not in changed and kinds.get(name) not in ASIDE}

    def with_relations(self, relations: Relations) -> "TableReduction":
        """A copy with relations that were changed, such as those with their functions back."""
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


def _full_schema(
    columns: Columns, schema: Mapping[str, Any], ids: Mapping[str, IdPattern], relations: Relations
) -> Schema:
    """Schema of all columns as they come back; nothing of an id is shown."""
    kinds, angles = stated_kinds(schema), {relation.target for relation in relations if isinstance(relation, Angle)}
    own = {k: v for k, v in schema.items() if k in columns.names and kinds.get(k) not in ASIDE and k not in ids}
    plain = columns.select([j for j, name in enumerate(columns.names) if name not in ids])
    known = {column.name: column for column in infer_schema(plain, own)}
    rows = []
    for name, values, dtype in zip(columns.names, columns.arrays, columns.template.dtypes, strict=True):
        if name in ids:
            rows.append(ColumnSchema(name, "id", dtype, float(is_missing(values).mean()), "unique"))
        else:
            rows.append(replace(known[name], kind="angle") if name in angles else known[name])
    return Schema(tuple(rows))
