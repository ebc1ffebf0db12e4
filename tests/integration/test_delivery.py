"""Delivery on a real Kafka: in order, each at the offset that was said, what is too large alone refused."""

import asyncio
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError
from cluster import read_topic
from machine import patience

from app.broker import Broker
from app.kafka.delivery import KafkaDelivery, Position
from app.settings import Settings
from app.topics import TopicSpec

MESSAGES, PARTITIONS = 500, 3


async def make_topic(settings: Settings, **config: str) -> TopicSpec:
    topic = TopicSpec(f"delivered-{uuid4().hex[:8]}", "stream", "anything", PARTITIONS)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic.name, PARTITIONS, 1, topic_configs=config)])
    finally:
        await admin.close()
    return topic


async def log_of(settings: Settings, topic: TopicSpec) -> dict[Position, tuple[bytes, bytes]]:
    """Return key and value of all that is on a topic, by where it is."""
    records = await read_topic(settings, topic)
    return {Position(record.partition, record.offset): (record.key, record.value) for record in records}


async def test_what_is_posted_lands_in_order_where_it_is_said_to(broker: Broker) -> None:
    settings = Settings(broker=broker.url)
    topic = await make_topic(settings)
    delivery = KafkaDelivery(settings)
    keys = [b"stream-%d" % number for number in range(20)]
    messages = [(keys[number % len(keys)], b"%d" % number * (1 + number % 900)) for number in range(MESSAGES)]
    try:
        async with patience(60):
            places = await asyncio.gather(*(delivery.post(topic, key, value) for key, value in messages))
    finally:
        await delivery.close(3)
    assert await log_of(settings, topic) == dict(zip(places, messages, strict=True))
    assert {place.partition for place in places} == set(range(PARTITIONS))
    for partition in range(PARTITIONS):
        offsets = [place.offset for place in places if place.partition == partition]
        assert offsets == list(range(len(offsets)))


async def test_a_message_that_is_too_large_fails_and_its_neighbours_land(broker: Broker) -> None:
    settings = Settings(broker=broker.url)
    topic = await make_topic(settings, **{"max.message.bytes": "20000"})
    delivery = KafkaDelivery(settings)
    try:
        async with patience(60):
            before = await delivery.send(topic, None, b"before", 1)
            landed = [delivery.post(topic, None, value, 1) for value in (b"0", b"x" * 50_000, b"1", b"2")]
            found = await asyncio.gather(*landed, return_exceptions=True)
    finally:
        await delivery.close(3)
    assert isinstance(found.pop(1), MessageSizeTooLargeError)
    assert [before, *found] == [Position(1, offset) for offset in range(4)]
    values = [value for _, value in (await log_of(settings, topic)).values()]
    assert values == [b"before", b"0", b"1", b"2"]


async def test_what_is_posted_while_no_broker_is_there_is_given_up_when_it_closes() -> None:
    delivery = KafkaDelivery(Settings(broker="kafka://127.0.0.1:9"))
    topic = TopicSpec("nowhere", "stream", "anything", 1)
    landed = delivery.post(topic, b"door", b"value")
    async with patience(60):
        await delivery.close(3)
        with pytest.raises(asyncio.CancelledError):
            await landed
