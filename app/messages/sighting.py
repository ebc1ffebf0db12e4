"""Who was on a stream, and when."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from app.messages.coding import Count, Measure, Milliseconds, Similarity, StreamName, Text, Upgraders

__all__ = ["Change", "Sighting", "Unnamed"]

Fraction = Annotated[float, Meta(ge=0, le=1)]


class Unnamed(msgspec.Struct, frozen=True, kw_only=True):
    """Why a visit has no name.

    small, blurred, turned: its best face is so poor, for this above all, that not even a good picture of the
        same person could be as similar as a name asks for.
    unlike: nobody enrolled is similar enough.
    ambiguous: two people are too near each other.
    beside: somebody else, who was on a frame with them, is more like the nearest person.
    nobody: nobody is enrolled.
    """

    gate: Literal["small", "blurred", "turned", "unlike", "ambiguous", "beside", "nobody"]
    #: How much similarity is lacking for a name; of two people, how much lead; of a face, how much quality.
    lacking: Annotated[float, Meta(ge=0, le=2)]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A visit that was published was given another name, or one at last, or lost it."""

    #: Capture time of the frame at which it was decided.
    captured: Milliseconds
    #: Ids and names of who it was taken for before and is taken for now; None for somebody unknown.
    before: Text | None
    before_name: Text | None
    after: Text | None
    after_name: Text | None
    #: recognised: nobody, until the faces told; corrected: another person leads clearly; removed: the person
    #: is not enrolled any more.
    reason: Literal["recognised", "corrected", "removed"]


class Sighting(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """One visit of a person (or of somebody unknown) to a stream; written again as it goes on."""

    upgraders: ClassVar[Upgraders] = ()

    #: Derived from the stream and the first face: a replay overwrites and never duplicates.
    id: Text
    stream: StreamName
    #: Id of the enrolled person; None for somebody unknown.
    person: Text | None
    #: Their name when it was decided.
    name: Text | None
    #: Capture times of the first and the latest frame, milliseconds since the epoch.
    first: Milliseconds
    last: Milliseconds
    #: Frames in which they were seen, and the offset of the latest of them on `frames`.
    frames: Count
    offset: Count
    #: Cosine similarity of the visit's template to the person's nearest one; None for somebody unknown.
    score: Similarity | None
    #: JPEG bytes of the best aligned face; empty until one travelled.
    crop: bytes
    #: How good that crop is, for choosing between two.
    crop_score: Measure
    #: False when they have been gone for longer than the gap.
    open: bool
    #: The offset on `faces` that this version stands for: readers keep the version with the larger one, so
    #: that a writer that was away does no harm. 0 in what was written before there was one.
    revision: Count = 0
    #: Faces that the visit's template is made of, and the quality of the best of them.
    faces: Count = 0
    quality: Fraction | None = None
    #: How likely the name is right (`docs/recognition.md`); None without a name, or where nobody measured it.
    confidence: Fraction | None = None
    #: Why there is no name; None where there is one.
    unnamed: Unnamed | None = None
    #: How the name has changed since it was published first, oldest first; of many, the latest.
    changes: tuple[Change, ...] = ()
    #: Id of the sighting that this one turned out to be a part of: readers show that one and not this one.
    merged: Text | None = None
