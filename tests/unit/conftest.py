"""The real nets, pulled once into the checkout's own weights folder, where `make setup` puts them too.

Those of MXNet checkpoints are imported once into a folder of their own.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.importers.mxnet import ImportOptions, convert, import_checkpoint, read_params, read_symbol
from app.models.detection import FR50
from app.models.pipeline import Recogniser, load_recogniser
from app.models.runtime.session import Runtime
from app.settings import ROOT, Settings
from app.weights.catalogue import Catalogue, Entry, Input, load_catalogue
from app.weights.fetch import State, state_of


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "weights")


@pytest.fixture(scope="session")
def published(catalogue: Catalogue) -> Callable[[str], Entry]:
    """Return what returns an entry of the catalogue whose files lie in the checkout's `weights`, or skips."""

    def find(name: str) -> Entry:
        entry = catalogue.get(name)
        if any(state_of(file, ROOT / "weights") is not State.PRESENT for file in entry.files):
            agreed = " --accept-licence" if entry.restricted else ""
            pytest.skip(f"weights/{entry.files[0].name} is not here; `onlooker models pull {name}{agreed}`")
        return entry

    return find


@pytest.fixture(scope="session")
def yunet_recogniser(
    weights: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Recogniser:
    """The second detector, from the mirror that the shared models are; the embedder from the checkout."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "faceplugin-512.onnx").symlink_to(weights / "faceplugin-512.onnx")
    settings = Settings(weights_dir=folder, weights_mirror=shared_data / "models", detector="yunet")
    return load_recogniser(settings)


@pytest.fixture(scope="session")
def imported(weights: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a weights folder with the detectors `mtcnn` and `retinaface`, beside the default nets."""
    folder = tmp_path_factory.mktemp("imported")
    for name in ("centerface.onnx", "faceplugin-512.onnx"):
        (folder / name).symlink_to(weights / name)
    import_checkpoint(shared_data / "mxnet/mtcnn/det", 1, folder, ImportOptions(name="mtcnn"))
    import_checkpoint(
        shared_data / "mxnet/retinaface-mobile/16and32", 0, folder, ImportOptions(name="retinaface")
    )
    return folder


@pytest.fixture(scope="session")
def mtcnn_recogniser(imported: Path) -> Recogniser:
    """The detector in three nets."""
    return load_recogniser(Settings(weights_dir=imported, detector="mtcnn"))


@pytest.fixture(scope="session")
def retinaface_recogniser(imported: Path) -> Recogniser:
    """A detector without landmarks, and another one for these."""
    settings = Settings(weights_dir=imported, detector="retinaface", landmarker="centerface")
    return load_recogniser(settings)


@pytest.fixture(scope="session")
def fr50(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> FR50:
    """The detector in two stages, with weights drawn from a seed: what it finds are no faces."""
    folder = tmp_path_factory.mktemp("fr50")
    maker = shared_data / "mxnet" / "seeded_checkpoint.py"
    subprocess.run([sys.executable, str(maker), "fr50", str(folder)], check=True)
    symbol = read_symbol((folder / "fr50-symbol.json").read_bytes())
    models = convert(symbol, read_params((folder / "fr50-0000.params").read_bytes())).models
    runtime = Runtime(threads=2)
    return FR50([runtime.load(model) for model in models], Input("RGB", 0.0, 1.0), score=0.5)


def _original(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.originals)


@pytest.fixture(
    params=["recogniser", *map(_original, ("yunet_recogniser", "mtcnn_recogniser", "retinaface_recogniser"))]
)
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
