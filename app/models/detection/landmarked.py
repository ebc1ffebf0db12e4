"""Two detectors as one: the boxes of the first, with the landmarks that the second finds in each of them."""

from collections.abc import Iterator, Sequence

import numpy as np

from app.models.detection.base import Detections, Detector, whole
from app.models.detection.boxes import overlaps
from app.models.feed import cut, squares_around
from app.models.images import Floats, Image

__all__ = ["Landmarked"]

#: Side in pixels of what the second detector is shown of a face, and how many times as large as its box that
#: is. All are of one size, so that they go through it together; its faces are large, with some surroundings.
SIDE, AROUND = 160, 2.0
#: Least overlap of the two boxes, intersection over union, that both mean the same face.
SAME = 0.3
#: Faces of an image that are looked at, surest first; bounds the work that one hostile image can cause.
MOST = 256


class Landmarked(Detector):
    """Look for landmarks where `detector` finds faces; boxes and scores stay its own."""

    def __init__(self, detector: Detector, landmarker: Detector) -> None:
        """Join the two; the landmarks of a face in which `landmarker` finds none are NaN."""
        self._detector = detector
        self._landmarker = landmarker

    def detect_all(self, images: Sequence[Image]) -> list[Detections]:
        """Find the faces of each of `images`; the landmarks of all of them are looked for together."""
        found = self._detector.detect_all(images)
        squares = [squares_around(faces.boxes[:MOST], AROUND) for faces in found]
        shown = [
            cut(image, square, SIDE) for image, views in zip(images, squares, strict=True) for square in views
        ]
        seen = iter(self._landmarker.detect_all(shown))
        return [
            Detections(faces.boxes, _landmarks(faces, views, seen), faces.scores)
            for faces, views in zip(found, squares, strict=True)
        ]


def _landmarks(faces: Detections, squares: Floats, seen: Iterator[Detections]) -> Floats:
    """Return the landmarks of `faces`, (N, 5, 2); of each of the `squares` the next one `seen` tells."""
    landmarks = np.full((len(faces), 5, 2), np.nan, dtype=np.float32)
    for row, (square, inside) in enumerate(zip(squares, seen, strict=False)):
        factor = (square[2] - square[0]) / SIDE
        boxes = inside.boxes * factor + np.tile(square[:2], 2)
        shared = overlaps(faces.boxes[row : row + 1], boxes)[0]
        if len(shared) and shared.max() >= SAME:
            landmarks[row] = inside.landmarks[shared.argmax()] * factor + square[:2]
    return whole(landmarks)
