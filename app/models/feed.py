"""How pixels become what a net is fed."""

from collections.abc import Sequence

import cv2
import numpy as np

from app.models.arrays import Floats, Image
from app.weights import Input

__all__ = ["blob", "cut", "resized", "shrunk", "squares_around"]


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
    return _smaller(image, side / max(image.shape[:2]))


def _smaller(image: Image, factor: float) -> Image:
    """Return `image`, its sides `factor` times as long; as it is where that would not make it smaller."""
    if factor >= 1:
        return image
    height, width = image.shape[:2]
    return resized(image, max(1, round(width * factor)), max(1, round(height * factor)))


def squares_around(boxes: Floats, times: float = 1) -> Floats:
    """Return squares around `boxes` (N, 4), so many times as long as a box's longer side; never empty."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=1, keepdims=True) * (times / 2)
    return np.asarray(np.concatenate([centres - halves, centres + halves], axis=1), dtype=np.float32)


def cut(image: Image, square: Floats, side: int) -> Image:
    """Return what is in a `square` (x1, y1, x2, y2), as (side, side, 3); black where that is outside.

    What is large is made smaller before it is cut out to the fraction of a pixel, which alone would flicker.
    """
    left, top, right, bottom = (float(edge) for edge in square)
    height, width = image.shape[:2]
    x, y = (int(np.clip(edge, 0, most - 1)) for edge, most in ((left, width), (top, height)))
    seen = image[y : max(int(np.ceil(bottom)), y + 1), x : max(int(np.ceil(right)), x + 1)]
    small = _smaller(seen, 2 * side / (right - left))
    # How many pixels of what is returned are one of `small`; the middle of the first pixel is at one half.
    scale = side / (right - left)
    across, down = (scale * seen.shape[axis] / small.shape[axis] for axis in (1, 0))
    places = np.array(
        [
            [across, 0, (x - left) * scale + (across - 1) / 2],
            [0, down, (y - top) * scale + (down - 1) / 2],
        ]
    )
    return np.asarray(cv2.warpAffine(small, places, (side, side), flags=cv2.INTER_LINEAR), dtype=np.uint8)
