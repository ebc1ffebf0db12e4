"""The operators that look at one number at a time, or along one axis, as ONNX nodes."""

import numpy as np

from app.importers.mxnet.draft import Draft, Tensor
from app.importers.mxnet.errors import CheckpointError, ShapeError
from app.importers.mxnet.symbol import Node

__all__ = [
    "activation",
    "at_least",
    "at_most",
    "clip",
    "dropout",
    "l2_normalization",
    "of_two",
    "same",
    "softmax",
    "softmax_activation",
    "softmax_output",
    "with_scalar",
]

ACTIVATIONS = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softrelu": "Softplus",
    "softsign": "Softsign",
}


def same(draft: Draft, node: Node) -> Tensor:
    """Operators that put out what they are given, such as BlockGrad."""
    return draft.input(node, 0)


def dropout(draft: Draft, node: Node) -> Tensor:
    """Dropout, which does nothing beyond training."""
    node.attributes.only("mode", "training")
    return draft.input(node, 0)


def activation(draft: Draft, node: Node) -> Tensor:
    """Activation: relu, sigmoid, tanh and the soft ones."""
    source = draft.input(node, 0)
    kind = ACTIVATIONS[node.attributes.only("act_type", *ACTIVATIONS)]
    return Tensor(draft.emit(node, kind, [source.name]), source.shape)


def of_two(operator: str, broadcasts: bool, draft: Draft, node: Node) -> Tensor:
    """Operators of two inputs: of one shape, or of shapes that fit where it `broadcasts`."""
    first, second = draft.input(node, 0), draft.input(node, 1)
    if first.shape != second.shape and not broadcasts:
        raise ShapeError(f"{node}: its inputs differ: {first.shape} and {second.shape}")
    try:
        shape = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        raise ShapeError(f"{node}: its inputs do not fit: {first.shape} and {second.shape}") from None
    return Tensor(draft.emit(node, operator, [first.name, second.name]), shape)


def with_scalar(operator: str, draft: Draft, node: Node) -> Tensor:
    """Operators of the input and one number."""
    source = draft.input(node, 0)
    scalar = draft.scalar(node, "scalar", node.attributes.real("scalar"))
    return Tensor(draft.emit(node, operator, [source.name, scalar]), source.shape)


def at_least(draft: Draft, node: Node) -> Tensor:
    """Take the maximum of input and number; of zero as Relu, which onnxruntime folds into a convolution."""
    source = draft.input(node, 0)
    if node.attributes.real("scalar") == 0:
        return Tensor(draft.emit(node, "Relu", [source.name]), source.shape)
    return with_scalar("Max", draft, node)


def at_most(draft: Draft, node: Node) -> Tensor:
    """Take the minimum of input and number, as Clip, which onnxruntime folds likewise."""
    source = draft.input(node, 0)
    most = draft.scalar(node, "scalar", node.attributes.real("scalar"))
    return Tensor(draft.emit(node, "Clip", [source.name, "", most]), source.shape)


def clip(draft: Draft, node: Node) -> Tensor:
    """Clip between two numbers."""
    source = draft.input(node, 0)
    bounds = [draft.scalar(node, name, node.attributes.real(name)) for name in ("a_min", "a_max")]
    return Tensor(draft.emit(node, "Clip", [source.name, *bounds]), source.shape)


def softmax(draft: Draft, node: Node) -> Tensor:
    """Softmax along the last axis or the one that is named."""
    node.attributes.only("temperature", "None", "1", "1.0")
    return _softmax_of(draft, node, node.attributes.number("axis", -1, least=-16))


def softmax_activation(draft: Draft, node: Node) -> Tensor:
    """SoftmaxActivation over channels, or over everything in an instance: the same for two axes."""
    mode = node.attributes.only("mode", "instance", "channel")
    if mode == "instance" and len(draft.input(node, 0).shape) != 2:
        raise CheckpointError(f"{node}: mode=instance is known for two axes only")
    return _softmax_of(draft, node, 1)


def softmax_output(draft: Draft, node: Node) -> Tensor:
    """SoftmaxOutput, which beyond training is a softmax; its label is not looked at."""
    if not node.attributes.flag("multi_output", False) and len(draft.input(node, 0).shape) != 2:
        raise CheckpointError(f"{node}: multi_output=False is known for two axes only")
    return _softmax_of(draft, node, 1)


def _softmax_of(draft: Draft, node: Node, axis: int) -> Tensor:
    source = draft.input(node, 0)
    if not -len(source.shape) <= axis < len(source.shape):
        raise CheckpointError(f"{node}: there is no axis {axis} in {source.shape}")
    return Tensor(draft.emit(node, "Softmax", [source.name], axis=axis), source.shape)


def l2_normalization(draft: Draft, node: Node) -> Tensor:
    """L2Normalization of an instance of one axis, or over the channels."""
    source = draft.input(node, 0)
    mode = node.attributes.only("mode", "instance", "channel")
    if len(source.shape) < 2 or (mode == "instance" and len(source.shape) != 2):
        raise CheckpointError(f"{node}: mode={mode} is not known for {len(source.shape)} axes")
    return Tensor(draft.emit(node, "LpNormalization", [source.name], axis=1, p=2), source.shape)
