"""Nets of the shape of a SCRFD, with weights drawn from a seed: one patch of the image for each place."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES, EACH = (8, 16, 32), 2
COLUMNS = {"score": 1, "bbox": 4, "kps": 10}
#: What is added to the random sums: few candidates pass, and boxes have a size.
BIAS = {"score": -6.5, "bbox": 2.0, "kps": 0.0}


def scrfd_weights(stride: int, kind: str) -> np.ndarray:
    """Return the kernel (EACH * columns, 3, stride, stride) of one output."""
    random = np.random.RandomState(stride * 10 + COLUMNS[kind])
    shape = (EACH * COLUMNS[kind], 3, stride, stride)
    return (random.standard_normal(shape) * (3 if kind == "score" else 0.7) / stride).astype(np.float32)


def write_scrfd(
    path: Path, *, landmarks: bool = True, batch: bool = True, fixed: tuple[int, int] | None = None
) -> None:
    """Write a net to `path`, its outputs named by numbers, as the two kinds of export have them.

    Without `batch`, the candidates of all images lie in one column, mixed place by place. `fixed` is the
    height and width that the export says.
    """
    nodes, weights, outputs = [], [], []
    height, width = fixed or ("?", "?")
    for kind, columns in list(COLUMNS.items())[: 3 if landmarks else 2]:
        for stride in STRIDES:
            name = f"{kind}{stride}"
            target = [1, -1, columns] if batch else [-1, columns]
            weights += [
                numpy_helper.from_array(scrfd_weights(stride, kind), f"{name}_w"),
                numpy_helper.from_array(np.full(EACH * columns, BIAS[kind], np.float32), f"{name}_b"),
                numpy_helper.from_array(np.array(target, np.int64), f"{name}_target"),
            ]
            output = str(400 + len(outputs))
            order = [0, 2, 3, 1] if batch else [2, 3, 0, 1]
            nodes += [
                helper.make_node(
                    "Conv", ["input.1", f"{name}_w", f"{name}_b"], [f"{name}_c"], strides=[stride] * 2
                ),
                helper.make_node("Transpose", [f"{name}_c"], [f"{name}_t"], perm=order),
                helper.make_node("Reshape", [f"{name}_t", f"{name}_target"], [f"{name}_r"]),
                helper.make_node(
                    {"score": "Sigmoid", "bbox": "Relu"}.get(kind, "Identity"), [f"{name}_r"], [output]
                ),
            ]
            rows = EACH * height * width // stride**2 if fixed else "?"
            shape = [1, rows, columns] if batch else [rows, columns]
            outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
    pixels = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, height, width])
    graph = helper.make_graph(nodes, "scrfd", [pixels], outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
