"""Proposals of a region proposal network (Ren et al. 2015), outside of the graph and without any chance.

The original is MXNet's operator in Python, which fills up with regions drawn at random; this one returns
as many as there are, so that the same image always gives the same faces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.models.arrays import Floats
from app.models.detection.anchors import anchors, moved, up_to_the_edge
from app.models.detection.nms import suppress

__all__ = ["Proposals", "proposals_of"]

#: Overlap above which the less sure of two regions goes.
IOU = 0.7
#: Regions looked at, and regions returned.
BEFORE, AFTER = 6000, 300
#: Side of the least region, in pixels of the original image.
LEAST = 16


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
        boxes = moved(anchors(self.stride, self.scales, self.ratios, *scores.shape[2:]), moves)
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width - 1)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height - 1)
        large = ((boxes[:, 2:] - boxes[:, :2] + 1) >= LEAST * scale).all(axis=1)
        boxes, faces = boxes[large], faces[large]
        surest = np.argsort(-faces, kind="stable")[:BEFORE]
        boxes, faces = boxes[surest], faces[surest]
        kept = suppress(up_to_the_edge(boxes), faces, IOU)[:AFTER]
        return np.concatenate([np.zeros((len(kept), 1), np.float32), boxes[kept]], axis=1)


def proposals_of(about: Mapping[str, str]) -> Proposals:
    """Return what makes regions, from the numbers that an import has stored with a graph."""
    numbers = {name.removeprefix("proposal."): text for name, text in about.items()}
    scales, ratios = (
        tuple(float(word) for word in numbers[name].split(",")) for name in ("scales", "ratios")
    )
    return Proposals(int(numbers["stride"]), scales, ratios)
