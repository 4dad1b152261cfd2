"""Relations of tables some of whose cells are not known."""

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from buff.protocols import Mask
from buff.tables.columns import Columns
from buff.tables.relations.base import BrokenRelationError, Relation, Table
from buff.tables.relations.collection import Relations, in_order
from buff.tables.relations.discovery import find_relations
from buff.tables.relations.functions import Determines, joint_codes
from buff.tables.stated import stated_relations

__all__ = ["relations_in_gaps"]


def relations_in_gaps(
    columns: Columns,
    known: Sequence[Mask],
    relations: str | Sequence[Relation | str] | None,
    untouched: Collection[str] = (),
) -> Relations:
    """Relations of the cells that are there; a cell that is not says nothing.

    Parameters
    ----------
    columns : Columns
    known : sequence of bool arrays of shape (n,)
        Which cells of each column are there.
    relations : "auto", sequence of Relation or None
        ``"auto"`` finds them in the rows that are complete, and keeps those that hold in every row that has all their
        cells; a sequence states some; None is none.
    untouched : collection of str
        Columns that nothing may be found for.

    Raises
    ------
    ValueError
        A row breaks a stated relation.

    Examples
    --------
    >>> from buff.tables import read
    >>> x = np.arange(400.0)
    >>> columns, there = read(np.column_stack([x, 2 * x])), np.arange(400) % 4 > 0
    >>> relations_in_gaps(columns, [there, np.ones(400, bool)], "auto")
    relation   kind    rows
    x1 = 2 x0  scaled  300
    """
    stated, search = stated_relations(relations)
    if odd := [relation for relation in stated if isinstance(relation, Relation) and relation.replaced]:
        raise ValueError(f"tables with gaps take no {type(odd[0]).__name__}: fill the gaps of the columns as they are")
    sure = {relation.target for relation in stated}
    if search:
        complete = columns.take(np.flatnonzero(np.logical_and.reduce(known)))
        stated = list(find_relations(complete, stated, untouched))
    there = dict(zip(columns.names, known, strict=True))
    table = dict(zip(columns.names, columns.arrays, strict=True))
    learned: list[Relation] = []
    for relation in in_order(stated):
        with contextlib.suppress(*([] if relation.target in sure else [BrokenRelationError])):
            own = _learned(relation, table, there)
            learned += [] if own is None else [own]
    return replace(Relations.learn((), columns), relations=tuple(learned))


def _learned(relation: Relation, table: Table, there: dict[str, Mask]) -> Relation | None:
    """The relation from rows that have its cells; None for a lookup that does not know all its labels."""
    rows = np.logical_and.reduce([there[name] for name in relation.columns if name in there])
    own = relation.learn({name: values[rows] for name, values in table.items()})
    if isinstance(relation, Determines):
        codes, here = joint_codes(table[relation.determinant]), there[relation.determinant]
        if not set(codes[here]) <= set(codes[rows]):
            return None
    return own
