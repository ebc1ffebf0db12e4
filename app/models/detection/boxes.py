"""Boxes: which of overlapping ones stay, the anchors that some nets start from, and proposals made of those.

Anchors and proposals are those of Ren et al. 2015. The corners of anchors are the first and the last pixel
that they cover, as in the original. Proposals are made outside of the graph and without any chance: the
original is MXNet's operator in Python, which fills up with regions drawn at random; this one returns as many
as there are, so that the same image always gives the same faces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.models.images import Floats

__all__ = [
    "Proposals",
    "anchors",
    "moved",
    "overlaps",
    "proposals_of",
    "shares",
    "suppress",
    "up_to_the_edge",
]

#: Intersection over union above which the less sure of two boxes goes.
IOU = 0.35
#: Intersection over union from which two boxes are two views of one face.
SAME_FACE = 0.5

#: Side of an anchor's square before scaling, in pixels.
BASE = 16
#: Power of e; no image is 20,000 anchors wide, and numbers without end are none.
MOST_GROWTH = 10

#: Intersection over union above which the less sure of two proposals goes.
PROPOSAL_IOU = 0.7
#: Proposals looked at, and proposals returned.
BEFORE, AFTER = 6000, 300
#: Side of the least proposal, in pixels of the original image.
LEAST = 16


def suppress(boxes: Floats, scores: Floats, iou: float = IOU) -> NDArray[np.int64]:
    """Return the indices of the boxes (N, 4; x1, y1, x2, y2) that stay, surest first.

    Of two that overlap by more than `iou`, intersection over union, the less sure one goes.
    """
    if not len(scores):
        return np.empty(0, dtype=np.int64)
    with_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(with_sizes.tolist(), scores.tolist(), 0.0, iou)
    return np.asarray(kept, dtype=np.int64).reshape(-1)


def shares(boxes: Floats, scores: Floats, kept: NDArray[np.int64]) -> Floats:
    """Return what each candidate contributes to each kept one: (K, N) float32, rows sum to one.

    Nets answer at several places of one face, each a little off. Their mean, weighted by score, is closer
    and trembles less from frame to frame than the surest alone (BlazeFace, Bazarevsky et al. 2019). On 2.6
    million pairs of LFW pictures, none of them official, TAR at FAR 1e-4 rose from 96.5 to 97.0 % with
    CenterFace and from 95.0 to 96.4 % with YuNet.
    """
    same = overlaps(boxes[kept], boxes) >= SAME_FACE
    same[np.arange(len(kept)), kept] = True
    # A net that is not trusted may be sure by nothing at all, or by more than there is.
    weights = same * scores.clip(np.finfo(np.float32).tiny, 1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def overlaps(first: Floats, second: Floats) -> Floats:
    """Return the intersection over union of each pair of boxes: (N, 4) and (M, 4) to (N, M)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float32).tiny), dtype=np.float32)


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
        kept = suppress(up_to_the_edge(boxes), faces, PROPOSAL_IOU)[:AFTER]
        return np.concatenate([np.zeros((len(kept), 1), np.float32), boxes[kept]], axis=1)


def proposals_of(about: Mapping[str, str]) -> Proposals:
    """Return what makes regions, from the numbers that an import has stored with a graph."""
    numbers = {name.removeprefix("proposal."): text for name, text in about.items()}
    scales, ratios = (
        tuple(float(word) for word in numbers[name].split(",")) for name in ("scales", "ratios")
    )
    return Proposals(int(numbers["stride"]), scales, ratios)
