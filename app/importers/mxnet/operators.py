"""MXNet's operators, and what writes each of them as ONNX nodes."""

from collections.abc import Callable
from functools import partial

from app.importers.mxnet import elementwise, layers, shaping
from app.importers.mxnet.draft import Draft, Tensor
from app.importers.mxnet.errors import CheckpointError
from app.importers.mxnet.symbol import Node

__all__ = ["OPERATORS", "convert_node"]

Operator = Callable[[Draft, Node], Tensor]


def convert_node(draft: Draft, node: Node) -> None:
    """Add to `draft` what computes the output of `node`.

    Raises:
        CheckpointError: the operator is not known, or used in a way that is not.
    """
    if node.op not in OPERATORS:
        raise CheckpointError(f"{node}: this operator is not known")
    draft.put(node, OPERATORS[node.op](draft, node))


_add, _add_any = partial(elementwise.of_two, "Add", False), partial(elementwise.of_two, "Add", True)

OPERATORS: dict[str, Operator] = {
    "Activation": elementwise.activation,
    "BatchNorm": layers.batch_norm,
    "BlockGrad": elementwise.same,
    "Concat": shaping.concat,
    "Convolution": layers.convolution,
    "Crop": shaping.crop,
    "Dropout": elementwise.dropout,
    "Flatten": shaping.flatten,
    "FullyConnected": layers.fully_connected,
    "L2Normalization": elementwise.l2_normalization,
    "LeakyReLU": layers.leaky_relu,
    "Pooling": layers.pooling,
    "ROIPooling": layers.roi_pooling,
    "Reshape": shaping.reshape,
    "SoftmaxActivation": elementwise.softmax_activation,
    "SoftmaxOutput": elementwise.softmax_output,
    "UpSampling": shaping.upsampling,
    "_Plus": _add,
    "_copy": elementwise.same,
    "_div_scalar": partial(elementwise.with_scalar, "Div"),
    "_maximum_scalar": elementwise.at_least,
    "_minimum_scalar": elementwise.at_most,
    "_minus_scalar": partial(elementwise.with_scalar, "Sub"),
    "_mul_scalar": partial(elementwise.with_scalar, "Mul"),
    "_plus_scalar": partial(elementwise.with_scalar, "Add"),
    "broadcast_add": _add_any,
    "broadcast_mul": partial(elementwise.of_two, "Mul", True),
    "clip": elementwise.clip,
    "elemwise_add": _add,
    "elemwise_mul": partial(elementwise.of_two, "Mul", False),
    "identity": elementwise.same,
    "softmax": elementwise.softmax,
}
