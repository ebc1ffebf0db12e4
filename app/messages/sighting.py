"""Who was on a stream, and when."""

from typing import ClassVar

import msgspec

from app.messages.coding import Count, Measure, Milliseconds, Similarity, StreamName, Text, Upgraders

__all__ = ["Sighting"]


class Sighting(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """One visit of a person (or of somebody unknown) to a stream; written again as it goes on."""

    upgraders: ClassVar[Upgraders] = ()

    #: Derived from stream, person and first frame: a replay overwrites and never duplicates.
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
    #: Best cosine similarity to one of the person's templates; None for somebody unknown.
    score: Similarity | None
    #: JPEG bytes of the best aligned face; empty until one travelled.
    crop: bytes
    #: How good that crop is, for choosing between two: similarity, or for somebody unknown size.
    crop_score: Measure
    #: False when they have been gone for longer than the gap.
    open: bool
    #: The offset on `faces` that this version stands for: readers keep the version with the larger one, so
    #: that a writer that was away does no harm. 0 in what was written before there was one.
    revision: Count = 0
