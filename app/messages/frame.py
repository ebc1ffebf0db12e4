"""One picture, as it travels: the camera's JPEG bytes, unwrapped, with the rest in headers.

The header ``schema`` is the version of the frame.
"""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from app.messages.coding import (
    Count,
    MessageError,
    Milliseconds,
    Pixels,
    StreamName,
    Upgraders,
    upgrade,
    version,
)

__all__ = ["Frame", "decode_frame", "encode_frame"]

_JPEG_START = b"\xff\xd8\xff"


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=1):
    """One picture of a stream, as its source wrote it."""

    #: They are given the headers of the Kafka message by their names, as bytes or text.
    upgraders: ClassVar[Upgraders] = ()

    stream: StreamName
    #: Number of the frame since its source started.
    seq: Count
    #: When the camera saw it, milliseconds since the epoch.
    captured: Milliseconds
    #: Presentation time in the medium, milliseconds since its start.
    pts: Count
    width: Pixels
    height: Pixels
    #: A live stream prefers fresh frames to all frames; a recording prefers all.
    live: bool
    #: The JPEG bytes.
    jpeg: bytes


def encode_frame(frame: Frame) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Return key, value and headers of a frame's Kafka message."""
    numbers = {
        "schema": version(Frame),
        "seq": frame.seq,
        "captured": frame.captured,
        "pts": frame.pts,
        "width": frame.width,
        "height": frame.height,
        "live": int(frame.live),
    }
    return frame.stream.encode(), frame.jpeg, [(name, b"%d" % number) for name, number in numbers.items()]


def decode_frame(key: bytes | None, value: bytes | None, headers: Mapping[str, bytes | str]) -> Frame:
    """Read a frame from its Kafka message; the JPEG itself is only looked at by its first bytes.

    Raises:
        MessageError: key, value and headers are not those of a frame.
    """
    if (found := _header(headers, "schema")) != version(Frame):
        headers = upgrade(Frame, dict(headers), found)
    if not isinstance(value, bytes) or not value.startswith(_JPEG_START):
        raise MessageError("not-an-image", "a frame whose value is not a JPEG")
    numbers = {name: _header(headers, name) for name in ("seq", "captured", "pts", "width", "height")}
    stream = (key or b"").decode("ascii", "replace")
    fields = {**numbers, "stream": stream, "live": _header(headers, "live") != 0, "jpeg": value}
    try:
        return msgspec.convert(fields, Frame)
    except msgspec.MsgspecError as error:
        raise MessageError("malformed", f"a frame with wrong headers: {error}") from None


def _header(headers: Mapping[str, bytes | str], name: str) -> int:
    value = headers.get(name)
    digits = value.encode("utf-8", "replace") if isinstance(value, str) else value
    if not isinstance(digits, bytes) or not digits.isdigit() or len(digits) > 16:
        raise MessageError("malformed", f"a frame whose header {name!r} is not a number")
    return int(digits)
