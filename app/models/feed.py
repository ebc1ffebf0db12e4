"""How pixels become what a net is fed."""

from collections.abc import Sequence

import cv2
import numpy as np

from app.models.arrays import Floats, Image
from app.models.catalogue import Input

__all__ = ["blob"]


def blob(images: Sequence[Image], feed: Input) -> Floats:
    """Return `images`, uint8 BGR of one size, as (N, 3, H, W) float32 in the colours and range of `feed`."""
    height, width = images[0].shape[:2]
    made = cv2.dnn.blobFromImages(
        images, feed.scale, (width, height), (feed.mean,) * 3, swapRB=feed.colour == "RGB"
    )
    return np.asarray(made, dtype=np.float32)
