"""What is changed in a net's graph when it is loaded: free axes, and what would run slowly as it is."""

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from app.models.onnx_file import inputs_of

__all__ = ["flush_denormals", "free_axes", "split_prelu"]

#: Operators that see more of the graph than their inputs.
BRANCHING = ("If", "Loop", "Scan")


def free_axes(model: ModelProto) -> None:
    """Make the batch, height and width of `model`'s only input dynamic, in place.

    Older exporters list the weights as inputs too, which keeps them from being folded: they are taken off.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    inputs = inputs_of(graph)
    del graph.input[:]
    graph.input.extend(inputs)
    dims = graph.input[0].type.tensor_type.shape.dim
    fixed_batch = dims[0].dim_value
    for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
        dims[axis].dim_param = name
    without = _without(graph, fixed_batch)
    del graph.value_info[:]
    for output in graph.output:
        for dim in output.type.tensor_type.shape.dim:
            dim.Clear()
    if fixed_batch:
        _free_reshapes(graph, weights, fixed_batch, without)


def _without(graph: GraphProto, fixed_batch: int) -> set[str]:
    """Return the names of the values whose first axis is as long as no batch, as far as `graph` tells."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in graph.value_info}
    return {name for name, dims in shapes.items() if dims and dims[0].dim_value not in (0, fixed_batch)}


def _free_reshapes(
    graph: GraphProto, weights: dict[str, TensorProto], fixed_batch: int, without: set[str]
) -> None:
    """Let reshapes to a fixed batch copy the batch (a 0 in the target) instead.

    Left alone are reshapes of weights, of what is computed from them alone, and of values `without` a batch.
    Others that begin with the same number by chance cannot be told from those of the batch by the graph.
    """
    targets = weights | _constants(graph)
    fixed = {"", *targets}
    taken = {name for node in graph.node for name in (*node.input, *node.output)} | targets.keys()
    for node in graph.node:
        if node.op_type not in BRANCHING and fixed.issuperset(node.input):
            fixed.update(node.output)
        elif _is_plain_reshape(node) and node.input[0] not in without and node.input[1] in targets:
            target = numpy_helper.to_array(targets[node.input[1]]).copy()
            if target.size and target[0] == fixed_batch:
                target[0] = 0
                # Of its own: what it is reshaped to may be of use elsewhere, too.
                node.input[1] = _new_name(f"{node.output[0]}_target", taken)
                graph.initializer.append(numpy_helper.from_array(target, node.input[1]))


def _is_plain_reshape(node: NodeProto) -> bool:
    """Tell whether `node` is a Reshape in whose target a 0 copies a length."""
    return node.op_type == "Reshape" and not any(
        attribute.name == "allowzero" and attribute.i for attribute in node.attribute
    )


def _new_name(name: str, taken: set[str]) -> str:
    """Return `name`, made longer until it is not among those `taken`, and take it."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _constants(graph: GraphProto) -> dict[str, TensorProto]:
    """Return the tensors of the Constant nodes, by the name of what they put out."""
    return {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }


def flush_denormals(model: ModelProto) -> int:
    """Set the weights that are smaller than any normal number to zero, in place; return how many there were.

    Training with weight decay leaves thousands of them; `denormals` says what they cost.
    """
    constants = _constants(model.graph).values()
    return sum(_flush(tensor) for tensor in (*model.graph.initializer, *constants))


def _flush(tensor: TensorProto) -> int:
    if tensor.data_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return 0
    values = numpy_helper.to_array(tensor)
    denormal = (values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny)
    count = int(np.count_nonzero(denormal))
    if count:
        tensor.CopyFrom(
            numpy_helper.from_array(np.where(denormal, 0, values).astype(values.dtype), tensor.name)
        )
    return count


def split_prelu(model: ModelProto) -> int:
    """Rewrite each PReLU with one slope per channel as depthwise convolutions, in place; return how many.

    PReLU(x) = DW(slope, x) + DW(1 - slope, Relu(x)), with DW a 1x1 depthwise Conv. onnxruntime has no
    PReLU in its blocked (NCHWc) layout, so that every PReLU costs two reorderings of the whole map.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    count = 0
    for node in graph.node:
        slope = _channel_slope(node, weights)
        if slope is None:
            nodes.append(node)
            continue
        nodes.extend(_prelu_as_convolutions(graph, node, slope, f"prelu{count}"))
        count += 1
    del graph.node[:]
    graph.node.extend(nodes)
    _drop_unused(graph)
    return count


def _channel_slope(node: NodeProto, weights: dict[str, TensorProto]) -> np.ndarray | None:
    """Return the slopes (C,) float32 of a PReLU on (N, C, H, W), or None for anything else."""
    if node.op_type != "PRelu" or node.input[1] not in weights:
        return None
    tensor = weights[node.input[1]]
    dims = list(tensor.dims)
    # A single slope is shared by all channels, however many there are.
    if tensor.data_type != TensorProto.FLOAT or len(dims) != 3 or dims[0] == 1 or dims[1:] != [1, 1]:
        return None
    return numpy_helper.to_array(tensor).reshape(-1)


def _prelu_as_convolutions(
    graph: GraphProto, node: NodeProto, slope: np.ndarray, name: str
) -> list[NodeProto]:
    channels = slope.size
    for suffix, values in (("slope", slope), ("rest", 1 - slope)):
        kernel = values.astype(np.float32).reshape(channels, 1, 1, 1)
        graph.initializer.append(numpy_helper.from_array(kernel, f"{name}_{suffix}"))
    source, target = node.input[0], node.output[0]
    return [
        helper.make_node("Relu", [source], [f"{name}_positive"]),
        helper.make_node(
            "Conv", [source, f"{name}_slope"], [f"{name}_a"], group=channels, kernel_shape=[1, 1]
        ),
        helper.make_node(
            "Conv", [f"{name}_positive", f"{name}_rest"], [f"{name}_b"], group=channels, kernel_shape=[1, 1]
        ),
        helper.make_node("Add", [f"{name}_a", f"{name}_b"], [target]),
    ]


def _drop_unused(graph: GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
