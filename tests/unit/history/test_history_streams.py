"""The latest status of a stream counts, and what cannot be read is passed over."""

import time
from types import SimpleNamespace
from typing import Any

from makers import make_status

from app.history.streams import Streams, is_live
from app.messages import encode


def record(value: bytes | None) -> Any:
    return SimpleNamespace(value=value)


async def test_the_latest_status_counts() -> None:
    streams = Streams(keep=2**50)
    await streams.add([record(encode(make_status(frames=number))) for number in (1, 2)])
    await streams.add([record(encode(make_status(stream="yard")))])
    assert {name: status.frames for name, status in streams.statuses.items()} == {"door": 2, "yard": 100}


async def test_what_cannot_be_read_is_passed_over() -> None:
    streams = Streams(keep=2**50)
    await streams.add([record(None), record(b"junk"), record(encode(make_status()))])
    assert list(streams.statuses) == ["door"]


def test_a_stream_falls_silent() -> None:
    now = int(time.time() * 1000)
    assert is_live(make_status(updated=now))
    assert not is_live(make_status(updated=now - 6_000))
    # Frames come, and none of them is recognised.
    assert not is_live(make_status(updated=now, faces_offset=None))


async def test_a_stream_that_is_long_gone_is_forgotten() -> None:
    now = int(time.time() * 1000)
    streams = Streams(keep=60_000)
    await streams.add(
        [
            record(encode(make_status(updated=now - 30_000))),
            record(encode(make_status(stream="yard", updated=now - 90_000))),
        ]
    )
    assert list(streams.statuses) == ["door"]
