"""Somebody who is enrolled, and by which photographs."""

from typing import ClassVar

import msgspec
import numpy as np

from app.messages.coding import Array, Measure, Milliseconds, Pixels, Text, Upgraders, check_array

__all__ = ["Person", "Template"]


class Template(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One enrolled photograph of a person."""

    id: Text
    #: (D,) float32, unit length.
    embedding: Array
    #: The net that made it: ``name@first-digits-of-sha256``.
    embedder: Text
    #: Width and height of the face in the photograph, pixels.
    width: Pixels
    height: Pixels
    #: Detection score, 0 to 1.
    score: Measure
    #: JPEG bytes of the aligned face.
    crop: bytes

    def __post_init__(self) -> None:
        check_array(self.embedding, "embedding", np.float32, (-1,))


class Person(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="v", tag=1):
    """Somebody who is enrolled."""

    upgraders: ClassVar[Upgraders] = ()

    id: Text
    name: Text
    #: Milliseconds since the epoch.
    created: Milliseconds
    updated: Milliseconds
    #: Id of the enrolment that wrote this; the web waits for it.
    revision: Text
    templates: list[Template]
