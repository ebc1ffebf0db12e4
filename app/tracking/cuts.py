"""Cuts: whether a picture is of another scene than the one before."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["CutDetector"]

#: Mean difference of grey levels, 0 to 255, between two scenes; people who walk by a camera stay far below.
_DIFFERENT = 24.0


class CutDetector:
    """Looks at the small pictures of one stream's frames, one after the other.

    A lamp that is switched on passes for a cut: that costs a few embeddings and nothing else.
    """

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None

    def is_cut(self, scene: NDArray[np.uint8]) -> bool:
        """Tell whether there is a cut between the scene before and this one, (H, W) uint8 grey."""
        before, self._before = self._before, scene
        if before is None or before.shape != scene.shape:
            return before is not None
        return float(np.abs(before.astype(np.int16) - scene).mean()) > _DIFFERENT
