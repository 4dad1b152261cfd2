"""Relations ``lower <= upper`` of numbers, one event at a time, for samplers that know no tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from buff import kernels
from buff.errors import ExportError
from buff.protocols import Array
from buff.tables.relations import Order
from buff.tables.relations.base import Absence
from buff.transforms.encoders import NumberEncoder

__all__ = ["RestoredOrder", "restore_orders", "restored_orders"]

_NAN = float("nan")


@dataclass(frozen=True)
class RestoredOrder:
    """Two columns, of which the upper was learned as its distance from the lower, or which are swapped if need be.

    Attributes
    ----------
    low, high : int
        Places of the columns.
    decimals : int
        That both have; -1 for all.
    exchange : bool
        Whether both were learned as they are.
    single : bool
        Whether the arithmetic is done in single precision.
    digits : int
        32 for single precision, 64 for double precision, 0 for whole numbers.
    floor : float
        The lower column counts as at least this; where it is absent, too.
    absent_low, absent_high, code : float
        Sentinels of both, and what stands for the upper one in the distance; NaN for none.
    """

    low: int
    high: int
    decimals: int
    exchange: bool
    single: bool
    digits: int
    floor: float
    absent_low: float
    absent_high: float
    code: float

    @classmethod
    def of(cls, order: Order, low: int, high: int, distance: str, lower: str) -> "RestoredOrder":
        """From the relation, the places of its columns, the dtype of the learned distance and that of the lower."""
        single = np.result_type(np.dtype(lower), np.dtype(distance)) == np.float32
        dtype, lower_dtype = np.dtype(order.dtype), np.dtype(lower)
        floor = np.array(order.floor).astype(lower_dtype if lower_dtype.kind in "iuf" else np.int64)
        sentinels = (order.absences[0], order.absences[1], Absence(order.absences[1]).code)
        return cls(
            low,
            high,
            -1 if order.decimals is None or dtype.kind != "f" else order.decimals,
            order.exchange,
            bool(single),
            {"f4": 32, "f8": 64}.get(dtype.str[1:], 0),
            float(floor),
            *(_NAN if own is None else float(own) for own in sentinels),
        )

    def swap(self, event: Array) -> bool:
        """Swap the values of an event that breaks the order; whether it does."""
        a, b = event[self.low], event[self.high]
        if not a > b or a == self.absent_low or b == self.absent_high:
            return False
        event[self.low], event[self.high] = b, a
        return True

    def restore(self, event: Array) -> None:
        """Put the upper column in place of the distance."""
        a, gap = event[self.low], event[self.high]
        if np.isnan(gap):
            return
        if gap == self.code:
            event[self.high] = self.absent_high
            return
        kind = np.float32 if self.single else np.float64
        b = kind(a if a != self.absent_low and a > self.floor else self.floor) + kind(max(gap, 0))
        if self.decimals >= 0:
            power = kind(10.0**self.decimals)
            b = np.rint(b * power) / power
        event[self.high] = float(np.float32(b) if self.digits == 32 else b if self.digits else np.trunc(b))

    def packed(self) -> bytes:
        """The order as the C++ sampler reads it."""
        head = [self.low, self.high, self.decimals, self.exchange, self.single, self.digits]
        numbers = (self.floor, self.absent_low, self.absent_high, self.code)
        return np.array(head, np.int32).tobytes() + kernels.doubles(*numbers)


def restore_orders(orders: Sequence[RestoredOrder], event: Array) -> None:
    """Values of an event from what was learned, in place."""
    for order in orders:
        if not order.exchange:
            order.restore(event)
    swaps = [order for order in orders if order.exchange]
    while sum(order.swap(event) for order in swaps):
        pass


def restored_orders(model: Any) -> list[RestoredOrder]:
    """The relations of a fitted model.

    Raises
    ------
    ExportError
        Relations of other kinds, ids, columns that others tell.
    """
    names, encoders, found = list(model.relations_.names), model.space_.encoders_, []
    if len(model.schema_) != len(encoders):
        raise ExportError("ids, and columns that others tell, are not part of an export: fit without them")
    learned = {e.name: e for e in encoders if isinstance(e, NumberEncoder)}
    dtypes = {name: encoder.dtype for name, encoder in learned.items()}
    for relation in model.relations_:
        if not isinstance(relation, Order) or not _fits(relation, dtypes):
            raise ExportError(f"the relation {relation} is not part of an export: fit with relations=None")
        low, high = names.index(relation.lower), names.index(relation.upper)
        found.append(RestoredOrder.of(relation, low, high, dtypes[relation.upper], dtypes[relation.lower]))
        dtypes[relation.upper] = relation.dtype
    return found


def _fits(order: Order, dtypes: dict[str, str]) -> bool:
    """Whether doubles do what the relation does to its columns."""
    if order.lower not in dtypes or order.upper not in dtypes:
        return False
    kinds = [np.dtype(dtypes[order.lower]), np.dtype(order.dtype)]
    if any(kind.kind in "mM" for kind in kinds):
        return kinds[0] == kinds[1]
    return all(kind.kind in "iu" or kind.str[1:] in ("f4", "f8") for kind in kinds)
