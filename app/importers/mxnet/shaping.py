"""The operators that only move numbers about, as ONNX nodes."""

import math
from itertools import pairwise

import numpy as np

from app.importers.mxnet.draft import Draft, Tensor
from app.importers.mxnet.errors import CheckpointError, ShapeError
from app.importers.mxnet.layers import image
from app.importers.mxnet.symbol import Node

__all__ = [
    "concat",
    "crop",
    "flatten",
    "reshape",
    "upsampling",
]

#: Of a reshaped tensor.
MOST_AXES = 8


def flatten(draft: Draft, node: Node) -> Tensor:
    """Flatten: everything but the batch in one axis."""
    source = draft.input(node, 0)
    flat = (source.shape[0], math.prod(source.shape[1:]))
    return Tensor(draft.emit(node, "Flatten", [source.name], axis=1), flat)


def reshape(draft: Draft, node: Node) -> Tensor:
    """Reshape, where 0 copies an axis and -1 is what is left, as in ONNX."""
    source, target = draft.input(node, 0), node.attributes.numbers("shape")
    plain = 0 < len(target) <= MOST_AXES and min(target) >= -1 and target.count(-1) <= 1
    if not plain or node.attributes.flag("reverse", False):
        raise node.attributes.wrong("shape", "sizes, 0 and at most one -1, not reversed")
    if any(size == 0 and position >= len(source.shape) for position, size in enumerate(target)):
        raise ShapeError(f"{node}: copies an axis that {source.shape} does not have")
    sizes = [size or source.shape[position] for position, size in enumerate(target)]
    rest, left = divmod(math.prod(source.shape), abs(math.prod(sizes)))
    if left or (rest != 1 and -1 not in sizes):
        raise ShapeError(f"{node}: {source.shape} does not go into {target}")
    output = draft.emit(node, "Reshape", [source.name, draft.constant(node, "shape", target, np.int64)])
    return Tensor(output, tuple(rest if size == -1 else size for size in sizes))


def concat(draft: Draft, node: Node) -> Tensor:
    """Concat along an axis, of inputs that agree in all others."""
    sources, axis = draft.inputs(node), node.attributes.number("dim", 1)
    if not sources or axis >= len(sources[0].shape):
        raise CheckpointError(f"{node}: expected inputs with an axis {axis}")
    around = [(*source.shape[:axis], 0, *source.shape[axis + 1 :]) for source in sources]
    if any(first != second for first, second in pairwise(around)):
        raise ShapeError(f"{node}: its inputs differ: {', '.join(str(source.shape) for source in sources)}")
    total = sum(source.shape[axis] for source in sources)
    output = draft.emit(node, "Concat", [source.name for source in sources], axis=axis)
    return Tensor(output, (*around[0][:axis], total, *around[0][axis + 1 :]))


def upsampling(draft: Draft, node: Node) -> Tensor:
    """UpSampling, by repeating pixels."""
    source = image(draft, node)
    node.attributes.only("sample_type", "nearest")
    if len(node.inputs) != 1:
        raise CheckpointError(f"{node}: expected one input, found {len(node.inputs)}")
    scale = node.attributes.number("scale", least=1)
    scales = draft.constant(node, "scales", (1, 1, scale, scale), np.float32)
    output = draft.emit(
        node, "Resize", [source.name, "", scales], mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )  # fmt: skip
    return Tensor(output, (*source.shape[:2], source.shape[2] * scale, source.shape[3] * scale))


def crop(draft: Draft, node: Node) -> Tensor:
    """Crop to the height and width of the second input, from a corner given by `offset`."""
    source, like = image(draft, node), draft.input(node, 1)
    offset = node.attributes.pair("offset", (0, 0))
    if node.attributes.flag("center_crop", False) or len(like.shape) != 4:
        raise CheckpointError(f"{node}: only a crop to the size of another image, from a corner, is known")
    if any(
        end + start > size for end, start, size in zip(like.shape[2:], offset, source.shape[2:], strict=True)
    ):
        raise ShapeError(f"{node}: {source.shape} does not hold {like.shape} at {offset}")
    start = draft.constant(node, "start", offset, np.int64)
    size = draft.emit(node, "Shape", [like.name], "size", start=2, end=4)
    end = draft.emit(node, "Add", [size, start], "end")
    axes = draft.constant(node, "axes", (2, 3), np.int64)
    output = draft.emit(node, "Slice", [source.name, start, end, axes])
    return Tensor(output, (*source.shape[:2], *like.shape[2:]))
