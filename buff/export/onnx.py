"""The whole sampler as one ONNX graph: noise and condition in, scores and values out."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from buff.errors import ExportError, MissingExtraError
from buff.export.graph import Graph
from buff.export.onnx_columns import decode_columns
from buff.export.packed import check_exportable, coded_levels, flows_of, orders_of, spaces_of
from buff.flows import FlowModel
from buff.flows.compiled import program_of
from buff.protocols import Array
from buff.solvers.unroll import Program
from buff.transforms.encoders import NumberEncoder
from buff.trees import FlatForest
from buff.trees.flatten import tree_nodes

__all__ = ["export_onnx", "onnx_graph"]

#: Features are rounded to multiples of 2^-22 before linear maps, so that sums are exact in any order.
_UNIT = 2.0**22


def export_onnx(model: Any, directory: str | os.PathLike[str]) -> None:
    """Write ``model.onnx``; see :func:`onnx_graph`.

    Parameters
    ----------
    model : BUFF
        Fitted.
    directory : path
        Made if it is not there.

    Raises
    ------
    ExportError
        What the graph cannot hold, by name.
    MissingExtraError
        Without the package onnx (extra ``onnx``).
    """
    graph = onnx_graph(model)
    to = Path(directory)
    to.mkdir(parents=True, exist_ok=True)
    (to / "model.onnx").write_bytes(graph.SerializeToString())


def onnx_graph(model: Any) -> Any:
    """The sampler as an ``onnx.ModelProto``, opset 17 with ai.onnx.ml 3.

    Inputs: ``noise`` (n, d), standard normal, single precision; ``noise_1``, ... likewise where the solver draws noise
    on its way; ``condition`` (n, c) of features where the model has one. Outputs: ``events`` (n, p) in double
    precision, labels as codes, NaN where missing; ``scores`` (n, d) of models without classes apart. The metadata
    ``columns`` and ``conditions`` say in JSON what columns and features are.

    Raises
    ------
    ExportError
        What the graph cannot hold, by name.
    MissingExtraError
        Without the package onnx.
    """
    check_exportable(model)
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx") from error
    graph, flows = Graph(), flows_of(model)
    widths = {flow.n_dims for flow in flows}
    if len(widths) > 1:
        raise ExportError(f"classes have {sorted(widths)} dimensions, and noise can have one width only")
    programs = [program_of(flow) for flow in flows]
    n_draws = max(program.n_draws for program in programs)
    noises = [graph.input("noise" if not k else f"noise_{k}", flows[0].n_dims) for k in range(1 + n_draws)]
    condition = None if model.condition_encoder_ is None else graph.input("condition", model.condition_encoder_.n_dims)
    levels = {e.name: coded_levels(e) for e in model.space_.encoders_}
    events = ""
    for k, (flow, program, encoders) in enumerate(zip(flows, programs, spaces_of(model), strict=True)):
        scores = _scores(graph, flow, program, noises, condition if len(flows) == 1 else None)
        own = decode_columns(graph, encoders, levels, scores)
        events = own if not k else _choose(graph, condition, model.model_.classes.features[k], own, events)
    events = _ordered(graph, model, events)
    graph.output("events", events, len(model.space_.encoders_), double=True)
    if len(flows) == 1:
        graph.output("scores", scores, flows[0].n_dims)
    columns = [{"name": name, "codes": [str(level) for level in own]} for name, own in levels.items()]
    return graph.model({"columns": json.dumps(columns), "conditions": json.dumps(_features(model.condition_encoder_))})


def _ordered(graph: Graph, model: Any, events: str) -> str:
    """Columns a <= b, of which b was learned as its distance from a."""
    encoders, orders = model.space_.encoders_, orders_of(model)
    if not orders:
        return events
    columns = [graph.column(events, j) for j in range(len(encoders))]
    zero = graph.constant(np.float64(0))
    for low, high, floor, decimals in orders:
        base = graph.op("Where", graph.op("IsNaN", columns[low]), graph.constant(np.float64(floor)), columns[low])
        gap = graph.op("Where", graph.op("Less", columns[high], zero), zero, columns[high])
        own = graph.op("Add", base, gap)
        if decimals >= 0:
            power = graph.constant(np.float64(10.0**decimals))
            own = graph.op("Div", graph.op("Round", graph.op("Mul", own, power)), power)
        single = np.dtype(encoders[high].dtype) == np.float32
        columns[high] = graph.cast(graph.cast(own, "float"), "double") if single else own
    return graph.op("Concat", *columns, axis=1)


def _features(encoder: Any) -> list[dict[str, Any]]:
    """What the features of the condition are: the score of a number, or the entries of a label."""
    if encoder is None:
        return []
    found = []
    for column in encoder.columns:
        kind = "normal score" if isinstance(column, NumberEncoder) else "label"
        labels = {str(v): column.encode(np.array([v], object))[0].tolist() for v in coded_levels(column)}
        found.append({"name": column.name, "kind": kind, "features": list(column.names), "labels": labels})
    return found


def _choose(graph: Graph, condition: str | None, features: Array, own: str, others: str) -> str:
    """Events of a class where the condition is that of the class."""
    same = graph.op("Equal", condition, graph.constant(features.astype(np.float32)[None]))
    count = graph.op("ReduceSum", graph.cast(same, "float"), graph.constant(np.array([1])), keepdims=1)
    return graph.op("Where", graph.op("Equal", count, graph.constant(np.float32(len(features)))), own, others)


def _scores(graph: Graph, flow: FlowModel, program: Program, noises: list[str], condition: str | None) -> str:
    x = noises[0]
    if flow.source_noise != 1:
        x = graph.op("Mul", x, graph.constant(np.float32(flow.source_noise)))
    registers, drawn = [x] * program.registers, 0
    for kind, to, a, b, c in program.instructions:
        if kind == "field":
            registers[to] = _velocity(graph, flow.nodes[b], registers[a], condition)
        elif kind == "noise":
            drawn += 1
            registers[to] = noises[drawn]
        else:
            first, sign, second = kind.split()
            names = {"a": registers[a], "b": registers[b] if "b" in kind else "", "c": ""}
            if "c" in kind:
                names["c"] = graph.constant(np.float32(c))
            operation = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div"}[sign]
            registers[to] = graph.op(operation, names[first], names[second])
    z = registers[program.result]
    if flow.standardizer is not None:
        scaled = graph.op("Mul", z, graph.constant(np.asarray(flow.standardizer.scale, np.float32)))
        z = graph.op("Add", scaled, _linear(graph, flow.standardizer.shift, condition))
    return z if flow.calibration is None else _calibrated(graph, flow.calibration, z)


def _velocity(graph: Graph, node: Any, x: str, condition: str | None) -> str:
    features = x if condition is None else graph.op("Concat", x, condition, axis=1)
    velocity = _linear(graph, node.linear, features)
    return velocity if node.trees is None else graph.op("Add", velocity, _trees(graph, node.trees, features))


def _linear(graph: Graph, linear: Any, features: str | None) -> str:
    rounded = graph.op("Round", graph.op("Mul", graph.cast(features, "double"), graph.constant(np.float64(_UNIT))))
    product = graph.op("MatMul", rounded, graph.constant(np.asarray(linear.weights, np.float64)))
    return graph.op("Add", graph.cast(product, "float"), graph.constant(np.asarray(linear.bias, np.float32)))


def _trees(graph: Graph, forest: FlatForest, features: str) -> str:
    parts: dict[str, list[Array]] = {}

    def put(**arrays: Array) -> None:
        for name, values in arrays.items():
            parts.setdefault(name, []).append(values)

    for t in range(forest.n_trees):
        tree = tree_nodes(forest, t)
        inner, n = tree.left >= 0, len(tree.left)
        zeros, own = np.zeros(n, int), np.full(n, t)
        leaves = np.flatnonzero(~inner)
        put(
            nodes_treeids=own,
            nodes_nodeids=np.arange(n),
            nodes_featureids=tree.feature,
            nodes_values=np.where(inner, tree.threshold, 0).astype(np.float32),
            nodes_modes=np.where(inner, "BRANCH_LT", "LEAF"),
            nodes_truenodeids=np.where(inner, tree.left, 0),
            nodes_falsenodeids=np.where(inner, tree.right, 0),
            nodes_missing_value_tracks_true=zeros,
        )
        w = tree.value.shape[1]
        outputs = np.arange(w) if w > 1 else forest.group[[t]]
        put(
            target_treeids=np.full(len(leaves) * w, t),
            target_nodeids=np.repeat(leaves, w),
            target_ids=np.tile(outputs, len(leaves)),
            target_weights=tree.value[leaves].ravel(),
        )
    if not forest.n_trees:
        return graph.constant(forest.base[None])
    attributes = {name: np.concatenate(values).tolist() for name, values in parts.items()}
    if forest.base.any():
        attributes["base_values"] = forest.base.tolist()
    return graph.op(
        "TreeEnsembleRegressor",
        features,
        domain="ai.onnx.ml",
        n_targets=forest.n_outputs,
        aggregate_function="SUM",
        post_transform="NONE",
        **attributes,
    )


def _calibrated(graph: Graph, calibration: Any, z: str) -> str:
    """:class:`buff.flows.MarginalCalibration`, column by column."""
    columns = []
    for j, smooth in enumerate(calibration.smooth):
        own = graph.column(z, j)
        if not smooth:
            columns.append(own)
            continue
        knots, levels = calibration.quantiles[:, j], calibration.levels
        inside = graph.cast(graph.interpolate(graph.cast(own, "double"), knots, levels), "float")
        low = graph.op("Add", own, graph.constant(levels[0] - knots[0]))
        high = graph.op("Add", own, graph.constant(levels[-1] - knots[-1]))
        below = graph.op("Less", own, graph.constant(knots[0]))
        above = graph.op("Greater", own, graph.constant(knots[-1]))
        columns.append(graph.op("Where", below, low, graph.op("Where", above, high, inside)))
    return graph.op("Concat", *columns, axis=1)
