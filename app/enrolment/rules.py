"""Which face of a photograph is meant, and whether it will do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from app.messages import Gate
from app.settings import Settings

__all__ = ["Face", "Reason", "Refusal", "Rules", "choose_face"]

#: Why a photograph will not do, for programs.
Reason = Literal[
    "bad-face",
    "face-too-small",
    "face-unsure",
    "no-face",
    "no-landmarks",
    "not-an-image",
    "several-faces",
    "too-large",
]


@dataclass(frozen=True, slots=True)
class Face:
    """A face of a photograph.

    index: its place among the faces that were found, from 0.
    box: left, top, right, bottom, pixels of the photograph.
    score: detection score, 0 to 1.
    """

    index: int
    box: tuple[float, float, float, float]
    score: float
    gate: Gate

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        left, top, right, bottom = self.box
        return round(right - left), round(bottom - top)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a photograph will not do.

    detail: the reason for people.
    faces: those that were found.
    size: width and height of the photograph, which their boxes refer to; None where it was not looked at.
    """

    reason: Reason
    detail: str
    faces: tuple[Face, ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a photograph must be like.

    max_bytes, max_pixels: the most that it may have.
    min_face: least width and height of the face, pixels.
    """

    max_bytes: int
    max_pixels: int
    min_face: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the rules that are set."""
        # A face that is too small to be embedded in a frame cannot be matched with one that is enrolled.
        least = max(settings.enrol_face, settings.min_face)
        return cls(settings.max_photo_bytes, settings.max_photo_pixels, least)


def choose_face(faces: Sequence[Face], wanted: int | None, rules: Rules) -> Face | Refusal:
    """Return the face that is meant, if it will do.

    Args:
        wanted: index of the one that is meant; None where there is only one.
    """
    if not faces:
        return Refusal("no-face", "no face was found")
    if wanted is None and len(faces) > 1:
        return Refusal("several-faces", f"{len(faces)} faces were found: say which")
    if (index := wanted or 0) >= len(faces):
        return Refusal("bad-face", f"there is no face {index}: {len(faces)} were found")
    return _check(faces[index], rules) or faces[index]


def _check(face: Face, rules: Rules) -> Refusal | None:
    width, height = face.size
    least = rules.min_face
    if min(width, height) < least or face.gate == Gate.SMALL:
        text = f"the face is {width} x {height} pixels, at least {least} x {least} are needed"
        return Refusal("face-too-small", text)
    if face.gate == Gate.UNSURE:
        text = f"it is not sure that this is a face: its detection score is {face.score:.2f}"
        return Refusal("face-unsure", text)
    if face.gate == Gate.UNALIGNED:
        return Refusal("no-landmarks", "eyes, nose and mouth of the face were not found")
    return None
