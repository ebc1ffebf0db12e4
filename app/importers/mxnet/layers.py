"""The operators with weights or windows, as ONNX nodes."""

import math
from typing import Any

import numpy as np

from app.importers.mxnet.draft import Draft, Shape, Tensor
from app.importers.mxnet.errors import CheckpointError, ShapeError
from app.importers.mxnet.symbol import Node
from app.models import Floats

__all__ = ["batch_norm", "convolution", "fully_connected", "leaky_relu", "pooling", "roi_pooling"]


def convolution(draft: Draft, node: Node) -> Tensor:
    """Convolution: two axes, channels first."""
    attributes, source = node.attributes, image(draft, node)
    attributes.only("layout", "None", "NCHW")
    kernel = attributes.pair("kernel", least=1)
    stride = attributes.pair("stride", (1, 1), least=1)
    dilate = attributes.pair("dilate", (1, 1), least=1)
    pad = attributes.pair("pad", (0, 0))
    filters = attributes.number("num_filter", least=1)
    groups = attributes.number("num_group", 1, least=1)
    names = _weights(draft, node, (filters, source.shape[1] // groups, *kernel), source.shape[1] % groups)
    spatial = [
        (size + 2 * around - apart * (window - 1) - 1) // step + 1
        for size, around, apart, window, step in zip(
            source.shape[2:], pad, dilate, kernel, stride, strict=True
        )
    ]
    output = draft.emit(
        node, "Conv", [source.name, *names], kernel_shape=kernel, strides=stride, dilations=dilate,
        pads=[*pad, *pad], group=groups,
    )  # fmt: skip
    return Tensor(output, (source.shape[0], filters, *spatial))


def fully_connected(draft: Draft, node: Node) -> Tensor:
    """FullyConnected: flattens what has more than two axes, unless told not to."""
    source = draft.input(node, 0)
    name, shape = source.name, source.shape
    if len(shape) > 2:
        if not node.attributes.flag("flatten", True):
            raise CheckpointError(f"{node}: flatten=False on {len(shape)} axes is not known")
        name = draft.emit(node, "Flatten", [name], "flat", axis=1)
    width = math.prod(shape[1:])
    hidden = node.attributes.number("num_hidden", least=1)
    output = draft.emit(node, "Gemm", [name, *_weights(draft, node, (hidden, width))], transB=1)
    return Tensor(output, (shape[0], hidden))


def batch_norm(draft: Draft, node: Node) -> Tensor:
    """BatchNorm with its moving averages; `fix_gamma`, true unless told otherwise, means a gamma of ones."""
    attributes, source = node.attributes, draft.input(node, 0)
    attributes.only("axis", "1")
    if len(source.shape) < 2:
        raise CheckpointError(f"{node}: expected at least two axes, found {len(source.shape)}")
    channels = source.shape[1]
    names = []
    for position, suffix in enumerate(("gamma", "beta", "moving_mean", "moving_var"), start=1):
        implicit = f"{node.name}_{suffix}" if position > 2 else ""
        if position == 1 and attributes.flag("fix_gamma", True):
            names.append(draft.weight(f"{node.name}_ones", np.ones(channels, np.float32)))
            continue
        array = draft.parameter(node, position, implicit)
        _expect(node, suffix, array, (channels,))
        names.append(draft.weight(draft.parameter_name(node, position, implicit), array))
    epsilon = attributes.real("eps", 1e-3)
    output = draft.emit(node, "BatchNormalization", [source.name, *names], epsilon=epsilon)
    return Tensor(output, source.shape)


def pooling(draft: Draft, node: Node) -> Tensor:
    """Pooling by maximum or mean; the mean counts the padding, as MXNet does unless told otherwise."""
    attributes, source = node.attributes, image(draft, node)
    kind = {"max": "Max", "avg": "Average"}[attributes.only("pool_type", "max", "avg")]
    if attributes.flag("global_pool", False):
        return Tensor(draft.emit(node, f"Global{kind}Pool", [source.name]), (*source.shape[:2], 1, 1))
    kernel = attributes.pair("kernel", least=1)
    stride = attributes.pair("stride", (1, 1), least=1)
    pad = attributes.pair("pad", (0, 0))
    full = attributes.only("pooling_convention", "valid", "full") == "full"
    if any(around >= window for around, window in zip(pad, kernel, strict=True)):
        raise CheckpointError(f"{node}: padding {pad} is not smaller than the kernel {kernel}")
    if full and (kind == "Average" or any(p + s > k for p, s, k in zip(pad, stride, kernel, strict=True))):
        # MXNet and onnxruntime differ in what they make of a window that starts beyond the end.
        raise CheckpointError(f"{node}: pooling_convention=full is known for maxima, pad + stride <= kernel")
    spatial = [
        _windows(size + 2 * around - window, step, full)
        for size, around, window, step in zip(source.shape[2:], pad, kernel, stride, strict=True)
    ]
    how: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": stride,
        "pads": [*pad, *pad],
        "ceil_mode": int(full),
    }
    if kind == "Average":
        how["count_include_pad"] = int(attributes.flag("count_include_pad", True))
    output = draft.emit(node, f"{kind}Pool", [source.name], **how)
    return Tensor(output, (*source.shape[:2], *spatial))


def leaky_relu(draft: Draft, node: Node) -> Tensor:
    """LeakyReLU with one slope, or `prelu` with one for each channel."""
    source = draft.input(node, 0)
    if node.attributes.only("act_type", "leaky", "prelu") == "leaky":
        slope = node.attributes.real("slope", 0.25)
        return Tensor(draft.emit(node, "LeakyRelu", [source.name], alpha=slope), source.shape)
    slopes = draft.parameter(node, 1)
    if slopes.shape != (1,):
        _expect(node, "gamma", slopes, source.shape[1:2])
    # ONNX aligns the last axes, not the first ones.
    aligned = slopes.reshape(-1, *(1,) * (len(source.shape) - 2))
    name = draft.weight(draft.parameter_name(node, 1), aligned)
    return Tensor(draft.emit(node, "PRelu", [source.name, name]), source.shape)


def roi_pooling(draft: Draft, node: Node) -> Tensor:
    """ROIPooling: for each region (index, x1, y1, x2, y2) a grid of maxima."""
    source, regions = image(draft, node), draft.input(node, 1)
    if len(regions.shape) != 2 or regions.shape[1] != 5:
        raise ShapeError(f"{node}: expected regions of 5 numbers, found {regions.shape}")
    size = node.attributes.pair("pooled_size", least=1)
    scale = node.attributes.real("spatial_scale")
    names = [source.name, regions.name]
    output = draft.emit(node, "MaxRoiPool", names, pooled_shape=size, spatial_scale=scale)
    return Tensor(output, (regions.shape[0], source.shape[1], *size))


def image(draft: Draft, node: Node) -> Tensor:
    """Return the first input of `node`, which must be (N, C, H, W)."""
    source = draft.input(node, 0)
    if len(source.shape) != 4:
        raise CheckpointError(f"{node}: expected an input of 4 axes, found {len(source.shape)}")
    return source


def _windows(span: int, step: int, full: bool) -> int:
    """Return how many windows there are; `full` counts one that reaches beyond the end."""
    if span < 0:
        return 0
    return (-(-span // step) if full else span // step) + 1


def _weights(draft: Draft, node: Node, shape: Shape, rest: int = 0) -> list[str]:
    """Take in the weight of `node`, which must have this shape, and its bias unless it has none."""
    names = []
    no_bias = node.attributes.flag("no_bias", False)
    for position, expected in enumerate((shape, shape[:1])[: 1 if no_bias else 2], start=1):
        array = draft.parameter(node, position)
        _expect(node, ("weight", "bias")[position - 1], array, expected, rest)
        names.append(draft.weight(draft.parameter_name(node, position), array))
    return names


def _expect(node: Node, what: str, array: Floats, shape: Shape, rest: int = 0) -> None:
    if array.shape != shape or rest:
        raise ShapeError(f"{node}: its {what} has the shape {array.shape}, its input asks for {shape}")
