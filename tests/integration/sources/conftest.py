"""Topics of one test's own on the real broker, and what is on them."""

import uuid
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from machine import patience

from app.messages import Frame, decode_frame
from app.settings import Settings
from app.topics import Topics

ReadFrames = Callable[..., Awaitable[list[Frame]]]


@pytest.fixture
def settings(broker) -> Settings:
    """Return settings for topics that no other test uses."""
    return Settings(broker=broker.url, topic_prefix=f"t{uuid.uuid4().hex[:8]}-", partitions=2)


@pytest.fixture
def read_frames() -> ReadFrames:
    """Return a function that reads all frames of a lane, in the log's order; the other one must be empty."""

    async def read(settings: Settings, *, live: bool = False) -> list[Frame]:
        topics = Topics(settings)
        partitions, others = (
            [TopicPartition(topics.lane(lane).name, number) for number in range(settings.partitions)]
            for lane in (live, not live)
        )
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            max_partition_fetch_bytes=2**23,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            assert not any((await consumer.end_offsets(others)).values())
            frames = []
            async with patience(30):
                while len(frames) < sum(ends.values()):
                    for records in (await consumer.getmany(timeout_ms=500)).values():
                        frames += [decode_frame(r.key, r.value, dict(r.headers)) for r in records]
            return frames
        finally:
            await consumer.stop()

    return read
