"""MTCNN (Zhang et al. 2016): three nets in a row, each of which looks closer at what the one before let pass.

The nets are those of the port to MXNet, which see colours as blue, green, red, and images upright; those of
the original in Matlab see them on their side.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.models.detection.base import Detections, Detector, in_pixels_of, one_for_each_face
from app.models.detection.boxes import suppress
from app.models.feed import blob, cut, resized, shrunk, squares_around
from app.models.images import Floats, Image
from app.models.runtime.session import Session
from app.weights import CatalogueError, Input

__all__ = ["MTCNN"]

#: Side in pixels of the least face, and by how much one level of the pyramid is smaller than the last.
LEAST, FACTOR = 20, 0.709
#: Sides of what the nets see; the first one sees such a square at every second pixel.
SIDES, STEP = (12, 24, 48), 2
#: Least score that lets a candidate pass each net.
SCORES = (0.6, 0.7, 0.8)
#: Overlaps above which the less sure of two goes: within a level, between levels, and after the second net.
WITHIN, BETWEEN, AFTER_SECOND = 0.5, 0.7, 0.7
#: Candidates that the second and the third net look at, and how many at once; bounds work and memory.
MOST, AT_ONCE = 1000, 64
#: What the nets put out, in the names of the checkpoints: scores, deltas, landmarks.
OUTPUTS = (
    ("prob1_output", "conv4_2_output"),
    ("prob1_output", "conv5_2_output"),
    ("prob1_output", "conv6_2_output", "conv6_3_output"),
)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Squares that a net saw (N, 4), what it says of each, and the numbers it moves them by (N, 4)."""

    boxes: Floats
    scores: Floats
    deltas: Floats

    def __getitem__(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "_Candidates":
        return _Candidates(self.boxes[chosen], self.scores[chosen], self.deltas[chosen])

    @classmethod
    def joined(cls, parts: Sequence["_Candidates"]) -> "_Candidates":
        """Return those of all `parts`, of which there is at least one."""
        columns = zip(*((part.boxes, part.scores, part.deltas) for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    def passed(self, score: float, iou: float) -> "_Candidates":
        """Return at most `MOST` that reach the score, one for each overlap."""
        sane = (self.scores >= score) & np.isfinite(self.moved()).all(axis=1)
        rows = np.flatnonzero(sane)
        surest = self[rows[np.argsort(-self.scores[rows], kind="stable")[:MOST]]]
        return surest[suppress(surest.boxes, surest.scores, iou)]

    def moved(self) -> Floats:
        """Return the boxes (N, 4), each corner moved by a fraction of the side."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return np.asarray(self.boxes + self.deltas * np.concatenate([sides, sides], axis=1), np.float32)


class MTCNN(Detector):
    """Propose squares at all sizes, refine them, and place boxes and landmarks."""

    def __init__(self, nets: Sequence[Session], feed: Input, *, side: int, score: float) -> None:
        """Set up for images that are scaled down to `side` pixels; faces have at least `score`, and 0.8.

        Raises:
            CatalogueError: these are not the three nets.
        """
        for number, (net, names) in enumerate(zip(nets, OUTPUTS, strict=False), start=1):
            if not set(names) <= set(net.outputs):
                raise CatalogueError(f"no MTCNN: net {number} puts out {', '.join(net.outputs)}")
        if len(nets) != len(OUTPUTS):
            raise CatalogueError(f"no MTCNN: expected {len(OUTPUTS)} nets, found {len(nets)}")
        self._nets = nets
        self._feed = feed
        self._side = side
        self._score = max(score, SCORES[2])

    def detect_all(self, images: Sequence[Image]) -> list[Detections]:
        """Find the faces of each of `images`, one after the other: candidates are what is batched."""
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Detections:
        scaled = shrunk(image, self._side)
        squares = self._refine(scaled, self._propose(scaled))
        return in_pixels_of(image, scaled, self._place(scaled, squares))

    def _propose(self, image: Image) -> Floats:
        """Return the squares (N, 4) in which the first net sees something."""
        levels = [self._level(image, factor) for factor in _pyramid(min(image.shape[:2]))]
        if not levels:
            return np.empty((0, 4), np.float32)
        return _squares(_Candidates.joined(levels).passed(SCORES[0], BETWEEN).moved(), image)

    def _level(self, image: Image, factor: float) -> _Candidates:
        """Let the first net look at `image`, made smaller by `factor`."""
        height, width = image.shape[:2]
        size = math.ceil(width * factor), math.ceil(height * factor)
        scores, deltas = self._run(0, [resized(image, *size)])
        rows, columns = np.nonzero(scores[0, 1] >= SCORES[0])
        corners = STEP * np.stack([columns, rows, columns, rows], axis=1) + np.array([0, 0, *SIDES[:1] * 2])
        pixels = np.array([width / size[0], height / size[1]] * 2)
        boxes = (corners * pixels).astype(np.float32)
        found = _Candidates(boxes, scores[0, 1, rows, columns], deltas[0][:, rows, columns].T)
        return found.passed(SCORES[0], WITHIN)

    def _refine(self, image: Image, squares: Floats) -> Floats:
        """Return the squares (M, 4) that the second net lets pass, where it moves them."""
        scores, deltas = self._look(1, image, squares)
        found = _Candidates(squares, scores[:, 1], deltas)
        return _squares(found.passed(SCORES[1], AFTER_SECOND).moved(), image)

    def _place(self, image: Image, squares: Floats) -> Detections:
        """Return the faces that the third net sees; landmarks are fractions of the square, all x first.

        A face is the mean of what was seen in all its squares. That is not in the original; of 90 pictures
        of LFW, moved by a few pixels, landmarks tremble by 0.3 % of the face's width instead of 0.7 %.
        """
        scores, deltas, points = self._look(2, image, squares)
        found = _Candidates(squares, scores[:, 1], deltas)
        sides = (squares[:, 2:] - squares[:, :2])[:, None]
        landmarks = squares[:, None, :2] + points.reshape(-1, 2, 5).transpose(0, 2, 1) * sides
        faces = Detections(found.moved(), landmarks, found.scores)
        return one_for_each_face(faces[faces.scores >= self._score])

    def _look(self, net: int, image: Image, squares: Floats) -> list[Floats]:
        """Return what a net says of each of the `squares`, a few at once."""
        crops = _crops(image, squares, SIDES[net])
        parts = [self._run(net, part) for part in crops]
        if not parts:
            columns = (2, 4, 10)[: len(OUTPUTS[net])]
            return [np.empty((0, count), np.float32) for count in columns]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _run(self, net: int, images: Sequence[Image]) -> list[Floats]:
        session = self._nets[net]
        return session.run(OUTPUTS[net], {session.inputs[0]: blob(images, self._feed)})


def _pyramid(side: int) -> Iterator[float]:
    """Return the factors at which the least face and all larger ones fill what the first net sees."""
    factor = SIDES[0] / LEAST
    while side * factor >= SIDES[0]:
        yield factor
        factor *= FACTOR


def _squares(boxes: Floats, image: Image) -> Floats:
    """Return squares around `boxes`, (N, 4); those that no face in `image` can fill are left out."""
    squares = squares_around(boxes)
    height, width = image.shape[:2]
    sides = squares[:, 2] - squares[:, 0]
    inside = (squares[:, 2:] > 0).all(axis=1) & (squares[:, :2] < (width, height)).all(axis=1)
    return np.asarray(squares[inside & (sides <= 2 * max(height, width))], dtype=np.float32)


def _crops(image: Image, squares: Floats, side: int) -> Iterator[list[Image]]:
    """Return what is in the `squares`, brought to `side` pixels, a few at once."""
    for first in range(0, len(squares), AT_ONCE):
        yield [cut(image, square, side) for square in squares[first : first + AT_ONCE]]
