"""The quality of a face falls with all that makes it hard to tell."""

from typing import Any

import cv2
import numpy as np
import pytest

from app.messages import Lack
from app.models import Recogniser
from app.models.detection import Detections
from app.models.feed import REFERENCE_LANDMARKS, SIZE
from app.models.images import Floats, Image
from app.models.quality import appearance_of, lacks_of, quality_of

LENGTH_RANGE = (2.0, 4.0)


def detected(landmarks: Floats, score: float = 0.9) -> Detections:
    """Return one face with these landmarks, (5, 2)."""
    return Detections(
        np.array([[0, 0, 100, 120]], np.float32),
        landmarks[None].astype(np.float32),
        np.array([score], np.float32),
    )


def face(times: float = 1.0, nose: float = 0.0, score: float = 0.9, turned: float = 0.0) -> Detections:
    """Return an aligned face so many times as large, with the nose so many pixels down, leaning aside."""
    landmarks = REFERENCE_LANDMARKS.copy()
    landmarks[2, 1] += nose
    angle = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    return detected(times * landmarks @ angle.T, score)


def picture(blur: float) -> Image:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise, np.uint8)[None]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (face(), face(times=0.4)),
        (face(), face(nose=12)),
        (face(), face(nose=-12)),
        (face(), face(score=0.6)),
    ],
    ids=["size", "down", "up", "score"],
)
def test_what_is_harder_to_tell_is_worse(better: Detections, worse: Detections) -> None:
    assert appearance_of(better)[0] > appearance_of(worse)[0] + 0.05


def test_a_head_that_leans_to_the_side_is_no_worse() -> None:
    assert appearance_of(face(turned=0.5))[0] == pytest.approx(appearance_of(face())[0], abs=1e-4)


def test_without_landmarks_it_is_no_use() -> None:
    assert appearance_of(detected(np.full((5, 2), np.nan))).tolist() == [0.0]
    assert np.isfinite(appearance_of(detected(np.zeros((5, 2))))).all()


@pytest.mark.parametrize("length_range", [None, LENGTH_RANGE])
def test_a_blurred_face_is_worse(length_range: tuple[float, float] | None) -> None:
    sharp, blurred = (
        quality_of(face(), picture(blur), np.array([3.0], np.float32), length_range) for blur in (0, 6)
    )
    assert sharp[0] > blurred[0] + 0.03


def test_a_longer_vector_says_that_it_is_better_where_lengths_are_known() -> None:
    short, long = (np.array([length], np.float32) for length in (2.2, 3.8))
    assert (
        quality_of(face(), picture(0), long, LENGTH_RANGE)
        > quality_of(face(), picture(0), short, LENGTH_RANGE) + 0.2
    )
    assert quality_of(face(), picture(0), long, None) == quality_of(face(), picture(0), short, None)


def test_a_face_that_was_not_embedded_has_the_quality_of_its_appearance() -> None:
    nothing = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    assert quality_of(face(), nothing, np.zeros(1, np.float32), LENGTH_RANGE) == appearance_of(face())


def test_it_is_between_0_and_1_whatever_comes() -> None:
    extremes = [(0.01, 0.0), (0.01, 1.0), (100.0, 1.0)]
    for times, score in extremes:
        for length in (0.5, 1e6):
            found = quality_of(
                face(times, score=score), picture(0), np.array([length], np.float32), LENGTH_RANGE
            )
            assert found.dtype == np.float32
            assert 0 <= found[0] <= 1
    none = Detections(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))
    assert quality_of(
        none, np.zeros((0, SIZE, SIZE, 3), np.uint8), np.zeros(0, np.float32), LENGTH_RANGE
    ).shape == (0,)


def test_a_photograph_that_is_made_small_and_blurred_is_worse(recogniser: Recogniser, still: Any) -> None:
    image = still("demo-portraits/obama.jpg")
    small = np.asarray(cv2.GaussianBlur(cv2.resize(image, None, fx=0.2, fy=0.2), (0, 0), 1), np.uint8)
    good, poor = (recogniser.analyse(picture).quality[0] for picture in (image, small))
    assert good > 0.7
    assert poor < good - 0.1


def aside(pixels: float) -> Detections:
    """Return an aligned face whose nose is so many pixels to the side: it looks there."""
    landmarks = REFERENCE_LANDMARKS.copy()
    landmarks[2, 0] += pixels
    return detected(landmarks)


@pytest.mark.parametrize(
    ("detections", "blur", "lack"),
    [
        (face(times=0.3), 0, Lack.SIZE),
        (face(), 6, Lack.SHARPNESS),
        (aside(14), 0, Lack.FRONT),
        (face(nose=12), 0, Lack.FRONT),
        (face(nose=-12), 0, Lack.FRONT),
    ],
    ids=["small", "blurred", "aside", "down", "up"],
)
def test_a_face_lacks_most_what_it_has_least_of(detections: Detections, blur: float, lack: Lack) -> None:
    assert lacks_of(detections, picture(blur), np.ones(1, np.bool_)).tolist() == [lack]


def test_of_a_face_that_was_not_embedded_nobody_says_what_it_lacks() -> None:
    found = lacks_of(face(times=0.3), picture(0), np.zeros(1, np.bool_))
    assert (found.tolist(), found.dtype) == ([Lack.UNKNOWN], np.uint8)
