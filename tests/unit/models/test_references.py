"""Each net is read as its reference was: plainly, from outputs made elsewhere (tests/references)."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from scrfd_files import write_scrfd

from app.models.detection import FR50, SCRFD, Detections, Detector, load_detector
from app.models.detection.base import one_for_each_face
from app.models.detection.boxes import overlaps
from app.models.images import Image
from app.models.pipeline import Recogniser
from app.models.runtime.session import Runtime
from app.settings import ROOT
from app.weights.catalogue import CatalogueError, Input, load_catalogue

Read = Callable[[str], tuple[Image, Detections]]
FEED = Input("RGB", 127.5, 1 / 128)


def told(name: str, folder: Path) -> tuple[Image, Detections]:
    """Read a reference: the photograph, below `folder`, in its size, and what is on it."""
    told = json.loads((ROOT / "tests" / "references" / f"{name}.json").read_text(encoding="utf-8"))
    photograph = cv2.imread(str(folder / told["still"]))
    assert photograph is not None
    image = cv2.resize(photograph, told["size"], interpolation=cv2.INTER_LINEAR)
    boxes, scores = (np.array(told[key], np.float32) for key in ("boxes", "scores"))
    points = np.array(told["landmarks"], np.float32)
    if not points.size:
        return np.asarray(image, np.uint8), Detections.of_boxes(boxes, scores)
    return np.asarray(image, np.uint8), Detections(boxes, points, scores)


@pytest.fixture
def reference(photographs: Path) -> Read:
    """Return what reads a reference whose photograph set-up fetches."""
    return partial(told, folder=photographs)


@pytest.fixture
def original(shared_data: Path) -> Read:
    """Return what reads a reference whose photograph is among the originals."""
    return partial(told, folder=shared_data / "stills")


def inside(found: Detections, image: Image) -> Detections:
    """Return `found` with its boxes cut off at the edges of `image`."""
    height, width = image.shape[:2]
    boxes = found.boxes.clip(0, [width, height, width, height])
    return Detections(boxes, found.landmarks, found.scores)


def assert_same(found: Detections, expected: Detections, pixels: float) -> None:
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=0, atol=pixels)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, rtol=0, atol=pixels)


def scrfd(path: Path, *, score: float = 0.5, batch: int = 8) -> Detector:
    return SCRFD(Runtime().load(path), FEED, side=640, score=score, batch=batch)


def test_centerface(recogniser: Recogniser, reference: Read) -> None:
    image, candidates = reference("centerface")
    assert_same(recogniser.detector.detect(image), inside(one_for_each_face(candidates), image), 0.05)


def test_yunet(yunet_recogniser: Recogniser, original: Read) -> None:
    """Its reference is what OpenCV reads, from a net that OpenCV runs."""
    image, candidates = original("yunet")
    assert_same(yunet_recogniser.detector.detect(image), inside(one_for_each_face(candidates), image), 0.05)


def test_retinaface(imported: Path, original: Read) -> None:
    image, candidates = original("retinaface")
    entry = load_catalogue(imported).detector("retinaface")
    detector = load_detector(entry, imported, Runtime(), side=640, score=0.5)
    assert_same(detector.detect(image), inside(one_for_each_face(candidates), image), 0.05)


def test_mtcnn(imported: Path, original: Read) -> None:
    """The reference cuts at whole pixels and takes no means: points differ, but not to one side."""
    image, expected = original("mtcnn")
    entry = load_catalogue(imported).detector("mtcnn")
    found = load_detector(entry, imported, Runtime(), side=640, score=0.5).detect(image)
    shared = overlaps(expected.boxes, found.boxes)
    same = shared.argmax(axis=1)
    assert sorted(same) == list(range(len(found)))
    assert shared.max(axis=1).min() > 0.8
    widths = expected.boxes[:, 2] - expected.boxes[:, 0]
    apart = (found.landmarks[same] - expected.landmarks) / widths[:, None, None]
    assert np.linalg.norm(apart, axis=2).mean() < 0.04
    assert np.linalg.norm(apart, axis=2).max() < 0.1
    assert np.abs(apart.mean(axis=(0, 1))).max() < 0.015
    np.testing.assert_allclose(found.scores[same], expected.scores, atol=0.02)


def test_fr50(fr50: FR50, original: Read) -> None:
    image, expected = original("fr50")
    found = fr50.detect(image)
    assert_same(found, inside(expected, image), 0.1)
    again = fr50.detect(image)
    assert found.boxes.tobytes() == again.boxes.tobytes()
    assert found.scores.tobytes() == again.scores.tobytes()


@pytest.mark.parametrize("fixed", [None, (640, 640)], ids=["any size", "one size"])
@pytest.mark.parametrize("batch", [True, False], ids=["batch", "flat"])
def test_scrfd(tmp_path: Path, reference: Read, batch: bool, fixed: tuple[int, int] | None) -> None:
    image, candidates = reference("scrfd")
    write_scrfd(tmp_path / "net.onnx", batch=batch, fixed=fixed)
    detector = scrfd(tmp_path / "net.onnx")
    assert_same(detector.detect(image), inside(one_for_each_face(candidates), image), 0.05)


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "flat"])
def test_scrfd_reads_several_images_each_for_itself(tmp_path: Path, reference: Read, batch: bool) -> None:
    image, _ = reference("scrfd")
    write_scrfd(tmp_path / "net.onnx", batch=batch)
    detector = scrfd(tmp_path / "net.onnx")
    images = [image, np.ascontiguousarray(image[:, ::-1]), image[:320]]
    for found, alone in zip(detector.detect_all(images), map(detector.detect, images), strict=True):
        assert len(found)
        assert_same(found, alone, 1e-3)


def test_scrfd_without_landmarks(tmp_path: Path, reference: Read) -> None:
    image, candidates = reference("scrfd")
    write_scrfd(tmp_path / "net.onnx", landmarks=False)
    detector = scrfd(tmp_path / "net.onnx")
    without = one_for_each_face(Detections.of_boxes(candidates.boxes, candidates.scores))
    assert_same(detector.detect(image), inside(without, image), 0.05)


def test_another_net_is_no_scrfd(weights: Path, imported: Path) -> None:
    for path in (weights / "centerface.onnx", imported / "retinaface.onnx"):
        with pytest.raises(CatalogueError, match=r"^no SCRFD: expected outputs of .*, found "):
            scrfd(path)
