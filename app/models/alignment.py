"""Alignment: every face is brought to the same place before it is embedded, and never stretched."""

import cv2
import numpy as np

from app.models.arrays import Floats, Image

__all__ = ["REFERENCE_LANDMARKS", "SIZE", "align", "similarity_transform"]

#: Side in pixels of an aligned face.
SIZE = 112
#: (5, 2) float32: where eyes, nose and corners of the mouth come to lie (ArcFace, Deng et al. 2019).
REFERENCE_LANDMARKS: Floats = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)


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
