"""The monitor counts what happens to the frames of a stream, and says so when there is news."""

import asyncio
import time
from typing import Any

import pytest
from clock import Clock
from hypothesis import given
from hypothesis import strategies as st
from makers import KeptDelivery, axis, make_faces, make_frame, make_received, make_status
from studio import until

from app.agents import monitor as module
from app.agents.monitor import Monitor, StreamMonitor
from app.history.streams import is_live
from app.kafka.delivery import Position
from app.kafka.ledger import PartitionLedger, Received
from app.messages import Frame, StreamStatus, decode
from app.metrics import Metrics
from app.settings import Settings
from app.topics import Topics

TOPICS = Topics(Settings())


class Desk:
    """A monitor, the streams that it was told of, and what it has written."""

    def __init__(self, before: StreamStatus | None = None, partition: int = 0) -> None:
        self.delivery, self.metrics = KeptDelivery(), Metrics()
        self.monitor = Monitor(TOPICS, self.delivery, self.metrics, lambda: "here:6066")
        self.stream = StreamMonitor(partition, before)
        self.streams = [self.stream]

    def recognised(self, offset: int = 0, landed: int = 0, **more: Any) -> None:
        self.monitor.recognised(self.stream, make_faces(offset=offset, **more), Position(0, landed))

    def skipped(self, message: Received | None = None, reason: str = "too-old", **more: Any) -> None:
        self.monitor.skipped(self.stream, frame(**more), message or make_received(), reason)

    async def published(self) -> list[StreamStatus]:
        before = len(self.delivery.of(TOPICS.streams))
        await self.monitor.publish(self.streams)
        return [decode(StreamStatus, kept.value) for kept in self.delivery.of(TOPICS.streams)[before:]]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"onlooker_{name}", labels)


def frame(**more: Any) -> Frame:
    fields = {"live": True, "captured": int(time.time() * 1000) - 3000}
    return make_frame(b"\xff\xd8\xff", **(fields | more))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


async def test_a_status_says_where_the_newest_frame_is() -> None:
    desk = Desk(partition=2)
    captured = int(time.time() * 1000) - 200
    for offset in (40, 41):
        faces = make_faces([axis(0), axis(1)], offset=offset, partition=2, captured=captured, live=True)
        desk.monitor.recognised(desk.stream, faces, Position(2, offset + 100))
    (status,) = await desk.published()
    assert (status.stream, status.worker, status.live) == ("door", "here:6066", True)
    assert (status.partition, status.frame_offset, status.faces_offset) == (2, 41, 141)
    assert (status.frames, status.faces, status.width, status.height) == (2, 2, 640, 480)
    assert 0.2 <= status.age < 5
    assert desk.delivery.of(TOPICS.streams)[0].key == b"door"
    assert desk.value("frames_total", stream="door") == 2
    assert desk.value("faces_total", stream="door") == 4
    assert desk.value("frame_age_seconds_count", stream="door") == 2


async def test_nothing_is_said_of_a_stream_of_which_nothing_is_known() -> None:
    desk = Desk()
    assert desk.stream.status("here:6066") is None
    desk.stream.changed = True
    assert await desk.published() == []
    desk.recognised()
    assert len(await desk.published()) == 1


async def test_only_news_is_written() -> None:
    desk = Desk()
    desk.recognised()
    assert len(await desk.published()) == 1
    assert await desk.published() == []
    other = StreamMonitor(0, None)
    desk.streams.append(other)
    desk.monitor.recognised(other, make_faces(stream="yard"), Position(0, 1))
    assert [status.stream for status in await desk.published()] == ["yard"]


async def test_frames_that_wait_are_told_of_for_as_long_as_they_wait() -> None:
    desk = Desk()
    before = int(time.time() * 1000)
    desk.stream.arrive(frame(width=320))
    desk.stream.arrive(frame(width=640))
    (status,) = await desk.published()
    assert (status.stream, status.waiting, status.frames, status.faces_offset) == ("door", 2, 0, None)
    assert (status.width, status.live) == (320, True)
    assert before <= status.arrived <= time.time() * 1000
    assert not is_live(status)
    assert [one.waiting for one in await desk.published()] == [2]
    desk.stream.begin()
    desk.stream.begin()
    desk.recognised()
    assert [one.waiting for one in await desk.published()] == [0]
    assert await desk.published() == []


async def test_skipped_frames_are_counted_by_reason_from_the_first_one_on() -> None:
    desk = Desk(partition=2)
    desk.skipped(make_received(offset=0))
    desk.recognised(1, live=True)
    desk.skipped(make_received(offset=2))
    desk.skipped(make_received(offset=3), "other")
    (status,) = await desk.published()
    assert status.skipped == {"too-old": 2, "other": 1}
    assert (status.frames, status.frame_offset, status.faces_offset) == (1, 1, 0)
    assert desk.value("skipped_frames_total", stream="door", reason="too-old") == 2


async def test_a_stream_all_of_whose_frames_are_skipped_is_told_of() -> None:
    """Clocks that differ, or too much work: the page must be able to say why there is no picture."""
    desk = Desk(partition=2)
    for offset in range(3):
        desk.skipped(make_received(offset=offset))
    (status,) = await desk.published()
    assert (status.stream, status.partition, status.skipped) == ("door", 2, {"too-old": 3})
    assert (status.frame_offset, status.faces_offset, status.frames) == (None, None, 0)
    assert (status.width, status.height, status.live) == (64, 48, True)
    assert 3 <= status.age < 60
    assert not is_live(status)


async def test_a_stream_that_only_skips_from_now_on_is_told_of_and_falls_silent(clock: Clock) -> None:
    desk = Desk()
    desk.recognised()
    (before,) = await desk.published()
    clock.now += 2
    desk.skipped()
    (after,) = await desk.published()
    assert (after.skipped, after.updated, after.captured) == ({"too-old": 1}, before.updated, before.captured)
    assert before.updated == (clock.now - 2) * 1000


async def test_a_skipped_frame_is_done_when_its_number_is_on_the_log() -> None:
    desk, ledger = Desk(), PartitionLedger(0)
    for offset in range(3):
        desk.skipped(make_received(offset=offset, ledger=ledger))
    assert ledger.committable == 0
    desk.delivery.open.clear()
    publishing = asyncio.create_task(desk.published())
    await until(lambda: desk.delivery._on_the_way)
    # One that comes too late for the status that is on its way.
    desk.skipped(make_received(offset=3, ledger=ledger))
    assert ledger.committable == 0
    desk.delivery.open.set()
    ((first,), (second,)) = await publishing, await desk.published()
    assert (first.skipped, second.skipped) == ({"too-old": 3}, {"too-old": 4})
    assert (ledger.committable, ledger.in_work) == (4, 0)


async def test_what_was_skipped_while_a_status_was_on_its_way_waits_for_the_next_one() -> None:
    desk, ledger = Desk(), PartitionLedger(0)
    desk.delivery.open.clear()
    desk.skipped(make_received(offset=0, ledger=ledger))
    publishing = asyncio.create_task(desk.monitor.publish(desk.streams))
    await until(lambda: desk.delivery._on_the_way)
    desk.skipped(make_received(offset=1, ledger=ledger))
    desk.delivery.open.set()
    await publishing
    assert ledger.committable == 1
    await desk.monitor.publish(desk.streams)
    assert ledger.committable == 2


async def test_counts_go_on_from_those_of_the_worker_before() -> None:
    before = make_status(
        frames=100, skipped={"too-old": 2}, counted={"frames": 50, "recordings": 7}, worker="there:6066"
    )
    desk = Desk(before)
    desk.recognised(50, live=True)
    desk.skipped(make_received(offset=51))
    desk.skipped(make_received(offset=52), "other")
    (status,) = await desk.published()
    assert (status.frames, status.skipped) == (101, {"too-old": 3, "other": 1})
    assert status.counted == {"frames": 53, "recordings": 7}
    assert status.worker == "here:6066"
    assert before.skipped == {"too-old": 2}


async def test_a_frame_that_the_worker_before_has_counted_is_not_counted_again() -> None:
    desk = Desk(make_status(frames=100, skipped={"too-old": 2}, counted={"frames": 50}))
    desk.recognised(48, live=True)
    desk.skipped(make_received(offset=49))
    (status,) = await desk.published()
    assert (status.frames, status.skipped, status.counted) == (100, {"too-old": 2}, {"frames": 50})
    # Of another topic, and none of it was counted.
    desk.recognised(0, live=False)
    (status,) = await desk.published()
    assert (status.frames, status.counted) == (101, {"frames": 50, "recordings": 1})


async def test_a_frame_that_comes_again_is_counted_once() -> None:
    desk = Desk()
    for offset in (0, 1, 1, 0, 2):
        desk.recognised(offset)
    assert [status.frames for status in await desk.published()] == [3]


lanes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(frames=lanes, data=st.data())
def test_whoever_works_on_them_and_however_often_every_frame_counts_once(
    frames: list[tuple[bool, bool]], data: st.DataObject
) -> None:
    """Each worker goes on where the last status was written, or earlier; cameras and recordings mix."""
    offsets = {True: 0, False: 0}
    log: list[tuple[bool, bool, int]] = []
    for live, skips in frames:
        log.append((live, skips, offsets[live]))
        offsets[live] += 1
    stream, at, deaths = StreamMonitor(0, None), 0, data.draw(st.integers(0, 4))
    while at < len(log):
        live, skips, offset = log[at]
        if skips:
            stream.skipped(frame(live=live), make_received(offset=offset), "too-old")
        else:
            stream.recognised(make_faces(live=live, offset=offset), Position(0, at))
        at += 1
        if deaths and data.draw(st.booleans()):
            deaths -= 1
            stream = StreamMonitor(0, stream.status("here:1"))
            at -= data.draw(st.integers(0, min(at, 5)))
    status = stream.status("here:1")
    assert status is not None
    skipped = sum(skips for _, skips in frames)
    assert (status.frames, sum(status.skipped.values())) == (len(frames) - skipped, skipped)


async def test_a_stream_goes_on_as_the_worker_before_has_left_it() -> None:
    before = make_status(partition=3, frame_offset=5, faces_offset=9, faces=2)
    desk = Desk(before, partition=3)
    assert await desk.published() == []
    desk.stream.arrive(frame())
    (status,) = await desk.published()
    assert (status.frame_offset, status.faces_offset, status.faces) == (5, 9, 2)
    assert (status.updated, status.captured, status.age) == (before.updated, before.captured, before.age)
    assert (status.waiting, status.worker) == (1, "here:6066")


async def test_offsets_of_another_partition_say_nothing_here() -> None:
    desk = Desk(make_status(partition=3, frame_offset=5, faces_offset=9), partition=4)
    desk.stream.arrive(frame())
    (status,) = await desk.published()
    assert (status.partition, status.frame_offset, status.faces_offset) == (4, None, None)
    assert status.frames == 100


async def test_skipping_is_warned_of_once_a_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    other = StreamMonitor(0, None)
    for second in range(6):
        desk.skipped(captured=int(clock.now * 1000) - 3000)
        desk.monitor.skipped(other, frame(stream="yard"), make_received(), "too-old")
        clock.now += 12 if second == 4 else 11
    assert [text.split(" are")[0] for text in caplog.messages] == [
        "frames of the stream door", "frames of the stream yard",
    ]  # fmt: skip
    assert caplog.messages[0].endswith("are skipped: too-old, the newest is 3.0 s old")
    desk.skipped()
    assert len(caplog.messages) == 3


async def test_frames_a_second(clock: Clock) -> None:
    desk = Desk()
    desk.recognised()
    assert (await desk.published())[0].fps == 0
    for offset in range(1, 9):
        clock.now += 0.125
        desk.recognised(offset)
    assert (await desk.published())[0].fps == 8
    clock.now += 60
    desk.recognised(9)
    assert (await desk.published())[0].fps == 0


async def test_frames_skipped_a_second_also_where_they_are_skipped_at_once(clock: Clock) -> None:
    desk = Desk()
    for offset in range(10):
        desk.skipped(make_received(offset=offset))
    assert (await desk.published())[0].skipping == 2
    clock.now += 60
    desk.recognised(10, live=True)
    assert (await desk.published())[0].skipping == 0


async def test_a_capture_time_in_the_future_is_no_negative_age() -> None:
    desk = Desk()
    desk.recognised(captured=int(time.time() * 1000) + 60_000)
    assert (await desk.published())[0].age == 0


async def test_one_stream_does_not_wait_for_the_status_of_another() -> None:
    desk = Desk()
    other = StreamMonitor(0, None)
    desk.streams.append(other)
    desk.recognised()
    desk.monitor.recognised(other, make_faces(stream="yard"), Position(0, 1))
    desk.delivery.open.clear()
    publishing = asyncio.create_task(desk.published())
    await until(lambda: len(desk.delivery._on_the_way) == 2)
    desk.delivery.open.set()
    assert {status.stream for status in await publishing} == {"door", "yard"}
