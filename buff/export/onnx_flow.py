"""From noise to scores as nodes of an ONNX graph: the solver walks its grid with values of the graph for states."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
from numpy.typing import ArrayLike

from buff.errors import ExportError
from buff.export.graph import Graph
from buff.export.onnx_normal import ndtr, ndtri
from buff.export.onnx_trees import tree_ensemble
from buff.fields import AbstractField, GaussianPart
from buff.flows import FlowModel, MarginalCalibration, PatternedFlow, ReproducibleLinear
from buff.flows.nodes import NodeModel, SmoothedTrees
from buff.grids import nearest
from buff.kernels import PolynomialRidge
from buff.protocols import Indices, Numbers
from buff.solvers.base import BoundField
from buff.trees import Booster, FlatForest, flattened

__all__ = ["calibrated", "flow_scores", "forest", "linear", "patterned_scores"]

#: Features are rounded to multiples of 2^-22 before linear maps, so that sums are exact in any order.
_UNIT = 2.0**22
#: Coordinates are cut here before they go into polynomials.
_LARGEST = 3.5


class _State:
    """States of a batch, single precision (n, d): what a solver does to them becomes nodes of the graph."""

    __array_ufunc__ = None  # numbers of NumPy leave the arithmetic to it
    shape = (1, 1)

    def __init__(self, graph: Graph, value: str) -> None:
        self.graph, self.value = graph, value

    def new_tensor(self, values: ArrayLike) -> "_State":
        """Constants beside states."""
        return _State(self.graph, self.graph.constant(np.asarray(values, np.float32)))

    def _with(self, kind: str, other: "_State | float", reflected: bool = False) -> "_State":
        if not isinstance(other, _State):
            if type(other) not in (int, float):
                raise TypeError(f"states and {type(other).__name__}")  # would make states double
            other = self.new_tensor(other)
        first, second = (other, self) if reflected else (self, other)
        return _State(self.graph, self.graph.op(kind, first.value, second.value))

    def __add__(self, other: "_State | float") -> "_State":
        return self._with("Add", other)

    def __radd__(self, other: "_State | float") -> "_State":
        return self._with("Add", other, reflected=True)

    def __sub__(self, other: "_State | float") -> "_State":
        return self._with("Sub", other)

    def __rsub__(self, other: "_State | float") -> "_State":
        return self._with("Sub", other, reflected=True)

    def __mul__(self, other: "_State | float") -> "_State":
        return self._with("Mul", other)

    def __rmul__(self, other: "_State | float") -> "_State":
        return self._with("Mul", other, reflected=True)

    def __truediv__(self, other: "_State | float") -> "_State":
        return self._with("Div", other)

    def __rtruediv__(self, other: "_State | float") -> "_State":
        return self._with("Div", other, reflected=True)

    def __neg__(self) -> "_State":
        return self * -1.0

    def __abs__(self) -> Numbers:
        return np.zeros(self.shape)  # values are looked at only to see whether they are finite


class _GraphGaussian(GaussianPart):
    """The Gaussian part of a flow, for states of a graph."""

    @classmethod
    def like(cls, part: GaussianPart) -> "_GraphGaussian":
        return cls(**{f.name: getattr(part, f.name) for f in fields(part) if f.init})

    def turned_back(self, y: _State) -> _State:
        """From principal axes to scores."""
        return self.rotate_back(y)

    def rotate(self, x: _State) -> _State:
        return _State(x.graph, linear(x.graph, self._turn[0], x.value))

    def rotate_back(self, y: _State) -> _State:
        return _State(y.graph, linear(y.graph, self._turn[1], y.value))


class _GraphField(AbstractField):
    """The field of a flow, for states of a graph and a condition in it."""

    def __init__(self, flow: FlowModel, condition: str | None) -> None:
        self.path, self.times, self.condition = flow.field.path, flow.times, condition
        self._nodes = dict(zip(flow.times, flow.nodes, strict=True))
        self.gaussian = None if flow.gaussian is None else _GraphGaussian.like(flow.gaussian)

    def __call__(self, x: _State, t: float, condition: None = None) -> _State:
        node, graph = self._node(t), x.graph
        features = [x.value] if self.condition is None else [x.value, self.condition]
        velocity = _State(graph, linear(graph, node.linear, _joined(graph, features)))
        if node.trees is None:
            return velocity
        if node.frame is None:
            return velocity + _State(graph, forest(graph, node.trees, _joined(graph, features)))
        assert isinstance(self.gaussian, _GraphGaussian)
        prediction = self._in_frame(node, x, self.gaussian.to_frame(x, t))
        return velocity + self.gaussian.turned_back(prediction * x.new_tensor(node.frame.target_scale))

    def frame_velocity(self, x: _State, y: _State, t: float, condition: None = None) -> _State:
        node = self._node(t)
        if node.frame is None:
            own: _State = super().frame_velocity(x, y, t)
            return own
        if node.trees is None:
            return y * 0
        return self._in_frame(node, x, y) * x.new_tensor(node.frame.frame_scale)

    def _in_frame(self, node: NodeModel, x: _State, y: _State) -> _State:
        graph = x.graph
        assert node.trees is not None
        features = [x.value, y.value] if self.condition is None else [x.value, y.value, self.condition]
        return _State(graph, forest(graph, node.trees, _joined(graph, features)))

    def _node(self, t: float) -> NodeModel:
        times = tuple(self._nodes)
        node = times[nearest(times, t)]
        if abs(node - t) >= 1e-9:
            raise TypeError(f"no model at t = {t:.6g}: the solver leaves the nodes")
        return self._nodes[node]


def flow_scores(
    graph: Graph, flow: FlowModel, noise: Callable[[int], str], condition: str | None, source: str | None = None
) -> str:
    """Scores (n, d), single precision, of a flow.

    Parameters
    ----------
    graph : Graph
    flow : FlowModel
    noise : callable
        Draw k of standard normal numbers (n, d): 0 is where the flow starts.
    condition : str or None
        Features (n, c).
    source : str, optional
        What the noise is added to, (n, d).

    Raises
    ------
    ExportError
        A solver that chooses its steps, or trees that bytes cannot hold.
    """
    solver, path, drawn = flow.solver, flow.field.path, 0
    if solver.adaptive:
        raise ExportError(f"{solver} chooses its times as it goes, which no graph can: fit with another solver")
    x = _State(graph, noise(0)) if flow.source_noise else _State(graph, graph.op("Mul", noise(0), _zero(graph)))
    if flow.source_noise not in (0, 1):
        x = x * float(flow.source_noise)
    if source is not None:
        x = x + _State(graph, source)
    field = _GraphField(flow, condition)

    def drawn_noise(state: _State) -> _State:
        nonlocal drawn
        drawn += 1
        return _State(graph, noise(drawn))

    steps, memory = solver.steps(flow.grid, path), None
    try:
        for i, (t, s) in enumerate(steps):
            bound = BoundField(field, None, drawn_noise, left=len(steps) - i)
            x, memory = solver.advance(bound, x, t, s, memory)
    except (AttributeError, TypeError) as error:
        raise ExportError(f"{solver} does what no graph can ({error}): fit with another solver") from error
    z = x.value
    if flow.standardizer is not None:
        scaled = graph.op("Mul", z, graph.constant(np.asarray(flow.standardizer.scale, np.float32)))
        z = graph.op("Add", scaled, linear(graph, flow.standardizer.shift, condition))
    return z if flow.calibration is None else calibrated(graph, flow.calibration, z)


def patterned_scores(
    graph: Graph, model: PatternedFlow, noise: Callable[[int], str], pattern: str, condition: str | None
) -> str:
    """Scores (n, d), double precision, of values that are drawn together before the others.

    ``pattern`` (n, 1) is a standard normal number that chooses which. Else as in :func:`flow_scores`.
    """
    patterns = model.patterns
    u, shares = ndtr(graph, graph.cast(pattern, "double")), patterns.cumulative[:, :-1]
    if patterns.conditions is None or condition is None:
        below = graph.constant(np.asarray(shares[:1], np.float64))
    else:
        apart = [graph.op("Sub", condition, graph.constant(own[None])) for own in patterns.conditions]
        away = [graph.op("ReduceSum", graph.op("Mul", a, a), graph.constant(np.array([1])), keepdims=1) for a in apart]
        cell = graph.op("ArgMin", graph.op("Concat", *away, axis=1), axis=1, keepdims=0)
        below = graph.op("Gather", graph.constant(np.asarray(shares, np.float64)), cell)
    passed = graph.cast(graph.op("LessOrEqual", below, u), "int64")
    classes = graph.op("ReduceSum", passed, graph.constant(np.array([1])), keepdims=0)
    own = graph.op("Gather", graph.constant(np.asarray(patterns.features, np.float32)), classes)
    given = _joined(graph, [own] if condition is None else [own, condition])
    scores = flow_scores(graph, model.flow, noise, given)
    learned = {int(j): i for i, j in enumerate(patterns.learned)}
    columns = []
    for j, atoms in enumerate(patterns.intervals):
        value = graph.cast(graph.column(scores, learned[j]), "double") if j in learned else ""
        if len(atoms):
            states = patterns.states[:, j]
            centre = np.where(states < 0, 0.0, _centres(atoms)[states])
            atom = graph.op("Gather", graph.constant(centre[:, None]), classes)
            if value:
                free = graph.op("Gather", graph.constant((states < 0)[:, None]), classes)
                value = graph.op("Where", free, _ranked(graph, ndtr(graph, value), atoms, patterns.margins[j]), atom)
            else:
                value = atom
        columns.append(value)
    return graph.op("Concat", *columns, axis=1)


def _centres(atoms: Numbers) -> Numbers:
    from scipy.special import ndtri as quantile

    return np.asarray(quantile(atoms.mean(axis=1)))


def _ranked(graph: Graph, v: str, atoms: Numbers, margin: float) -> str:
    """Scores of ranks among the values of a column with atoms: see ``AtomPatterns.merge``."""
    width = np.diff(atoms, axis=1).ravel()
    low, high = graph.constant(np.float64(margin)), graph.constant(np.float64(1 - margin))
    own = graph.op("Min", graph.op("Max", v, low), high)
    own = graph.op("Mul", own, graph.constant(np.float64(1 - width.sum())))
    starts = atoms[:, 0] - np.concatenate([[0.0], np.cumsum(width)[:-1]])
    beyond = graph.cast(graph.op("Greater", own, graph.constant(starts[None])), "double")
    skipped = graph.op("Mul", beyond, graph.constant(width[None]))
    total = graph.op("ReduceSum", skipped, graph.constant(np.array([1])), keepdims=1)
    return ndtri(graph, graph.op("Add", own, total))


def linear(graph: Graph, part: ReproducibleLinear, features: str | None) -> str:
    """:class:`buff.kernels.ReproducibleLinear`, exact in any order of its sums."""
    rounded = graph.op("Round", graph.op("Mul", graph.cast(features, "double"), graph.constant(np.float64(_UNIT))))
    product = graph.op("MatMul", rounded, graph.constant(np.asarray(part.weights, np.float64)))
    return graph.op("Add", graph.cast(product, "float"), graph.constant(np.asarray(part.bias, np.float32)))


def calibrated(graph: Graph, calibration: MarginalCalibration, z: str) -> str:
    """:class:`buff.flows.MarginalCalibration` of scores (n, d), column by column, single precision."""
    columns = []
    for j, smooth in enumerate(calibration.smooth):
        own = graph.column(z, j)
        if not smooth:
            columns.append(own)
            continue
        knots = calibration.quantiles[:, j]
        levels = calibration.targets[:, j]
        wide = knots.dtype == np.float64
        own = graph.cast(own, "double") if wide else own
        inside = graph.interpolate(own if wide else graph.cast(own, "double"), knots, levels)
        inside = inside if wide else graph.cast(inside, "float")
        low = graph.op("Add", own, graph.constant(levels[0] - knots[0]))
        high = graph.op("Add", own, graph.constant(levels[-1] - knots[-1]))
        below = graph.op("Less", own, graph.constant(knots[0]))
        above = graph.op("Greater", own, graph.constant(knots[-1]))
        value = graph.op("Where", below, low, graph.op("Where", above, high, inside))
        columns.append(graph.cast(value, "float") if wide else value)
    return graph.op("Concat", *columns, axis=1)


def forest(graph: Graph, trees: Booster | FlatForest | SmoothedTrees, features: str) -> str:
    """Predictions of trees, with a polynomial or without.

    Raises
    ------
    ExportError
        Trees that bytes cannot hold.
    """
    if isinstance(trees, Booster):
        trees = flattened(trees)
    if isinstance(trees, SmoothedTrees):
        n = trees.trees.n_features
        w = graph.op("Gather", features, graph.constant(np.arange(trees.first, n)), axis=1)
        smooth = _polynomial(graph, trees.ridge, w, n - trees.first)
        return graph.op("Add", forest(graph, trees.trees, features), smooth)
    if not isinstance(trees, FlatForest):
        raise ExportError("trees that bytes cannot hold cannot be exported: lower max_depth to 8 and max_bin to 255")
    return tree_ensemble(graph, trees, features)


def _polynomial(graph: Graph, ridge: PolynomialRidge, w: str, f: int) -> str:
    """:class:`buff.kernels.PolynomialRidge`: its monomials in their order, then sums that are exact."""
    w = graph.op("Clip", w, graph.constant(np.float32(-_LARGEST)), graph.constant(np.float32(_LARGEST)))

    def at(value: str, places: Indices) -> str:
        return graph.op("Gather", value, graph.constant(places), axis=1)

    first, second = np.triu_indices(f)
    terms = [w, graph.op("Mul", at(w, first), at(w, second))]
    if ridge.degree == 3 and ridge.triples:
        starts = np.searchsorted(first, np.arange(f))  # of the pairs whose first input is this, or a later one
        left = len(first) - starts
        pairs = np.concatenate([np.arange(start, len(first)) for start in starts])
        terms.append(graph.op("Mul", at(w, np.repeat(np.arange(f), left)), at(terms[1], pairs)))
    elif ridge.degree == 3:
        squares, i = graph.op("Mul", w, w), np.arange(f)
        terms.append(graph.op("Mul", at(w, np.repeat(i, f)), at(squares, np.tile(i, f))))
    return linear(graph, ridge.linear, graph.op("Concat", *terms, axis=1))


def _joined(graph: Graph, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=1)


def _zero(graph: Graph) -> str:
    return graph.constant(np.float32(0))
