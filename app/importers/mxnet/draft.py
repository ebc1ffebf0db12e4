"""An ONNX graph in the making: nodes, weights, and the shape of every tensor for one trial input."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from app.importers.mxnet.errors import CheckpointError, ShapeError
from app.importers.mxnet.params import Parameters
from app.importers.mxnet.symbol import Node, Symbol
from app.models import Floats

__all__ = ["Draft", "Shape", "Tensor"]

Shape = tuple[int, ...]
#: Numbers in one tensor, and in all; a net that wants more for a small image is none that looks at faces.
LARGEST, ALL = 1 << 24, 1 << 29


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the ONNX graph and the shape that it has for the trial input."""

    name: str
    shape: Shape


class Draft:
    """Takes what the operators emit; `weights` and `nodes` are what an ONNX graph is made of."""

    def __init__(self, symbol: Symbol, parameters: Parameters, inputs: Mapping[int, Tensor]) -> None:
        """Start a graph whose `inputs`, by index of the node of `symbol`, are given from outside."""
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, NDArray[np.generic]] = {}
        self._symbol = symbol
        self._parameters = parameters
        self._tensors = dict(inputs)
        self._total = 0

    def input(self, node: Node, position: int) -> Tensor:
        """Return the tensor that is input `position` of `node`; a parameter is taken in as a weight."""
        index = self._index(node, position)
        if index not in self._tensors:
            array = self.parameter(node, position)
            self._tensors[index] = Tensor(self.weight(self._symbol.nodes[index].name, array), array.shape)
        return self._tensors[index]

    def inputs(self, node: Node) -> list[Tensor]:
        """Return every input of `node`."""
        return [self.input(node, position) for position in range(len(node.inputs))]

    def parameter(self, node: Node, position: int, implicit: str = "") -> Floats:
        """Return the array that is input `position` of `node`.

        Graphs from before MXNet 0.9 leave out the moving averages: those are found by the name `implicit`.
        """
        if implicit and position >= len(node.inputs):
            return self._stored(node, implicit)
        source = self._symbol.nodes[self._index(node, position)]
        if not source.is_variable:
            raise CheckpointError(f"{node}: input {position} is computed by {source}; expected a parameter")
        return self._stored(node, source.name)

    def parameter_name(self, node: Node, position: int, implicit: str = "") -> str:
        """Return the name of the array that `parameter` returns."""
        if implicit and position >= len(node.inputs):
            return implicit
        return self._symbol.nodes[node.inputs[position]].name

    def weight(self, name: str, array: NDArray[np.generic]) -> str:
        """Take in a weight and return its name, which differs where `name` stands for another array."""
        while name in self.weights:
            known = self.weights[name]
            if known.shape == array.shape and np.may_share_memory(known, array):
                return name
            name += "_"
        self.weights[name] = array
        return name

    def constant(self, node: Node, what: str, values: Sequence[float], dtype: type[np.generic]) -> str:
        """Take in a short vector and return its name."""
        return self.weight(f"{node.name}_{what}", np.array(values, dtype))

    def scalar(self, node: Node, what: str, value: float) -> str:
        """Take in one float32 and return its name."""
        return self.weight(f"{node.name}_{what}", np.array(value, np.float32))

    def emit(self, node: Node, operator: str, inputs: Sequence[str], part: str = "", **how: Any) -> str:
        """Add an ONNX node and return the name of its output; `part` tells apart several for one `node`."""
        name = f"{node.name}_{part}" if part else node.name
        output = f"{name}_output"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=name, **how))
        return output

    def put(self, node: Node, tensor: Tensor) -> None:
        """Set what `node` puts out."""
        if any(size < 1 for size in tensor.shape):
            raise ShapeError(f"{node}: nothing is left of its input: it would put out {tensor.shape}")
        count = math.prod(tensor.shape)
        self._total += count
        if count > LARGEST or self._total > ALL:
            raise CheckpointError(
                f"{node}: would put out {tensor.shape}, {self._total} numbers with what comes before it;"
                f" at most {LARGEST} at once and {ALL} in all are taken"
            )
        self._tensors[node.index] = tensor

    def output(self, index: int) -> Tensor:
        """Return what the node of this index puts out, under MXNet's own name for it."""
        node = self._symbol.nodes[index]
        if index not in self._tensors:
            raise CheckpointError(f"{node}: expected something computed, to be put out")
        tensor = self._tensors[index]
        wanted = f"{node.name}_output"
        if tensor.name == wanted:
            return tensor
        self.nodes.append(helper.make_node("Identity", [tensor.name], [wanted], name=node.name))
        return Tensor(wanted, tensor.shape)

    def _index(self, node: Node, position: int) -> int:
        if position >= len(node.inputs):
            raise CheckpointError(
                f"{node}: expected at least {position + 1} inputs, found {len(node.inputs)}"
            )
        return node.inputs[position]

    def _stored(self, node: Node, name: str) -> Floats:
        for kind in ("arg:", "aux:"):
            if kind + name in self._parameters:
                return _floats(node, name, self._parameters[kind + name])
        raise CheckpointError(f"{node}: the checkpoint has no parameter {name!r}")


def _floats(node: Node, name: str, array: NDArray[np.generic]) -> Floats:
    if array.dtype == np.float32:
        return array.view(np.float32)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    raise CheckpointError(f"{node}: parameter {name!r} is {array.dtype}; expected float32 or float16")
