"""Checkpoints for tests, written from scratch in every version of the format."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["VERSIONS", "Net", "embedder_net", "params_bytes"]

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
        weight = self.variable(f"{name}_weight", filters, channels, 3, 3)
        how = {"kernel": (3, 3), "num_filter": filters, "no_bias": True} | more
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
