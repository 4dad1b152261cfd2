"""A small writer of ONNX graphs."""

from typing import Any

import numpy as np

from buff.protocols import Array

__all__ = ["Graph"]

#: Operators as of ONNX 1.12: every onnxruntime since 1.12 runs them.
_OPSET, _ML_OPSET, _IR = 17, 3, 8


class Graph:
    """Nodes as they are put, named by themselves.

    Examples
    --------
    >>> import pytest; _ = pytest.importorskip("onnx")
    >>> graph = Graph()
    >>> graph.output("y", graph.op("Add", graph.input("x", 2), graph.constant(np.float32(1))), 2)
    >>> [node.op_type for node in graph.model({}).graph.node]
    ['Add', 'Identity']
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[Any, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, width: int) -> str:
        """A single-precision input (n, width)."""
        self._inputs.append(_tensor(name, width, double=False))
        return name

    def output(self, name: str, value: str, width: int, double: bool = False) -> None:
        """Give a value (n, width) out."""
        from onnx import helper

        self._nodes.append(helper.make_node("Identity", [value], [name], name))
        self._outputs.append(_tensor(name, width, double))

    def constant(self, array: Any) -> str:
        """A constant; equal ones are kept once."""
        from onnx import numpy_helper

        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        return str(self._constants[key].name)

    def op(self, kind: str, *inputs: str | None, domain: str = "", **attributes: Any) -> str:
        """Put a node, and name its output."""
        from onnx import helper

        name = f"v{len(self._nodes)}"
        # nodes without names are given equal ones by some optimisers
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name, domain=domain, **attributes))
        return name

    def cast(self, value: str | None, kind: str) -> str:
        """To "float", "double" or "int64"."""
        from onnx import TensorProto

        kinds = {"float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "int64": TensorProto.INT64}
        return self.op("Cast", value, to=kinds[kind])

    def column(self, value: str, j: int) -> str:
        """Column j of a value, (n, 1)."""
        return self.op("Gather", value, self.constant(np.array([j])), axis=1)

    def missing(self, value: str) -> str:
        """Whether a value is NaN; ``IsNaN`` in double precision is younger than the other operators."""
        return self.op("Not", self.op("Equal", value, value))

    def interpolate(self, u: str, x: Array, y: Array) -> str:
        """The polyline through (x, y) at u (n, 1), double precision, as numpy.interp has it, y[0] and y[-1] beyond."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        n = len(x)
        if n == 1:
            return self.op("Add", self.op("Mul", u, self.constant(np.float64(0))), self.constant(y[0]))
        xs, ys = self.constant(x), self.constant(y)
        # last j with x[j] <= u, by halving
        j = self.cast(self.op("Mul", u, self.constant(np.float64(0))), "int64")
        step = 1 << (n - 1).bit_length()
        while step > 1:
            step //= 2
            further = self.op("Min", self.op("Add", j, self.constant(np.int64(step))), self.constant(np.int64(n - 1)))
            there = self.op("LessOrEqual", self.op("Gather", xs, further), u)
            j = self.op("Where", there, further, j)
        right = self.op("Min", self.op("Add", j, self.constant(np.int64(1))), self.constant(np.int64(n - 1)))
        x0, y0 = self.op("Gather", xs, j), self.op("Gather", ys, j)
        width = self.op("Sub", self.op("Gather", xs, right), x0)
        slope = self.op("Div", self.op("Sub", self.op("Gather", ys, right), y0), width)
        value = self.op("Add", self.op("Mul", slope, self.op("Sub", u, x0)), y0)
        exact = self.op("Or", self.op("Equal", x0, u), self.op("Equal", j, right))
        value = self.op("Where", exact, y0, value)
        return self.op("Where", self.op("Less", u, self.constant(x[0])), self.constant(y[0]), value)

    def model(self, metadata: dict[str, str]) -> Any:
        """The finished model, checked."""
        import onnx
        from onnx import helper

        nodes, used = self._needed()
        constants = [constant for constant in self._constants.values() if constant.name in used]
        graph = helper.make_graph(nodes, "buff", self._inputs, self._outputs, constants)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
        model = helper.make_model(graph, producer_name="buff", opset_imports=opsets, ir_version=_IR)
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        return model

    def _needed(self) -> tuple[list[Any], set[str]]:
        """Nodes that lead to an output, and the names they take."""
        used, kept = {output.name for output in self._outputs}, []
        for node in reversed(self._nodes):
            if used.intersection(node.output):
                kept.append(node)
                used.update(node.input)
        return kept[::-1], used


def _tensor(name: str, width: int, double: bool) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.DOUBLE if double else TensorProto.FLOAT, ["n", width])
