"""Embedders of every make give each face one vector of length one, or say at once what is wrong."""

from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper
from onnx_files import DIMENSION, embedder

from app.models import embedding
from app.models.embedding import Embedder, load_embedder
from app.models.feed import blob
from app.models.runtime.session import Runtime
from app.weights.catalogue import CatalogueError, EmbedderEntry, File, Input

BATCH = 4


def entry(dimension: int = DIMENSION) -> EmbedderEntry:
    return EmbedderEntry(
        name="net", title="", source="user", homepage="", licence="", size=112, dimension=dimension,
        input=Input("RGB", 127.5, 1 / 127.5), files=(File("net.onnx", "net.onnx", 1, "0" * 64),),
    )  # fmt: skip


def load(model: onnx.ModelProto, folder: Path, dimension: int = DIMENSION) -> Embedder:
    onnx.save(model, folder / "net.onnx")
    return load_embedder(entry(dimension), folder, Runtime(faces=BATCH))


@pytest.fixture
def faces() -> np.ndarray:
    return np.random.default_rng(8).integers(0, 256, (BATCH + 2, 112, 112, 3), dtype=np.uint8)


def runs(net: Embedder, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many faces `net` is fed at a time."""
    sizes: list[int] = []

    def counting(images: list[np.ndarray], feed: Input) -> np.ndarray:
        sizes.append(len(images))
        return blob(images, feed)

    monkeypatch.setattr(embedding, "blob", counting)
    net.embed(faces)
    return sizes


def test_a_net_that_sees_no_difference_is_refused(tmp_path: Path) -> None:
    """So it is with a scale that makes next to nothing of every pixel: all faces would be one."""
    model = embedder("flatten")
    (output,) = (value.name for value in model.graph.output)
    model.graph.node[-1].output[0] = "before"
    model.graph.initializer.append(numpy_helper.from_array(np.ones(DIMENSION, np.float32), "bias"))
    model.graph.node.append(helper.make_node("Add", ["before", "bias"], [output]))
    onnx.save(model, tmp_path / "net.onnx")
    blind = msgspec.structs.replace(entry(), input=Input("RGB", 127.5, 1e-12))
    with pytest.raises(CatalogueError, match="net: no embedder: it puts out the same for two pictures"):
        load_embedder(blind, tmp_path, Runtime())
    load_embedder(entry(), tmp_path, Runtime())


@pytest.mark.parametrize("pixels", [(1, 3, 112, 112), ("n", 3, 112, 112), ("n", 3, "h", "w")])
@pytest.mark.parametrize("tail", ["flatten", "reshape", "constant", "map", "length"])
def test_faces_get_the_same_vectors_together_as_alone_in_the_published_net(
    tmp_path: Path,
    faces: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    tail: str,
    pixels: tuple[int | str, ...],
) -> None:
    net = load(embedder(tail, pixels=pixels), tmp_path)
    found = net.embed(faces)
    assert found.shape == (BATCH + 2, DIMENSION)
    assert found.dtype == np.float32
    session = ort.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    for row, face in zip(found, faces, strict=True):
        fed = (face[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 127.5
        expected = session.run(None, {"pixels": fed})[0].reshape(-1)
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-5)
    # A net whose batch is free by its word, but whose reshape is not, gets one face at a time.
    fixed = tail in ("reshape", "constant") and pixels[0] != 1
    assert runs(net, faces, monkeypatch) == ([1] * (BATCH + 2) if fixed else [BATCH, 2])


def test_a_net_that_mixes_its_faces_gets_one_at_a_time(
    tmp_path: Path, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = load(embedder("mixing"), tmp_path)
    together = net.embed(faces)
    alone = np.concatenate([net.embed(face[None]) for face in faces])
    np.testing.assert_array_equal(together, alone)
    assert runs(net, faces, monkeypatch) == [1] * (BATCH + 2)


def test_a_run_that_fails_while_a_net_is_tried_is_not_written_about(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load(embedder("reshape", pixels=("n", 3, 112, 112)), tmp_path)
    assert capfd.readouterr().err == ""


def test_no_faces_are_no_vectors(tmp_path: Path, faces: np.ndarray) -> None:
    assert load(embedder(), tmp_path).embed(faces[:0]).shape == (0, DIMENSION)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (embedder(dimension=32), "expected 48 dimensions as the catalogue says, found 32"),
        (embedder("grid"), r"expected one vector for each image, found \(1, 4, 14, 14\)"),
        (embedder("scalar"), r"expected one vector for each image, found \(1,\)"),
        (embedder("endless"), "for a random image is not finite"),
        (embedder(pixels=(1, 3, 96, 112)), "takes 112x96 pixels; expected 112x112"),
        (embedder(pixels=(1, 112, 112, 3)), "takes 1x112x112x3; expected batch x 3 x height x width"),
    ],
)
def test_a_net_that_is_not_what_its_entry_says_is_refused_when_it_is_loaded(
    tmp_path: Path, model: onnx.ModelProto, says: str
) -> None:
    with pytest.raises(CatalogueError, match=f"^net: .*{says}") as caught:
        load(model, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_net_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("a page that says: not found", encoding="utf-8")
    with pytest.raises(CatalogueError, match="net: not an ONNX file"):
        load_embedder(entry(), tmp_path, Runtime())
