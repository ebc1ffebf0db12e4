"""How pixels become what a net is fed."""

from collections.abc import Sequence

import cv2
import numpy as np

from app.models.arrays import Floats, Image
from app.models.catalogue import Input

__all__ = ["blob", "resized", "shrunk"]


def blob(images: Sequence[Image], feed: Input) -> Floats:
    """Return `images`, uint8 BGR of one size, as (N, 3, H, W) float32 in the colours and range of `feed`."""
    height, width = images[0].shape[:2]
    made = cv2.dnn.blobFromImages(
        images, feed.scale, (width, height), (feed.mean,) * 3, swapRB=feed.colour == "RGB"
    )
    return np.asarray(made, dtype=np.float32)


def resized(image: Image, width: int, height: int) -> Image:
    """Return `image` in this size, without what would flicker where it becomes much smaller."""
    smooth = cv2.INTER_AREA if 2 * max(width, height) < max(image.shape[:2]) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=smooth), dtype=np.uint8)


def shrunk(image: Image, side: int) -> Image:
    """Return `image`, scaled down where its longer side is longer than `side`; never up."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image
    return resized(image, max(1, round(width * factor)), max(1, round(height * factor)))
