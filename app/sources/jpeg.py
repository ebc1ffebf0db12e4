"""What a JPEG's header says, and pictures made into JPEGs that fit into a message."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import ExifTags, Image

from app.errors import OnlookerError
from app.sources.base import Bgr
from app.topics import MAX_MESSAGE_BYTES

__all__ = ["MAX_JPEG_BYTES", "Jpeg", "PictureRefused", "is_whole", "make_jpeg", "read_jpeg_header"]

#: What is left of a message for the JPEG, beside key, headers and Kafka's own fields.
MAX_JPEG_BYTES = MAX_MESSAGE_BYTES - 4096

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_FRAMES = {0xC0, 0xC1, 0xC2}
_TABLES, _SCAN, _APP1 = 0xC4, 0xDA, 0xE1
_EXIF = b"Exif\0\0"
#: Orientations that turn nothing: "unknown", which some cameras write, and "as it is".
_UPRIGHT = (0, 1)

# A line about each broken tag, frame after frame, would flood the log.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")


class PictureRefused(OnlookerError):
    """A picture that cannot become a message; `reason` is for the counters."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG and its size in pixels."""

    data: bytes
    width: int
    height: int


def is_whole(data: bytes) -> bool:
    """Tell whether `data` begins and ends as a JPEG does; some cameras put padding behind the end."""
    return data.startswith(_START) and data.rfind(_END, max(0, len(data) - 4096)) > 0


def read_jpeg_header(data: bytes) -> Jpeg | None:
    """Return the JPEG in `data` if it can travel as it is, else None.

    It can when it is whole, holds its own tables (those of some webcams do not), stands upright
    and fits into a message. Only the header is read (ITU-T T.81, annex B), never the picture.
    """
    if not is_whole(data) or len(data) > MAX_JPEG_BYTES:
        return None
    size, tables, upright = None, False, True
    for marker, body in _segments(data):
        if marker in _FRAMES and len(body) >= 6:
            size = int.from_bytes(body[3:5]), int.from_bytes(body[1:3])
        tables = tables or marker == _TABLES
        if marker == _APP1 and body.startswith(_EXIF):
            upright = upright and _is_upright(body)
        if marker == _SCAN:
            return Jpeg(data, *size) if size and all(size) and tables and upright else None
    return None


def make_jpeg(image: bytes | Bgr, size: tuple[int, int] | None, quality: int) -> Jpeg:
    """Return `image` as a JPEG that fits into a message.

    A JPEG stays as it is unless another size is asked for or it cannot travel; pixels that are too
    large at `quality` are tried at lower ones.

    Raises:
        PictureRefused: ``unreadable`` or ``too-large``.
    """
    if isinstance(image, bytes):
        jpeg = None if size else read_jpeg_header(image)
        if jpeg:
            return jpeg
        image = _decode(image)
    if size and size != (image.shape[1], image.shape[0]):
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = image.shape[:2]
    for attempt in (quality, min(quality, 75), min(quality, 50)):
        data = _encode(image, attempt)
        if len(data) <= MAX_JPEG_BYTES:
            return Jpeg(data, width, height)
    raise PictureRefused("too-large", f"a picture of {width}x{height} pixels is larger than a message may be")


def _decode(data: bytes) -> Bgr:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise PictureRefused("unreadable", "a picture that cannot be decoded")
    return np.asarray(image, np.uint8)


def _encode(image: Bgr, quality: int) -> bytes:
    if max(image.shape[:2]) > 65500:
        raise PictureRefused("too-large", "a picture with a side of more than 65500 pixels, JPEG's limit")
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk the header's segments: (marker, content), up to and with the start of the scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2:
            return
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + length


# A camera writes the same one into every frame.
@lru_cache(maxsize=16)
def _is_upright(exif: bytes) -> bool:
    """Tell whether an EXIF segment leaves the picture as it is; one that cannot be read does."""
    found = Image.Exif()
    try:
        found.load(exif)
        return found.get(ExifTags.Base.Orientation, 1) in _UPRIGHT
    except Exception:
        # Pillow's errors about broken tags have no base of their own.
        return True
