"""Bytes to pixels and back: photographs from outside, checked before they are decoded, and frames."""

from io import BytesIO
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from app.errors import OnlookerError

__all__ = [
    "Floats",
    "Image",
    "ImageError",
    "decode_image",
    "decode_jpeg",
    "encode_jpeg",
    "patches",
    "thumbnail",
]

#: (H, W, 3) uint8, blue-green-red, as OpenCV has it.
Image = NDArray[np.uint8]
#: float32 of any shape.
Floats = NDArray[np.float32]


FORMATS = ("JPEG", "PNG", "WEBP")
#: Most pixels of a frame: 8K.
FRAME_PIXELS = 7680 * 4320

# Pillow's own limit warns or raises by a number of its choice; here the caller's limit is checked instead,
# before anything is decoded.
Pillow.MAX_IMAGE_PIXELS = None


#: What Pillow raises for broken files, by format and place of the damage.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, IndexError, OverflowError)


class ImageError(OnlookerError):
    """Bytes cannot be used as an image; `reason` is `not-an-image` or `too-large`."""

    def __init__(self, text: str, reason: Literal["not-an-image", "too-large"]) -> None:
        """Say what is wrong in `text`, and in one word for programs in `reason`."""
        super().__init__(text)
        self.reason = reason


def decode_image(data: bytes, max_pixels: int) -> Image:
    """Decode a photograph, JPEG, PNG or WebP, to (H, W, 3) uint8 BGR, turned as its EXIF says.

    Format and size are read from the header first. A truncated file is an error.

    Raises:
        ImageError: it is none of these, broken, or has more than `max_pixels`.
    """
    try:
        with _open(data, FORMATS, max_pixels) as picture:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            rgb = np.asarray(upright.convert("RGB"), dtype=np.uint8)
    except _BROKEN as error:
        raise _not_an_image(FORMATS, error) from None
    return np.ascontiguousarray(rgb[:, :, ::-1])


def decode_jpeg(data: bytes, max_pixels: int = FRAME_PIXELS) -> Image:
    """Decode a frame to (H, W, 3) uint8 BGR, the quick way.

    The decoder fills what is missing of a truncated JPEG with grey and says nothing, so a frame must end
    with the end-of-image marker (zeros after it are padding that cameras add). Damage in the middle is
    not noticed: it is seen as blocks, as in any player.

    Raises:
        ImageError: it is no JPEG, truncated, or has more than `max_pixels`.
    """
    try:
        _open(data, ("JPEG",), max_pixels).close()
    except _BROKEN as error:
        raise _not_an_image(("JPEG",), error) from None
    if not data.endswith(b"\xff\xd9") and not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise ImageError("the JPEG is truncated: expected an end-of-image marker, found none", "not-an-image")
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError("the JPEG cannot be decoded", "not-an-image")
    return np.asarray(image, dtype=np.uint8)


def encode_jpeg(image: Image, quality: int = 90) -> bytes:
    """Encode (H, W, 3) uint8 BGR as JPEG."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ImageError(f"cannot encode an image of shape {image.shape}", "not-an-image")
    return data.tobytes()


def _open(data: bytes, formats: tuple[str, ...], max_pixels: int) -> Pillow.Image:
    """Read the header alone and check the size that it claims."""
    picture = Pillow.open(BytesIO(data), formats=formats)
    width, height = picture.size
    if width * height > max_pixels:
        picture.close()
        raise ImageError(
            f"the image is too large: expected at most {max_pixels} pixels, found {width}x{height}",
            "too-large",
        )
    return picture


def _not_an_image(formats: tuple[str, ...], error: Exception) -> ImageError:
    kinds = " or ".join(formats)
    start = "cannot identify" if isinstance(error, UnidentifiedImageError) else "cannot decode"
    return ImageError(f"{start} the image: expected {kinds}, whole and undamaged", "not-an-image")


def patches(image: Image, boxes: Floats) -> Floats:
    """Return how the faces of `image` look, from afar: (N, 192) float32 of length one, without their mean.

    The product of two is their correlation, whatever the light.

    Args:
        boxes: (N, 4) left, top, right, bottom, pixels; they may reach beyond the image.
    """
    height, width = image.shape[:2]
    corners = np.clip(np.round(boxes), 0, [width, height, width, height]).astype(int)
    seen = np.zeros((len(boxes), 192), np.float32)
    for row, (left, top, right, bottom) in enumerate(corners.tolist()):
        if left < right and top < bottom:
            few = cv2.resize(image[top:bottom, left:right], (32, 32), interpolation=cv2.INTER_NEAREST)
            seen[row] = cv2.resize(few, (8, 8), interpolation=cv2.INTER_AREA).ravel()
    seen -= seen.mean(axis=1, keepdims=True)
    return np.asarray(seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-6), np.float32)


def thumbnail(image: Image) -> NDArray[np.uint8]:
    """Return the grey of `image` in (18, 32) uint8: enough to tell one scene from another."""
    # Sixteen pixels of each part: all of them would take a tenth of what decoding takes.
    few = cv2.resize(image, (128, 72), interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(few, (32, 18), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
