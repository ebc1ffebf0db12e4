"""Whatever is done to a checkpoint, it is refused in one line or taken, in memory that fits its size."""

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mxnet_files import VERSIONS, Net, params_bytes

from app.importers.mxnet import CheckpointError, convert, read_params, read_symbol
from app.importers.mxnet.check import self_check

#: Bytes that any call takes, whatever it is given.
FIXED = 200_000
#: Bytes for each one of the file: the arrays are views; a graph becomes objects.
PARAMS_FACTOR, SYMBOL_FACTOR = 2, 40

LIMITS = [0, 1, 2, 3, 255, 0x112, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
LIMITS += [magic for magic in VERSIONS.values() if magic]


def two_stages() -> Net:
    """Return a small detector in two stages."""
    net = Net()
    node = net.op("BatchNorm", "bn_data", [net.variable("data"), *batch_norm(net, "bn_data", 3)], eps=1e-5)
    base = net.convolution("base", node, 3, filters=4, stride=(8, 8))
    score = net.convolution("score", base, 4, filters=4, pad=(1, 1))
    score = net.op("Reshape", "reshape", [score], shape=(0, 2, -1, 0))
    score = net.op("SoftmaxActivation", "prob", [score], mode="channel")
    score = net.op("Reshape", "back", [score], shape=(0, 4, -1, 0))
    moves = net.convolution("moves", base, 4, filters=8, pad=(1, 1))
    rois = net.op(
        "Custom", "rois", [score, moves, net.variable("im_info")], op_type="proposal", feat_stride=8,
        scales=(2, 4), ratios=(1,),
    )  # fmt: skip
    pool = net.op("ROIPooling", "pool", [base, rois], pooled_size=(3, 3), spatial_scale=0.125)
    weights = [net.variable("fc_weight", 2, 36), net.variable("fc_bias", 2)]
    net.op("FullyConnected", "fc", [pool, *weights], num_hidden=2)
    net.heads = [rois, len(net.nodes) - 1]
    return net


def single_stage() -> Net:
    """Return a small net with most of the operators."""
    net = Net()
    node = net.op("_minus_scalar", "minus", [net.variable("data")], scalar=127.5)
    node = net.convolution("first", node, 3, stride=(2, 2))
    node = net.op("BatchNorm", "bn", [node, *batch_norm(net, "bn", 4)], fix_gamma=False)
    node = net.op("LeakyReLU", "prelu", [node, net.variable("prelu_gamma", 4)], act_type="prelu")
    pool = net.op(
        "Pooling", "pool", [node], kernel=(2, 2), stride=(2, 2), pool_type="max", pooling_convention="full"
    )
    grown = net.op("UpSampling", "grown", [pool], scale=2, sample_type="nearest", num_args=1)
    crop = net.op("Crop", "crop", [grown, node], num_args=2)
    joined = net.op("Concat", "joined", [crop, node], num_args=2, dim=1)
    second = net.convolution("second", joined, 8, filters=4, num_group=2)
    net.params["arg:second_weight"] = net.params["arg:second_weight"][:, :4]
    node = net.op("elemwise_add", "sum", [second, net.op("Activation", "relu", [second], act_type="relu")])
    node = net.op("Pooling", "mean", [node], global_pool=True, kernel=(1, 1), pool_type="avg")
    node = net.op("Dropout", "dropout", [net.op("Flatten", "flat", [node])], p=0.4)
    weights = [net.variable("fc_weight", 6, 4), net.variable("fc_bias", 6)]
    node = net.op("FullyConnected", "fc", [node, *weights], num_hidden=6)
    net.op("SoftmaxOutput", "prob", [node, net.variable("prob_label")])
    return net


def batch_norm(net: Net, name: str, channels: int) -> list[int]:
    affine = [net.variable(f"{name}_{what}", channels) for what in ("gamma", "beta")]
    return affine + [net.variable(f"{name}_moving_{what}", channels, kind="aux") for what in ("mean", "var")]


NETS = {"single stage": single_stage(), "two stages": two_stages()}

PLACE = st.integers(0, 1 << 16)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), PLACE, st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("put"), PLACE, st.sampled_from(LIMITS).map(lambda n: struct.pack("<Q", n))),
        st.tuples(st.just("put"), PLACE, st.sampled_from(LIMITS).map(lambda n: struct.pack("<I", n % 2**32))),
        st.tuples(st.just("insert"), PLACE, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("remove"), PLACE, st.integers(1, 64)),
        st.tuples(st.just("repeat"), PLACE, st.integers(1, 64)),
        st.tuples(st.just("cut"), PLACE, st.none()),
    ),
    min_size=1,
    max_size=4,
)


def edit(data: bytes, edits: list[tuple[str, int, Any]]) -> bytes:
    for what, where, how in edits:
        at = where % (len(data) + 1)
        if what == "put":
            data = data[:at] + how + data[at + len(how) :]
        elif what == "insert":
            data = data[:at] + how + data[at:]
        elif what == "remove":
            data = data[:at] + data[at + how :]
        elif what == "repeat":
            data = data[:at] + data[at : at + how] + data[at:]
        else:
            data = data[:at]
    return data


def within(limit: int, work: Callable[[], Any]) -> Any:
    """Return what `work` does, or None where it refuses; it may take at most `limit` bytes at any time."""
    tracemalloc.start()
    try:
        result = work()
    except CheckpointError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
        result = None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak <= limit, (peak, limit)
    return result


@settings(max_examples=600, deadline=None)
@given(version=st.sampled_from(list(VERSIONS)), edits=EDITS)
def test_any_parameters(version: str, edits: list) -> None:
    data = edit(params_bytes(NETS["single stage"].params, version), edits)
    found = within(FIXED + PARAMS_FACTOR * len(data), lambda: read_params(data))
    if found is not None:
        # A correct load: everything is accounted for, byte by byte.
        assert sum(array.nbytes for array in found.values()) < len(data)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400), head=st.booleans())
def test_any_bytes(data: bytes, head: bool) -> None:
    given_ = struct.pack("<QQ", 0x112, 0) + data if head else data
    within(FIXED + PARAMS_FACTOR * len(given_), lambda: read_params(given_))
    within(FIXED + SYMBOL_FACTOR * len(data), lambda: read_symbol(data))


@settings(max_examples=600, deadline=None)
@given(name=st.sampled_from(list(NETS)), edits=EDITS)
def test_any_graph_as_text(name: str, edits: list) -> None:
    net = NETS[name]
    data = edit(net.symbol_bytes(), edits)
    symbol = within(FIXED + SYMBOL_FACTOR * len(data), lambda: read_symbol(data))
    if symbol is not None:
        within(1 << 20, lambda: convert(symbol, read_params(params_bytes(net.params))))


VALUES = st.one_of(
    st.sampled_from(
        ["True", "False", "None", "max", "avg", "full", "channel", "prelu", "", "nan", "inf", "1e-3"]
    ),
    st.integers(-2, 70000).map(str),
    st.lists(st.integers(-2, 300), max_size=5).map(lambda numbers: str(tuple(numbers))),
    st.text(max_size=8),
)
OPS = [
    "Convolution",
    "Pooling",
    "Reshape",
    "Concat",
    "Crop",
    "FullyConnected",
    "Custom",
    "ROIPooling",
    "null",
    "Flatten",
]
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("attribute"), PLACE, PLACE, VALUES),
        st.tuples(st.just("input"), PLACE, PLACE, PLACE),
        st.tuples(st.just("operator"), PLACE, PLACE, st.sampled_from(OPS)),
        st.tuples(st.just("head"), PLACE, PLACE, PLACE),
        st.tuples(st.just("fewer inputs"), PLACE, PLACE, PLACE),
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip


def change(graph: dict[str, Any], changes: list[tuple[str, int, int, Any]]) -> None:
    """Change what the graph says, so that it is still a graph."""
    for what, first, second, value in changes:
        node = graph["nodes"][first % len(graph["nodes"])]
        if what == "attribute" and node.get("attrs"):
            keys = sorted(node["attrs"])
            node["attrs"][keys[second % len(keys)]] = value
        elif what == "input" and node["inputs"]:
            node["inputs"][second % len(node["inputs"])] = [value % len(graph["nodes"]), 0, 0]
        elif what == "operator":
            node["op"] = value
        elif what == "head":
            graph["heads"][second % len(graph["heads"])] = [value % len(graph["nodes"]), 0, 0]
        elif what == "fewer inputs":
            node["inputs"] = node["inputs"][: second % (len(node["inputs"]) + 1)]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(list(NETS)), changes=CHANGES)
def test_any_graph_that_is_taken_runs_or_is_refused(tmp_path: Path, name: str, changes: list) -> None:
    net = NETS[name]
    graph = json.loads(net.symbol_bytes())
    change(graph, changes)
    data = json.dumps(graph).encode()

    def work() -> None:
        conversion = convert(read_symbol(data), read_params(params_bytes(net.params)))
        paths = [tmp_path / f"{part.role}.onnx" for part in conversion.parts]
        for path, model in zip(paths, conversion.models, strict=True):
            onnx.save(model, path)
        self_check(conversion, paths)

    try:
        work()
    except CheckpointError as error:
        assert "\n" not in str(error)


def test_the_nets_of_these_tests_are_taken_as_they_are(tmp_path: Path) -> None:
    for net in NETS.values():
        conversion = convert(read_symbol(net.symbol_bytes()), read_params(params_bytes(net.params)))
        paths = [tmp_path / f"{part.role}.onnx" for part in conversion.parts]
        for path, model in zip(paths, conversion.models, strict=True):
            onnx.save(model, path)
        self_check(conversion, paths)


@pytest.mark.parametrize(
    "data",
    [
        b'{"heads":[[0,0]],"nodes":['
        + b",".join(b'{"op":"null","name":"%d"}' % i for i in range(20_000))
        + b"]}",
        b'{"heads":[[0,0]],"nodes":[{"op":"a","name":"b","inputs":['
        + b",".join([b"[0,0]"] * 50_000)
        + b"]}]}",
        b'{"heads":[[0,0]],"nodes":[{"op":"a","name":"b","inputs":[' + b",".join([b"[]"] * 100_000) + b"]}]}",
        b'{"heads":[[0,0]],"nodes":[],"x":[' + b",".join([b"[]"] * 100_000) + b"]}",
    ],
    ids=["nodes", "inputs", "empty inputs", "not looked at"],
)
def test_a_graph_made_to_take_memory(data: bytes) -> None:
    within(FIXED + SYMBOL_FACTOR * len(data), lambda: read_symbol(data))


def test_reading_takes_no_copy_of_the_arrays() -> None:
    data = params_bytes({"arg:x": np.zeros(4_000_000, "f4")})
    assert within(FIXED, lambda: read_params(data)) is not None
