"""Relations of a table together: in the order in which columns can be told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.protocols import Array
from buff.tables.columns import Columns
from buff.tables.relations.angle import Angle
from buff.tables.relations.base import Relation, Table
from buff.tables.relations.combinations import Combinations
from buff.tables.relations.coordinates import Coordinates
from buff.tables.relations.functions import Derived, Determines, Rescaled
from buff.tables.relations.numbers import Order, Sum
from buff.tables.relations.pair_mass import PairMass
from buff.tables.relations.unique import Unique

__all__ = ["Relations", "in_order", "relation_from_dict"]

_ALL = (Angle, Combinations, Coordinates, Order, Sum, Determines, Rescaled, Derived, Unique, PairMass)
_KINDS: dict[str, type[Relation]] = {kind.kind: kind for kind in _ALL}


@dataclass(frozen=True)
class Relations:
    """Relations that a table was seen to keep; iterates over them, prints as a table.

    Attributes
    ----------
    relations : tuple of Relation
        Learned, each after those that tell its inputs.
    names : tuple of str
        All columns of the table.

    Examples
    --------
    >>> from buff.tables import read
    >>> import numpy as np
    >>> columns = read(np.array([[1, 4], [5, 5]]))
    >>> found = Relations.learn([Order("x0", "x1")], columns)
    >>> found
    relation  kind   rows
    x0 <= x1  order  2
    >>> [values.tolist() for values in found.restore(found.reduce(columns).arrays)]
    [[1, 5], [4, 5]]
    """

    relations: tuple[Relation, ...] = ()
    names: tuple[str, ...] = ()
    #: Columns of which something is left to be learned, in order.
    reduced: tuple[str, ...] = ()

    @classmethod
    def learn(cls, stated: Sequence[Relation], columns: Columns) -> "Relations":
        """Learn what the user states.

        Raises
        ------
        ValueError
            A row breaks a relation, a column is told twice, or columns tell each other in a circle.
        TypeError
            Something that is no relation, or columns of the wrong kind.
        """
        table: Table = dict(zip(columns.names, columns.arrays, strict=True))
        learned: list[Relation] = [relation.learn(table) for relation in in_order(stated) if relation.replaced]
        table = _forward(learned, table)
        learned += [relation.learn(table) for relation in in_order(stated) if not relation.replaced]
        left = {relation.target for relation in learned if relation.encode(table) is None}
        left |= {name for relation in learned for name in relation.dropped}
        return cls(tuple(learned), columns.names, tuple(name for name in columns.names if name not in left))

    def reduce(self, columns: Columns) -> Columns:
        """The columns without what others tell.

        Raises
        ------
        ValueError
            A row breaks a relation.
        """
        if not self.relations:
            return columns
        columns = self._replaced(columns)
        table = dict(zip(columns.names, columns.arrays, strict=True))
        rest = {relation.target: relation.encode(table) for relation in self.relations}
        kept = [j for j, name in enumerate(columns.names) if name in self.reduced]
        own = columns.select(kept)
        arrays = tuple(
            left if (left := rest.get(name)) is not None else values
            for name, values in zip(own.names, own.arrays, strict=True)
        )
        dtypes = tuple(
            str(values.dtype) if rest.get(name) is not None else dtype
            for name, values, dtype in zip(own.names, arrays, own.template.dtypes, strict=True)
        )
        return replace(own, arrays=arrays, template=replace(own.template, dtypes=dtypes))

    def restore(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """All columns of the table, from those of :meth:`reduce`."""
        if not self.relations:
            return tuple(arrays)
        table: dict[str, Array] = dict(zip(self.reduced, arrays, strict=True))
        n = len(arrays[0])
        rest = {relation.target: table.pop(relation.target, None) for relation in self.relations}
        for relation in self.relations:
            table[relation.target] = relation.decode(table, rest[relation.target], n)
        _exchange([r for r in self.relations if isinstance(r, Order) and r.exchange], table)
        for relation in self.relations:
            table = dict(relation.backward(table))
        return tuple(table[name] for name in self.names)

    def _replaced(self, columns: Columns) -> Columns:
        """The table in which pairs have their mass."""
        changed = {name for relation in self.relations for name in relation.replaced}
        if not changed:
            return columns
        table = _forward(self.relations, dict(zip(columns.names, columns.arrays, strict=True)))
        template = columns.template
        known = zip(columns.names, template.dtypes, strict=True)
        dtypes = (str(table[name].dtype) if name in changed else dtype for name, dtype in known)
        arrays = tuple(table[name] for name in columns.names)
        return replace(columns, arrays=arrays, template=replace(template, dtypes=tuple(dtypes)))

    def check(self, columns: Columns) -> None:
        """Raise ValueError for a row that breaks a relation, naming it and its values."""
        table: Table = dict(zip(columns.names, columns.arrays, strict=True))
        for relation in self.relations:
            relation.learn(table)
            table = _forward([relation], table)

    def replace_function(self, column: str, function: Callable[..., Any]) -> "Relations":
        """A copy with the function of a :class:`Derived` column, which files do not keep."""
        if not any(isinstance(r, Derived) and r.column == column for r in self.relations):
            known = [r.column for r in self.relations if isinstance(r, Derived)]
            raise ValueError(f"column {column!r} is not derived by a function; these are {known}")
        with_function = (
            r.with_function(function) if isinstance(r, Derived) and r.column == column else r for r in self.relations
        )
        return replace(self, relations=tuple(with_function))

    def __iter__(self) -> Iterator[Relation]:
        return iter(self.relations)

    def __len__(self) -> int:
        return len(self.relations)

    def __repr__(self) -> str:
        rows = [("relation", "kind", "rows"), *((str(r), r.kind, str(r.rows)) for r in self.relations)]
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable form; of functions, their names alone."""
        return {
            "relations": [relation.to_dict() for relation in self.relations],
            "names": list(self.names),
            "reduced": list(self.reduced),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Relations":
        """Inverse of :meth:`to_dict`."""
        relations = tuple(relation_from_dict(part) for part in record["relations"])
        return cls(relations, tuple(record["names"]), tuple(record["reduced"]))


def _forward(relations: Sequence[Relation], table: Table) -> Table:
    for relation in relations:
        table = relation.forward(table)
    return table


def _exchange(orders: Sequence[Order], table: dict[str, Array]) -> None:
    """Swap values of the rows that break an order, until none does: every swap brings a row closer to that."""
    done = not orders
    while not done:
        done = True
        for order in orders:
            if (rows := order.broken(table)).any():
                low, up = table[order.lower], table[order.upper]
                table[order.lower], table[order.upper] = np.where(rows, up, low), np.where(rows, low, up)
                done = False


def _refuse_shared_exchanges(relations: Sequence[Relation]) -> None:
    """Raise ValueError for columns swapped by an exchange that another relation uses too."""
    apart = {name for r in relations if not (isinstance(r, Order) and r.exchange) for name in r.columns}
    for relation in relations:
        if isinstance(relation, Order) and relation.exchange and (shared := apart & set(relation.columns)):
            raise ValueError(
                f"{relation} swaps values of {sorted(shared)[0]!r}, which another relation names: leave exchange out"
            )


def _refuse_shared_replacements(relations: Sequence[Relation]) -> None:
    """Raise ValueError for columns replaced while they are learned that are inputs of other relations."""
    for relation in relations:
        others = {name for other in relations if other is not relation for name in other.columns}
        if shared := others & set(relation.replaced):
            raise ValueError(f"the {relation} takes the place of {sorted(shared)[0]!r}, which another relation names")


def relation_from_dict(record: dict[str, Any]) -> Relation:
    """A relation from its :meth:`Relation.to_dict`."""
    return _KINDS[record["kind"]].from_dict(record)


def in_order(relations: Sequence[Relation]) -> list[Relation]:
    """Each after those that tell its inputs.

    Raises
    ------
    ValueError
        A column is told twice, or columns tell each other in a circle.
    TypeError
        Something that is no relation.
    """
    for relation in relations:
        if not isinstance(relation, Relation):
            raise TypeError(
                f"relations must be Order, Sum, Determines, Combinations, Coordinates, Derived, PairMass, Unique: "
                f"found {relation!r}"
            )
    _refuse_shared_exchanges(relations)
    _refuse_shared_replacements(relations)
    of: dict[str, Relation] = {}
    for relation in relations:
        if relation.target in of:
            both = f"{of[relation.target]} and {relation}"
            raise ValueError(f"column {relation.target!r} is told twice, by {both}: drop one")
        of[relation.target] = relation
    done: dict[str, Relation] = {}

    def visit(relation: Relation, path: tuple[str, ...]) -> None:
        if relation.target in path:
            circle = " <- ".join((*path, relation.target))
            raise ValueError(f"columns tell each other in a circle, {circle}: drop one relation")
        for name in relation.inputs:
            if name in of and name not in done:
                visit(of[name], (*path, relation.target))
        done.setdefault(relation.target, relation)

    for relation in relations:
        visit(relation, ())
    return list(done.values())
