"""What a viewer is shown: one annotated frame, with the names on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Box", "NamedFace", "View"]

#: Left, top, right, bottom, pixels of the frame.
Box = Sequence[float]


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
