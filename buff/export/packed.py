"""A whole model as bytes for the C++ sampler: conditions, flows, columns."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from buff import kernels
from buff.errors import ExportError
from buff.export.orders import restored_orders
from buff.flows import FlowModel, MixtureModel, PatternedFlow
from buff.flows.compiled import pack_flow, program_of, unfit
from buff.protocols import Array
from buff.transforms import ConditionEncoder
from buff.transforms.encoders import ColumnEncoder, ConstantEncoder, IndicatorEncoder, LevelEncoder, NumberEncoder

__all__ = [
    "check_compilable",
    "check_labels",
    "coded_levels",
    "constant_code",
    "flow_of",
    "models_of",
    "pack_sampler",
    "precision",
    "spaces_of",
]

_MAGIC = int.from_bytes(b"BUFSMPR2", "little")
_NUMBER, _LEVEL, _INDICATOR, _CONSTANT = range(4)
_DIGITS = {"f4": 32, "f8": 64}


def pack_sampler(model: Any) -> bytes:
    """Everything that draws events, as ``sampler.hpp`` reads it.

    Parameters
    ----------
    model : BUFF
        Fitted.

    Raises
    ------
    ExportError
        The model, a column or a condition that cannot be exported, and why.
    """
    check_compilable(model)
    encoder, models = model.condition_encoder_, models_of(model)
    conditions = [] if encoder is None else list(_conditions(encoder))
    parts = [np.uint64(_MAGIC).tobytes(), _integers(len(conditions)), *conditions, _integers(len(models))]
    levels = {e.name: coded_levels(e) for e in model.space_.encoders_}
    for own, encoders in zip(models, spaces_of(model), strict=True):
        patterned, flow = isinstance(own, PatternedFlow), flow_of(own)
        parts += [_integers(patterned), own.patterns.packed() if isinstance(own, PatternedFlow) else b""]
        parts += [pack_flow(flow, program_of(flow)), _integers(len(encoders))]
        parts += [_column(e, levels[e.name]) for e in encoders]
    orders = restored_orders(model)
    parts += [_integers(len(orders)), *(order.packed() for order in orders)]
    classes = model.model_.classes.features if len(models) > 1 else np.empty(0)
    return b"".join([*parts, kernels.sized(np.asarray(classes, np.float32))])


def check_compilable(model: Any) -> None:
    """Raise ExportError for models that the C++ sampler cannot draw, and say why."""
    _check_fitted(model)
    restored_orders(model)
    for own in models_of(model):
        if reason := unfit(flow_of(own)):
            raise ExportError(f"the model cannot be exported: {reason}")


def _check_fitted(model: Any) -> None:
    if type(model).__name__ != "BUFF" or not hasattr(model, "model_"):
        kind = type(model).__name__
        raise ExportError(f"{kind} cannot be exported: only a fitted BUFF can, which needs no input table")


def flow_of(model: FlowModel | PatternedFlow) -> FlowModel:
    """The flow inside."""
    return model.flow if isinstance(model, PatternedFlow) else model


def models_of(model: Any) -> list[FlowModel | PatternedFlow]:
    """The model of all rows, or of each class."""
    return list(model.model_.models) if isinstance(model.model_, MixtureModel) else [model.model_]


def spaces_of(model: Any) -> list[Sequence[ColumnEncoder]]:
    """The encoders of the columns that go with each flow."""
    return [space.encoders_ for space in model.class_spaces_]


def coded_levels(encoder: ColumnEncoder) -> tuple[Any, ...]:
    """Labels of a column, each with its place for a code; empty for numbers."""
    if isinstance(encoder, LevelEncoder | IndicatorEncoder):
        return encoder.levels
    if isinstance(encoder, ConstantEncoder) and np.dtype(encoder.dtype).kind in "OUSb" and encoder.value is not None:
        return (encoder.value,)
    return ()


def _column(encoder: Any, levels: tuple[Any, ...]) -> bytes:
    codes: list[int] = []
    if isinstance(encoder, LevelEncoder | IndicatorEncoder):
        codes = [levels.index(level) for level in encoder.levels]
    digits, step, lowest, highest, value, ranks = 64, 1, 0.0, 0.0, 0.0, b""
    if isinstance(encoder, NumberEncoder):
        kind, ranks = _NUMBER, encoder.ranks.packed()
        digits, step, lowest, highest = precision(encoder)
    elif isinstance(encoder, LevelEncoder):
        kind, ranks = _LEVEL, encoder.ranks.packed()
    elif isinstance(encoder, IndicatorEncoder):
        kind = _INDICATOR
    elif isinstance(encoder, ConstantEncoder):
        kind, value = _CONSTANT, constant_code(encoder, levels)
    else:
        raise ExportError(f"column {encoder.name!r}: {type(encoder).__name__} cannot be exported")
    head = _text(encoder.name) + _integers(kind, len(encoder.names), digits)
    numbers = kernels.doubles(step, lowest, highest, value)
    return head + numbers + _texts(levels) + kernels.sized(np.array(codes, np.int32)) + ranks


def check_labels(encoder: LevelEncoder | IndicatorEncoder, levels: tuple[Any, ...]) -> None:
    """Raise ExportError where a class codes its labels in a way of its own."""
    if encoder.levels != levels:
        raise ExportError(f"column {encoder.name!r} has other labels in a class: fit with classes='together'")


def precision(encoder: NumberEncoder) -> tuple[int, int, float, float]:
    """Digits, step and limits of what a number is rounded to."""
    dtype = np.dtype(encoder.dtype)
    if dtype.kind == "f":
        if dtype.str[1:] not in _DIGITS:
            raise ExportError(f"column {encoder.name!r} is {dtype}: only float32 and float64 can be exported")
        return _DIGITS[dtype.str[1:]], 1, 0.0, 0.0
    if encoder.origin:
        raise ExportError(f"column {encoder.name!r} holds whole numbers beyond 2^52, which a double cannot")
    limits = np.iinfo(dtype if dtype.kind in "iu" else np.int64)
    return 0, encoder.step, float(int(limits.min) // encoder.step), float(int(limits.max) // encoder.step)


def constant_code(encoder: ConstantEncoder, levels: tuple[Any, ...]) -> float:
    """The value of a constant column as a number: NaN if missing, its code if it is a label."""
    if encoder.value is None:
        return float("nan")
    return float(levels.index(encoder.value)) if levels else float(encoder.value)


def _conditions(encoder: ConditionEncoder) -> Iterable[bytes]:
    for column in encoder.columns:
        if isinstance(column, NumberEncoder):
            yield _number_condition(column)
        elif isinstance(column, LevelEncoder | IndicatorEncoder):
            yield _label_condition(column)
        elif isinstance(column, ConstantEncoder):
            yield _text(column.name) + _integers(1, 0) + _texts(()) + kernels.sized(np.empty(0, np.float32))
        else:
            raise ExportError(f"condition {column.name!r}: {type(column).__name__} cannot be exported")


def _number_condition(column: NumberEncoder) -> bytes:
    ranks = column.ranks
    if column.origin or column.step != 1:
        raise ExportError(f"condition {column.name!r} is counted in steps, which cannot be exported")
    if ranks.below or ranks.above:
        raise ExportError(f"condition {column.name!r} has extrapolated tails, which cannot be exported")
    arrays = b"".join(kernels.sized(np.asarray(a, np.float64)) for a in (ranks.atoms, ranks.starts, ranks.masses))
    return _text(column.name) + _integers(0, 1) + ranks.packed() + arrays + kernels.doubles(ranks.margin)


def _label_condition(column: LevelEncoder | IndicatorEncoder) -> bytes:
    levels: Array = np.empty(len(column.levels), object)
    levels[:] = column.levels
    values = levels.astype(column.dtype) if np.dtype(column.dtype).kind != "O" else levels
    rows = [column.encode(values)]
    missing = column.missing if isinstance(column, IndicatorEncoder) else column.ranks.missing > 0
    if missing:
        absent = np.array([None], object) if np.dtype(column.dtype).kind == "O" else np.array([np.nan])
        rows.append(column.encode(absent))
    table = np.concatenate(rows).astype(np.float32)
    return _text(column.name) + _integers(1, table.shape[1]) + _texts(column.levels) + kernels.sized(table)


def _text(text: Any) -> bytes:
    raw = str(text).encode()
    return np.uint64(len(raw)).tobytes() + raw


def _texts(texts: Sequence[Any]) -> bytes:
    return _integers(len(texts)) + b"".join(map(_text, texts))


def _integers(*values: int) -> bytes:
    return np.array(values, np.int32).tobytes()
