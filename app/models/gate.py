"""The gate: which of the found faces are worth an embedding."""

import numpy as np
from numpy.typing import NDArray

from app.messages import Gate
from app.models.detection.base import Detections

__all__ = ["gate"]


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
