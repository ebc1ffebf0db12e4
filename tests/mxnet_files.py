"""Checkpoints for tests, written from scratch in every version of the format."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "VERSIONS", "Net", "cascade_nets", "embedder_net", "params_bytes", "single_stage_net", "two_stage_net",
    "write_cascade",
]  # fmt: skip

#: Version -> magic number; the oldest has none.
VERSIONS = {"oldest": None, "1": 0xF993FAC8, "2": 0xF993FAC9, "3": 0xF993FACA}
CODES = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6}


def array_bytes(array: np.ndarray, version: str = "2") -> bytes:
    magic = VERSIONS[version]
    storage = struct.pack("<i", 0) if version in ("2", "3") else b""
    head = b"" if magic is None else struct.pack("<I", magic)
    unit = "I" if magic is None else "q"
    shape = struct.pack(f"<I{array.ndim}{unit}", array.ndim, *array.shape)
    return head + storage + shape + struct.pack("<iii", 1, 0, CODES[array.dtype.name]) + array.tobytes()


def params_bytes(arrays: Mapping[str, np.ndarray], version: str = "2") -> bytes:
    parts = [struct.pack("<QQQ", 0x112, 0, len(arrays))]
    parts += [array_bytes(array, version) for array in arrays.values()]
    parts.append(struct.pack("<Q", len(arrays)))
    parts += [struct.pack("<Q", len(name.encode())) + name.encode() for name in arrays]
    return b"".join(parts)


class Net:
    """A graph and its parameters, put together node by node."""

    def __init__(self, attributes_under: str = "attrs") -> None:
        self.nodes: list[dict[str, Any]] = []
        self.params: dict[str, np.ndarray] = {}
        self.heads: list[int] = []
        self._under = attributes_under
        self.random = np.random.default_rng(7)

    def variable(self, name: str, *shape: int, kind: str = "arg") -> int:
        """Add a variable; one with a shape is a parameter."""
        if shape:
            values = self.random.uniform(0.1, 1, shape) * self.random.choice([-1, 1], shape)
            self.params[f"{kind}:{name}"] = (np.abs(values) if name.endswith("var") else values).astype("f4")
        return self._add("null", name, [], {})

    def op(self, op: str, name: str, inputs: Sequence[int], **attributes: object) -> int:
        return self._add(op, name, list(inputs), {key: str(value) for key, value in attributes.items()})

    def convolution(self, name: str, source: int, channels: int, filters: int = 4, **more: object) -> int:
        how: dict[str, Any] = {"kernel": (3, 3), "num_filter": filters, "no_bias": True} | more
        weight = self.variable(f"{name}_weight", filters, channels, *how["kernel"])
        return self.op("Convolution", name, [source, weight], **how)

    def _add(self, op: str, name: str, inputs: list[int], attributes: dict[str, str]) -> int:
        node: dict[str, Any] = {"op": op, "name": name, "inputs": [[index, 0, 0] for index in inputs]}
        if attributes:
            node[self._under] = attributes
        self.nodes.append(node)
        return len(self.nodes) - 1

    @property
    def symbol(self) -> dict[str, Any]:
        heads = self.heads or [len(self.nodes) - 1]
        variables = [index for index, node in enumerate(self.nodes) if node["op"] == "null"]
        return {
            "nodes": self.nodes,
            "arg_nodes": variables,
            "node_row_ptr": list(range(len(self.nodes) + 1)),
            "heads": [[head, 0, 0] for head in heads],
            "attrs": {"mxnet_version": ["int", 10901]},
        }

    def symbol_bytes(self) -> bytes:
        return json.dumps(self.symbol).encode()

    def write(self, prefix: Path, epoch: int = 0) -> Path:
        Path(f"{prefix}-symbol.json").write_bytes(self.symbol_bytes())
        Path(f"{prefix}-{epoch:04d}.params").write_bytes(params_bytes(self.params))
        return prefix


def embedder_net(size: int = 112, dimension: int = 64) -> Net:
    """Return a small embedder of faces, with weights drawn from a seed."""
    net = Net()
    node = net.op("_minus_scalar", "minus", [net.variable("data")], scalar=127.5)
    node = net.op("_mul_scalar", "times", [node], scalar=0.0078125)
    node = net.convolution("conv", node, 3, stride=(8, 8))
    side = (size - 3) // 8 + 1
    weight = net.variable("fc_weight", dimension, 4 * side * side)
    net.op("FullyConnected", "fc", [node, weight], num_hidden=dimension, no_bias=True)
    return net


def cascade_nets() -> list[Net]:
    """Return three small nets in the shape of MTCNN's, with weights drawn from a seed."""
    first = Net()
    node = _cascade_start(first, pool=2)
    for name in ("conv2", "conv3"):
        node = first.convolution(name, node, 4)
    boxes = first.convolution("conv4_2", node, 4, 4, kernel=(1, 1))
    scores = first.convolution("conv4_1", node, 4, 2, kernel=(1, 1))
    first.heads = [boxes, first.op("SoftmaxActivation", "prob1", [scores], mode="channel")]
    return [first, _cascade_end(24, "conv5_2"), _cascade_end(48, "conv6_2", "conv6_3")]


def _cascade_start(net: Net, pool: int) -> int:
    node = net.convolution("conv1", net.variable("data"), 3)
    slopes = net.variable("prelu1_gamma", 4)
    node = net.op("LeakyReLU", "prelu1", [node, slopes], act_type="prelu", slope=0.25)
    how = {"kernel": (pool, pool), "stride": (2, 2), "pool_type": "max", "pooling_convention": "full"}
    return net.op("Pooling", "pool1", [node], **how)


def _cascade_end(side: int, boxes: str, landmarks: str = "") -> Net:
    """Return one of the nets that look at squares of `side` pixels."""
    net = Net()
    node = _cascade_start(net, pool=3)
    inputs = 4 * (side // 2 - 1) ** 2
    net.heads = [_dense(net, node, landmarks, inputs, 10)] if landmarks else []
    net.heads.append(_dense(net, node, boxes, inputs, 4))
    scores = _dense(net, node, "score", inputs, 2)
    net.heads.append(net.op("SoftmaxOutput", "prob1", [scores, net.variable("prob1_label")]))
    return net


def write_cascade(prefix: Path, epoch: int = 0) -> Path:
    """Write the three nets, and return what to import them by."""
    for number, net in enumerate(cascade_nets(), start=1):
        net.write(prefix.with_name(f"{prefix.name}{number}"), epoch)
    return prefix


def single_stage_net() -> Net:
    """Return a small detector in the shape of RetinaFace, with weights drawn from a seed."""
    net = Net()
    pixels = net.variable("data")
    for stride in (32, 16):
        node = net.convolution(f"features{stride}", pixels, 3, stride=(stride, stride), pad=(1, 1))
        net.heads += [
            _scores(net, node, f"face_rpn_cls_{{}}_stride{stride}", 2),
            net.convolution(f"face_rpn_bbox_pred_stride{stride}", node, 4, 8, kernel=(1, 1)),
        ]
    return net


def two_stage_net() -> Net:
    """Return a small detector that proposes regions, in the shape of FR50, with weights from a seed."""
    net = Net()
    node = net.convolution("features", net.variable("data"), 3, stride=(16, 16), pad=(1, 1))
    scores = _scores(net, node, "rpn_cls_{}", 12)
    deltas = net.convolution("rpn_bbox_pred", node, 4, 48, kernel=(1, 1))
    rois = net.op(
        "Custom", "rpn_rois", [scores, deltas, net.variable("im_info")], op_type="proposal", feat_stride=16,
        scales=(4, 8, 16, 32), ratios="(0.5, 1, 2)", is_train=False,
    )  # fmt: skip
    pooled = net.op("ROIPooling", "pool", [node, rois], pooled_size=(2, 2), spatial_scale=0.0625)
    net.heads = [rois]
    scores, deltas = (
        _dense(net, pooled, name, 16, number) for name, number in (("cls_score", 2), ("bbox_pred", 8))
    )
    scores = net.op("SoftmaxActivation", "cls_prob", [scores], mode="instance")
    net.heads.append(net.op("Reshape", "cls_prob_reshape", [scores], shape=(1, -1, 2)))
    net.heads.append(net.op("Reshape", "bbox_pred_reshape", [deltas], shape=(1, -1, 8)))
    return net


def _dense(net: Net, node: int, name: str, inputs: int, outputs: int) -> int:
    weight, bias = net.variable(f"{name}_weight", outputs, inputs), net.variable(f"{name}_bias", outputs)
    return net.op("FullyConnected", name, [node, weight, bias], num_hidden=outputs)


def _scores(net: Net, node: int, name: str, anchors: int) -> int:
    """Add the scores of so many anchors at each place, which two classes share."""
    node = net.convolution(name.format("score"), node, 4, 2 * anchors, kernel=(1, 1))
    node = net.op("Reshape", name.format("score_reshape"), [node], shape=(0, 2, -1, 0))
    node = net.op("SoftmaxActivation", name.format("prob"), [node], mode="channel")
    return net.op("Reshape", name.format("prob_reshape"), [node], shape=(0, 2 * anchors, -1, 0))
