"""YuNet (Wu et al. 2023): an anchor-free detector with heads at strides 8, 16 and 32."""

import numpy as np

from app.models.detection.base import Detections, SingleShot
from app.models.images import Floats
from app.models.runtime.session import Session
from app.weights import CatalogueError, Input

__all__ = ["YuNet"]

STRIDES = (8, 16, 32)
HEADS = ("cls", "obj", "bbox", "kps")


class YuNet(SingleShot):
    """Read the four heads that YuNet has at each stride."""

    def __init__(self, session: Session, feed: Input, *, side: int, score: float, batch: int) -> None:
        """Set up as any `SingleShot`.

        Raises:
            CatalogueError: the net has other heads.
        """
        super().__init__(session, feed, side=side, score=score, batch=batch)
        if not set(self._outputs) <= set(session.outputs):
            raise CatalogueError(f"no YuNet: it puts out {', '.join(session.outputs)}")

    @property
    def _outputs(self) -> list[str]:
        return [f"{head}_{stride}" for stride in STRIDES for head in HEADS]

    def _decode(self, outputs: list[Floats], width: int) -> Detections:
        levels = [
            self._level(outputs[first : first + len(HEADS)], stride, width)
            for stride, first in zip(STRIDES, range(0, len(outputs), len(HEADS)), strict=True)
        ]
        return Detections.joined(levels)

    def _level(self, heads: list[Floats], stride: int, width: int) -> Detections:
        """Read the heads of one stride; each has a row for each cell of a grid, line by line."""
        classes, objects, extents, points = heads
        scores = np.sqrt(classes[:, 0] * objects[:, 0])
        kept = np.nonzero(scores >= self._score)[0]
        rows, columns = np.divmod(kept, width // stride)
        cells = np.stack([columns, rows], axis=1).astype(np.float32)
        centres = (cells + extents[kept, :2]) * stride
        halves = np.exp(extents[kept, 2:]) * stride / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=1)
        landmarks = (points[kept].reshape(-1, 5, 2) + cells[:, None]) * stride
        return Detections(boxes, landmarks, scores[kept])
