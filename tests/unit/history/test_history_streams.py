"""The latest status of a stream counts, and what cannot be read is passed over."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from makers import make_status, newer

from app.history import streams as module
from app.history.streams import Streams, heard_last, is_live, state_of
from app.messages import MessageError, StreamStatus, encode


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


async def test_a_newer_version_changes_nothing_and_is_told_of() -> None:
    errors: list[MessageError] = []
    streams = Streams(2**50, errors.append)
    await streams.add([record(encode(make_status(frames=7))), record(newer(make_status(frames=8)))])
    status = streams.get("door")
    assert status is not None
    assert status.frames == 7
    assert [error.reason for error in errors] == ["unknown-schema"]


def status(*, ago: int = 60_000, came: int = 60_000, **more: Any) -> StreamStatus:
    """Return a status of a stream recognised so many milliseconds ago, and of which frames came then."""
    now = int(time.time() * 1000)
    return make_status(updated=now - ago, arrived=now - came, **more)


def test_a_stream_is_live_while_its_frames_are_recognised() -> None:
    assert state_of(status(ago=1_000, came=1_000)) == "live"
    assert state_of(status(ago=1_000, came=1_000, waiting=3)) == "live"
    assert is_live(status(ago=1_000))
    assert not is_live(status(ago=1_000, faces_offset=None))


def test_a_stream_falls_silent() -> None:
    assert state_of(status(ago=6_000, came=6_000)) == "silent"
    # Nothing was ever recognised of it, and nothing comes.
    assert state_of(status(ago=1_000, faces_offset=None)) == "silent"


def test_a_stream_whose_frames_are_skipped_is_overloaded() -> None:
    assert state_of(status(came=1_000, skipping=8.0)) == "overloaded"
    assert state_of(status(ago=1_000, came=1_000, skipping=8.0, faces_offset=None)) == "overloaded"
    assert state_of(status(came=1_000, skipping=8.0, waiting=3)) == "overloaded"


def test_a_stream_more_of_which_is_skipped_than_recognised_is_overloaded() -> None:
    assert state_of(status(ago=100, came=100, fps=5.0, skipping=5.2)) == "overloaded"
    assert state_of(status(ago=100, came=100, fps=5.0, skipping=4.8)) == "live"


def test_a_stream_of_which_nothing_comes_any_more_is_not_overloaded() -> None:
    assert state_of(status(came=6_000, skipping=8.0)) == "silent"
    assert state_of(status(ago=4_000, came=6_000, skipping=80.0)) == "live"


def test_frames_that_wait_do_so_while_their_worker_says_nothing_but_not_for_ever() -> None:
    day = 24 * 3600 * 1000
    assert state_of(status(waiting=3)) == "waiting"
    assert state_of(status(waiting=3, skipping=8.0)) == "waiting"
    assert state_of(status(ago=2 * day, came=day - 60_000, waiting=3)) == "waiting"
    assert state_of(status(ago=2 * day, came=day + 60_000, waiting=3)) == "silent"


def test_a_stream_was_heard_of_when_a_frame_came_or_was_recognised() -> None:
    assert heard_last(make_status(updated=5, arrived=7)) == 7
    assert heard_last(make_status(updated=5, arrived=0)) == 5


async def test_a_stream_that_is_long_gone_is_forgotten() -> None:
    now = int(time.time() * 1000)
    streams = Streams(keep=60_000)
    await streams.add(
        [
            record(encode(make_status(updated=now - 30_000))),
            record(encode(make_status(stream="yard", updated=now - 90_000))),
            # None of its frames is recognised, but they come.
            record(encode(make_status(stream="roof", updated=now - 90_000, arrived=now - 30_000))),
        ]
    )
    assert list(streams.statuses) == ["door", "roof"]


async def test_what_is_on_the_log_is_waited_for_but_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(keep=2**50)
    waiting = asyncio.create_task(streams.until_known())
    await asyncio.sleep(0)
    assert not waiting.done()
    streams.known.set()
    await waiting
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    await Streams(keep=2**50).until_known()
