"""How pixels become what a net is fed; a face is brought to the same place before, and never stretched."""

from collections.abc import Sequence

import cv2
import numpy as np

from app.models.images import Floats, Image
from app.weights import Input

__all__ = [
    "REFERENCE_LANDMARKS",
    "SIZE",
    "align",
    "blob",
    "cut",
    "resized",
    "shrunk",
    "similarity_transform",
    "squares_around",
]

#: Side in pixels of an aligned face.
SIZE = 112
#: (5, 2) float32: where eyes, nose and corners of the mouth come to lie (ArcFace, Deng et al. 2019).
REFERENCE_LANDMARKS: Floats = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)


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


def similarity_transform(source: Floats, target: Floats) -> Floats:
    """Return the (2, 3) float32 similarity that brings `source` (N, 2) closest to `target` (N, 2).

    Least squares over rotation, scale and shift (Umeyama 1991). In the plane these are w = a z + b over
    the complex numbers, where the optimum is a plain quotient. Points that coincide give scale 0.
    """
    z = source[:, 0] + 1j * source[:, 1].astype(np.float64)
    w = target[:, 0] + 1j * target[:, 1].astype(np.float64)
    centred = z - z.mean()
    spread = max(float(np.vdot(centred, centred).real), 1e-12)
    a = complex(np.vdot(centred, w - w.mean())) / spread
    b = complex(w.mean() - a * z.mean())
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]], dtype=np.float32)


def align(image: Image, landmarks: Floats) -> Image:
    """Return the face with these (5, 2) landmarks, in pixels of `image`, as (112, 112, 3) uint8 BGR."""
    warped = cv2.warpAffine(
        image, similarity_transform(landmarks, REFERENCE_LANDMARKS), (SIZE, SIZE), flags=cv2.INTER_LINEAR
    )
    return np.asarray(warped, dtype=np.uint8)
