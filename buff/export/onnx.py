"""The whole sampler as one ONNX graph: noise and condition in, scores and values out."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from buff.errors import ExportError, MissingExtraError
from buff.export.graph import Graph
from buff.export.onnx_columns import decode_columns
from buff.export.onnx_flow import flow_scores, patterned_scores
from buff.export.onnx_posterior import posterior_scores
from buff.export.onnx_relations import restored_columns
from buff.export.packed import refuse_partial_classes, refused_unfolder
from buff.flows import FlowModel, MixtureModel, PatternedFlow
from buff.protocols import Numbers
from buff.randomness import FARTHEST
from buff.transforms import ConditionEncoder

__all__ = ["export_onnx", "onnx_graph"]

Learned: TypeAlias = FlowModel | PatternedFlow


def export_onnx(model: Any, directory: str | os.PathLike[str]) -> None:
    """Write ``model.onnx``, the :func:`onnx_graph` of a model; see :func:`buff.export.export_model`."""
    graph = onnx_graph(model)
    to = Path(directory)
    to.mkdir(parents=True, exist_ok=True)
    (to / "model.onnx").write_bytes(graph.SerializeToString())


def onnx_graph(model: Any) -> Any:
    """The sampler as an ``onnx.ModelProto``, opset 17 with ai.onnx.ml 3.

    All inputs are single precision, one row an event; :func:`buff.export.graph_inputs` makes those of given events.

    - ``noise`` (n, d): standard normal; ``noise_1``, ... likewise where the solver draws noise on its way. Classes of
      fewer dimensions take the first ones.
    - ``pattern`` (n, 1): standard normal; where values are drawn together before the others.
    - ``condition`` (n, c): features of the condition, or of the source row; of an unfolder, scores of the measured row.
    - ``source`` (n, d): where flows from a table start.

    Outputs: ``events`` (n, p) in double precision, labels as codes, NaN where missing; ``scores`` (n, d) of models
    without classes apart. The metadata ``columns`` and ``conditions`` say in JSON what columns and features are.

    Raises
    ------
    ExportError
        What the graph cannot hold, by name.
    MissingExtraError
        Without the package onnx.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx") from error
    kind, fitted = type(model).__name__, hasattr(model, "model_") or hasattr(model, "members_")
    writers = {"BUFF": _generator, "BUFFTransport": _transport, "Unfolder": _unfolder}
    if kind not in writers or not fitted:
        what = kind if kind not in writers else f"{kind} that is not fitted"
        raise ExportError(f"{what} cannot be exported to ONNX: {', '.join(writers)} can, once fitted")
    graph = Graph()
    columns, conditions = writers[kind](graph, model)
    named = [{"name": name, "codes": [str(level) for level in own]} for name, own in columns.items()]
    return graph.model({"columns": json.dumps(named), "conditions": json.dumps(conditions)})


class _Noises:
    """Draws of noise as inputs of a graph, the first columns of which a narrower flow takes."""

    def __init__(self, graph: Graph, width: int) -> None:
        self._graph, self._width, self._made = graph, width, dict[str, str]()

    def of(self, d: int) -> Any:
        """Draws for a flow of d dimensions, by number."""
        return lambda k: self._first(self._input("noise" if not k else f"noise_{k}", self._width), d)

    def pattern(self) -> str:
        return self._input("pattern", 1)

    def _input(self, name: str, width: int) -> str:
        if name not in self._made:
            self._made[name] = self._graph.input(name, width)
        return self._made[name]

    def _first(self, value: str, d: int) -> str:
        if d == self._width:
            return value
        return self._graph.op("Gather", value, self._graph.constant(np.arange(d)), axis=1)


def _scores(graph: Graph, model: Learned, noises: _Noises, condition: str | None, source: str | None = None) -> str:
    precision: np.dtype[Any]
    if not isinstance(model, PatternedFlow):
        scores, precision = flow_scores(graph, model, noises.of(model.n_dims), condition, source), np.dtype("f4")
    else:
        scores = patterned_scores(graph, model, noises.of(model.flow.n_dims), noises.pattern(), condition)
        precision = np.dtype("f8")
    ends = (graph.constant(precision.type(end)) for end in (-FARTHEST, FARTHEST))
    return graph.op("Clip", scores, *ends)


def _width(models: Sequence[Learned]) -> int:
    return max(model.flow.n_dims for model in models)


def _generator(graph: Graph, model: Any) -> tuple[dict[str, Any], list[Any]]:
    """A :class:`buff.BUFF`: columns with their labels, and conditions."""
    encoder = model.condition_encoder_
    condition = None if encoder is None else graph.input("condition", encoder.n_dims)
    refuse_partial_classes(model)
    apart = isinstance(model.model_, MixtureModel)
    models = model.model_.models
    levels = {e.name: e.levels for e in model.space_.encoders_}
    noises, table = _Noises(graph, _width(models)), ""
    for k, (own, space) in enumerate(zip(models, model.class_spaces_, strict=True)):
        scores = _scores(graph, own, noises, None if apart else condition)
        values = decode_columns(graph, space.encoders_, levels, scores)
        table = values if not k else _choose(graph, condition, model.model_.classes.features[k], values, table)
    columns = {name: graph.column(table, j) for j, name in enumerate(levels)} if len(model.relations_) else {}
    if columns:
        columns, levels = restored_columns(graph, model, columns, levels)
        table = graph.op("Concat", *columns.values(), axis=1)
    elif len(model.schema_) != len(levels):
        raise ExportError("ids are not part of an export, they belong to the number of an event: fit without them")
    graph.output("events", table, len(levels), double=True)
    if not apart:
        graph.output("scores", graph.cast(scores, "float"), models[0].n_dims)
    return levels, _features(encoder)


def _transport(graph: Graph, model: Any) -> tuple[dict[str, Any], list[Any]]:
    """A :class:`buff.BUFFTransport`, from features of the source or scores to start from."""
    flow = model.model_
    condition = graph.input("condition", flow.n_conditions) if flow.n_conditions else None
    source = graph.input("source", flow.n_dims) if model.starts_at_source_ else None
    levels = {e.name: e.levels for e in model.space_.encoders_}
    scores = _scores(graph, flow, _Noises(graph, flow.n_dims), condition, source)
    graph.output("events", decode_columns(graph, model.space_.encoders_, levels, scores), len(levels), double=True)
    graph.output("scores", scores, flow.n_dims)
    return levels, [feature for encoder in model.feature_encoders_ for feature in _features(encoder)]


def _unfolder(graph: Graph, model: Any) -> tuple[dict[str, Any], list[Any]]:
    """Draws from the posterior of a :class:`buff.Unfolder`."""
    posterior = model.members_["nominal"][0].posterior
    if posterior is None:
        raise ExportError(refused_unfolder(model, posterior))
    condition = graph.input("condition", posterior.reco_space.n_dims_)
    d = posterior.flow.n_dims
    scores = posterior_scores(graph, posterior, _Noises(graph, d).of(d), condition)
    encoders = posterior.truth_space.encoders_
    levels = {e.name: e.levels for e in encoders}
    graph.output("events", decode_columns(graph, encoders, levels, scores), len(levels), double=True)
    graph.output("scores", scores, posterior.truth_space.n_dims_)
    names = list(posterior.reco_space.get_feature_names_out())
    return levels, [{"name": name, "kind": "normal score", "features": [name], "labels": {}} for name in names]


def _features(encoder: ConditionEncoder | None) -> list[dict[str, Any]]:
    """What the features of the condition are: the score of a number, or the entries of a label."""
    if encoder is None:
        return []
    found = []
    for column in encoder.columns:
        kind = "normal score" if column.is_number else "label"
        labels = {str(v): column.encode(np.array([v], object))[0].tolist() for v in column.levels}
        found.append({"name": column.name, "kind": kind, "features": list(column.names), "labels": labels})
    return found


def _choose(graph: Graph, condition: str | None, features: Numbers, own: str, others: str) -> str:
    """Events of a class where the condition is that of the class."""
    same = graph.op("Equal", condition, graph.constant(features.astype(np.float32)[None]))
    count = graph.op("ReduceSum", graph.cast(same, "float"), graph.constant(np.array([1])), keepdims=1)
    return graph.op("Where", graph.op("Equal", count, graph.constant(np.float32(len(features)))), own, others)
