"""The rewritten graph puts out what the published one does, for any batch and size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.models.arrays import Image
from app.models.catalogue import Catalogue
from app.models.feed import blob
from app.models.pipeline import Recogniser
from app.models.rewrite import free_axes, split_prelu
from app.models.runtime import Runtime


@pytest.fixture(scope="module")
def face(recogniser: Recogniser, still: Callable[[str], Image], catalogue: Catalogue) -> np.ndarray:
    """A real face, as the embedder is fed it."""
    found = recogniser.analyse(still("face_recognition/tests/test_images/obama.jpg"))
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
