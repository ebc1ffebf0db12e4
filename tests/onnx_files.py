"""Small embedders as ONNX, in the shapes in which people's exporters write them."""

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

__all__ = ["DIMENSION", "detector_of", "embedder"]

DIMENSION = 48
CHANNELS, CELLS = 4, 14


def embedder(
    tail: str = "flatten",
    *,
    pixels: Sequence[int | str] = (1, 3, 112, 112),
    centres: bool = False,
    kind: int = TensorProto.FLOAT,
    dimension: int = DIMENSION,
) -> ModelProto:
    """Return a net with a PReLU and the ending `tail`; `centres` makes it subtract the mean itself."""
    random = np.random.default_rng(5)
    weights = {
        "mean": np.array(127.5, np.float32),
        "kernel": random.normal(0, 0.1, (CHANNELS, 3, 8, 8)).astype(np.float32),
        "slope": random.uniform(-0.5, 0.5, (CHANNELS, 1, 1)).astype(np.float32),
    }
    nodes = [helper.make_node("Sub", ["pixels", "mean"], ["x"])] if centres else []
    source = "x" if centres else "pixels"
    nodes += [
        helper.make_node("Conv", [source, "kernel"], ["conv"], strides=[8, 8]),
        helper.make_node("PRelu", ["conv", "slope"], ["maps"]),
    ]
    shape = random.normal(0, 0.1, (CHANNELS * CELLS**2, dimension)).astype(np.float32)
    nodes += _tail(tail, weights, shape)
    ranks = {"vector": {"map": 4, "grid": 4, "scalar": 1}.get(tail, 2)}
    if tail == "length":
        ranks["length"] = 2
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("pixels", kind, list(pixels))],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
            for name, rank in ranks.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _tail(tail: str, weights: dict[str, np.ndarray], matrix: np.ndarray) -> list[NodeProto]:
    last = helper.make_node("MatMul", ["flat", "matrix"], ["vector"])
    if tail == "map":
        weights["last"] = np.ascontiguousarray(matrix.T).reshape(-1, CHANNELS, CELLS, CELLS)
        return [helper.make_node("Conv", ["maps", "last"], ["vector"])]
    if tail == "grid":
        return [helper.make_node("Identity", ["maps"], ["vector"])]
    if tail == "scalar":
        return [helper.make_node("ReduceMean", ["maps"], ["vector"], axes=[1, 2, 3], keepdims=0)]
    weights["matrix"] = matrix
    target = np.array([1, CHANNELS * CELLS**2], np.int64)
    if tail in ("reshape", "baked"):
        weights["target"] = target
        return [helper.make_node("Reshape", ["maps", "target"], ["flat"]), last]
    if tail == "constant":
        constant = helper.make_node("Constant", [], ["target"], value=numpy_helper.from_array(target))
        return [constant, helper.make_node("Reshape", ["maps", "target"], ["flat"]), last]
    if tail == "mixing":
        mixed = [
            helper.make_node("Flatten", ["maps"], ["rows"]),
            helper.make_node("ReduceMean", ["rows"], ["middle"], axes=[0], keepdims=1),
            helper.make_node("Add", ["rows", "middle"], ["flat"]),
        ]
        return [*mixed, last]
    flat = helper.make_node("Flatten", ["maps"], ["flat"])
    if tail == "length":
        return [flat, last, helper.make_node("ReduceL2", ["vector"], ["length"], axes=[1])]
    if tail == "endless":
        matrix[0, 0] = np.nan
    return [flat, last]


def detector_of(shapes: dict[str, tuple[int, ...]]) -> ModelProto:
    """Return a net that puts out zeros of `shapes`, whatever it is given."""
    nodes = [helper.make_node("ReduceSum", ["pixels"], ["sum"], keepdims=0)]
    weights = [numpy_helper.from_array(np.zeros((), np.float32), "zero")]
    nodes.append(helper.make_node("Mul", ["sum", "zero"], ["nothing"]))
    for name, shape in shapes.items():
        weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), f"{name}_zeros"))
        nodes.append(helper.make_node("Add", ["nothing", f"{name}_zeros"], [name]))
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, "h", "w"])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shapes.items()]
    graph = helper.make_graph(nodes, "net", [pixels], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
