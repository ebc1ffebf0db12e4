"""Proposals of a region proposal network (Ren et al. 2015), outside of the graph and without any chance.

The original is MXNet's operator in Python, which fills up with regions drawn at random; this one returns
as many as there are, so that the same image always gives the same faces.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.models.arrays import Floats
from app.models.detection.nms import suppress

__all__ = ["Proposals"]

#: Overlap above which the less sure of two regions goes.
IOU = 0.7
#: Regions looked at, and regions returned.
BEFORE, AFTER = 6000, 300
#: Side of the anchors' square before scaling, in pixels; and of the least region in the original image.
BASE, LEAST = 16, 16
#: Power of e; no image is 20,000 anchors wide, and numbers without end are none.
MOST_GROWTH = 10


@dataclass(frozen=True, slots=True)
class Proposals:
    """Turns the two outputs of an RPN into regions; the anchors stand `stride` pixels apart."""

    stride: int = 16
    scales: Sequence[float] = (4, 8, 16, 32)
    ratios: Sequence[float] = (0.5, 1, 2)

    def __call__(self, scores: Floats, deltas: Floats, height: float, width: float, scale: float) -> Floats:
        """Return the regions of one image, (N, 5) float32: 0, x1, y1, x2, y2 in pixels, surest first.

        Args:
            scores: (1, 2 A, H, W) float32: of A anchors at each place no face, then face.
            deltas: (1, 4 A, H, W) float32: shift and growth of each anchor.
            height: of the image that the net was fed, in pixels; so is `width`.
            scale: by how much that image was enlarged.
        """
        count = len(self.scales) * len(self.ratios)
        faces = scores[0, count:].transpose(1, 2, 0).reshape(-1)
        moves = deltas[0].transpose(1, 2, 0).reshape(-1, 4)
        boxes = _moved(self._anchors(*scores.shape[2:]), moves)
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width - 1)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height - 1)
        large = ((boxes[:, 2:] - boxes[:, :2] + 1) >= LEAST * scale).all(axis=1)
        boxes, faces = boxes[large], faces[large]
        surest = np.argsort(-faces, kind="stable")[:BEFORE]
        boxes, faces = boxes[surest], faces[surest]
        # The original counts the last pixel in: its boxes are a pixel larger than their corners tell.
        kept = suppress(boxes + np.array([0, 0, 1, 1], np.float32), faces, IOU)[:AFTER]
        return np.concatenate([np.zeros((len(kept), 1), np.float32), boxes[kept]], axis=1)

    def _anchors(self, rows: int, columns: int) -> Floats:
        """Return the anchors (rows x columns x A, 4) float32, place by place, line by line."""
        y, x = np.mgrid[:rows, :columns] * self.stride
        places = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4)
        return np.asarray((places + self._shapes()).reshape(-1, 4), dtype=np.float32)

    def _shapes(self) -> Floats:
        """Return the anchors of the first place, (A, 4) float32; their rounding is the original's."""
        centre = (BASE - 1) / 2
        shapes = []
        for ratio in self.ratios:
            wide = np.round(np.sqrt(BASE * BASE / ratio))
            high = np.round(wide * ratio)
            for scale in self.scales:
                x, y = (wide * scale - 1) / 2, (high * scale - 1) / 2
                shapes.append([centre - x, centre - y, centre + x, centre + y])
        return np.array(shapes, dtype=np.float32)


def _moved(anchors: Floats, deltas: Floats) -> Floats:
    """Return `anchors`, (N, 4), shifted by fractions of their size and grown by powers of e."""
    sizes = anchors[:, 2:] - anchors[:, :2] + 1
    centres = anchors[:, :2] + (sizes - 1) / 2 + deltas[:, :2] * sizes
    halves = (np.exp(np.minimum(deltas[:, 2:], MOST_GROWTH)) * sizes - 1) / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)
