"""Boxes of one detector with the landmarks of another, and what becomes of faces that have none."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from media.stills import GROUP, PORTRAIT

from app.messages import Gate
from app.models.chosen import chosen_nets, prepare_nets
from app.models.detection import Detections, Detector, Landmarked, finds_landmarks
from app.models.images import Image
from app.models.pipeline import Recogniser, load_recogniser
from app.settings import Settings
from app.weights.catalogue import CatalogueError


class Told(Detector):
    """Finds what it was told, in every image."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)

    def detect_all(self, images: Sequence[Image]) -> list[Detections]:
        found = Detections.of_boxes(self.boxes, np.linspace(0.9, 0.8, len(self.boxes), dtype=np.float32))
        return [found for _ in images]


def test_landmarks_are_where_the_other_detector_sees_them_in_the_whole_image(
    recogniser: Recogniser, retinaface_recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    image = still(GROUP)
    whole = recogniser.detector.detect(image)
    found = retinaface_recogniser.detector.detect(image)
    for (left, _, right, _), landmarks in zip(found.boxes, found.landmarks, strict=True):
        apart = np.linalg.norm(whole.landmarks - landmarks, axis=2).mean(axis=1).min()
        assert apart < 0.06 * (right - left)


def test_several_images_are_one_for_one(
    retinaface_recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    images = [still(PORTRAIT), np.zeros((40, 60, 3), np.uint8), still(GROUP)]
    together = retinaface_recogniser.detector.detect_all(images)
    assert [len(found) for found in together] == [1, 0, 6]
    for image, found in zip(images, together, strict=True):
        np.testing.assert_allclose(
            found.landmarks, retinaface_recogniser.detector.detect(image).landmarks, atol=0.1
        )


def test_a_face_without_landmarks_is_neither_aligned_nor_embedded(
    recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    image = still(PORTRAIT)
    face = recogniser.detector.detect(image).boxes[0]
    wall = (10.0, 10.0, 110.0, 110.0)
    nothing = (image.shape[1], 0.0, image.shape[1], 0.0)
    detector = Landmarked(Told(wall, tuple(face), nothing), recogniser.detector)
    found = Recogniser(detector, recogniser.embedder, 24, 0.5).analyse(image)
    assert found.gates.tolist() == [Gate.UNALIGNED, Gate.PASSED, Gate.SMALL]
    assert np.isnan(found.detections.landmarks[[0, 2]]).all()
    assert not found.embeddings[[0, 2]].any()
    assert not found.aligned[[0, 2]].any()
    np.testing.assert_allclose(np.linalg.norm(found.embeddings[1]), 1, atol=1e-5)


@pytest.mark.parametrize(
    "names", [{"detector": "boxes"}, {"landmarker": "boxes"}], ids=["alone", "as landmarker"]
)
def test_what_finds_no_landmarks_is_refused_before_anything_is_loaded(
    boxes_only: Path, names: dict[str, str]
) -> None:
    settings = Settings(weights_dir=boxes_only, **names)
    for load in (prepare_nets, load_recogniser):
        with pytest.raises(CatalogueError) as caught:
            load(settings)
        assert str(caught.value) == (
            "boxes finds no landmarks, so that faces can be neither aligned nor embedded:"
            " set ONLOOKER_LANDMARKER=centerface, or another detector that finds them"
        )


def test_messages_name_both(boxes_only: Path) -> None:
    chosen = chosen_nets(Settings(weights_dir=boxes_only, detector="boxes", landmarker="centerface"))
    assert chosen.found_by == f"{chosen.detector.identity}+{chosen.landmarker.identity}"
    assert chosen.found_by.startswith("boxes@")
    assert [entry.name for entry in chosen.entries] == ["boxes", "centerface", "faceplugin-512"]
    assert [finds_landmarks(entry, boxes_only) for entry in (chosen.detector, chosen.landmarker)] == [
        False,
        True,
    ]
