"""What is known of a stream: plain, of a version, and the same again when it is written and read."""

from typing import Final, Literal

import msgspec

from app.messages import Count, MessageError, Milliseconds, Sighting

__all__ = ["STATE_VERSION", "Mark", "StreamState", "Visit", "read_state", "write_state"]

STATE_VERSION: Final = 1


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


class StreamState(msgspec.Struct, kw_only=True):
    """Who is on a stream, and which frames that stands for."""

    v: Literal[1] = STATE_VERSION
    #: What was counted from the cameras' topic, and from that of recordings.
    live: Mark | None = None
    recorded: Mark | None = None
    visits: list[Visit] = []
    #: Sightings that follow from the frames so far, and may not have been published yet.
    pending: list[Sighting] = []


def write_state(state: StreamState) -> bytes:
    """Return `state` as bytes."""
    return msgspec.msgpack.encode(state)


def read_state(data: bytes) -> StreamState:
    """Read a state.

    Raises:
        MessageError: `data` is not the bytes of one.
    """
    try:
        return msgspec.msgpack.decode(data, type=StreamState)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise MessageError("malformed", f"no readable state of a stream: {error}") from None
