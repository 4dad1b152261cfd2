"""Columns that others tell, as nodes of an ONNX graph: the inverse of what relations took off a table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from buff.errors import ExportError
from buff.export.graph import Graph
from buff.export.onnx_columns import Levels
from buff.export.relations import looked_up, without_relations
from buff.tables.relations import Angle, Determines, Order, Relation, Rescaled, Sum
from buff.tables.relations.base import Absence

__all__ = ["restored_columns"]

Dtype: TypeAlias = np.dtype[Any]
Dtypes: TypeAlias = Mapping[str, Dtype]
#: Operators of :class:`buff.tables.relations.Rescaled`.
_FORMS = {"log": "Log", "exp": "Exp", "sqrt": "Sqrt"}


class _Columns:
    """Values (n, 1) of columns by name, double precision; labels are codes, NaN is missing."""

    def __init__(self, graph: Graph, values: Mapping[str, str], dtypes: Dtypes, levels: Levels) -> None:
        self.graph, self.values, self.levels = graph, dict(values), dict(levels)
        self.dtypes, self.learned = dict(dtypes), dtypes

    def number(self, value: float) -> str:
        return self.graph.constant(np.float64(value))

    def rounded(self, x: str, decimals: int | None, single: bool = False) -> str:
        """To decimals, in the precision of x."""
        if decimals is None:
            return x
        power = self.graph.constant((np.float32 if single else np.float64)(10.0**decimals))
        return self.graph.op("Div", self.graph.op("Round", self.graph.op("Mul", x, power)), power)

    def there(self, x: str, sentinel: float | None) -> str:
        """Which rows have a value."""
        known = self.graph.op("Equal", x, x)
        if sentinel is None:
            return known
        return self.graph.op("And", known, self.graph.op("Not", self.graph.op("Equal", x, self.number(sentinel))))

    def stored(self, x: str, dtype: Dtype) -> str:
        """A number as a column of this type holds it."""
        if dtype.kind in "iu":
            return self.graph.op("Round", x)
        return self.graph.cast(self.graph.cast(x, "float"), "double") if dtype == np.float32 else x

    def absent(self, rest: str | None, x: str, sentinel: float | None) -> str:
        """Missing values and sentinels where ``rest`` says so."""
        if rest is None:
            return x
        x = self.graph.op("Where", self.graph.missing(rest), self.number(np.nan), x)
        code = Absence(sentinel).code
        if code is None or sentinel is None:
            return x
        return self.graph.op("Where", self.graph.op("Equal", rest, self.number(code)), self.number(sentinel), x)


def restored_columns(
    graph: Graph, model: Any, values: Mapping[str, str], levels: Levels
) -> tuple[dict[str, str], dict[str, tuple[Any, ...]]]:
    """All columns of the table and their labels, from those that are learned.

    Raises
    ------
    ExportError
        A relation that no graph can hold: ids, and columns that a function of Python computes.
    """
    relations = model.relations_
    dtypes = {e.name: np.dtype(e.dtype) for e in model.space_.encoders_}
    columns = _Columns(graph, values, dtypes, levels)
    rest = {r.target: columns.values.pop(r.target, None) for r in relations}
    for relation in relations:
        write = _WRITERS.get(type(relation))
        if write is None:
            raise without_relations(relation)
        columns.values[relation.target] = write(columns, relation, rest[relation.target])
        if dtype := getattr(relation, "dtype", ""):
            columns.dtypes[relation.target] = np.dtype(dtype)
    _exchange(columns, [r for r in relations if isinstance(r, Order) and r.exchange])
    names = list(relations.names) if len(relations) else list(values)
    if len(model.schema_) != len(names):
        raise ExportError("ids are not part of an export, they belong to the number of an event: fit without them")
    return {name: columns.values[name] for name in names}, {name: columns.levels.get(name, ()) for name in names}


def _exchange(columns: _Columns, orders: Sequence[Order]) -> None:
    """Swap values that break an order, as often as it takes to sort as many columns as the orders name."""
    graph = columns.graph
    for _ in range(len({name for order in orders for name in order.columns}) - 1):
        for order in orders:
            low, up = columns.values[order.lower], columns.values[order.upper]
            there = graph.op("And", *(columns.there(x, own) for x, own in zip((low, up), order.absences, strict=True)))
            broken = graph.op("And", there, graph.op("Greater", low, up))
            columns.values[order.lower] = graph.op("Where", broken, up, low)
            columns.values[order.upper] = graph.op("Where", broken, low, up)


def _order(columns: _Columns, relation: Order, rest: str | None) -> str:
    graph = columns.graph
    assert rest is not None
    if relation.exchange:
        return columns.stored(rest, np.dtype(relation.dtype))
    low, own = columns.values[relation.lower], columns.dtypes[relation.lower]
    floor = columns.number(float(own.type(relation.floor)) if own.kind == "f" else relation.floor)
    higher = graph.op("And", columns.there(low, relation.absences[0]), graph.op("Greater", low, floor))
    base = graph.op("Where", higher, low, floor)
    zero, kind = columns.number(0), np.result_type(own, columns.learned[relation.upper])
    gap = graph.op("Where", graph.op("GreaterOrEqual", rest, zero), rest, zero)
    single = kind == np.float32
    if single:
        base, gap = graph.cast(base, "float"), graph.cast(gap, "float")
    floats = kind.kind == "f"
    value = graph.op("Add", base, gap)
    value = columns.rounded(value, relation.decimals if floats else None, single)
    value = graph.cast(value, "double") if single else value
    return columns.absent(rest, columns.stored(value, np.dtype(relation.dtype)), relation.absences[1])


def _sum(columns: _Columns, relation: Sum, rest: str | None) -> str:
    graph, zero = columns.graph, columns.number(0)
    total = zero
    for part, sentinel in zip(relation.parts, relation.sentinels[1:], strict=True):
        own = columns.values[part.removeprefix("-")]
        own = graph.op("Where", columns.there(own, sentinel), own, zero)
        total = graph.op("Sub" if part.startswith("-") else "Add", total, own)
    total = columns.rounded(total, relation.decimals)
    if rest is not None and not relation.exact:
        own = graph.op("Sub", rest, columns.number(len(relation.parts)))
        steps = graph.op("Where", graph.op("GreaterOrEqual", rest, zero), own, zero)
        power = columns.number(10.0 ** (relation.decimals or 0))
        total = graph.op("Add", total, graph.op("Div", steps, power))
    value = columns.stored(columns.rounded(total, relation.decimals), np.dtype(relation.dtype))
    return columns.absent(rest, value, relation.sentinels[0])


def _scaled(columns: _Columns, relation: Rescaled, rest: str | None) -> str:
    graph, x = columns.graph, columns.values[relation.source]
    if relation.form == "square":
        x = graph.op("Mul", x, x)
    elif relation.form != "identity":
        x = graph.op(_FORMS[relation.form], x)
    x = graph.op("Add", graph.op("Mul", x, columns.number(relation.scale)), columns.number(relation.offset))
    return columns.stored(columns.rounded(x, relation.decimals), np.dtype(relation.dtype))


def _angle(columns: _Columns, relation: Angle, rest: str | None) -> str:
    graph, zero = columns.graph, columns.number(0)
    assert rest is not None
    assert relation.period is not None
    own = graph.op("Where", graph.op("GreaterOrEqual", rest, zero), rest, zero)
    own = graph.op("Add", own, columns.number(relation.cut))
    if relation.reference is not None:
        base = columns.values[relation.reference]
        own = graph.op("Add", own, graph.op("Where", graph.missing(base), zero, base))
    turned = graph.op("Sub", own, columns.number(relation.low))
    turned = graph.op("Mod", turned, columns.number(relation.period), fmod=1)
    negative = graph.op("Less", turned, zero)
    turned = graph.op("Where", negative, graph.op("Add", turned, columns.number(relation.period)), turned)
    value = columns.rounded(graph.op("Add", turned, columns.number(relation.low)), relation.decimals)
    return columns.absent(rest, columns.stored(value, np.dtype(relation.dtype)), relation.sentinel)


def _determined(columns: _Columns, relation: Determines, rest: str | None) -> str:
    """Labels and numbers that follow from another column."""
    graph, x = columns.graph, columns.values[relation.determinant]
    labels = columns.levels.get(relation.determinant, ())
    keys, numbers, levels, dtype = looked_up(relation, labels)
    columns.dtypes[relation.target] = dtype
    if levels:
        columns.levels[relation.target] = levels
    if labels:
        return graph.op("Gather", graph.constant(numbers), graph.cast(x, "int64"))
    # the nearest value that the training had; the upper of two as near
    passed = graph.op("LessOrEqual", graph.constant((0.5 * (keys[1:] + keys[:-1]))[None]), x)
    count = graph.op("ReduceSum", graph.cast(passed, "int64"), graph.constant(np.array([1])), keepdims=1)
    return graph.op("Gather", graph.constant(numbers), count)


_WRITERS: dict[type[Relation], Callable[..., str]] = {
    Order: _order,
    Sum: _sum,
    Rescaled: _scaled,
    Angle: _angle,
    Determines: _determined,
}
