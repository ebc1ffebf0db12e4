"""The real nets, pulled once into the checkout's own weights folder, where `make setup` puts them too."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.models.catalogue import Catalogue, load_catalogue
from app.models.pipeline import Recogniser, load_recogniser
from app.settings import ROOT, Settings


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "weights")


@pytest.fixture(scope="session")
def yunet_recogniser(
    weights: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Recogniser:
    """The second detector, from the mirror that the shared models are; the embedder from the checkout."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "faceplugin-512.onnx").symlink_to(weights / "faceplugin-512.onnx")
    settings = Settings(weights_dir=folder, weights_mirror=shared_data / "models", detector="yunet")
    return load_recogniser(settings)


@pytest.fixture(params=["recogniser", "yunet_recogniser"])
def each_recogniser(request: pytest.FixtureRequest) -> Recogniser:
    """Each detector in turn, with the same embedder."""
    found: Recogniser = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def tiny_net() -> onnx.ModelProto:
    """Return a net of two outputs: its input plus one, and half of it."""
    shape = ["n", "c", "h", "w"]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "one"], ["shifted"]),
            helper.make_node("Mul", ["x", "half"], ["halved"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("shifted", "halved")],
        [
            numpy_helper.from_array(np.array(value, np.float32), name)
            for name, value in (("one", 1), ("half", 0.5))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"made": "for tests"})
    return model
