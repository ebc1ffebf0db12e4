"""The gate: which of the found faces are worth an embedding."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from app.models.detection.base import Detections

__all__ = ["Gate", "gate"]


class Gate(IntEnum):
    """What became of a face; of several reasons against one, the first of these counts."""

    PASSED = 0
    SMALL = 1
    UNSURE = 2
    UNALIGNED = 3


def gate(detections: Detections, min_face: int, embed_score: float) -> NDArray[np.uint8]:
    """Return the `Gate` of each face as (N,) uint8.

    A face is SMALL where its box is less than `min_face` pixels wide or high, UNSURE where its detection
    score is below `embed_score`, UNALIGNED where its landmarks are not known.
    """
    known = np.isfinite(detections.landmarks).all(axis=(1, 2))
    sizes = detections.boxes[:, 2:] - detections.boxes[:, :2]
    gates = np.where(known, Gate.PASSED, Gate.UNALIGNED)
    gates = np.where(detections.scores < embed_score, Gate.UNSURE, gates)
    return np.where(sizes.min(axis=1, initial=np.inf) < min_face, Gate.SMALL, gates).astype(np.uint8)
