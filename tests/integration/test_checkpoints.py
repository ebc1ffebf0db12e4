"""Checkpoints on a real Kafka: of each stream the one that stands for most, whoever wrote last."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from machine import patience

from app.broker import Broker
from app.kafka import checkpoints as module
from app.kafka.admin import create_topics
from app.kafka.checkpoints import Checkpoints, Stored
from app.kafka.delivery import KafkaDelivery
from app.messages import Checkpoint, encode
from app.settings import Settings
from app.topics import Topics

#: How far `faces` reaches on each partition.
END = 10


class Desk:
    """Topics of their own, with some faces on every partition but the last."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topics = Topics(settings)
        self.delivery = KafkaDelivery(settings)
        self.checkpoints = Checkpoints(settings, self.topics, self.delivery)

    async def open(self) -> None:
        await create_topics(self.settings, wait=30)
        for partition in range(self.settings.partitions - 1):
            await asyncio.gather(
                *(self.delivery.post(self.topics.faces, b"door", b"", partition) for _ in range(END))
            )

    async def put(self, key: bytes, value: bytes | None, partition: int = 0) -> None:
        """Write anything at all to the checkpoints."""
        async with AIOKafkaProducer(bootstrap_servers=self.settings.bootstrap) as producer:
            await producer.send_and_wait(self.topics.checkpoints.name, value, key, partition)

    async def read(self, *partitions: int) -> dict[int, list[Stored]]:
        async with patience(60):
            return await self.checkpoints.read(partitions)

    async def furthest(self, *partitions: int) -> dict[int, dict[str, int]]:
        """Return how far each stream is, by partition."""
        return {number: nexts(stored) for number, stored in (await self.read(*partitions)).items()}


def nexts(stored: Sequence[Stored]) -> dict[str, int]:
    return {one.checkpoint.stream: one.checkpoint.next for one in stored if one.checkpoint}


@pytest.fixture
async def desk(broker: Broker) -> AsyncIterator[Desk]:
    prefix = f"checkpointed-{uuid4().hex[:8]}."
    desk = Desk(Settings(broker=broker.url, topic_prefix=prefix, partitions=3))
    await desk.open()
    yield desk
    await desk.delivery.close(3)


def checkpoint(next: int, stream: str = "door", partition: int = 0, **more: Any) -> Checkpoint:
    return Checkpoint(stream=stream, partition=partition, next=next, **({"state": b"state"} | more))


async def test_what_is_written_is_read(desk: Desk) -> None:
    written = checkpoint(7, state=b"\x00\xff" * 1000)
    await desk.checkpoints.write([written])
    (stored,) = (await desk.read(0))[0]
    assert (stored.checkpoint, stored.error) == (written, None)
    message = stored.message
    assert (message.topic, message.partition, message.offset) == (desk.topics.checkpoints.name, 0, 0)
    assert (message.key, message.value) == (b"door", encode(written))


async def test_topics_without_a_message_hold_nothing(desk: Desk) -> None:
    assert await desk.read(0, 1, 2) == {0: [], 1: [], 2: []}


async def test_the_furthest_counts_and_not_the_one_that_was_written_last(desk: Desk) -> None:
    """The last to write may have been away while somebody else went on."""
    for next in (3, 9, 4):
        await desk.checkpoints.write([checkpoint(next)])
    await desk.checkpoints.write([checkpoint(6, "yard"), checkpoint(5, "yard"), checkpoint(1, "roof")])
    assert await desk.furthest(0) == {0: {"door": 9, "yard": 6, "roof": 1}}


async def test_of_two_that_stand_for_as_much_the_later_one_counts(desk: Desk) -> None:
    for state in (b"first", b"second"):
        await desk.checkpoints.write([checkpoint(5, state=state)])
    (stored,) = (await desk.read(0))[0]
    assert stored.checkpoint is not None
    assert stored.checkpoint.state == b"second"


async def test_partitions_are_told_apart_and_only_those_asked_for_are_read(desk: Desk) -> None:
    await desk.checkpoints.write(
        [
            checkpoint(3, "door", 0),
            checkpoint(4, "door", 1),
            checkpoint(5, "yard", 1),
            checkpoint(0, "roof", 2),
        ]
    )
    assert await desk.furthest(0, 1, 2) == {0: {"door": 3}, 1: {"door": 4, "yard": 5}, 2: {"roof": 0}}
    assert await desk.furthest(2, 0) == {2: {"roof": 0}, 0: {"door": 3}}


async def test_a_stream_that_was_taken_out_is_gone_until_it_is_written_again(desk: Desk) -> None:
    await desk.checkpoints.write([checkpoint(9), checkpoint(9, "yard")])
    await desk.put(b"door", None)
    assert await desk.furthest(0) == {0: {"yard": 9}}
    await desk.checkpoints.write([checkpoint(2)])
    assert await desk.furthest(0) == {0: {"yard": 9, "door": 2}}


async def test_an_unreadable_one_that_is_the_newest_is_told_of(desk: Desk) -> None:
    await desk.checkpoints.write([checkpoint(9), checkpoint(3, "yard")])
    await desk.put(b"door", b"\x93\x01\x02\x03")
    found = {one.message.key: one for one in (await desk.read(0))[0]}
    assert found.keys() == {b"door", b"yard"}
    door = found[b"door"]
    assert door.checkpoint is None
    assert door.error is not None
    assert (door.error.reason, door.message.offset) == ("malformed", 2)
    assert found[b"yard"].checkpoint == checkpoint(3, "yard")


async def test_an_unreadable_one_with_a_readable_one_behind_it_is_passed_over(desk: Desk) -> None:
    await desk.put(b"door", b"GIF89a")
    await desk.checkpoints.write([checkpoint(1)])
    assert [(one.checkpoint, one.error) for one in (await desk.read(0))[0]] == [(checkpoint(1), None)]


async def test_one_that_stands_for_more_than_there_is_belongs_to_a_topic_that_is_gone(desk: Desk) -> None:
    await desk.checkpoints.write([checkpoint(END), checkpoint(END + 1), checkpoint(END + 1, "yard")])
    assert await desk.furthest(0) == {0: {"door": END}}
    # No faces at all are on the last one.
    await desk.checkpoints.write([checkpoint(1, partition=2), checkpoint(0, "yard", partition=2)])
    assert await desk.furthest(2) == {2: {"yard": 0}}


async def test_a_broker_that_is_away_is_asked_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.checkpoints.write([checkpoint(4)])
    monkeypatch.setattr(module, "_RETRY", 0.01)
    connect, asked = module.make_consumer, 0

    def lost_at_first(settings: Settings, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        return connect(Settings(broker="kafka://127.0.0.1:9") if asked < 3 else settings, **options)

    monkeypatch.setattr(module, "make_consumer", lost_at_first)
    assert await desk.furthest(0) == {0: {"door": 4}}
    assert asked == 3
    assert caplog.text.count("cannot read the checkpoints") == 2
