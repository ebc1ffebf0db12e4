"""Who the faces of a frame are, as it was decided."""

from typing import ClassVar

import msgspec
import numpy as np

from app.messages.coding import (
    Array,
    Count,
    Milliseconds,
    Pixels,
    Similarity,
    StreamName,
    Text,
    Upgraders,
    check_array,
)

__all__ = ["Identifications"]


class Identifications(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="v", tag=1):
    """Who the faces of one frame are, as it was decided, as columns; N may be 0.

    With the frame itself it is all that a viewer needs.
    """

    upgraders: ClassVar[Upgraders] = ()

    stream: StreamName
    #: The frame, by its place on the log, and where its faces are on `faces`: viewers keep to the larger one.
    partition: Count
    offset: Count
    faces_offset: Count
    captured: Milliseconds
    width: Pixels
    height: Pixels
    live: bool
    #: (N, 4) float32: left, top, right, bottom, pixels of the frame.
    boxes: Array
    #: (N,) float32: detection scores, 0 to 1.
    scores: Array
    #: (N) ids and names of the people; None where it is nobody enrolled.
    people: list[Text | None]
    names: list[Text | None]
    #: (N) cosine similarities to the nearest people; None where the face was compared with nobody.
    similarities: list[Similarity | None]

    def __post_init__(self) -> None:
        count = len(self.people)
        check_array(self.boxes, "boxes", np.float32, (count, 4))
        check_array(self.scores, "scores", np.float32, (count,))
        if not len(self.names) == len(self.similarities) == count:
            raise ValueError(f"names and similarities are not {count} each")
