"""A whole model as bytes for the C++ sampler: conditions, flows, columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from buff import kernels
from buff.errors import ExportError
from buff.export.relations import Outputs
from buff.flows import FlowModel, MixtureModel, PatternedFlow
from buff.protocols import Array
from buff.transforms import QuantileMap
from buff.transforms.encoders import ColumnEncoder, ConstantEncoder, NumberEncoder
from buff.trees import Booster, FlatForest, UnfitForest

__all__ = [
    "as_generator",
    "check_compilable",
    "check_labels",
    "condition_columns",
    "constant_code",
    "outputs_of",
    "pack_sampler",
    "precision",
    "refuse_partial_classes",
    "refused_unfolder",
    "spaces_of",
]

_MAGIC = int.from_bytes(b"BUFSMPR3", "little")
_NUMBER, _LEVEL, _INDICATOR, _CONSTANT = range(4)
_DIGITS = {"f4": 32, "f8": 64}


def pack_sampler(model: Any) -> bytes:
    """Everything that draws events, as ``sampler.hpp`` reads it.

    Parameters
    ----------
    model : BUFF, BUFFTransport or Unfolder
        Fitted; of transports, a row of the source comes first in the condition, of unfolders it is a measured event.

    Raises
    ------
    ExportError
        The model, a column or a condition that cannot be exported, and why.
    """
    model = as_generator(model)
    check_compilable(model)
    outputs, models = outputs_of(model), model.model_.models
    conditions = list(_conditions(condition_columns(model)))
    parts = [np.uint64(_MAGIC).tobytes(), kernels.integers(len(conditions)), *conditions]
    parts.append(kernels.integers(len(models)))
    for own, encoders in zip(models, spaces_of(model), strict=True):
        patterned, flow = isinstance(own, PatternedFlow), own.flow
        parts += [kernels.integers(patterned), own.patterns.packed() if isinstance(own, PatternedFlow) else b""]
        parts += [flow.packed(), kernels.integers(len(encoders))]
        parts += [_column(e, outputs.levels.get(e.name, ())) for e in encoders]
    parts.append(kernels.integers(len(outputs.names)))
    parts += [_text(name) + _texts(outputs.levels.get(name, ())) for name in outputs.names]
    parts += [kernels.sized(np.array(outputs.places, np.int32)), outputs.packed]
    prediction = getattr(model, "prediction_", None)
    parts += [kernels.integers(prediction is not None), b"" if prediction is None else prediction.packed()]
    posterior = getattr(model, "posterior_", None)
    parts += [kernels.integers(posterior is not None), b"" if posterior is None else _posterior(posterior)]
    classes = model.model_.classes.features if len(models) > 1 else np.empty(0)
    return b"".join([*parts, kernels.sized(np.asarray(classes, np.float32))])


def check_compilable(model: Any) -> None:
    """Raise ExportError for models that the C++ sampler cannot draw, and say why."""
    _check_fitted(model)
    refuse_partial_classes(model)
    outputs_of(model)
    for own in model.model_.models:
        if reason := own.flow.unfit:
            raise ExportError(f"the model cannot be exported: {reason}")


def refuse_partial_classes(model: Any) -> None:
    """Raise ExportError where a part of the condition tells the class, and the rest is a condition of its flow."""
    if isinstance(model.model_, MixtureModel) and model.model_.classes.columns:
        raise ExportError("classes of some columns of the condition are not part of an export: fit without classes=")


def _check_fitted(model: Any) -> None:
    kind = type(model).__name__
    if kind not in ("BUFF", "BUFFTransport", "UnfoldedEvents") or not hasattr(model, "model_"):
        raise ExportError(f"{kind} cannot be exported to C++: a fitted BUFF, BUFFTransport or Unfolder can")
    if getattr(model, "is_unpaired_", False):
        raise ExportError(
            "BUFFTransport(coupling='transport') cannot be exported to C++, where no scores of source rows are made: "
            "export it as ONNX"
        )


@dataclass(frozen=True)
class UnfoldedEvents:
    """The posterior of an unfolder as a generator: a flow, columns of truth, those of measured events."""

    posterior_: Any
    condition_encoder_: None = None

    @property
    def model_(self) -> FlowModel:
        return self.posterior_.flow  # type: ignore[no-any-return]

    @property
    def space_(self) -> Any:
        return self.posterior_.truth_space

    @property
    def schema_(self) -> Any:
        return self.space_.encoders_

    @property
    def source_encoder_(self) -> Any:
        return SimpleNamespace(columns=self.posterior_.reco_space.encoders_)


def as_generator(model: Any) -> Any:
    """The model, or the posterior of an unfolder as a model; ExportError where it has none that C++ can draw."""
    if not hasattr(model, "members_"):
        return model
    posterior = model.members_["nominal"][0].posterior
    if not hasattr(posterior, "location"):
        raise ExportError(refused_unfolder(model, posterior))
    return UnfoldedEvents(posterior)


def refused_unfolder(model: Any, posterior: Any) -> str:
    """Why a format cannot hold the posterior of an unfolder of this method, and what can be exported."""
    how = f"Unfolder(method={model.method!r})"
    if posterior is None:
        return (
            f"{how} weights simulated events and draws none, so that neither C++ nor ONNX can hold it: "
            "Unfolder(method='conditional') can be exported to both"
        )
    return f"{how} cannot be exported to C++, only Unfolder(method='conditional') can: ONNX (--format onnx) can hold it"


def condition_columns(model: Any) -> list[Any]:
    """Encoders of the columns that an event is given: those of a source row, then those of the condition."""
    encoders = (getattr(model, "source_encoder_", None), model.condition_encoder_)
    return [column for encoder in encoders if encoder is not None for column in encoder.columns]


def outputs_of(model: Any) -> Outputs:
    """Columns of an event; ExportError for relations that cannot be exported."""
    return Outputs(model, {e.name: e.levels for e in model.space_.encoders_})


def spaces_of(model: Any) -> list[Sequence[ColumnEncoder]]:
    """The encoders of the columns that go with each flow."""
    return [space.encoders_ for space in getattr(model, "class_spaces_", (model.space_,))]


def _column(encoder: Any, levels: tuple[Any, ...]) -> bytes:
    codes: list[int] = []
    if encoder.is_label:
        codes = [levels.index(level) for level in encoder.levels]
    digits, step, lowest, highest, value, ranks = 64, 1, 0.0, 0.0, 0.0, b""
    if encoder.type == "number":
        kind, ranks = _NUMBER, encoder.ranks.packed()
        digits, step, lowest, highest = precision(encoder)
    elif encoder.type == "level":
        kind, ranks = _LEVEL, encoder.ranks.packed()
    elif encoder.type == "indicator":
        kind = _INDICATOR
    elif encoder.type == "constant":
        kind, value = _CONSTANT, constant_code(encoder, levels)
    else:
        raise ExportError(f"column {encoder.name!r}: {type(encoder).__name__} cannot be exported")
    head = _text(encoder.name) + kernels.integers(kind, len(encoder.names), digits)
    numbers = kernels.doubles(step, lowest, highest, value)
    return head + numbers + _texts(levels) + kernels.sized(np.array(codes, np.int32)) + ranks


def check_labels(encoder: ColumnEncoder, levels: tuple[Any, ...]) -> None:
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
        coarser = ": give dates in seconds, such as dates.astype('datetime64[s]')" if dtype.kind == "M" else ""
        raise ExportError(f"column {encoder.name!r} holds whole numbers beyond 2^52, which a double cannot{coarser}")
    limits = np.iinfo(dtype if dtype.kind in "iu" else np.int64)
    return 0, encoder.step, float(int(limits.min) // encoder.step), float(int(limits.max) // encoder.step)


def constant_code(encoder: ConstantEncoder, levels: tuple[Any, ...]) -> float:
    """The value of a constant column as a number: NaN if missing, its code if it is a label."""
    if encoder.value is None:
        return float("nan")
    return float(levels.index(encoder.value)) if levels else float(encoder.value)


def _conditions(columns: Iterable[Any]) -> Iterable[bytes]:
    for column in columns:
        if column.type == "number":
            yield _number_condition(column)
        elif column.type in ("level", "indicator"):
            yield _label_condition(column)
        elif column.type == "constant":
            yield _text(column.name) + kernels.integers(1, 0) + _texts(()) + kernels.sized(np.empty(0, np.float32))
        else:
            raise ExportError(f"condition {column.name!r}: {type(column).__name__} cannot be exported")


def _number_condition(column: NumberEncoder) -> bytes:
    if column.origin or column.step != 1:
        raise ExportError(f"condition {column.name!r} is counted in steps, which cannot be exported")
    return _ranks_of(column.name, column.ranks)


def _ranks_of(name: str, ranks: QuantileMap) -> bytes:
    """Values to scores."""
    if ranks.below or ranks.above:
        raise ExportError(f"condition {name!r} has extrapolated tails, which cannot be exported")
    ranks = replace(ranks, smoothed=None)  # which is for the way back
    arrays = b"".join(kernels.sized(np.asarray(a, np.float64)) for a in (ranks.atoms, ranks.starts, ranks.masses))
    return _text(name) + kernels.integers(0, 1) + ranks.packed() + arrays + kernels.doubles(ranks.margin)


def _posterior(posterior: Any) -> bytes:
    """What turns residuals that a flow draws into scores of truth."""
    where, parts = posterior.location, []
    for half in range(2):
        parts += [kernels.sized(np.asarray(where.lines[half], np.float64))]
        parts += [kernels.sized(np.asarray(where.offsets[half], np.float32))]
        parts += [_forest(where.means[half]), _forest(where.log_squares[half])]
    parts += [kernels.sized(np.asarray(end, np.float32)) for end in where.reach]
    parts += [_ranks_of("", ranks) for ranks in posterior.conditions.columns]
    parts += [ranks.packed() for ranks in posterior.residuals.columns]
    calibration = posterior.calibration
    quantiles = (calibration.quantiles, calibration.wanted) if calibration is not None else (np.empty((0, 0)),) * 2
    arrays = [kernels.sized(np.ascontiguousarray(np.asarray(quantile, np.float64).T)) for quantile in quantiles]
    return b"".join([*parts, kernels.integers(len(quantiles[0])), *arrays])


def _forest(trees: Booster | FlatForest) -> bytes:
    try:
        return (FlatForest.of(trees) if isinstance(trees, Booster) else trees).packed()
    except UnfitForest as reason:
        raise ExportError(f"the posterior cannot be exported: {reason}") from reason


def _label_condition(column: Any) -> bytes:
    levels: Array = np.empty(len(column.levels), object)
    levels[:] = column.levels
    values = levels.astype(column.dtype) if np.dtype(column.dtype).kind != "O" else levels
    rows = [column.encode(values)]
    missing = column.missing if column.type == "indicator" else column.ranks.missing > 0
    if missing:
        absent = np.array([None], object) if np.dtype(column.dtype).kind == "O" else np.array([np.nan])
        rows.append(column.encode(absent))
    table = np.concatenate(rows).astype(np.float32)
    return _text(column.name) + kernels.integers(1, table.shape[1]) + _texts(column.levels) + kernels.sized(table)


def _text(text: Any) -> bytes:
    raw = str(text).encode()
    return np.uint64(len(raw)).tobytes() + raw


def _texts(texts: Sequence[Any]) -> bytes:
    return kernels.integers(len(texts)) + b"".join(map(_text, texts))
