"""ONNX files that somebody brought: read without trust, and refused in one line."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto
from onnx.external_data_helper import uses_external_data

from app.errors import OnlookerError, one_line
from app.models.feed import SIZE
from app.weights import CatalogueError, Entry

__all__ = [
    "NetError",
    "about",
    "check_net",
    "check_sides",
    "input_dims",
    "inputs_of",
    "parse_net",
    "read_net",
]

CHANNELS = 3


class NetError(OnlookerError):
    """A file is no net that can be used; the text says why, not which."""


def read_net(path: Path) -> ModelProto:
    """Read the net in `path`, which must take pixels of three colours as its only input.

    Raises:
        NetError: it is not ONNX, is truncated, keeps weights in other files, or takes something else.
    """
    model = parse_net(path)
    input_dims(model)
    return model


def parse_net(path: Path) -> ModelProto:
    """Read the net in `path`, whatever it takes.

    Raises:
        NetError: it is not ONNX, is truncated, or keeps weights in other files.
    """
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except OSError as error:
        raise NetError(f"cannot read {path}: {error.strerror}") from None
    except Exception:
        # What protobuf raises for bytes that are no message of ours.
        raise NetError("not an ONNX file, or a truncated one") from None
    if not model.graph.node:
        raise NetError("not an ONNX file: there is no graph in it")
    outside = next(_outside(model), None)
    if outside is not None:
        raise NetError(f"the weight {outside!r} is kept in another file; save the net as one file first")
    return model


def check_net(model: ModelProto) -> None:
    """Check `model` as ONNX itself does, or raise NetError."""
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise NetError(f"not a valid net: {one_line(error)}") from None


def check_sides(model: ModelProto) -> None:
    """Check that `model` takes aligned faces, or raise NetError."""
    height, width = input_dims(model)[2:]
    if height not in (0, SIZE) or width not in (0, SIZE):
        raise NetError(
            f"the embedder takes {width or 'any'}x{height or 'any'} pixels; expected {SIZE}x{SIZE}"
        )


def inputs_of(graph: GraphProto) -> list[ValueInfoProto]:
    """Return what `graph` is fed; older exporters list the weights as inputs too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


@contextmanager
def about(entry: Entry) -> Iterator[None]:
    """Put the name of `entry` before what is wrong with its net.

    Raises:
        CatalogueError: something is.
    """
    try:
        yield
    except (NetError, CatalogueError) as error:
        raise CatalogueError(f"{entry.name}: {error}") from None


def input_dims(model: ModelProto) -> tuple[int, ...]:
    """Return the lengths of the input's four axes, 0 for those that are free, or raise NetError."""
    inputs = inputs_of(model.graph)
    if len(inputs) != 1:
        raise NetError(f"expected one input, found {len(inputs)}")
    tensor = inputs[0].type.tensor_type
    dims = tuple(dim.dim_value for dim in tensor.shape.dim)
    if tensor.elem_type != TensorProto.FLOAT:
        names = {number: name.lower() for name, number in TensorProto.DataType.items()}
        kind = names.get(tensor.elem_type, "unknown")
        raise NetError(f"the input takes {kind} numbers; expected float, of 32 bits")
    if len(dims) != 4 or dims[1] not in (0, CHANNELS):
        shape = "x".join(str(dim or "?") for dim in dims)
        raise NetError(f"the input takes {shape or 'a single number'}; expected batch x 3 x height x width")
    return dims


def _outside(model: ModelProto) -> Iterator[str]:
    """Yield the names of tensors whose values are in other files."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for tensor in [*model.graph.initializer, *_tensors(nodes)]:
        if uses_external_data(tensor):
            yield tensor.name


def _tensors(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    """Yield the tensors in the attributes of `nodes`, and those of the graphs in them."""
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        if attribute.type == AttributeProto.TENSOR:
            yield attribute.t
        yield from attribute.tensors
        inner = [attribute.g] if attribute.type == AttributeProto.GRAPH else []
        for graph in [*inner, *attribute.graphs]:
            yield from graph.initializer
            yield from _tensors(graph.node)
