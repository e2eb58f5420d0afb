"""An ONNX graph in the making: nodes, the weights that they share, and the whole as a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnexp.errors import UserError

OPSET, IR_VERSION = 17, 8  # of ONNX 1.12: every onnxruntime of the last years reads them
LARGEST = 2_000_000_000  # bytes; a protobuf has at most 2 GiB


class Graph:
    """Nodes in the order of their computation. A name stands for a value.

    outer: the graph that this one is the body of; its values, and the weights of the outermost one,
    may be used by their names.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.outer = outer
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {} if outer is None else outer.weights
        self._names: list[int] = [0] if outer is None else outer._names

    def new_name(self, kind: str) -> str:
        self._names[0] += 1
        return f"{kind}_{self._names[0]}"

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output. Returns the name of the output."""
        return self.add_many(operator, 1, *inputs, **attributes)[0]

    def add_many(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several outputs. Returns their names."""
        names = [self.new_name(operator) for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def constant(self, value: np.ndarray, name: str | None = None) -> str:
        """Add a weight, or a constant. Returns its name."""
        name = name or self.new_name("constant")
        self.weights[name] = np.ascontiguousarray(value).reshape(value.shape)
        return name

    def integers(self, *values: int) -> str:
        """Add a vector of int64. Returns its name."""
        return self.constant(np.array(values, np.int64))

    def body(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """The graph as the body of a node of another one."""
        return helper.make_graph(self.nodes, name, inputs, outputs)

    def model(
        self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """The outermost graph as a model, with the weights that it uses.

        Raises:
            UserError: the weights are too large for one file.
        """
        used = _used(self.nodes)
        weights = {name: value for name, value in self.weights.items() if name in used}
        if (size := sum(value.nbytes for value in weights.values())) > LARGEST:
            raise UserError(
                f"the network has {size:,} bytes of weights, but an ONNX file takes at most "
                f"{LARGEST:,}: export a smaller network (a smaller vocabulary or hidden_size)"
            )
        tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
        graph = helper.make_graph(self.nodes, "rnnexp", inputs, outputs, tensors)
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="rnnexp",
        )


def value_info(
    name: str, dtype: np.dtype[Any], shape: list[str | int] | None
) -> onnx.ValueInfoProto:
    """An input or output; a text in its shape names a size that may differ from call to call."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape)


def _used(nodes: list[onnx.NodeProto]) -> set[str]:
    """The names of all inputs of nodes, those of the nodes in their bodies included."""
    found: set[str] = set()
    for node in nodes:
        found |= set(node.input)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found |= _used(list(attribute.g.node))
                found |= {one.name for one in attribute.g.output}
    return found
