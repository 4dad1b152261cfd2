"""From scores to the values of columns, as nodes of an ONNX graph."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from buff.errors import ExportError
from buff.export.graph import Graph
from buff.export.onnx_normal import ndtr, ndtri
from buff.export.packed import check_labels, constant_code, precision
from buff.transforms import QuantileMap
from buff.transforms.encoders import ColumnEncoder
from buff.transforms.quantiles import Lattice
from buff.transforms.tails import Tail

__all__ = ["Levels", "decode_columns", "encode_scores", "value_of"]

#: Labels of columns by name, empty for numbers.
Levels: TypeAlias = Mapping[str, tuple[Any, ...]]

_NAN = np.float64(np.nan)


def decode_columns(graph: Graph, encoders: Sequence[ColumnEncoder], levels: Levels, z: str) -> str:
    """Values of all columns, double precision (n, p), from scores (n, d).

    Raises
    ------
    ExportError
        A column that no graph can hold.
    """
    wide = graph.cast(z, "double")
    columns, stop = [], 0
    encoder: Any
    for encoder in encoders:
        start, stop = stop, stop + len(encoder.names)
        if encoder.type == "number":
            digits, step, lowest, highest = precision(encoder)
            value = value_of(graph, encoder.ranks, graph.column(wide, start))
            columns.append(_rounded(graph, value, digits, step, lowest, highest))
        elif encoder.type == "level":
            check_labels(encoder, levels[encoder.name])
            columns.append(value_of(graph, encoder.ranks, graph.column(wide, start)))
        elif encoder.type == "indicator":
            check_labels(encoder, levels[encoder.name])
            own = graph.op("Gather", z, graph.constant(np.arange(start, stop)), axis=1)
            best = graph.cast(graph.op("ArgMax", own, axis=1, keepdims=1), "double")
            known = graph.op("Less", best, graph.constant(np.float64(len(encoder.levels))))
            columns.append(graph.op("Where", known, best, graph.constant(_NAN)))
        elif encoder.type == "constant":
            zero = graph.op("Mul", graph.column(wide, 0), graph.constant(np.float64(0)))
            fixed = np.float64(constant_code(encoder, levels[encoder.name]))
            columns.append(graph.op("Add", zero, graph.constant(fixed)))
        else:
            raise ExportError(f"column {encoder.name!r}: {type(encoder).__name__} cannot be exported")
    return graph.op("Concat", *columns, axis=1)


def value_of(graph: Graph, ranks: QuantileMap, z: str) -> str:
    """:meth:`buff.transforms.QuantileMap.decode` of scores (n, 1), double precision."""
    u = ndtr(graph, z)
    if ranks.missing == 1:
        return graph.op("Add", graph.op("Mul", u, graph.constant(np.float64(0))), graph.constant(_NAN))
    x = graph.interpolate(u, ranks.decoding.u, ranks.decoding.x)
    tiny = graph.constant(np.float64(np.finfo(float).tiny))
    if ranks.above:
        survival = ndtr(graph, graph.op("Neg", z))
        beyond = graph.op("Greater", x, graph.constant(np.float64(ranks.above.start)))
        x = graph.op("Where", beyond, _tail(graph, ranks.above, graph.op("Max", survival, tiny)), x)
    if ranks.below:
        beyond = graph.op("Less", x, graph.constant(np.float64(-ranks.below.start)))
        share = graph.op("Max", graph.op("Sub", u, graph.constant(np.float64(ranks.missing))), tiny)
        x = graph.op("Where", beyond, graph.op("Neg", _tail(graph, ranks.below, share)), x)
    limit = np.finfo(float).max / ranks.unit
    x = _within(graph, x, -limit, limit)
    x = graph.op("Mul", x, graph.constant(np.float64(ranks.unit)))
    if ranks.lattice:
        x = _nearest(graph, x, ranks.lattice)
    x = _within(graph, x, ranks.lower, ranks.upper)
    if ranks.missing:
        absent = graph.op("Less", u, graph.constant(np.float64(ranks.missing)))
        x = graph.op("Where", absent, graph.constant(_NAN), x)
    return x


def encode_scores(graph: Graph, columns: Sequence[QuantileMap], x: str) -> str:
    """:meth:`buff.transforms.NormalScores.encode` of values (n, d), double precision.

    Raises
    ------
    ExportError
        A column with extrapolated tails.
    """
    return graph.op("Concat", *(_score(graph, own, graph.column(x, j)) for j, own in enumerate(columns)), axis=1)


def _score(graph: Graph, ranks: QuantileMap, x: str) -> str:
    if ranks.below or ranks.above or not len(ranks.line.x):
        raise ExportError("conditions with extrapolated tails, or without any value that differs, cannot be exported")
    if ranks.lattice and ranks.lattice.noisy:
        x = _nearest(graph, x, ranks.lattice)
    scaled = graph.op("Div", x, graph.constant(np.float64(ranks.unit)))
    scaled = _within(graph, scaled, float(ranks.line.x[0]), float(ranks.line.x[-1]))
    u = graph.interpolate(scaled, ranks.line.x, ranks.line.u)
    if len(ranks.atoms):
        atom = graph.interpolate(scaled, ranks.atoms, np.arange(len(ranks.atoms)))
        place = graph.cast(graph.op("Round", atom), "int64")
        there = graph.op("Equal", graph.op("Gather", graph.constant(ranks.atoms), place), scaled)
        middle = graph.op("Gather", graph.constant(ranks.starts + 0.5 * ranks.masses), place)
        u = graph.op("Where", there, middle, u)
    margin = min(ranks.margin, 0.5 * (1 - ranks.missing))
    u = _within(graph, u, ranks.missing + margin, 1 - margin)
    u = graph.op("Where", graph.missing(x), graph.constant(np.float64(0.5 * ranks.missing)), u)
    return graph.cast(ndtri(graph, _within(graph, u, ranks.margin, 1 - ranks.margin)), "float")


def _nearest(graph: Graph, x: str, lattice: Lattice) -> str:
    """:meth:`buff.transforms.quantiles.Lattice.nearest`."""
    power, step, origin = map(np.float64, (10.0**lattice.decimals, lattice.step, lattice.origin))
    k = graph.op("Sub", graph.op("Mul", x, graph.constant(power)), graph.constant(origin))
    k = graph.op("Round", graph.op("Div", k, graph.constant(step)))
    x = graph.op("Add", graph.op("Mul", k, graph.constant(step)), graph.constant(origin))
    x = graph.op("Div", x, graph.constant(power))
    return graph.cast(graph.cast(x, "float"), "double") if lattice.single else x


def _rounded(graph: Graph, x: str, digits: int, step: int, lowest: float, highest: float) -> str:
    """A number as its column holds it."""
    if digits == 64:
        return x
    if digits == 32:
        most = float(np.finfo(np.float32).max)
        return graph.cast(graph.cast(_within(graph, x, -most, most), "float"), "double")
    whole = _within(graph, graph.op("Round", x), lowest, highest)
    return graph.op("Mul", whole, graph.constant(np.float64(step)))


def _within(graph: Graph, x: str, lower: float | None, upper: float | None) -> str:
    """NaN stays NaN."""
    if upper is not None:
        bound = graph.constant(np.float64(upper))
        x = graph.op("Where", graph.op("Greater", x, bound), bound, x)
    if lower is not None:
        bound = graph.constant(np.float64(lower))
        x = graph.op("Where", graph.op("Less", x, bound), bound, x)
    return x


def _tail(graph: Graph, tail: Tail, survival: str) -> str:
    """:meth:`buff.transforms.tails.Tail.value`."""
    log = graph.op("Sub", graph.constant(np.log(np.float64(tail.mass))), graph.op("Log", survival))
    if tail.shape:
        power = graph.op("Exp", graph.op("Mul", log, graph.constant(np.float64(tail.shape))))
        grown = graph.op("Sub", power, graph.constant(np.float64(1)))
        log = graph.op("Div", grown, graph.constant(np.float64(tail.shape)))
    scaled = graph.op("Mul", log, graph.constant(np.float64(tail.scale)))
    return graph.op("Add", scaled, graph.constant(np.float64(tail.start)))
