"""Exact relations of columns in rows of which some cells are given and the others drawn."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from buff.generators.given import GivenTable
from buff.protocols import Array, Indices, Numbers
from buff.tables.columns import is_missing
from buff.tables.relations import Angle, Derived, Determines, Order, Relation, Relations, Sum
from buff.tables.relations.base import unlisted

__all__ = ["complete", "keep_relations", "require_inputs"]


def complete(
    rows: GivenTable,
    draw: Callable[[Indices | None, int], Sequence[Array]],
    relations: Relations,
    names: Sequence[str],
    *,
    attempts: int = 25,
) -> tuple[list[Array], Array]:
    """Rows whose open cells are drawn and keep the relations, and which rows break one all the same, bool (n,).

    Parameters
    ----------
    rows : GivenTable
        Columns ``names``.
    draw : callable
        ``draw(rows, attempt)`` gives drawn columns of some rows, None for all.
    relations : Relations
    names : sequence of str
    attempts : int
        Times that rows are drawn until none breaks a relation.
    """
    columns = list(rows.over(tuple(draw(None, 0))))
    if not len(relations):
        return columns, np.zeros(len(rows), bool)
    columns, broken = _kept(relations, names, columns, rows)
    for attempt in range(1, attempts):
        off = np.flatnonzero(broken)
        if not len(off):
            break
        part = rows.take(off)
        again, still = _kept(relations, names, part.over(tuple(draw(off, attempt))), part)
        for values, new in zip(columns, again, strict=True):
            values[off] = new
        broken[off] = still
    if (off := np.flatnonzero(broken)).size:
        part = rows.take(off)
        edge = _at_edges(relations, dict(zip(names, (values[off] for values in columns), strict=True)), names, part)
        again, broken[off] = _kept(relations, names, edge, part)
        for values, new in zip(columns, again, strict=True):
            values[off] = new
    return columns, broken


def _at_edges(relations: Relations, table: dict[str, Array], names: Sequence[str], rows: GivenTable) -> list[Array]:
    """Columns whose drawn cells lie on the edge of an order, or have a label of a lookup, that no draw kept."""
    known = dict(zip(names, rows.known, strict=True))
    targets = {relation.target for relation in relations}
    for lookup in relations:
        if isinstance(lookup, Determines) and lookup.determinant not in targets:
            _look_back(lookup, table, known[lookup.target] & ~known[lookup.determinant], only=False)
    for order in reversed([relation for relation in relations if isinstance(relation, Order)]):
        low, up = table[order.lower], table[order.upper]
        off = order.broken(table)
        edge: Array = np.where(off & ~known[order.lower], up, low)
        table[order.lower] = edge.astype(low.dtype)
    return [table[name] for name in names]


def _kept(
    relations: Relations, names: Sequence[str], columns: Sequence[Array], rows: GivenTable
) -> tuple[list[Array], Array]:
    known = dict(zip(names, rows.known, strict=True))
    table, broken = keep_relations(relations, dict(zip(names, columns, strict=True)), known)
    return [table[name] for name in names], broken


def keep_relations(
    relations: Relations, table: dict[str, Array], known: Mapping[str, Array]
) -> tuple[dict[str, Array], Array]:
    """Columns in which drawn cells follow the relations, and which rows break one all the same, bool (n,).

    Columns that others tell are computed from them where they are not given; a part of a sum, where the total is given
    and the part is not.

    Examples
    --------
    >>> from buff.tables import read
    >>> columns = {"a": np.array([1.0, 2.0]), "b": np.array([0.5, 0.25]), "c": np.array([1.5, 2.25])}
    >>> found = Relations.learn([Sum("c", "a", "b")], read(columns))
    >>> drawn = {"a": np.array([1.0, 5.0]), "b": np.array([9.0, 9.0]), "c": np.array([1.5, 7.0])}
    >>> known = {"a": np.array([True, True]), "b": np.array([False, False]), "c": np.array([True, False])}
    >>> table, broken = keep_relations(found, drawn, known)
    >>> table["b"].tolist(), table["c"].tolist(), broken.tolist()
    ([0.5, 9.0], [1.5, 14.0], [False, False])
    """
    table, n = dict(table), len(next(iter(table.values())))
    broken, targets = np.zeros(n, bool), {relation.target for relation in relations}
    for relation in relations:
        if isinstance(relation, Angle):
            continue
        given = known[relation.target]
        if isinstance(relation, Sum):
            _solve(relation, table, known, given)
        if isinstance(relation, Determines) and relation.determinant not in targets:
            _look_back(relation, table, given & ~known[relation.determinant], only=True)
        drawn = table[relation.target]
        told = _told(relation, table, n)
        differ = ~_equal(drawn, told)
        broken |= differ & (given | isinstance(relation, Order))
        kept: Array = np.where(given, drawn, told)
        table[relation.target] = kept.astype(drawn.dtype)
    return table, broken


def require_inputs(relations: Relations, known: Mapping[str, Array]) -> None:
    """Raise ValueError where a computed column is given without the columns that it is computed from."""
    for relation in relations:
        if not isinstance(relation, Derived) or not known[relation.target].any():
            continue
        for name in relation.inputs:
            off = known[relation.target] & ~known[name]
            if off.any():
                raise ValueError(
                    f"given has {relation.target!r} and not {name!r} in {np.count_nonzero(off)} rows: {relation} is "
                    f"computed, and no {name!r} can be drawn that gives a wanted value; give {name!r} too, or leave "
                    f"{relation.target!r} out"
                )


def _solve(relation: Sum, table: dict[str, Array], known: Mapping[str, Array], given: Array) -> None:
    """The last part that is not given, where the total is."""
    open_rows = given.copy()
    for part in reversed(relation.parts):
        name = part.removeprefix("-")
        rows = open_rows & ~known[name] & ~is_missing(table[name])
        if not rows.any():
            continue
        rest = table[relation.total].astype(np.float64) - _told(relation, table, len(rows)).astype(np.float64)
        own = table[name].astype(np.float64) + (-rest if part.startswith("-") else rest)
        own = own if relation.decimals is None else np.round(own, relation.decimals)
        whole = table[name].dtype.kind in "iu"
        table[name] = np.where(rows, np.rint(own) if whole else own, table[name]).astype(table[name].dtype)
        open_rows &= ~rows


def _look_back(relation: Determines, table: dict[str, Array], rows: Array, *, only: bool) -> None:
    """Determinants of known labels: where there is but one, or the first of several."""
    off = np.flatnonzero(rows)
    if not len(off):
        return
    part = {name: table[name][off] for name in relation.columns}
    off = off[~_equal(part[relation.dependent], relation.decode(part, None, len(off)))]
    keys, values = unlisted(relation.keys), unlisted(relation.values)
    of: dict[Any, list[Any]] = {}
    for key, value in zip(keys, values.tolist(), strict=True):
        of.setdefault(value, []).append(key)
    own = table[relation.determinant].copy()
    for row in off:
        found = of.get(table[relation.dependent][row], [])
        if found and (len(found) == 1 or not only):
            own[row] = found[0]
    table[relation.determinant] = own


def _told(relation: Relation, table: Mapping[str, Array], n: int) -> Array:
    if isinstance(relation, Sum):
        told: Array = relation.decode(table, None, n)
        return np.where(is_missing(table[relation.total]), table[relation.total], told)
    found: Array = relation.decode(table, relation.encode(table), n)
    return found


def _equal(a: Numbers, b: Numbers) -> Array:
    both = is_missing(a) & is_missing(b)
    return np.asarray(both | (a == b), bool)
