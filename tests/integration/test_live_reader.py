"""The reader of live pictures on a real Kafka: the newest that was decided, at once, and nothing twice."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from machine import patience
from makers import make_frame, make_identifications, make_status

from app.broker import Broker
from app.kafka.admin import create_topics
from app.kafka.dead_letters import Unreadable
from app.messages import encode, encode_frame
from app.metrics import Metrics
from app.settings import Settings
from app.topics import Topics
from app.web.live.reader import Identified, Reader

JPEG = b"\xff\xd8\xff"
_HOUR = 3_600_000


class Log:
    """Topics of their own: frames as their number, and who is on them, on one partition."""

    def __init__(self, broker: Broker) -> None:
        prefix = f"read-{uuid4().hex[:8]}."
        self.settings = Settings(broker=broker.url, topic_prefix=prefix, partitions=1)
        self.topics = Topics(self.settings)
        self._producer = AIOKafkaProducer(bootstrap_servers=self.settings.bootstrap)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Log"]:
        await create_topics(self.settings, wait=30)
        async with self._producer:
            yield self

    async def frame(self, seq: int, stream: str = "door", live: bool = False) -> int:
        """Write a frame, and return its offset."""
        key, value, headers = encode_frame(make_frame(JPEG, stream=stream, seq=seq, live=live))
        topic = self.topics.lane(live).name
        return int((await self._producer.send_and_wait(topic, value, key, headers=headers)).offset)

    async def identify(self, faces_offset: int, *, age: int = 0, stream: str = "door", **more: Any) -> None:
        """Write who is on a frame, as it was done so many milliseconds ago."""
        found = make_identifications("ada", stream=stream, faces_offset=faces_offset, **more)
        at = int(time.time() * 1000) - age
        topic = self.topics.identifications.name
        await self._producer.send_and_wait(topic, encode(found), stream.encode(), timestamp_ms=at)

    async def show(self, seq: int, **more: Any) -> None:
        """Write a frame, numbered like its faces, and who is on it."""
        stream, live = more.get("stream", "door"), more.get("live", False)
        await self.identify(seq, offset=await self.frame(seq, stream, live), **more)

    @asynccontextmanager
    async def reader(self, ago: int = 0, **status: Any) -> AsyncIterator[Reader]:
        """Yield a reader that knows the stream by a status of so many milliseconds ago."""
        updated = int(time.time() * 1000) - ago
        reader = Reader(
            self.settings, self.topics, Unreadable(Metrics()), make_status(updated=updated, **status)
        )
        try:
            await reader.start()
            yield reader
        finally:
            await reader.stop()


async def newest(reader: Reader) -> int:
    """Wait for news, and return the number of the frame."""
    async with patience(30):
        while (found := await reader.newest()) is None:
            pass
    assert found.frame.seq == found.identifications.faces_offset
    assert found.frame.live == found.identifications.live
    return found.frame.seq


async def news(reader: Reader) -> Identified | None:
    """Return the next news, which may be none."""
    async with patience(30):
        return await reader.newest()


@pytest.fixture
async def log(broker: Broker) -> AsyncIterator[Log]:
    async with Log(broker).open() as log:
        yield log


async def test_the_newest_frame_of_a_silent_stream_is_there_at_once(log: Log) -> None:
    for seq in range(3):
        await log.show(seq, age=_HOUR - seq)
    for seq in range(3, 8):
        await log.show(seq, stream="yard", age=1_000)
    # It was identified a moment before it counted as recognised.
    async with log.reader(ago=_HOUR - 100) as reader:
        assert await newest(reader) == 2
        await log.show(9)
        assert await newest(reader) == 9


async def test_what_was_written_long_before_is_not_read(log: Log) -> None:
    await log.show(0, age=_HOUR)
    async with log.reader() as reader:
        assert await news(reader) is None
        await log.show(1)
        assert await newest(reader) == 1


async def test_a_stream_on_an_empty_topic_is_shown_when_it_is_identified_first(log: Log) -> None:
    async with log.reader(frame_offset=None, faces_offset=None) as reader:
        await log.show(0)
        assert await newest(reader) == 0


async def test_what_comes_again_or_late_is_not_shown_again(log: Log) -> None:
    for seq in range(3):
        await log.show(seq)
    # By a worker that was away.
    await log.show(1)
    async with log.reader() as reader:
        assert await newest(reader) == 2
        for seq in (0, 2):
            await log.show(seq)
            assert await news(reader) is None
        await log.show(3)
        assert await newest(reader) == 3


async def test_frames_of_a_camera_and_of_a_recording_are_shown_alike(log: Log) -> None:
    async with log.reader() as reader:
        for seq, live in enumerate((True, False, False, True)):
            await log.show(seq, live=live)
            assert await newest(reader) == seq


async def test_what_cannot_be_read_or_whose_frame_is_gone_is_passed_over(log: Log) -> None:
    async with log.reader() as reader:
        async with AIOKafkaProducer(bootstrap_servers=log.settings.bootstrap) as producer:
            await producer.send_and_wait(log.topics.identifications.name, b"junk", b"door")
        assert await news(reader) is None
        await log.identify(0, offset=1000)
        assert await news(reader) is None
        await log.show(1)
        assert await newest(reader) == 1
