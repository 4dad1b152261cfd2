"""Columns that others tell, for samplers that know no tables: what C++ restores an event with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from buff import kernels
from buff.errors import ExportError
from buff.protocols import Numbers
from buff.tables.relations import Angle, Determines, Order, Relation, Rescaled, Sum
from buff.tables.relations.base import Absence, unlisted

__all__ = ["Outputs", "looked_up", "without_relations"]

Levels: TypeAlias = Mapping[str, tuple[Any, ...]]
_NAN = float("nan")
#: Forms of :class:`buff.tables.relations.Rescaled`, as the kernels number them.
_FORMS = ("identity", "log", "exp", "sqrt", "square")


class Outputs:
    """Columns of an event: those that are learned, and those that they tell.

    Parameters
    ----------
    model : BUFF or BUFFTransport
        Fitted.
    levels : dict from str to tuple
        Labels of the columns that are learned, by name; empty for numbers.

    Attributes
    ----------
    names : tuple of str
    levels : dict from str to tuple
        Labels of those that have any.
    places : list of int
        Of the columns that are learned.
    packed : bytes
        The relations as the C++ sampler reads them.

    Raises
    ------
    ExportError
        A relation that doubles cannot restore, ids.
    """

    def __init__(self, model: Any, levels: Levels) -> None:
        relations = getattr(model, "relations_", None) or ()
        self.names = tuple(relations.names) if relations else tuple(levels)
        if len(model.schema_) != len(self.names):
            raise ExportError("ids are not part of an export, they belong to the number of an event: fit without them")
        self.levels = {name: own for name, own in levels.items() if own}
        self.places = [self.names.index(name) for name in levels]
        self._dtypes = {e.name: np.dtype(e.dtype) for e in model.space_.encoders_}
        self._learned = frozenset(levels)
        parts = [self._relation(relation) for relation in relations]
        self.packed = kernels.integers(len(parts)) + b"".join(parts)

    def _relation(self, relation: Relation) -> bytes:
        write = _WRITERS.get(type(relation))
        if write is None:
            raise without_relations(relation)
        raw = write(self, relation)
        if dtype := getattr(relation, "dtype", ""):
            self._dtypes[relation.target] = np.dtype(dtype)
        return raw

    def _place(self, name: str) -> int:
        return self.names.index(name)

    def _order(self, order: Order) -> bytes:
        low, high = self._dtypes[order.lower], np.dtype(order.dtype)
        dates = low.kind in "mM" or high.kind in "mM"
        if low != high if dates else not (_is_number(low) and _is_number(high)):
            raise without_relations(order)
        single = np.result_type(low, self._dtypes[order.upper]) == np.float32
        floor = float(np.array(order.floor).astype(low if low.kind in "iuf" else np.int64))
        decimals = -1 if order.decimals is None or high.kind != "f" else order.decimals
        places = (self._place(order.lower), self._place(order.upper))
        head = kernels.integers(0, *places, decimals, order.exchange, single, _digits(high))
        return head + kernels.doubles(floor, _number(order.absences[0]), *_absence(order.absences[1]))

    def _sum(self, relation: Sum) -> bytes:
        parts = [part.removeprefix("-") for part in relation.parts]
        signs = [-1.0 if part.startswith("-") else 1.0 for part in relation.parts]
        numbers = [*signs, *map(_number, relation.sentinels[1:])]
        return self._told(1, relation, parts, numbers, form=not relation.exact, sentinel=relation.sentinels[0])

    def _rescaled(self, relation: Rescaled) -> bytes:
        form = _FORMS.index(relation.form)
        return self._told(2, relation, [relation.source], [relation.scale, relation.offset], form=form)

    def _angle(self, relation: Angle) -> bytes:
        numbers = [relation.period or 0.0, relation.low, relation.cut]
        return self._told(3, relation, relation.inputs, numbers, sentinel=relation.sentinel)

    def _determined(self, relation: Determines) -> bytes:
        keys, values, levels, dtype = looked_up(relation, self.levels.get(relation.determinant, ()))
        self._dtypes[relation.target] = dtype
        if levels:
            self.levels[relation.target] = levels
        return self._told(4, relation, [relation.determinant], keys=keys, values=values)

    def _told(
        self,
        kind: int,
        relation: Any,
        inputs: Sequence[str],
        numbers: Iterable[float] = (),
        form: int = 0,
        sentinel: float | None = None,
        keys: Numbers | Sequence[float] = (),
        values: Numbers | Sequence[float] = (),
    ) -> bytes:
        dtype = np.dtype(getattr(relation, "dtype", "") or np.float64)
        numeric = kind == 4 or all(_is_number(self._dtypes[name]) for name in inputs)
        if not numeric or not _is_number(dtype):
            raise without_relations(relation)
        decimals, rest = getattr(relation, "decimals", None), relation.target in self._learned
        head = (kind, self._place(relation.target), form, _digits(dtype), -1 if decimals is None else decimals, rest)
        arrays = (numbers, keys, values)
        places = kernels.sized(np.array([self._place(name) for name in inputs], np.int32))
        sized = [kernels.sized(np.array(list(array), np.float64)) for array in arrays]
        return b"".join([kernels.integers(*head), kernels.doubles(*_absence(sentinel)), places, *sized])


def looked_up(relation: Determines, labels: tuple[Any, ...]) -> tuple[Numbers, Numbers, tuple[Any, ...], np.dtype[Any]]:
    """What follows from a column: rising keys, codes where it has ``labels``; values or codes, their labels and dtype.

    Raises
    ------
    ExportError
        Missing labels, keys that are no numbers.
    """
    keys, values = unlisted(relation.keys), unlisted(relation.values)
    levels: tuple[Any, ...] = ()
    numbers = values
    if values.dtype.kind in "OUSb":
        levels = tuple(dict.fromkeys(v for v in values.tolist() if v is not None and v == v))
        numbers = np.array([levels.index(v) if v in levels else np.nan for v in values.tolist()])
    numbers = numbers.astype(np.float64)
    if labels:
        place = {key: i for i, key in enumerate(keys.tolist())}
        if any(label not in place for label in labels) or any(key is None or key != key for key in place):
            raise ExportError(f"the relation {relation} of labels that are missing is not part of an export")
        return np.arange(float(len(labels))), numbers[[place[label] for label in labels]], levels, values.dtype
    if keys.dtype.kind not in "iuf" or np.isnan(keys.astype(float)).any():
        raise without_relations(relation)
    order = np.argsort(keys, kind="stable")
    return keys[order].astype(np.float64), numbers[order], levels, values.dtype


def without_relations(relation: Relation) -> ExportError:
    """The error that names a relation."""
    return ExportError(f"the relation {relation} is not part of an export: fit without it")


def _is_number(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" or dtype.str[1:] in ("f4", "f8")


def _digits(dtype: np.dtype[Any]) -> int:
    return {"f4": 32, "f8": 64}.get(dtype.str[1:], 0)


def _number(value: float | None) -> float:
    return _NAN if value is None else float(value)


def _absence(sentinel: float | None) -> tuple[float, float]:
    return _number(sentinel), _number(Absence(sentinel).code)


_WRITERS: dict[type[Relation], Callable[[Outputs, Any], bytes]] = {
    Order: Outputs._order,
    Sum: Outputs._sum,
    Rescaled: Outputs._rescaled,
    Angle: Outputs._angle,
    Determines: Outputs._determined,
}
