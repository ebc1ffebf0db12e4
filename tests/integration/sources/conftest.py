"""Topics of one test's own on the real broker, and what is on them."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from app.messages import Frame, decode_frame
from app.settings import Settings
from app.topics import Topics

ReadFrames = Callable[[Settings], Awaitable[list[Frame]]]


@pytest.fixture
def settings(broker) -> Settings:
    """Return settings for topics that no other test uses."""
    return Settings(broker=broker.url, topic_prefix=f"t{uuid.uuid4().hex[:8]}-", partitions=2)


@pytest.fixture
def read_frames() -> ReadFrames:
    """Return a function that reads all frames on the log, in the log's order."""

    async def read(settings: Settings) -> list[Frame]:
        name = Topics(settings).frames.name
        partitions = [TopicPartition(name, number) for number in range(settings.partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            max_partition_fetch_bytes=2**23,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            frames = []
            async with asyncio.timeout(30):
                while len(frames) < sum(ends.values()):
                    for records in (await consumer.getmany(timeout_ms=500)).values():
                        frames += [decode_frame(r.key, r.value, dict(r.headers)) for r in records]
            return frames
        finally:
            await consumer.stop()

    return read
