"""The face of a picture, as the nets saw it."""

from dataclasses import dataclass

from app.models import Floats

__all__ = ["Face"]


@dataclass(frozen=True, slots=True)
class Face:
    """What is compared of a picture.

    embedding: (D,) float32 of length one.
    quality: how good the face is, 0 to 1 (`app/models/quality.py`).
    """

    embedding: Floats
    quality: float
