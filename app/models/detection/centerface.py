"""CenterFace (Xu et al. 2019): faces as peaks of a heat map at a quarter of the input's size."""

import numpy as np

from app.models.detection.base import TRIED, Detections, SingleShot
from app.models.images import Floats
from app.models.runtime.session import Session
from app.weights import CatalogueError, Input

__all__ = ["CenterFace"]

STRIDE = 4
#: Of the heat map, sizes, offsets and landmarks.
CHANNELS = (1, 2, 2, 10)


class CenterFace(SingleShot):
    """Read the heat map, sizes, offsets and landmarks that CenterFace puts out, told by their order."""

    def __init__(self, session: Session, feed: Input, *, side: int, score: float, batch: int) -> None:
        """Set up as any `SingleShot`.

        Raises:
            CatalogueError: the net puts out other maps, or does so only for images of one size.
        """
        super().__init__(session, feed, side=side, score=score, batch=batch)
        found = [output.shape for output in self._tried()]
        expected = [(1, channels, *(length // STRIDE for length in TRIED)) for channels in CHANNELS]
        if found != expected:
            raise CatalogueError(f"no CenterFace: expected outputs of {expected}, found {found}")

    @property
    def _outputs(self) -> None:
        return None

    def _decode(self, outputs: list[Floats], width: int) -> Detections:
        heat, sizes, offsets, points = outputs
        rows, columns = np.nonzero(heat[0] >= self._score)
        high, wide = np.exp(sizes[:, rows, columns]) * STRIDE
        top = (rows + offsets[0, rows, columns] + 0.5) * STRIDE - high / 2
        left = (columns + offsets[1, rows, columns] + 0.5) * STRIDE - wide / 2
        boxes = np.stack([left, top, left + wide, top + high], axis=1)
        # Points are y, x pairs, in fractions of the box.
        fractions = points[:, rows, columns].reshape(5, 2, -1)
        x = left + fractions[:, 1] * wide
        y = top + fractions[:, 0] * high
        landmarks = np.stack([x, y], axis=-1).transpose(1, 0, 2)
        return Detections(boxes.astype(np.float32), landmarks.astype(np.float32), heat[0, rows, columns])
