"""What every detector is and gives: faces as columns."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import one_line
from app.models.detection.boxes import shares, suppress
from app.models.feed import blob, shrunk
from app.models.images import Floats, Image
from app.models.runtime.session import Session
from app.weights import CatalogueError, Input

__all__ = [
    "STRIDE",
    "TRIED",
    "Detections",
    "Detector",
    "SingleShot",
    "in_pixels_of",
    "one_for_each_face",
    "whole",
]

#: Width and height of what the nets are fed are multiples of this.
STRIDE = 32
#: Height and width of the image on which nets are tried whose outputs bear no names that say what they are.
TRIED = (STRIDE, 2 * STRIDE)
#: Candidates that are looked at; bounds the work that one hostile image can cause.
MOST = 2000


@dataclass(frozen=True, slots=True)
class Detections:
    """The faces of one image, surest first.

    boxes: (N, 4) float32, x1, y1, x2, y2 in pixels of the image.
    landmarks: (N, 5, 2) float32, x, y in pixels: left eye, right eye, nose, left and right corner of the
        mouth, left and right as seen in the image; NaN for a face of which none were found.
    scores: (N,) float32, 0 to 1.
    """

    boxes: Floats
    landmarks: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: NDArray[Any] | slice) -> "Detections":
        """Return the faces chosen by a mask, indices or a slice."""
        return Detections(self.boxes[chosen], self.landmarks[chosen], self.scores[chosen])

    @classmethod
    def of_boxes(cls, boxes: Floats, scores: Floats) -> "Detections":
        """Return faces of which no landmarks were found."""
        landmarks = np.full((len(scores), 5, 2), np.nan, dtype=np.float32)
        return cls(boxes.astype(np.float32), landmarks, scores)

    @classmethod
    def joined(cls, parts: Sequence["Detections"]) -> "Detections":
        """Return the faces of all `parts`, of which there is at least one."""
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.landmarks for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def surest(self, most: int = MOST) -> "Detections":
        """Return at most so many of them, surest first; none whose box or score is no number."""
        known = np.flatnonzero(np.isfinite(self.boxes).all(axis=1) & np.isfinite(self.scores))
        return self[known[np.argsort(-self.scores[known], kind="stable")[:most]]]


class Detector(ABC):
    """Finds faces; may be used by several threads at once."""

    @classmethod
    def finds_landmarks(cls, outputs: Sequence[str]) -> bool:
        """Tell whether a net of this kind that has these `outputs` finds landmarks; if not, they are NaN."""
        return bool(outputs)

    def detect(self, image: Image) -> Detections:
        """Find the faces of `image`, (H, W, 3) uint8 BGR."""
        return self.detect_all([image])[0]

    @abstractmethod
    def detect_all(self, images: Sequence[Image]) -> list[Detections]:
        """Find the faces of each of `images`, (H, W, 3) uint8 BGR of any sizes."""


class SingleShot(Detector):
    """A detector that is one net, which sees each image once."""

    def __init__(self, session: Session, feed: Input, *, side: int, score: float, batch: int) -> None:
        """Set up for `batch` images at once, scaled down to `side` pixels, and faces of at least `score`."""
        self._session = session
        self._feed = feed
        self._side = side
        self._score = score
        self._batch = batch

    def detect_all(self, images: Sequence[Image]) -> list[Detections]:
        """Find the faces of each of `images`; those that are fed in one size go through the net together."""
        scaled = [shrunk(image, self._side) for image in images]
        padded = [_pad(image) for image in scaled]
        found: dict[int, Detections] = {}
        for rows in _batches([image.shape for image in padded], self._batch):
            for row, candidates in zip(rows, self._run([padded[row] for row in rows]), strict=True):
                found[row] = in_pixels_of(images[row], scaled[row], one_for_each_face(candidates))
        return [found[row] for row in range(len(images))]

    def _run(self, images: Sequence[Image]) -> Iterator[Detections]:
        """Return the candidates of each of `images`, which are of one size."""
        fed = blob(images, self._feed)
        outputs = self._session.run(self._outputs, {self._session.inputs[0]: fed})
        for row in range(len(images)):
            yield self._decode([output[row] for output in outputs], fed.shape[3])

    def _tried(self) -> list[Floats]:
        """Return all outputs for a dark image of `TRIED` pixels, in the net's order.

        Raises:
            CatalogueError: the net does not run on it.
        """
        try:
            return self._session.run(None, {self._session.inputs[0]: np.zeros((1, 3, *TRIED), np.float32)})
        except Exception as error:
            # The exceptions of onnxruntime have no base of their own.
            raise CatalogueError(
                f"the {type(self).__name__} does not run on an image of {TRIED[1]}x{TRIED[0]} pixels:"
                f" expected an export for any size, found {one_line(error)}"
            ) from None

    @property
    @abstractmethod
    def _outputs(self) -> list[str] | None:
        """Return the names of the outputs to ask for; None is all, in the net's order."""

    @abstractmethod
    def _decode(self, outputs: list[Floats], width: int) -> Detections:
        """Return every candidate of one image that reaches the score, in pixels of what the net was fed.

        Args:
            outputs: the image's rows of the outputs.
            width: of what the net was fed, in pixels.
        """


def _batches(shapes: Sequence[tuple[int, ...]], most: int) -> Iterator[list[int]]:
    """Return the rows of equal `shapes` together, at most `most` of them."""
    rows: dict[tuple[int, ...], list[int]] = {}
    for row, shape in enumerate(shapes):
        rows.setdefault(shape, []).append(row)
    for same in rows.values():
        for first in range(0, len(same), most):
            yield same[first : first + most]


def in_pixels_of(image: Image, scaled: Image, found: Detections) -> Detections:
    """Return what was found in `scaled`, brought to the pixels of `image` and into it."""
    height, width = image.shape[:2]
    factors = np.array([width / scaled.shape[1], height / scaled.shape[0]], dtype=np.float32)
    boxes = (found.boxes.reshape(-1, 2, 2) * factors).clip(0, [width, height]).reshape(-1, 4)
    return Detections(boxes.astype(np.float32), whole(found.landmarks * factors), found.scores)


def whole(landmarks: Floats) -> Floats:
    """Return `landmarks`, (N, 5, 2), with NaN throughout for each face of which any number is not finite."""
    known = np.isfinite(landmarks).all(axis=(1, 2), keepdims=True)
    return np.where(known, landmarks, np.float32(np.nan)).astype(np.float32)


def _pad(image: Image) -> Image:
    """Return `image` with black on the right and below, up to sides that the nets take."""
    below, right = -image.shape[0] % STRIDE, -image.shape[1] % STRIDE
    if not below and not right:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT), dtype=np.uint8)


def one_for_each_face(candidates: Detections) -> Detections:
    """Suppress what overlaps; the faces that stay are means of what they stand for.

    Landmarks are means over those candidates that have any, NaN where none has.
    """
    surest = candidates.surest()
    kept = suppress(surest.boxes, surest.scores)
    weights = shares(surest.boxes, surest.scores, kept)
    return Detections(weights @ surest.boxes, _means(weights, surest.landmarks), surest.scores[kept])


def _means(weights: Floats, landmarks: Floats) -> Floats:
    """Return the means of `landmarks`, (N, 5, 2), by `weights`, (K, N): (K, 5, 2) float32."""
    known = np.isfinite(landmarks).all(axis=(1, 2))
    weights = weights[:, known]
    sums = weights.sum(axis=1, keepdims=True)
    means = np.tensordot(weights / np.maximum(sums, np.finfo(np.float32).tiny), landmarks[known], axes=1)
    means[sums[:, 0] == 0] = np.nan
    return means.astype(np.float32)
