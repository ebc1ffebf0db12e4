"""The rewritten graph puts out what the published one does, for any batch and size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from media.stills import PORTRAIT
from onnx import TensorProto, helper, numpy_helper

from app.models.feed import blob
from app.models.images import Image
from app.models.pipeline import Recogniser
from app.models.runtime.rewrite import flush_denormals, free_axes, split_prelu
from app.models.runtime.session import Runtime
from app.weights.catalogue import Catalogue


@pytest.fixture(scope="module")
def face(recogniser: Recogniser, still: Callable[[str], Image], catalogue: Catalogue) -> np.ndarray:
    """A real face, as the embedder is fed it."""
    found = recogniser.analyse(still(PORTRAIT))
    return blob(list(found.aligned), catalogue.embedder("faceplugin-512").input)


def test_a_split_prelu_changes_nothing(weights: Path, face: np.ndarray) -> None:
    path = weights / "faceplugin-512.onnx"
    published = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    free_axes(model)
    assert split_prelu(model) == 33
    assert not any(node.op_type == "PRelu" for node in model.graph.node)
    (expected,) = published.run(None, {"input": face})
    (found,) = Runtime().session(model).run(None, {"input": face})
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_batch_is_free(weights: Path, face: np.ndarray) -> None:
    model = onnx.load(weights / "faceplugin-512.onnx")
    free_axes(model)
    session = Runtime().session(model)
    batch = np.concatenate([face, face[:, :, :, ::-1], face])
    (together,) = session.run(None, {"input": batch})
    for row in range(3):
        (alone,) = session.run(None, {"input": batch[row : row + 1]})
        np.testing.assert_allclose(together[row : row + 1], alone, atol=1e-5)


def test_height_and_width_are_free(shared_data: Path) -> None:
    path = shared_data / "models/yunet_s_640_640.onnx"
    published = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    dynamic = ort.InferenceSession(
        str(shared_data / "models/yunet_s_dynamic.onnx"), providers=["CPUExecutionProvider"]
    )
    model = onnx.load(path)
    free_axes(model)
    session = Runtime().session(model)
    random = np.random.default_rng(3)
    for size, reference in (((640, 640), published), ((384, 640), dynamic), ((96, 32), dynamic)):
        image = random.uniform(0, 255, (1, 3, *size)).astype(np.float32)
        names = [output.name for output in published.get_outputs()]
        for expected, found in zip(
            reference.run(names, {"input": image}), session.run(names, {"input": image}), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=1e-4)


def reshaped(*nodes: onnx.NodeProto, said: dict[str, list[int]] | None = None) -> onnx.ModelProto:
    """Return a net of `nodes` from x, (1, 3, 4, 4), to y, with the `target` [1, -1] and the weights `w`."""
    weights = {"target": np.array([1, -1], np.int64), "w": np.arange(12, dtype=np.float32).reshape(3, 4)}
    graph = helper.make_graph(
        nodes,
        "reshaped",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "z")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
        value_info=[
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (said or {}).items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


CONSTANT = helper.make_node(
    "Constant", [], ["shape"], value=numpy_helper.from_array(np.array([1, -1], np.int64))
)


@pytest.mark.parametrize("target", ["target", "shape"], ids=["weight", "constant"])
@pytest.mark.parametrize("way", ["weights", "computed", "said", "other use"])
def test_only_reshapes_of_the_batch_are_freed_though_others_share_their_target(way: str, target: str) -> None:
    other = {
        "weights": [helper.make_node("Reshape", ["w", target], ["z"])],
        "computed": [
            helper.make_node("Exp", ["w"], ["e"]),
            helper.make_node("Reshape", ["e", target], ["z"]),
        ],
        "said": [
            helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2, 3]),
            helper.make_node("Reshape", ["t", target], ["z"]),
        ],
        "other use": [helper.make_node("Cast", [target], ["z"], to=TensorProto.FLOAT)],
    }
    first = [CONSTANT, helper.make_node("Reshape", ["x", target], ["y"])]
    model = reshaped(*first, *other[way], said={"t": [3, 1, 4, 4]} if way == "said" else None)
    x = np.random.default_rng(5).normal(size=(1, 3, 4, 4)).astype(np.float32)
    published = Runtime().session(model).run(None, {"x": x})
    free_axes(model)
    session = Runtime().session(model)
    for expected, found in zip(published, session.run(None, {"x": x}), strict=True):
        np.testing.assert_array_equal(found, expected)
    both = np.concatenate([x, -x])
    np.testing.assert_array_equal(session.run(["y"], {"x": both})[0], both.reshape(2, -1))


def test_names_of_new_targets_are_taken_by_nothing_else() -> None:
    nodes = [
        helper.make_node("Identity", ["w"], ["y_target"]),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
        helper.make_node("Exp", ["y_target"], ["z"]),
    ]
    model = reshaped(*nodes)
    free_axes(model)
    both = np.ones((2, 3, 4, 4), np.float32)
    assert [output.shape for output in Runtime().session(model).run(None, {"x": both})] == [(2, 48), (3, 4)]


def test_a_reshape_in_which_0_is_a_length_keeps_its_target() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "target"], ["y"], allowzero=1),
        helper.make_node("Exp", ["w"], ["z"]),
    ]
    model = reshaped(*nodes)
    free_axes(model)
    x = np.ones((1, 3, 4, 4), np.float32)
    assert Runtime().session(model).run(["y"], {"x": x})[0].shape == (1, 48)


def small_model(slope: np.ndarray, shape: list[int]) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(slope, "slope")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


@pytest.mark.parametrize(
    ("slope", "shape"),
    [
        (np.full((6,), 0.25, np.float32), [2, 6]),
        (np.full((1,), 0.25, np.float32), [2, 6, 5, 5]),
        (np.full((1, 1, 1), 0.25, np.float32), [2, 6, 5, 5]),
        (np.full((6, 5, 5), 0.25, np.float32), [2, 6, 5, 5]),
        (np.full((6, 1, 1), 0.25, np.float64), [2, 6, 5, 5]),
    ],
    ids=["fully connected", "shared", "shared, three axes", "for each pixel", "not float32"],
)
def test_other_prelus_are_left_alone(slope: np.ndarray, shape: list[int]) -> None:
    model = small_model(slope, shape)
    before = model.SerializeToString()
    assert split_prelu(model) == 0
    assert model.SerializeToString() == before


def test_a_slope_for_each_channel_is_split() -> None:
    slope = np.array([-0.5, 0.0, 0.25, 1.0, 1.5, 3.0], np.float32).reshape(6, 1, 1)
    model = small_model(slope, [2, 6, 5, 5])
    x = np.random.default_rng(4).normal(0, 3, (2, 6, 5, 5)).astype(np.float32)
    assert split_prelu(model) == 1
    (found,) = Runtime().session(model).run(None, {"x": x})
    np.testing.assert_allclose(found, np.where(x > 0, x, slope * x), atol=1e-6)


def _weighted(*weights: TensorProto) -> onnx.ModelProto:
    graph = helper.make_graph([], "weights", [], [], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_weights_that_are_no_normal_numbers_become_zero_and_others_stay() -> None:
    tiny = np.finfo(np.float32).tiny
    values = np.array([1e-40, -1e-45, tiny, -tiny, 0, 1, np.nan, -np.inf], np.float32)
    spelt_out = helper.make_tensor("listed", TensorProto.FLOAT, [2], [1e-40, 2])
    wide = numpy_helper.from_array(np.array([1e-310, 1e-40]), "wide")
    whole = numpy_helper.from_array(np.array([0, 7], np.int64), "whole")
    model = _weighted(numpy_helper.from_array(values, "packed"), spelt_out, wide, whole)
    constant = helper.make_node(
        "Constant", [], ["c"], value=numpy_helper.from_array(np.array(3e-39, np.float32))
    )
    model.graph.node.append(constant)
    assert flush_denormals(model) == 5
    found = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    expected = [np.array([0, 0, *values[2:]], np.float32), np.array([0, 2], np.float32), [0, 1e-40], [0, 7]]
    for array, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array, wanted)
    assert [tensor.name for tensor in model.graph.initializer] == ["packed", "listed", "wide", "whole"]
    assert numpy_helper.to_array(model.graph.node[0].attribute[0].t) == 0
    assert flush_denormals(model) == 0


def test_the_default_embedder_loses_its_denormals_and_nothing_else(weights: Path) -> None:
    model = onnx.load(weights / "faceplugin-512.onnx")
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert flush_denormals(model) == 8938
    for tensor in model.graph.initializer:
        difference = numpy_helper.to_array(tensor) - before[tensor.name]
        assert np.abs(difference).max(initial=0) < np.finfo(np.float32).tiny
