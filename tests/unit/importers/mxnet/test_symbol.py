"""The reader of graphs takes every generation of them, and names what is wrong."""

import json
from typing import Any

import pytest
from mxnet_files import Net

from app.importers.mxnet import CheckpointError, read_symbol


def small() -> dict[str, Any]:
    net = Net()
    net.convolution("conv", net.variable("data"), 3)
    return net.symbol


@pytest.mark.parametrize("under", ["param", "attr", "attrs"])
def test_attributes_are_found_wherever_they_stand(under: str) -> None:
    net = Net(under)
    net.convolution("conv", net.variable("data"), 3)
    node = read_symbol(net.symbol_bytes()).nodes[-1]
    assert node.attributes.pair("kernel") == (3, 3)
    assert node.attributes.number("num_filter") == 4


def test_operator_and_user_attributes_come_together() -> None:
    graph = small()
    graph["nodes"][-1]["param"] = {"stride": "(2,2)"}
    graph["nodes"][-1]["attr"] = {"lr_mult": "1"}
    attributes = read_symbol(json.dumps(graph).encode()).nodes[-1].attributes
    assert (attributes.pair("stride"), attributes.pair("kernel")) == ((2, 2), (3, 3))


def test_old_references_have_two_numbers() -> None:
    graph = small()
    graph["nodes"][-1]["inputs"] = [[0, 0], [1, 0]]
    graph["heads"] = [[2, 0]]
    symbol = read_symbol(json.dumps(graph).encode())
    assert symbol.heads == (2,)
    assert symbol.nodes[2].inputs == (0, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda graph: graph.pop("heads"), "heads"),
        (lambda graph: graph.update(heads=[]), "expected one head"),
        (lambda graph: graph.update(heads=[[2, 0], [2, 0]]), "several different ones"),
        (lambda graph: graph.update(heads=[[3, 0, 0]]), "head 0 refers to node 3; expected an earlier"),
        (lambda graph: graph.update(heads=[[2, 1, 0]]), "takes output 1 of node 2"),
        (lambda graph: graph["nodes"][2].update(inputs=[[2, 0, 0]]), "'conv' .*: input 0 refers to node 2"),
        (lambda graph: graph["nodes"][2].update(inputs=[[-1, 0, 0]]), "refers to node -1"),
        (lambda graph: graph["nodes"][2].update(inputs=[[0]]), "expected two or three numbers, found 1"),
        (lambda graph: graph["nodes"][2].update(name="data"), "there is an earlier node of this name"),
        (lambda graph: graph["nodes"][2].update(name="a\nb"), "node 2: expected a printable name"),
        (lambda graph: graph["nodes"][2].update(name=""), "node 2: expected a printable name"),
        (lambda graph: graph["nodes"][2].pop("op"), r"nodes\[2\]"),
        (lambda graph: graph["nodes"][2].update(attrs={"kernel": 3}), r"nodes\[2\].attrs"),
        (lambda graph: graph["nodes"][1].update(inputs=[[0, 0, 0]]), "a variable with inputs"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: Any, says: str) -> None:
    graph = small()
    change(graph)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_symbol(json.dumps(graph).encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b'{"nodes": ', b"[" * 100_000, b'{"x": ' * 100_000, b"7", b" " * (9 << 20)]
)
def test_what_is_no_graph_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="no MXNet graph") as caught:
        read_symbol(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "found"), [("(3, 5)", (3, 5)), ("[3,5]", (3, 5)), ("(3L, 5L)", (3, 5)), ("3,5", (3, 5))]
)
def test_tuples_are_read_as_all_generations_wrote_them(value: str, found: tuple[int, int]) -> None:
    graph = small()
    graph["nodes"][2]["attrs"]["kernel"] = value
    assert read_symbol(json.dumps(graph).encode()).nodes[2].attributes.pair("kernel") == found


@pytest.mark.parametrize(
    "value",
    ["", "(3)", "(3, x)", "(3, 5, 7)", "(3, 99999)", "(3, 99999999999999)", "(-1, 3)", " " * 100_000 + "x"],
)
def test_what_is_no_pair_is_named(value: str) -> None:
    graph = small()
    graph["nodes"][2]["attrs"]["kernel"] = value
    node = read_symbol(json.dumps(graph).encode()).nodes[2]
    with pytest.raises(CheckpointError, match=r"node 'conv' \(Convolution\): kernel: expected"):
        node.attributes.pair("kernel", least=1)
