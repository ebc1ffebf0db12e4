"""What is known of a stream: plain, of a version, and the same again when it is written and read."""

from typing import ClassVar

import msgspec

from app.messages import Count, Milliseconds, Sighting, Upgraders, decode, encode

__all__ = ["Mark", "StreamState", "Visit", "read_state", "write_state"]


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far frames were counted: an offset, and the latest capture time up to there."""

    offset: Count
    captured: Milliseconds


class Visit(msgspec.Struct):
    """Somebody's stay on the stream."""

    sighting: Sighting
    #: Capture time of the frame with which it was published last; None while it was not.
    published: Milliseconds | None
    #: Published as ended, for want of frames; a frame from before the gap opens it again.
    closed: bool = False


class StreamState(msgspec.Struct, kw_only=True, tag_field="v", tag=1):
    """Who is on a stream, and which frames that stands for; of versions, as messages are."""

    upgraders: ClassVar[Upgraders] = ()

    #: What was counted from the cameras' topic, and from that of recordings.
    live: Mark | None = None
    recorded: Mark | None = None
    visits: list[Visit] = []
    #: Sightings that follow from the frames so far, and may not have been published yet.
    pending: list[Sighting] = []


def write_state(state: StreamState) -> bytes:
    """Return `state` as bytes."""
    return encode(state)


def read_state(data: bytes) -> StreamState:
    """Read a state.

    Raises:
        MessageError: `data` is not the bytes of one, or of one of a version that is not known.
    """
    return decode(StreamState, data)
