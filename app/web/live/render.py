"""Draw boxes and names on a frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.models import decode_jpeg, encode_jpeg

__all__ = ["Box", "NamedFace", "View", "render"]

#: Left, top, right, bottom, pixels of the frame.
Box = Sequence[float]


Image = NDArray[np.uint8]
Color = tuple[int, int, int]
# BGR. Known is green, unknown amber: they differ in lightness too, for those who see no hue.
_KNOWN: Color = (96, 200, 72)
_UNKNOWN: Color = (64, 176, 240)
_INK: Color = (24, 24, 24)
#: Reads every script: OpenCV 5 draws with TrueType fonts that it brings itself.
_FONT = "uni"


@dataclass(frozen=True, slots=True)
class NamedFace:
    """A face of a frame and who it is."""

    box: Box
    #: Detection score, 0 to 1.
    score: float
    #: Id and name of the person; None where it is nobody enrolled.
    person: str | None
    name: str | None
    #: Cosine similarity to that person; None where it is nobody enrolled.
    similarity: float | None


@dataclass(frozen=True, slots=True)
class View:
    """One annotated frame."""

    stream: str
    captured: int
    offset: int
    #: Size of the frame, which `faces` refers to; the picture may be smaller.
    width: int
    height: int
    faces: tuple[NamedFace, ...]
    jpeg: bytes

    def shows(self, person: str) -> bool:
        """Tell whether a person is on it."""
        return any(face.person == person for face in self.faces)

    def header(self) -> dict[str, Any]:
        """Return what is told beside the picture, for JSON."""
        faces = [
            {
                "box": [round(side, 1) for side in face.box],
                "score": round(face.score, 3),
                "person": face.person,
                "name": face.name,
                "similarity": None if face.similarity is None else round(face.similarity, 2),
            }
            for face in self.faces
        ]
        return {
            "stream": self.stream,
            "captured": self.captured,
            "offset": self.offset,
            "width": self.width,
            "height": self.height,
            "faces": faces,
        }


def render(jpeg: bytes, faces: tuple[NamedFace, ...], side: int, quality: int) -> bytes:
    """Return an annotated picture of a frame.

    Args:
        jpeg: the frame.
        side: longer side of the picture; a smaller frame stays as it is.
        quality: JPEG quality, 1 to 100.

    Raises:
        ImageError: the frame cannot be decoded.
    """
    image = decode_jpeg(jpeg)
    scale = min(1.0, side / max(image.shape[:2]))
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    font = cv2.FontFace(_FONT)
    for face in faces:
        _draw(image, face, scale, font)
    return encode_jpeg(image, quality)


def _draw(image: Image, face: NamedFace, scale: float, font: cv2.FontFace) -> None:
    color = _KNOWN if face.person else _UNKNOWN
    left, top, right, bottom = (round(side * scale) for side in face.box)
    thickness = max(1, round(min(image.shape[:2]) / 240))
    cv2.rectangle(image, (left, top), (right, bottom), color, thickness, cv2.LINE_AA)
    _label(image, _text(face), (left, top), color, font)


def _text(face: NamedFace) -> str:
    if face.name is None or face.similarity is None:
        return f"? {face.score:.2f}"
    return f"{face.name} {face.similarity:.2f}"


def _label(image: Image, text: str, corner: tuple[int, int], color: Color, font: cv2.FontFace) -> None:
    height, width = image.shape[:2]
    size = max(12, round(min(height, width) / 24))
    pad = size // 4
    box = cv2.getTextSize((width, height), text, (0, 0), font, size)
    text_width = min(box[2], width - 2 * pad)
    left = max(0, min(corner[0], width - text_width - 2 * pad))
    bottom = corner[1] if corner[1] >= size + 2 * pad else corner[1] + size + 2 * pad
    cv2.rectangle(image, (left, bottom - size - 2 * pad), (left + text_width + 2 * pad, bottom), color, -1)
    cv2.putText(image, text, (left + pad, bottom - pad - size // 8), _INK, font, size)
