"""What is put into an outbox reaches a real Kafka, whatever the broker forgets."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from app.kafka import create_topics, make_producer
from app.messages import Frame
from app.settings import Settings
from app.sources import outbox
from app.sources.base import Picture, Source, SourceOptions
from app.sources.outbox import Outbox
from app.sources.summary import Summary
from app.topics import Topics


class Camera(Source):
    def pictures(self) -> Iterator[Picture]:
        yield from ()


@pytest.fixture
def producers(monkeypatch) -> list[AIOKafkaProducer]:
    """Return the producers that are made, as they are made."""
    made: list[AIOKafkaProducer] = []

    def make(settings: Settings, **options: object) -> AIOKafkaProducer:
        made.append(make_producer(settings, **options))
        return made[-1]

    monkeypatch.setattr(outbox, "make_producer", make)
    return made


def frame(seq: int) -> Frame:
    return Frame(
        stream="camera",
        seq=seq,
        captured=1_700_000_000_000 + seq,
        pts=seq,
        width=8,
        height=8,
        live=True,
        jpeg=b"\xff\xd8\xff\xd9",
    )


def new_outbox(settings: Settings) -> tuple[Outbox, Summary]:
    summary = Summary(Camera("camera", SourceOptions()), "camera")
    return Outbox(settings, Topics(settings).frames.name, 4, summary), summary


def skip_a_number(producer: AIOKafkaProducer, settings: Settings) -> None:
    """Number what follows as if one more had been sent: so it looks to a broker that has forgotten one."""
    for partition in range(settings.partitions):
        place = TopicPartition(Topics(settings).frames.name, partition)
        producer._txn_manager.increment_sequence_number(place, 1)


async def test_what_kafka_lost_count_of_is_sent_again_in_order(settings, read_frames, producers, caplog):
    await create_topics(settings)
    box, summary = new_outbox(settings)
    async with box:
        await box.send(frame(0))
        await box.delivered()
        skip_a_number(producers[0], settings)
        for seq in range(1, 12):
            await box.send(frame(seq))
        await box.delivered()
        assert (summary.sent, summary.pending, summary.errors) == (12, 0, {})
    assert [found.seq for found in await read_frames(settings, live=True)] == list(range(12))
    assert len(producers) == 2
    assert "Kafka has not kept count of what was sent" in caplog.text


async def test_an_end_while_it_is_sent_again_says_what_was_lost(settings, producers, monkeypatch):
    await create_topics(settings)
    monkeypatch.setattr(outbox, "_GRACE", 0.5)
    box, summary = new_outbox(settings)
    async with box:
        await box.send(frame(0))
        await box.delivered()
        skip_a_number(producers[0], settings)
        monkeypatch.setattr(box, "_connect", lambda: asyncio.sleep(60))
        await box.send(frame(1))
        await box.send(frame(2))
    assert (summary.sent, summary.errors) == (1, {"not-delivered": 2})


async def test_a_partition_without_a_leader_is_waited_for(settings, read_frames, producers, monkeypatch):
    await create_topics(settings)
    monkeypatch.setattr(outbox, "_ANSWER", 0.5)
    box, summary = new_outbox(settings)
    async with box:
        await box.send(frame(0))
        await box.delivered()
        cluster = producers[0].client.cluster
        with monkeypatch.context() as leaderless:
            leaderless.setattr(cluster, "leader_for_partition", lambda partition: -1)
            await box.send(frame(1))
            ended = time.monotonic() + 1.5
            while time.monotonic() < ended:
                # The producer looks for a leader as often as this.
                await asyncio.sleep(0.1)
                producers[0]._sender._message_accumulator.drain_by_nodes(ignore_nodes=set())
            assert summary.pending == 1
        await box.send(frame(2))
        await box.delivered()
    assert (summary.sent, summary.errors, len(producers)) == (3, {}, 1)
    assert [found.seq for found in await read_frames(settings, live=True)] == [0, 1, 2]
