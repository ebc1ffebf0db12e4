"""Anchors (Ren et al. 2015): boxes of several sizes at every place of a grid, which a net shifts and grows.

Their corners are the first and the last pixel that they cover, as in the original.
"""

from collections.abc import Sequence

import numpy as np

from app.models.arrays import Floats

__all__ = ["anchors", "moved", "up_to_the_edge"]

#: Side of the square before scaling, in pixels.
BASE = 16
#: Power of e; no image is 20,000 anchors wide, and numbers without end are none.
MOST_GROWTH = 10


def anchors(stride: int, scales: Sequence[float], ratios: Sequence[float], rows: int, columns: int) -> Floats:
    """Return the anchors of a grid, (rows x columns x A, 4) float32, place by place, line by line.

    Args:
        stride: pixels from one place to the next.
        scales: sides of the square ones, in units of 16 pixels.
        ratios: height by width; of the A anchors, those of the first ratio come first.
    """
    y, x = np.mgrid[:rows, :columns] * stride
    places = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4)
    return np.asarray((places + _shapes(scales, ratios)).reshape(-1, 4), dtype=np.float32)


def _shapes(scales: Sequence[float], ratios: Sequence[float]) -> Floats:
    """Return the anchors of the first place, (A, 4) float32; their rounding is the original's."""
    centre = (BASE - 1) / 2
    shapes = []
    for ratio in ratios:
        wide = np.round(np.sqrt(BASE * BASE / ratio))
        high = np.round(wide * ratio)
        for scale in scales:
            x, y = (wide * scale - 1) / 2, (high * scale - 1) / 2
            shapes.append([centre - x, centre - y, centre + x, centre + y])
    return np.array(shapes, dtype=np.float32)


def moved(boxes: Floats, deltas: Floats) -> Floats:
    """Return `boxes`, (N, 4), shifted by fractions of their size and grown by powers of e: (N, 4) each."""
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    centres = boxes[:, :2] + (sizes - 1) / 2 + deltas[:, :2] * sizes
    halves = (np.exp(np.minimum(deltas[:, 2:], MOST_GROWTH)) * sizes - 1) / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def up_to_the_edge(boxes: Floats) -> Floats:
    """Return `boxes` whose last corner is the far edge of their last pixel, as everywhere else."""
    return boxes + np.array([0, 0, 1, 1], dtype=np.float32)
