"""Imported embedders, from the checkpoint through the catalogue to the embeddings of real faces."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from media.stills import PEOPLE

from app.importers.mxnet import ImportOptions, import_checkpoint
from app.models.embedding import Embedder, load_embedder
from app.models.images import Image
from app.models.pipeline import Recogniser
from app.models.runtime.session import Runtime
from app.settings import Settings
from app.weights.fetch import ensure


@dataclass(frozen=True)
class Brought:
    """An imported embedder, its file, and what MXNet put out."""

    embedder: Embedder
    path: Path
    golden: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def faces(recogniser: Recogniser, still: Callable[[str], Image]) -> np.ndarray:
    """The eight aligned faces of four people, two after two."""
    aligned = []
    for name in (name for names in PEOPLE.values() for name in names):
        found = recogniser.analyse(still(name))
        extents = found.detections.boxes[:, 2:] - found.detections.boxes[:, :2]
        aligned.append(found.aligned[int(np.prod(extents, axis=1).argmax())])
    return np.stack(aligned)


def normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def brought(checkpoint: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Brought]:
    """Return what imports the checkpoint of a golden file and loads what came of it."""

    def bring(name: str) -> Brought:
        found = checkpoint(name)
        weights = tmp_path_factory.mktemp(name)
        entry = import_checkpoint(found.prefix, found.epoch, weights, ImportOptions(name="net"))
        path = ensure("net", Settings(weights_dir=weights))
        return Brought(load_embedder(entry, weights, Runtime(threads=2)), path, dict(np.load(found.golden)))

    return bring


@pytest.mark.parametrize(
    ("name", "dimension"), [("mobilefacenet-y1", 128), ("lresnet50e-ir", 512)], ids=["y1", "LResNet50E-IR"]
)
def test_faces_get_the_embeddings_that_the_net_gives_them(
    brought: Callable[[str], Brought], faces: np.ndarray, name: str, dimension: int
) -> None:
    net = brought(name)
    embeddings = net.embedder.embed(faces[:2])
    assert embeddings.shape == (2, dimension)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)

    direct = ort.InferenceSession(str(net.path), providers=["CPUExecutionProvider"])
    rgb = faces[:2, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    (expected,) = direct.run(None, {"data": rgb})
    np.testing.assert_allclose(embeddings, normalised(expected), atol=1e-4)

    # MXNet was given fractions of a grey level; a face has whole ones.
    picture = net.golden["data"].round().astype(np.uint8).transpose(0, 2, 3, 1)[..., ::-1]
    nearness = net.embedder.embed(np.ascontiguousarray(picture)) * normalised(net.golden["fc1_output"])
    assert nearness.sum(axis=1).min() > 0.999


def test_a_person_is_nearer_to_themselves_than_anybody_else(
    brought: Callable[[str], Brought], faces: np.ndarray
) -> None:
    embeddings = brought("mobilefacenet-y1").embedder.embed(faces)
    people = np.repeat(np.arange(len(PEOPLE)), 2)
    same = np.equal.outer(people, people)
    similarities = embeddings @ embeddings.T
    assert similarities[same].min() > 0.5
    assert similarities[~same].max() < 0.35
