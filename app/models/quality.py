"""How good a face is: one number, 0 to 1.

It is the cosine similarity to a good picture of the same person that the face lets expect, of the default
embedder: what a straight line through these says, fitted by least squares to 4,940 faces of LFW, as they are
and made small and blurred as a camera on a ceiling would show them (`docs/recognition.md` has the figures).

- size: binary logarithm of the eyes' distance in pixels of the frame, 8 to 45 pixels;
- nod: by how much the nose is above or below its usual place between eyes and mouth;
- score: the detection score;
- sharpness: binary logarithm of the variance of the aligned face's Laplacian (Pech-Pacheco et al. 2000);
- length: of the embedding before it was normalised, from 0 for a face that is no use to 1 for a good one. It
  says most (as Meng et al. 2021, MagFace), and is known only where a face was embedded by a net whose lengths
  are known.

How far a face is turned to the side makes no difference there beyond what its length says, up to 40 degrees.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.messages import Lack
from app.models.detection import Detections
from app.models.images import Floats, Image

__all__ = ["appearance_of", "lacks_of", "quality_of"]

#: Binary logarithms of the least and the largest distance of eyes, and sharpness, that make a difference.
_SIZES, _SHARPNESS = (3.0, 5.5), (3.0, 7.5)
#: Where the nose is between eyes (0) and mouth (1), how far from there is no nod, and what is the farthest.
_NOSE, _STRAIGHT, _NOD = 0.55, 0.03, 0.3
#: The greatest length that makes a difference, where 1 is a good face's.
_LONGEST = 1.1
#: Of a face that lacks nothing, size and sharpness; and where the nose of one is that is turned away, from
#: the middle of the eyes, in their distances.
_LARGE, _SHARP, _ASIDE = 4.6, 6.5, 0.5
#: What size, nod, score, sharpness and length weigh, where they are known, and what is added.
_BY_DETECTION = np.array([0.113, -0.939, 0.781]), -0.628
_BY_PIXELS = np.array([0.032, -1.213, 0.702, 0.053]), -0.492
_BY_EMBEDDING = np.array([0.011, -0.507, 0.356, 0.031, 0.344]), -0.154


def appearance_of(detections: Detections) -> Floats:
    """Return how good each face is as far as its detection tells, (N,) float32; 0 without landmarks."""
    return _line(_BY_DETECTION, *_seen(detections))


def quality_of(
    detections: Detections, aligned: Image, lengths: Floats, length_range: tuple[float, float] | None
) -> Floats:
    """Return how good each face is, (N,) float32; as far as its detection tells where it was not embedded.

    Args:
        aligned: (N, 112, 112, 3) uint8 BGR, the faces that were embedded.
        lengths: (N,) of their embeddings before they were normalised; 0 for a face that was not embedded.
        length_range: how long those of faces that are no use are, and of good ones; None where nobody knows.
    """
    seen = _seen(detections)
    quality = _line(_BY_DETECTION, *seen)
    rows = np.flatnonzero(lengths > 0)
    if rows.size:
        sharpness = [_sharpness(aligned[row]) for row in rows]
        known = [column[rows] for column in seen] + [np.clip(sharpness, *_SHARPNESS)]
        if length_range is None:
            quality[rows] = _line(_BY_PIXELS, *known)
        else:
            low, high = length_range
            length = np.clip((lengths[rows] - low) / (high - low), 0, _LONGEST)
            quality[rows] = _line(_BY_EMBEDDING, *known, length)
    return quality


def lacks_of(detections: Detections, aligned: Image, embedded: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return what each face lacks most for being a good picture, (N,) uint8: a `Lack`.

    That of which the least part is there, where a face whose eyes are 24 pixels apart, that looks into the
    camera and is as sharp as most of LFW lacks nothing; UNKNOWN for a face that was not embedded.
    """
    lacks = np.zeros(len(embedded), np.uint8)
    _, nods, _ = _seen(detections)
    for row in np.flatnonzero(embedded):
        left, right, nose = detections.landmarks[row, :3]
        distance = max(float(np.hypot(*(right - left))), 1e-3)
        aside = abs(float((nose - (left + right) / 2) @ (right - left))) / distance**2
        there = {
            Lack.SIZE: (np.log2(distance) - _SIZES[0]) / (_LARGE - _SIZES[0]),
            Lack.SHARPNESS: (_sharpness(aligned[row]) - _SHARPNESS[0]) / (_SHARP - _SHARPNESS[0]),
            Lack.FRONT: 1 - max(aside / _ASIDE, float(nods[row]) / _NOD),
        }
        lacks[row] = min(there, key=lambda lack: there[lack])
    return lacks


def _seen(detections: Detections) -> tuple[Floats, Floats, Floats]:
    """Return size, nod and score of each face; NaN where its landmarks are not known."""
    left, right, nose = (detections.landmarks[:, number] for number in range(3))
    across, middle = right - left, (left + right) / 2
    distance = np.maximum(np.hypot(*across.T), 1e-3)
    # A quarter turn from the line through the eyes.
    down = np.stack([-across[:, 1], across[:, 0]], axis=1) / distance[:, None]
    mouth = detections.landmarks[:, 3:].mean(axis=1)
    depth = np.maximum(((mouth - middle) * down).sum(axis=1), 1e-3)
    nod = np.abs(((nose - middle) * down).sum(axis=1) / depth - _NOSE) - _STRAIGHT
    return np.clip(np.log2(distance), *_SIZES), np.clip(nod, 0, _NOD), detections.scores


def _sharpness(face: Image) -> float:
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    return float(np.log2(cv2.Laplacian(grey, cv2.CV_32F).var() + 1))


def _line(weights: tuple[np.ndarray, float], *measures: Floats) -> Floats:
    factors, added = weights
    return np.nan_to_num(np.clip(factors @ np.stack(measures) + added, 0, 1)).astype(np.float32)
