"""How a stream is doing."""

from typing import ClassVar

import msgspec

from app.messages.coding import Count, Measure, Milliseconds, Pixels, StreamName, Text, Upgraders

__all__ = ["StreamStatus"]


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """How a stream is doing, written about once a second by the worker that has it."""

    upgraders: ClassVar[Upgraders] = ()

    stream: StreamName
    #: Where its newest recognised frame is on its topic, and the faces of it on `faces`; None while none was.
    partition: Count
    frame_offset: Count | None
    faces_offset: Count | None
    #: The worker that has it.
    worker: Text
    #: When a frame was recognised last (while none was: when the first one came), and when that one was
    #: captured; milliseconds since the epoch.
    updated: Milliseconds
    captured: Milliseconds
    #: Frames recognised a second, over the last seconds.
    fps: Measure
    #: Age of the newest recognised frame when its faces were published, seconds.
    age: Measure
    width: Pixels
    height: Pixels
    live: bool
    #: Faces in the newest frame.
    faces: Count
    #: Frames recognised, and skipped by reason, since anything is known of the stream.
    frames: Count
    skipped: dict[str, Count]
    #: Frames that have come and are not yet worked on, and when one came last.
    waiting: Count = 0
    arrived: Milliseconds = 0
    #: Frames skipped a second, over the last seconds.
    skipping: Measure = 0.0
    #: For each topic of frames, the first offset that the counts do not stand for.
    counted: dict[str, Count] = {}
