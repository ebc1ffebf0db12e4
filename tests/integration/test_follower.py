"""The follower on a real Kafka, where the end of a log need not be a record."""

import asyncio
from uuid import uuid4

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from machine import patience

from app.broker import Broker
from app.kafka.follower import Follower, ReadFrom
from app.settings import Settings
from app.topics import TopicSpec


async def write_in_transactions(settings: Settings, topic: TopicSpec) -> None:
    """Write two records in a transaction each, which leaves a mark behind it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic.name, topic.partitions, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, transactional_id=topic.name)
    async with producer:
        for value in (b"first", b"second"):
            async with producer.transaction():
                await producer.send_and_wait(topic.name, value, partition=0)


async def test_a_log_that_ends_with_marks_of_transactions_is_followed_to_its_end(broker: Broker) -> None:
    settings = Settings(broker=broker.url)
    topic = TopicSpec(f"marked-{uuid4().hex[:8]}", "", "anything", partitions=2)
    await write_in_transactions(settings, topic)
    handed: list[tuple[int, bytes | None]] = []
    lost = [ReadFrom({0: 1})]

    async def handle(records: "list[ConsumerRecord[bytes, bytes]]") -> None:
        handed.extend((record.offset, record.value) for record in records)
        if lost and len(handed) == 2:
            raise lost.pop()

    follower = Follower(settings, topic, {}, handle)
    following = asyncio.create_task(follower.run())
    async with patience(60):
        await follower.caught_up(0)
        await follower.caught_up(1)
    assert follower.complete
    assert handed == [(0, b"first"), (2, b"second"), (2, b"second")]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
