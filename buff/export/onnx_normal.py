"""The normal distribution and its quantiles as nodes of an ONNX graph, which has no operators for them.

Source: S. L. Moshier, Cephes Math Library, ndtr.c and ndtri.c.
"""

from collections.abc import Sequence

import numpy as np

from buff.export.graph import Graph

__all__ = ["ndtr", "ndtri"]

#: exp(-2): where quantiles change their formula.
_EXP_MINUS_2 = 0.13533528323661269189
#: erf within 1, erfc to 8 and beyond.
_ERF_ABOVE = (
    9.60497373987051638749e0,
    9.00260197203842689217e1,
    2.23200534594684319226e3,
    7.00332514112805075473e3,
    5.55923013010394962768e4,
)
_ERF_BELOW = (
    1.0,
    3.35617141647503099647e1,
    5.21357949780152679795e2,
    4.59432382970980127987e3,
    2.26290000613890934246e4,
    4.92673942608635921086e4,
)
_ERFC_ABOVE = (
    2.46196981473530512524e-10,
    5.64189564831068821977e-1,
    7.46321056442269912687e0,
    4.86371970985681366614e1,
    1.96520832956077098242e2,
    5.26445194995477358631e2,
    9.34528527171957607540e2,
    1.02755188689515710272e3,
    5.57535335369399327526e2,
)
_ERFC_BELOW = (
    1.0,
    1.32281951154744992508e1,
    8.67072140885989742329e1,
    3.54937778887819891062e2,
    9.75708501743205489753e2,
    1.82390916687909736289e3,
    2.24633760818710981792e3,
    1.65666309194161350182e3,
    5.57535340817727675546e2,
)
_FAR_ABOVE = (
    5.64189583547755073984e-1,
    1.27536670759978104416e0,
    5.01905042251180477414e0,
    6.16021097993053585195e0,
    7.40974269950448939160e0,
    2.97886665372100240670e0,
)
_FAR_BELOW = (
    1.0,
    2.26052863220117276590e0,
    9.39603524938001434673e0,
    1.20489539808096656605e1,
    1.70814450747565897222e1,
    9.60896809063285878198e0,
    3.36907645100081516050e0,
)
#: Quantiles in the middle, to exp(-32) and beyond; leading coefficients of denominators are 1.
_MIDDLE_ABOVE = (
    -5.99633501014107895267e1,
    9.80010754185999661536e1,
    -5.66762857469070293439e1,
    1.39312609387279679503e1,
    -1.23916583867381258016e0,
)
_MIDDLE_BELOW = (
    1.0,
    1.95448858338141759834e0,
    4.67627912898881538453e0,
    8.63602421390890590575e1,
    -2.25462687854119370527e2,
    2.00260212380060660359e2,
    -8.20372256168333339912e1,
    1.59056225126211695515e1,
    -1.18331621121330003142e0,
)
_TAIL_ABOVE = (
    4.05544892305962419923e0,
    3.15251094599893866154e1,
    5.71628192246421288162e1,
    4.40805073893200834700e1,
    1.46849561928858024014e1,
    2.18663306850790267539e0,
    -1.40256079171354495875e-1,
    -3.50424626827848203418e-2,
    -8.57456785154685413611e-4,
)
_TAIL_BELOW = (
    1.0,
    1.57799883256466749731e1,
    4.53907635128879210584e1,
    4.13172038254672030440e1,
    1.50425385692907503408e1,
    2.50464946208309415979e0,
    -1.42182922854787788574e-1,
    -3.80806407691578277194e-2,
    -9.33259480895457427372e-4,
)
_END_ABOVE = (
    3.23774891776946035970e0,
    6.91522889068984211695e0,
    3.93881025292474443415e0,
    1.33303460815807542389e0,
    2.01485389549179081538e-1,
    1.23716634817820021358e-2,
    3.01581553508235416007e-4,
    2.65806974686737550832e-6,
    6.23974539184983293730e-9,
)
_END_BELOW = (
    1.0,
    6.02427039364742014255e0,
    3.67983563856160859403e0,
    1.37702099489081330271e0,
    2.16236993594496635890e-1,
    1.34204006088543189037e-2,
    3.28014464682127739104e-4,
    2.89247864745380683936e-6,
    6.79019408009981274425e-9,
)


def ndtr(graph: Graph, a: str) -> str:
    """The normal distribution function of a value, double precision."""

    def number(value: float) -> str:
        return graph.constant(np.float64(value))

    x = graph.op("Mul", a, number(np.sqrt(0.5)))
    z = graph.op("Abs", x)
    squared = graph.op("Mul", x, x)
    middle = graph.op("Mul", x, _ratio(graph, squared, _ERF_ABOVE, _ERF_BELOW))
    middle = graph.op("Add", graph.op("Mul", middle, number(0.5)), number(0.5))
    e = graph.op("Exp", graph.op("Neg", squared))
    near, far = _ratio(graph, z, _ERFC_ABOVE, _ERFC_BELOW), _ratio(graph, z, _FAR_ABOVE, _FAR_BELOW)
    far = graph.op("Where", graph.op("Less", z, number(8)), near, far)
    half = graph.op("Mul", graph.op("Mul", e, far), number(0.5))
    positive = graph.op("Greater", x, number(0))
    outer = graph.op("Where", positive, graph.op("Sub", number(1), half), half)
    return graph.op("Where", graph.op("Less", z, number(1)), middle, outer)


def ndtri(graph: Graph, u: str) -> str:
    """The normal quantiles of a value in (0, 1), double precision."""

    def number(value: float) -> str:
        return graph.constant(np.float64(value))

    upper = graph.op("Greater", u, number(1 - _EXP_MINUS_2))
    y = graph.op("Where", upper, graph.op("Sub", number(1), u), u)
    centred = graph.op("Sub", u, number(0.5))
    squared = graph.op("Mul", centred, centred)
    bend = _ratio(graph, squared, _MIDDLE_ABOVE, _MIDDLE_BELOW, first=squared)
    middle = graph.op("Add", centred, graph.op("Mul", centred, bend))
    middle = graph.op("Mul", middle, number(2.50662827463100050242))
    x = graph.op("Sqrt", graph.op("Mul", graph.op("Log", y), number(-2)))
    x0 = graph.op("Sub", x, graph.op("Div", graph.op("Log", x), x))
    z = graph.op("Div", number(1), x)
    near = _ratio(graph, z, _TAIL_ABOVE, _TAIL_BELOW, first=z)
    end = _ratio(graph, z, _END_ABOVE, _END_BELOW, first=z)
    tail = graph.op("Sub", x0, graph.op("Where", graph.op("Less", x, number(8)), near, end))
    tail = graph.op("Where", upper, tail, graph.op("Neg", tail))
    return graph.op("Where", graph.op("Greater", y, number(_EXP_MINUS_2)), middle, tail)


def _ratio(graph: Graph, x: str, above: Sequence[float], below: Sequence[float], first: str = "") -> str:
    """``[first *] above(x) / below(x)``."""
    top = _polynomial(graph, x, above)
    return graph.op("Div", graph.op("Mul", first, top) if first else top, _polynomial(graph, x, below))


def _polynomial(graph: Graph, x: str, c: Sequence[float]) -> str:
    total = graph.constant(np.float64(c[0]))
    for k in c[1:]:
        total = graph.op("Add", graph.op("Mul", total, x), graph.constant(np.float64(k)))
    return total
