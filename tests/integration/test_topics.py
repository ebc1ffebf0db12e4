"""The topics on a real Kafka: made as declared, and put right where they were there before."""

import asyncio
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from machine import patience

from app.broker import Broker
from app.kafka.admin import create_topics
from app.settings import Settings
from app.topics import Topics


def settings_for(broker: Broker, **more: Any) -> Settings:
    return Settings(broker=f"kafka://{broker.bootstrap}", topic_prefix="declared.", partitions=2, **more)


async def configuration(broker: Broker, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        ((_, _, _, _, entries),) = answer.resources
        return {entry[0]: entry[1] for entry in entries}
    finally:
        await admin.close()


async def shows(broker: Broker, name: str, expected: dict[str, str]) -> None:
    """Wait until the broker says so: what its controller has decided reaches it a moment later."""
    async with patience(20):
        while not expected.items() <= (await configuration(broker, name)).items():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def change(broker: Broker, name: str, config: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)])
    finally:
        await admin.close()


async def test_settings_reach_topics_that_are_there(broker: Broker) -> None:
    before = settings_for(broker, frames_hours=6)
    cluster = await create_topics(before, wait=30)
    frames = Topics(before).frames
    await shows(broker, frames.name, frames.config)

    await change(broker, frames.name, frames.config | {"flush.messages": "77"})
    await shows(broker, frames.name, {"flush.messages": "77"})
    after = settings_for(broker, frames_hours=2, frames_bytes=123_456_789)
    assert await create_topics(after, wait=30) == cluster
    # What somebody has set beside what is declared stays.
    declared = {"retention.ms": str(2 * 3600 * 1000), "retention.bytes": "123456789"}
    await shows(broker, frames.name, declared | {"flush.messages": "77"})


async def test_every_topic_is_as_declared_the_table_of_people_among_them(broker: Broker) -> None:
    settings = settings_for(broker)
    await create_topics(settings, wait=30)
    for spec in Topics(settings):
        await shows(broker, spec.name, spec.config)
