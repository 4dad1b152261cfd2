"""Posteriors of unfolding as nodes of an ONNX graph: scores of a measured row in, scores of truth out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from buff.export.graph import Graph
from buff.export.onnx_columns import encode_scores, value_of
from buff.export.onnx_flow import calibrated, flow_scores, forest, linear
from buff.transforms import QuantileMap

__all__ = ["posterior_scores"]

#: The narrowest posterior, in normal scores.
_NARROWEST = 1e-4


def posterior_scores(graph: Graph, posterior: Any, noise: Callable[[int], str], c: str) -> str:
    """Scores of truth, single precision, given those of a measured row (n, c).

    Raises
    ------
    ExportError
        A posterior that no graph can hold.
    """
    if hasattr(posterior, "location"):
        return _located(graph, posterior, noise, c)
    features = encode_scores(graph, posterior.features.columns, graph.cast(c, "double"))
    starts = posterior.prediction is not None
    source = linear(graph, posterior.prediction, features) if starts else None
    z = flow_scores(graph, posterior.flow, noise, None if starts else features, source)
    return graph.cast(_decoded(graph, posterior.scores.columns, z), "float")


def _located(graph: Graph, posterior: Any, noise: Callable[[int], str], c: str) -> str:
    location = posterior.location
    centre, width = _place(graph, location, c)
    low, high = (graph.constant(np.asarray(end, np.float32)) for end in location.reach)
    known = graph.op("Min", graph.op("Max", c, low), high)
    condition = encode_scores(graph, posterior.conditions.columns, graph.cast(known, "double"))
    e = flow_scores(graph, posterior.flow, noise, condition)
    residual = graph.cast(_decoded(graph, posterior.residuals.columns, e), "float")
    z = graph.op("Add", centre, graph.op("Mul", width, residual))
    return z if posterior.calibration is None else calibrated(graph, posterior.calibration, z)


def _place(graph: Graph, location: Any, c: str) -> tuple[str, str]:
    """Centre and width of the posterior, (n, d) each: see ``Location``."""
    wide, centres, logs = graph.cast(c, "double"), [], []
    for line, mean in zip(location.lines, location.means, strict=True):
        affine = graph.op("MatMul", wide, graph.constant(np.asarray(line[:-1], np.float64)))
        affine = graph.op("Add", affine, graph.constant(np.asarray(line[-1:], np.float64)))
        centres.append(graph.op("Add", graph.cast(affine, "float"), forest(graph, mean, c)))
    for offset, squares in zip(location.offsets, location.log_squares, strict=True):
        logs.append(graph.op("Add", graph.constant(np.asarray(offset, np.float32)), forest(graph, squares, c)))
    half = graph.op("Mul", _mean(graph, logs), graph.constant(np.float32(0.5)))
    return _mean(graph, centres), graph.op("Max", graph.op("Exp", half), graph.constant(np.float32(_NARROWEST)))


def _mean(graph: Graph, values: Sequence[str]) -> str:
    total = values[0]
    for value in values[1:]:
        total = graph.op("Add", total, value)
    return graph.op("Div", total, graph.constant(np.float32(len(values))))


def _decoded(graph: Graph, columns: Sequence[QuantileMap], z: str) -> str:
    """:meth:`buff.transforms.NormalScores.decode`, double precision."""
    wide = graph.cast(z, "double")
    return graph.op("Concat", *(value_of(graph, own, graph.column(wide, j)) for j, own in enumerate(columns)), axis=1)
