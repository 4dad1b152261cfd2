"""From scores to the values of columns, as nodes of an ONNX graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from buff.errors import ExportError
from buff.export.graph import Graph
from buff.export.packed import check_labels, constant_code, precision
from buff.transforms import QuantileMap
from buff.transforms.encoders import ConstantEncoder, IndicatorEncoder, LevelEncoder, NumberEncoder

__all__ = ["decode_columns"]

_NAN = np.float64(np.nan)


def decode_columns(graph: Graph, encoders: Sequence[Any], levels: Mapping[str, tuple[Any, ...]], z: str) -> str:
    """Values of all columns, double precision (n, p), from scores (n, d).

    Raises
    ------
    ExportError
        A column that no graph can hold.
    """
    wide = graph.cast(z, "double")
    level, survival = _ndtr(graph, wide), _ndtr(graph, graph.op("Neg", wide))
    columns, stop = [], 0
    for encoder in encoders:
        start, stop = stop, stop + len(encoder.names)
        if isinstance(encoder, NumberEncoder):
            digits, step, lowest, highest = precision(encoder)
            value = _value(graph, encoder.ranks, graph.column(level, start), graph.column(survival, start))
            columns.append(_rounded(graph, value, digits, step, lowest, highest))
        elif isinstance(encoder, LevelEncoder):
            check_labels(encoder, levels[encoder.name])
            columns.append(_value(graph, encoder.ranks, graph.column(level, start), graph.column(survival, start)))
        elif isinstance(encoder, IndicatorEncoder):
            check_labels(encoder, levels[encoder.name])
            own = graph.op("Gather", z, graph.constant(np.arange(start, stop)), axis=1)
            code = graph.cast(graph.op("ArgMax", own, axis=1, keepdims=1), "double")
            known = graph.op("Less", code, graph.constant(np.float64(len(encoder.levels))))
            columns.append(graph.op("Where", known, code, graph.constant(_NAN)))
        elif isinstance(encoder, ConstantEncoder):
            zero = graph.op("Mul", graph.column(wide, 0), graph.constant(np.float64(0)))
            code = np.float64(constant_code(encoder, levels[encoder.name]))
            columns.append(graph.op("Add", zero, graph.constant(code)))
        else:
            raise ExportError(f"column {encoder.name!r}: {type(encoder).__name__} cannot be exported")
    return graph.op("Concat", *columns, axis=1)


def _value(graph: Graph, ranks: QuantileMap, u: str, survival: str) -> str:
    """:meth:`buff.transforms.QuantileMap.decode`."""
    if ranks.missing == 1:
        return graph.op("Add", graph.op("Mul", u, graph.constant(np.float64(0))), graph.constant(_NAN))
    x = graph.interpolate(u, ranks.decoding.u, ranks.decoding.x)
    tiny = graph.constant(np.float64(np.finfo(float).tiny))
    if ranks.above:
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
        power, step, origin = map(np.float64, (10.0**ranks.lattice.decimals, ranks.lattice.step, ranks.lattice.origin))
        k = graph.op("Sub", graph.op("Mul", x, graph.constant(power)), graph.constant(origin))
        k = graph.op("Round", graph.op("Div", k, graph.constant(step)))
        x = graph.op("Add", graph.op("Mul", k, graph.constant(step)), graph.constant(origin))
        x = graph.op("Div", x, graph.constant(power))
        if ranks.lattice.single:
            x = graph.cast(graph.cast(x, "float"), "double")
    x = _within(graph, x, ranks.lower, ranks.upper)
    if ranks.missing:
        absent = graph.op("Less", u, graph.constant(np.float64(ranks.missing)))
        x = graph.op("Where", absent, graph.constant(_NAN), x)
    return x


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


def _tail(graph: Graph, tail: Any, survival: str) -> str:
    """:meth:`buff.transforms.tails.Tail.value`."""
    log = graph.op("Sub", graph.constant(np.log(np.float64(tail.mass))), graph.op("Log", survival))
    if tail.shape:
        power = graph.op("Exp", graph.op("Mul", log, graph.constant(np.float64(tail.shape))))
        grown = graph.op("Sub", power, graph.constant(np.float64(1)))
        log = graph.op("Div", grown, graph.constant(np.float64(tail.shape)))
    scaled = graph.op("Mul", log, graph.constant(np.float64(tail.scale)))
    return graph.op("Add", scaled, graph.constant(np.float64(tail.start)))


#: S. L. Moshier, Cephes Math Library, ndtr.c: erf within 1, erfc to 8 and beyond.
_ERF_ABOVE = (
    9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
    5.55923013010394962768e4,
)
_ERF_BELOW = (
    1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
    4.92673942608635921086e4,
)
_ERFC_ABOVE = (
    2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0, 4.86371970985681366614e1,
    1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
    5.57535335369399327526e2,
)
_ERFC_BELOW = (
    1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
    1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3, 5.57535340817727675546e2,
)
_FAR_ABOVE = (
    5.64189583547755073984e-1, 1.27536670759978104416e0, 5.01905042251180477414e0, 6.16021097993053585195e0,
    7.40974269950448939160e0, 2.97886665372100240670e0,
)
_FAR_BELOW = (
    1.0, 2.26052863220117276590e0, 9.39603524938001434673e0, 1.20489539808096656605e1, 1.70814450747565897222e1,
    9.60896809063285878198e0, 3.36907645100081516050e0,
)


def _ndtr(graph: Graph, a: str) -> str:
    """The normal distribution function in double precision, which ONNX has no operator for."""

    def number(value: float) -> str:
        return graph.constant(np.float64(value))

    def polynomial(x: str, c: Sequence[float]) -> str:
        total = number(c[0])
        for k in c[1:]:
            total = graph.op("Add", graph.op("Mul", total, x), number(k))
        return total

    def ratio(x: str, above: Sequence[float], below: Sequence[float]) -> str:
        return graph.op("Div", polynomial(x, above), polynomial(x, below))

    x = graph.op("Mul", a, number(np.sqrt(0.5)))
    z = graph.op("Abs", x)
    squared = graph.op("Mul", x, x)
    middle = graph.op("Mul", x, ratio(squared, _ERF_ABOVE, _ERF_BELOW))
    middle = graph.op("Add", graph.op("Mul", middle, number(0.5)), number(0.5))
    e = graph.op("Exp", graph.op("Neg", squared))
    near, far = ratio(z, _ERFC_ABOVE, _ERFC_BELOW), ratio(z, _FAR_ABOVE, _FAR_BELOW)
    far = graph.op("Where", graph.op("Less", z, number(8)), near, far)
    half = graph.op("Mul", graph.op("Mul", e, far), number(0.5))
    positive = graph.op("Greater", x, number(0))
    outer = graph.op("Where", positive, graph.op("Sub", number(1), half), half)
    return graph.op("Where", graph.op("Less", z, number(1)), middle, outer)
