"""From a checkpoint to ONNX: one graph, or two where proposals come between."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from app.importers.mxnet.draft import Draft, Tensor
from app.importers.mxnet.errors import CheckpointError, ShapeError
from app.importers.mxnet.operators import convert_node
from app.importers.mxnet.params import Parameters
from app.importers.mxnet.plan import Piece, Plan, make_plan
from app.importers.mxnet.symbol import Symbol

__all__ = ["Conversion", "Part", "convert"]

OPSET, IR = 17, 8
#: Heights and widths that are tried, the usual one of embedders first, then those of cascades.
SIZES = ((112, 112), (24, 24), (48, 48), (112, 96), (96, 96), (128, 128), (160, 160), (224, 224), (12, 12))
#: What a second trial adds, more than the strides of all nets; what grows with it is free.
MORE = (128, 160)
#: Regions for each image of a trial.
REGIONS = 3
#: Bytes that fit into one ONNX file, less what the graph itself takes.
LARGEST = (2 << 30) - (16 << 20)


@dataclass(frozen=True, slots=True)
class Part:
    """One ONNX graph: `role` is net, rpn or head; shapes are those of the trial, for a batch of one."""

    role: str
    draft: Draft
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted checkpoint.

    size: height and width that the net takes; None where they are free.
    proposal: stride, scales and ratios of the anchors, as text, where the net is cut at its proposals.
    """

    parts: tuple[Part, ...]
    models: tuple[ModelProto, ...]
    size: tuple[int, int] | None
    proposal: dict[str, str]


def convert(symbol: Symbol, parameters: Parameters) -> Conversion:
    """Convert the net `symbol` with these parameters; batch and, where the net allows, H and W are free.

    Raises:
        CheckpointError: an operator or its use is not known, or graph and parameters do not fit.
    """
    plan = make_plan(symbol, parameters)
    channels = _channels(symbol, parameters)
    height, width, parts = _first_fit(symbol, parameters, plan, channels)
    free = True
    try:
        larger = (2, channels, height + MORE[0], width + MORE[1])
        others = _trial(symbol, parameters, plan, larger)
    except ShapeError:
        free = False
        others = _trial(symbol, parameters, plan, (2, channels, height, width))
    about = {} if plan.proposal is None else _anchors(plan)
    models = tuple(_model(*pair, about) for pair in zip(parts, others, strict=True))
    return Conversion(parts, models, None if free else (height, width), about)


def _first_fit(
    symbol: Symbol, parameters: Parameters, plan: Plan, channels: int
) -> tuple[int, int, tuple[Part, ...]]:
    """Convert for the first of the usual sizes that the net takes; its height and width come first."""
    refused = None
    for height, width in SIZES:
        try:
            return height, width, _trial(symbol, parameters, plan, (1, channels, height, width))
        except ShapeError as error:
            refused = refused or error
    raise refused or ShapeError("no size fits")


def _trial(
    symbol: Symbol, parameters: Parameters, plan: Plan, shape: tuple[int, int, int, int]
) -> tuple[Part, ...]:
    """Convert, following the shapes that tensors take for an input of `shape`."""
    known = {plan.pixels: Tensor(symbol.nodes[plan.pixels].name, shape)}
    if plan.proposal is not None:
        regions = (REGIONS * shape[0], 5)
        known[plan.proposal.index] = Tensor(f"{plan.proposal.name}_output", regions)
    return tuple(_part(symbol, parameters, piece, known) for piece in plan.pieces)


def _part(symbol: Symbol, parameters: Parameters, piece: Piece, known: dict[int, Tensor]) -> Part:
    """Convert one piece; what it puts out is added to `known`."""
    inputs = {index: known[index] for index in piece.inputs}
    draft = Draft(symbol, parameters, inputs)
    for node in symbol.ancestors(piece.outputs, stop=inputs):
        if not node.is_variable and node.index not in inputs:
            convert_node(draft, node)
    outputs = {index: draft.output(index) for index in piece.outputs}
    known.update(outputs)
    return Part(piece.role, draft, list(inputs.values()), list(outputs.values()))


def _channels(symbol: Symbol, parameters: Parameters) -> int:
    """Return how many channels the first convolution looks at."""
    for node in symbol.ancestors(symbol.heads):
        if node.op == "Convolution":
            weight = Draft(symbol, parameters, {}).parameter(node, 1)
            groups = node.attributes.number("num_group", 1, least=1)
            return int(weight.shape[1]) * groups if weight.ndim > 1 else 1
    raise CheckpointError("the graph has no convolution: it is not a net for images")


def _anchors(plan: Plan) -> dict[str, str]:
    """Return what the proposals are made with, as it is stored with the graph."""
    attributes = plan.proposal.attributes  # type: ignore[union-attr]
    numbers = {"scales": attributes.reals("scales"), "ratios": attributes.reals("ratios")}
    lists = {name: ",".join(f"{number:g}" for number in found) for name, found in numbers.items()}
    return {"stride": str(attributes.number("feat_stride", least=1)), **lists}


def _model(part: Part, other: Part, about: dict[str, str]) -> ModelProto:
    """Return the graph of `part`, free where its shapes differ from those of `other`."""
    size = sum(array.nbytes for array in part.draft.weights.values())
    if size > LARGEST:
        raise CheckpointError(f"{size} bytes of parameters; an ONNX file holds at most {LARGEST}")
    names = ("batch", None, "height", "width") if part.role != "head" else ()
    inputs = _values(part.inputs, other.inputs, names)
    outputs = _values(part.outputs, other.outputs, names[:1])
    graph = helper.make_graph(part.draft.nodes, part.role, inputs, outputs)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR, producer_name="onlooker")
    helper.set_model_props(model, {f"proposal.{name}": value for name, value in about.items()})
    # Last and in place: every way around would copy the weights twice more.
    for name, array in part.draft.weights.items():
        data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        model.graph.initializer.add(
            name=name, dims=array.shape, data_type=data_type, raw_data=array.tobytes()
        )
    return model


def _values(
    tensors: Sequence[Tensor], others: Sequence[Tensor], names: Sequence[str | None]
) -> list[ValueInfoProto]:
    """Describe `tensors`; an axis along which `others` are longer is free, and bears one of `names`."""
    return [
        helper.make_tensor_value_info(
            tensor.name,
            TensorProto.FLOAT,
            [
                size if size == longer else name
                for size, longer, name in zip_longest(tensor.shape, other.shape, names[: len(tensor.shape)])
            ],
        )
        for tensor, other in zip(tensors, others, strict=True)
    ]
