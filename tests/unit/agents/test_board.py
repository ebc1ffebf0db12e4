"""The board counts what happens to the frames of a stream, and says so when there is news."""

import asyncio
import time
from typing import Any

import pytest
from makers import KeptDelivery, axis, make_faces, make_frame

from app.agents import board as module
from app.agents.board import Board
from app.history.streams import is_live
from app.kafka.delivery import Position
from app.messages import Frame, StreamStatus, decode
from app.metrics import Metrics
from app.settings import Settings
from app.topics import Topics

TOPICS = Topics(Settings())


class Desk:
    """A board and what it has written."""

    def __init__(self) -> None:
        self.delivery, self.metrics = KeptDelivery(), Metrics()
        self.board = Board(TOPICS, self.delivery, self.metrics, lambda: "here:6066")

    async def published(self) -> list[StreamStatus]:
        before = len(self.delivery.of(TOPICS.streams))
        await self.board.publish()
        return [decode(StreamStatus, kept.value) for kept in self.delivery.of(TOPICS.streams)[before:]]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"onlooker_{name}", labels)


async def test_a_status_says_where_the_newest_frame_is() -> None:
    desk = Desk()
    captured = int(time.time() * 1000) - 200
    for offset in (40, 41):
        faces = make_faces([axis(0), axis(1)], offset=offset, partition=2, captured=captured, live=True)
        desk.board.recognised(faces, Position(2, offset + 100))
    (status,) = await desk.published()
    assert (status.stream, status.worker, status.live) == ("door", "here:6066", True)
    assert (status.partition, status.frame_offset, status.faces_offset) == (2, 41, 141)
    assert (status.frames, status.faces, status.width, status.height) == (2, 2, 640, 480)
    assert 0.2 <= status.age < 5
    assert desk.delivery.of(TOPICS.streams)[0].key == b"door"
    assert desk.value("frames_total", stream="door") == 2
    assert desk.value("faces_total", stream="door") == 4
    assert desk.value("frame_age_seconds_count", stream="door") == 2


async def test_only_news_is_written() -> None:
    desk = Desk()
    desk.board.recognised(make_faces(), Position(0, 0))
    assert len(await desk.published()) == 1
    assert await desk.published() == []
    desk.board.recognised(make_faces(stream="yard"), Position(0, 1))
    assert [status.stream for status in await desk.published()] == ["yard"]


def frame(**more: Any) -> Frame:
    return make_frame(b"\xff\xd8\xff", live=True, captured=int(time.time() * 1000) - 3000, **more)


async def test_skipped_frames_are_counted_by_reason_from_the_first_one_on() -> None:
    desk = Desk()
    desk.board.skipped(frame(), 2, "too-old")
    desk.board.recognised(make_faces(partition=2), Position(2, 0))
    desk.board.skipped(frame(), 2, "too-old")
    desk.board.skipped(frame(), 2, "other")
    (status,) = await desk.published()
    assert status.skipped == {"too-old": 2, "other": 1}
    assert (status.frames, status.frame_offset, status.faces_offset) == (1, 0, 0)
    assert desk.value("skipped_frames_total", stream="door", reason="too-old") == 2


async def test_a_stream_all_of_whose_frames_are_skipped_is_told_of() -> None:
    """Clocks that differ, or too much work: the page must be able to say why there is no picture."""
    desk = Desk()
    for _ in range(3):
        desk.board.skipped(frame(), 2, "too-old")
    (status,) = await desk.published()
    assert (status.stream, status.partition, status.skipped) == ("door", 2, {"too-old": 3})
    assert (status.frame_offset, status.faces_offset, status.frames) == (None, None, 0)
    assert (status.width, status.height, status.live) == (64, 48, True)
    assert 3 <= status.age < 60
    assert not is_live(status)


async def test_a_stream_that_only_skips_from_now_on_is_told_of_and_falls_silent() -> None:
    desk = Desk()
    desk.board.recognised(make_faces(), Position(0, 0))
    (before,) = await desk.published()
    await asyncio.sleep(0.01)
    desk.board.skipped(frame(), 0, "too-old")
    (after,) = await desk.published()
    assert (after.skipped, after.updated, after.captured) == ({"too-old": 1}, before.updated, before.captured)


async def test_skipping_is_warned_of_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    for _ in range(5):
        desk.board.skipped(frame(), 0, "too-old")
        desk.board.skipped(frame(stream="yard"), 0, "too-old")
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("frames of the stream door are skipped: too-old, the newest is 3.")
    monkeypatch.setattr(module, "_WARN_EVERY", 0.0)
    desk.board.skipped(frame(), 0, "too-old")
    assert len(caplog.messages) == 3


async def test_a_stream_that_is_long_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.board.recognised(make_faces(), Position(0, 0))
    await desk.published()
    monkeypatch.setattr(module, "_FORGET_AFTER", 0.0)
    await asyncio.sleep(0.01)
    assert await desk.published() == []
    monkeypatch.undo()
    desk.board.recognised(make_faces(), Position(0, 1))
    assert (await desk.published())[0].frames == 1


async def test_frames_a_second() -> None:
    desk = Desk()
    desk.board.recognised(make_faces(), Position(0, 0))
    assert (await desk.published())[0].fps == 0
    start = time.monotonic()
    while time.monotonic() - start < 0.1:
        await asyncio.sleep(0.01)
        desk.board.recognised(make_faces(), Position(0, 0))
    (status,) = await desk.published()
    assert 1 < status.fps <= 100


async def test_a_capture_time_in_the_future_is_no_negative_age() -> None:
    desk = Desk()
    desk.board.recognised(make_faces(captured=int(time.time() * 1000) + 60_000), Position(0, 0))
    assert (await desk.published())[0].age == 0


async def test_streams_of_partitions_that_went_away_are_forgotten() -> None:
    desk = Desk()
    desk.board.recognised(make_faces(partition=1), Position(1, 0))
    desk.board.recognised(make_faces(stream="yard", partition=2), Position(2, 0))
    desk.board.keep({2})
    assert [status.stream for status in await desk.published()] == ["yard"]
