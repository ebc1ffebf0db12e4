"""Frames that wait are taken by streams in turn, in the order of each, and not too many of them wait."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import patience
from makers import make_frame, make_received
from watch import RULES

from app.agents.lanes import FrameWork, Lane
from app.agents.monitor import StreamMonitor
from app.agents.stream import OwnedStream, Step
from app.tracking.tracklets import TrackletRules
from app.tracking.visits import VisitTracker


class Desk:
    """A lane, and what it has asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.paused: set[int] = set()
        self.lane = Lane(self._pause, self._resume)
        self.streams: dict[str, OwnedStream] = {}
        self._offsets: dict[int, int] = defaultdict(int)

    def _pause(self, topic: str, partition: int) -> None:
        assert topic == "frames"
        self.asked.append(("pause", partition))
        self.paused.add(partition)

    def _resume(self, topic: str, partition: int) -> None:
        assert topic == "frames"
        self.asked.append(("resume", partition))
        self.paused.discard(partition)

    def put(self, *names: str, partition: int = 0, live: bool = False) -> list[FrameWork]:
        """Put the next frames of a partition on the lane, of the streams of these names."""
        return [self._put(name, partition, live) for name in names]

    def _put(self, name: str, partition: int, live: bool) -> FrameWork:
        if name not in self.streams:
            monitor = StreamMonitor(partition, None)
            self.streams[name] = OwnedStream(name, monitor, VisitTracker(RULES), TrackletRules())
        message = make_received(offset=self._offsets[partition], partition=partition)
        self._offsets[partition] += 1
        nowhere: Any = None
        work = FrameWork(message, make_frame(b"", stream=name, live=live), nowhere, self.streams[name])
        self.lane.put(work)
        return work

    async def take(self, most: int = 1, wait: float = 0) -> list[FrameWork]:
        async with patience(20):
            return await self.lane.take(most, wait)

    async def names(self, count: int) -> list[str]:
        return [work.frame.stream for _ in range(count) for work in await self.take()]


async def settled(task: "asyncio.Task[Any]") -> bool:
    """Tell whether a task is done once everybody has had their say."""
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done()


async def test_streams_take_turns_and_a_busy_one_holds_up_nobody() -> None:
    desk = Desk()
    desk.put("door", "door", "door", "yard", "roof", "yard")
    assert await desk.names(6) == ["door", "yard", "roof", "door", "yard", "door"]


async def test_a_stream_that_comes_late_waits_for_its_turn() -> None:
    desk = Desk()
    desk.put("door", "door", "yard")
    assert await desk.names(1) == ["door"]
    desk.put("roof", "door")
    assert await desk.names(4) == ["yard", "door", "roof", "door"]


@given(names=st.lists(st.sampled_from(["door", "yard", "roof"]), max_size=40), most=st.integers(1, 5))
def test_each_stream_keeps_its_order_and_nothing_is_lost(names: list[str], most: int) -> None:
    async def run() -> None:
        desk = Desk()
        put = desk.put(*names)
        taken: list[FrameWork] = []
        while len(taken) < len(put):
            group = await desk.take(most)
            assert 1 <= len(group) <= most
            taken += group
        for name in set(names):
            mine = [work for work in taken if work.frame.stream == name]
            assert mine == [work for work in put if work.frame.stream == name]
        assert sorted(work.message.offset for work in taken) == list(range(len(put)))
        # No stream comes twice while another one waits for its turn.
        order = [work.frame.stream for work in taken]
        for at, name in enumerate(order):
            if name in order[at + 1 :]:
                again = order.index(name, at + 1)
                assert set(order[at:again]) == set(order[at:])

    asyncio.run(run())


async def test_a_frame_is_waited_for() -> None:
    desk = Desk()
    taking = asyncio.create_task(desk.take(3))
    assert not await settled(taking)
    desk.put("door")
    (work,) = await taking
    assert work.frame.stream == "door"


async def test_several_who_wait_get_a_frame_each() -> None:
    desk = Desk()
    taking = [asyncio.create_task(desk.take()) for _ in range(3)]
    assert not await settled(taking[0])
    put = desk.put("door", "yard")
    assert await settled(taking[1])
    assert not taking[2].done()
    put += desk.put("roof")
    assert {work for (work,) in [await one for one in taking]} == set(put)


async def test_no_more_are_taken_than_asked_for() -> None:
    desk = Desk()
    desk.put("door", "yard", "roof", "door")
    assert [work.frame.stream for work in await desk.take(3, wait=60)] == ["door", "yard", "roof"]
    assert [work.frame.stream for work in await desk.take(3)] == ["door"]


async def test_those_that_come_in_time_go_together() -> None:
    desk = Desk()
    desk.put("door")
    taking = asyncio.create_task(desk.take(3, wait=60))
    assert not await settled(taking)
    desk.put("yard")
    assert not await settled(taking)
    desk.put("roof")
    assert [work.frame.stream for work in await taking] == ["door", "yard", "roof"]


async def test_nobody_waits_for_ever_for_company() -> None:
    desk = Desk()
    desk.put("door")
    assert [work.frame.stream for work in await desk.take(3, wait=0.01)] == ["door"]
    assert desk.streams["door"].monitor.waiting == 0


async def test_who_gives_up_waiting_takes_nothing_along() -> None:
    desk = Desk()
    taking = asyncio.create_task(desk.take())
    assert not await settled(taking)
    taking.cancel()
    assert await settled(taking)
    desk.put("door")
    assert await desk.names(1) == ["door"]


async def test_no_more_of_a_partition_are_fetched_while_many_wait() -> None:
    desk = Desk()
    desk.put(*["door", "yard"] * 7, "door", partition=3)
    assert desk.asked == []
    desk.put("yard", partition=3)
    assert desk.paused == {3}
    desk.put("hall", "roof", partition=4)
    assert desk.paused == {3}
    desk.asked.clear()
    partitions = [(await desk.take())[0].message.partition for _ in range(9)]
    assert (partitions.count(3), desk.paused, desk.asked) == (7, {3}, [])
    await desk.take()
    assert (desk.paused, desk.asked) == (set(), [("resume", 3)])


async def test_a_partition_that_was_resumed_is_paused_again_when_many_wait_again() -> None:
    desk = Desk()
    for _ in range(3):
        desk.put(*["door"] * (16 - desk.streams["door"].monitor.waiting if desk.streams else 16))
        assert desk.paused == {0}
        await desk.names(8)
        assert desk.paused == set()
    assert [what for what, _ in desk.asked] == ["pause", "resume"] * 3


async def test_its_monitor_knows_how_many_frames_of_a_stream_wait() -> None:
    desk = Desk()
    desk.put("door", "door", "yard")
    assert [stream.monitor.waiting for stream in desk.streams.values()] == [2, 1]
    await desk.names(2)
    assert [stream.monitor.waiting for stream in desk.streams.values()] == [1, 0]


async def test_the_frames_of_a_stream_come_one_after_the_other() -> None:
    desk = Desk()
    put = desk.put("door", "yard", "door", "door")
    await desk.names(4)
    door, yard, second, third = put
    assert (door.before, yard.before) == (None, None)
    assert (second.before, third.before) == (door.turns, second.turns)
    assert desk.streams["door"].turns[third.frame.live] is third.turns
    waiting = asyncio.create_task(third.until_before(Step.POSTED))
    yard.end()
    door.end()
    assert not await settled(waiting)
    second.step(Step.POSTED)
    assert await settled(waiting)


async def test_frames_take_turns_in_the_order_in_which_they_are_taken_however_late() -> None:
    desk = Desk()
    (first,) = desk.put("door")
    await desk.names(1)
    first.end()
    (second,) = desk.put("door")
    assert second.before is None
    await desk.names(1)
    assert second.before is first.turns
    async with patience(20):
        for step in Step:
            await second.until_before(step)


async def test_a_camera_does_not_wait_for_a_recording_of_the_same_name() -> None:
    desk = Desk()
    (recorded,), (live,) = desk.put("door"), desk.put("door", live=True)
    (later,) = desk.put("door", live=True)
    await desk.names(3)
    assert (recorded.before, live.before) == (None, None)
    assert later.before is live.turns


async def test_what_is_cleared_comes_no_more_and_keeps_nobody_waiting() -> None:
    desk = Desk()
    (taken,) = desk.put("door")
    await desk.names(1)
    waiting = desk.put(*["door", "yard"] * 10, partition=2)
    assert desk.paused == {2}
    desk.lane.clear()
    assert desk.paused == set()
    assert all(work.turns.of(step).done() for work in waiting for step in Step)
    assert not any(taken.turns.of(step).done() for step in Step)
    taking = asyncio.create_task(desk.take())
    assert not await settled(taking)
    (fresh,) = desk.put("door", partition=2)
    assert await taking == [fresh]
    # What was taken before is still under way, and what comes now is behind it.
    assert fresh.before is taken.turns


async def test_a_partition_is_counted_anew_after_it_was_cleared() -> None:
    desk = Desk()
    desk.put(*["door"] * 20)
    desk.lane.clear()
    desk.asked.clear()
    desk.put(*["door"] * 15)
    assert desk.asked == []
    desk.put("door")
    assert desk.asked == [("pause", 0)]


@pytest.mark.parametrize("how", ["taken", "cleared"])
async def test_it_is_empty_when_the_last_frame_is_gone(how: str) -> None:
    desk = Desk()
    async with patience(20):
        await desk.lane.empty()
    desk.put("door", "yard")
    waiting = asyncio.create_task(desk.lane.empty())
    assert not await settled(waiting)
    await desk.names(1)
    assert not await settled(waiting)
    if how == "taken":
        await desk.names(1)
    else:
        desk.lane.clear()
    assert await settled(waiting)
