"""The detectors find the faces of real photographs, in place, with landmarks in order."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media.stills import GROUP, PORTRAIT, TWO_PEOPLE, boxes_on

from app.models.detection import CenterFace, Detections, YuNet, load_detector
from app.models.detection.boxes import overlaps, shares, suppress
from app.models.images import Image
from app.models.pipeline import Recogniser
from app.models.runtime.session import Runtime
from app.settings import ROOT
from app.weights.catalogue import DetectorEntry, Entry


def centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def assert_is_the_group(found: Detections) -> None:
    """Each face of the group was found once, in its place."""
    true = centres(np.array(boxes_on(GROUP)))
    assert len(found) == len(true) == 6
    distances = np.linalg.norm(centres(found.boxes)[:, None] - true, axis=2)
    assert sorted(distances.argmin(axis=1)) == list(range(len(true)))
    assert distances.min(axis=1).max() < 40


def test_each_face_of_a_group_is_found_once(
    each_recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    found = each_recogniser.detector.detect(still(GROUP))
    assert_is_the_group(found)


@pytest.mark.parametrize("name", ["centerface", "yunet", "scrfd-10g", "scrfd-2.5g", "scrfd-500m"])
def test_a_net_as_it_is_published_finds_the_group(
    published: Callable[[str], Entry], still: Callable[[str], Image], name: str
) -> None:
    """Where the files of those that are restricted are: no other test runs these."""
    entry = published(name)
    assert isinstance(entry, DetectorEntry)
    detector = load_detector(entry, ROOT / "weights", Runtime(), side=640, score=0.5)
    found = detector.detect(still(GROUP))
    assert_is_the_group(found)
    left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks.transpose(1, 2, 0)
    assert (left_eye[0] < right_eye[0]).all()
    assert (left_mouth[0] < right_mouth[0]).all()
    assert (np.maximum(left_eye[1], right_eye[1]) < nose[1]).all()
    assert (nose[1] < np.minimum(left_mouth[1], right_mouth[1])).all()


def test_the_columns_have_their_types_and_order(
    each_recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    image = still(GROUP)
    found = each_recogniser.detector.detect(image)
    assert (found.boxes.shape, found.landmarks.shape, found.scores.shape) == ((6, 4), (6, 5, 2), (6,))
    assert {column.dtype for column in (found.boxes, found.landmarks, found.scores)} == {np.dtype("f4")}
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2:] <= (image.shape[1], image.shape[0])).all()


@pytest.mark.parametrize("name", [PORTRAIT, GROUP, TWO_PEOPLE])
def test_left_and_right_are_as_seen_in_the_image(
    each_recogniser: Recogniser, still: Callable[[str], Image], name: str
) -> None:
    found = each_recogniser.detector.detect(still(name))
    assert len(found)
    for (x1, y1, x2, y2), (left_eye, right_eye, nose, left_mouth, right_mouth) in zip(
        found.boxes, found.landmarks, strict=True
    ):
        assert x1 < left_eye[0] < right_eye[0] < x2
        assert left_mouth[0] < right_mouth[0]
        assert y1 < max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1]) < y2


def test_a_flipped_picture_flips_the_landmarks(
    each_recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    image = still(PORTRAIT)
    found = each_recogniser.detector.detect(image)
    flipped = each_recogniser.detector.detect(np.ascontiguousarray(image[:, ::-1]))
    width = found.boxes[0, 2] - found.boxes[0, 0]
    expected = (image.shape[1] - 1, 0) + found.landmarks[0][[1, 0, 2, 4, 3]] * (-1, 1)
    assert np.abs(flipped.landmarks[0] - expected).max() < 0.08 * width


def test_the_detectors_agree(
    recogniser: Recogniser, yunet_recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    image = still(PORTRAIT)
    first, second = recogniser.detector.detect(image), yunet_recogniser.detector.detect(image)
    assert (len(first), len(second)) == (1, 1)
    width = first.boxes[0, 2] - first.boxes[0, 0]
    assert np.linalg.norm(first.landmarks[0] - second.landmarks[0], axis=1).max() < 0.08 * width


def test_a_large_picture_gives_places_in_its_own_pixels(
    each_recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    image = still(PORTRAIT)
    small = each_recogniser.detector.detect(image)
    large = each_recogniser.detector.detect(np.asarray(cv2.resize(image, None, fx=2, fy=2), dtype=np.uint8))
    np.testing.assert_allclose(
        large.boxes, 2 * small.boxes, atol=0.1 * (small.boxes[0, 2] - small.boxes[0, 0])
    )


@pytest.mark.parametrize("shape", [(1, 1), (20, 700), (33, 31), (480, 640)])
def test_an_empty_wall_has_no_face(each_recogniser: Recogniser, shape: tuple[int, int]) -> None:
    found = each_recogniser.detector.detect(np.full((*shape, 3), 120, np.uint8))
    assert (len(found), found.boxes.shape, found.landmarks.shape) == (0, (0, 4), (0, 5, 2))


def test_each_net_is_read_by_its_own_class(recogniser: Recogniser, yunet_recogniser: Recogniser) -> None:
    assert isinstance(recogniser.detector, CenterFace)
    assert isinstance(yunet_recogniser.detector, YuNet)


def test_rows_are_chosen_together() -> None:
    found = Detections(
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.arange(30, dtype=np.float32).reshape(3, 5, 2),
        np.array([0.9, 0.8, 0.7], np.float32),
    )
    chosen = found[found.scores < 0.85]
    assert len(chosen) == 2
    assert chosen.boxes[0, 0] == 4
    assert chosen.landmarks[0, 0, 0] == 10


def test_suppression_keeps_the_surest_of_an_overlap() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [30, 0, 40, 10], [8, 8, 18, 18]], np.float32)
    assert suppress(boxes, np.array([0.6, 0.9, 0.7, 0.8], np.float32)).tolist() == [1, 3, 2]
    assert suppress(boxes[:0], np.empty(0, np.float32)).tolist() == []


def test_a_face_is_the_mean_of_what_it_stands_for() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10]], np.float32)
    scores = np.array([0.9, 0.6, 0.7], np.float32)
    weights = shares(boxes, scores, suppress(boxes, scores))
    np.testing.assert_allclose(weights, [[0.6, 0.4, 0], [0, 0, 1]], atol=1e-6)


@pytest.mark.parametrize("scores", [[0, 0, 0], [3e38, 3e38, 3e38]])
def test_scores_that_weigh_nothing_or_all_still_give_a_mean(scores: list[float]) -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10]], np.float32)
    weights = shares(boxes, np.array(scores, np.float32), np.array([0, 2]))
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0], [0, 0, 1]], atol=1e-6)


def test_boxes_without_an_area_are_no_error() -> None:
    boxes = np.zeros((2, 4), np.float32)
    scores = np.array([0.9, 0.6], np.float32)
    assert np.isfinite(shares(boxes, scores, np.array([0, 1]))).all()


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 4), min_size=1, max_size=8))
def test_overlap_is_symmetric_and_at_most_one(corners: list[tuple[int, int, int, int]]) -> None:
    boxes = np.array([(x, y, x + w + 1, y + h + 1) for x, y, w, h in corners], np.float32)
    found = overlaps(boxes, boxes)
    np.testing.assert_allclose(found, found.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-6)
    assert (found >= 0).all()
    assert (found <= 1 + 1e-6).all()
