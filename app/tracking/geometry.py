"""Boxes: how far they are apart, and how much larger one is, in sizes of a face."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["distances", "growth"]

Floats = NDArray[np.float32]


def distances(boxes: Floats, others: Floats) -> Floats:
    """Return how far the middles of `boxes` (N, 4) and `others` (M, 4) are apart, (N, M), in their sizes."""
    middles, theirs = (boxes[:, :2] + boxes[:, 2:]) / 2, (others[:, :2] + others[:, 2:]) / 2
    # Not as one array of pairs with a norm along its last axis, two long: that takes ten times as long.
    across, down = (np.subtract.outer(middles[:, axis], theirs[:, axis]) for axis in (0, 1))
    apart = np.sqrt(across**2 + down**2)
    return np.asarray(apart / np.sqrt(_sizes(boxes)[:, None] * _sizes(others)[None]), np.float32)


def growth(boxes: Floats, others: Floats) -> Floats:
    """Return how many times as large the larger one of each pair of a box and another one is, (N, M)."""
    return np.asarray(np.exp(np.abs(np.log(_sizes(boxes)[:, None] / _sizes(others)[None]))), np.float32)


def _sizes(boxes: Floats) -> Floats:
    """Return the side of a square as large as each box, (N,); at least a pixel."""
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    return np.asarray(np.sqrt(np.maximum(areas, 1)), np.float32)
