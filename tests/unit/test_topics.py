"""Every topic is declared once, and a broker that is not there is one line."""

import pytest

from app.broker import free_port
from app.errors import OnlookerError
from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, BrokerUnreachableError, Topics, create_topics


def test_names_carry_the_prefix_and_are_told_apart() -> None:
    names = [spec.name for spec in Topics(Settings(topic_prefix="test."))]
    assert sorted(names) == sorted(set(names))
    assert all(name.startswith("test.") for name in names)
    assert "test.dead-letters" in names


def test_what_belongs_to_a_stream_is_partitioned_alike() -> None:
    topics = Topics(Settings(partitions=5))
    assert {topics.frames.partitions, topics.faces.partitions, topics.sightings.partitions} == {5}
    assert {topics.frames.key, topics.faces.key, topics.sightings.key} == {"stream"}


def test_every_topic_takes_the_largest_message() -> None:
    assert {spec.config["max.message.bytes"] for spec in Topics(Settings())} == {str(MAX_MESSAGE_BYTES)}


def test_retention_follows_the_settings() -> None:
    topics = Topics(Settings(frames_hours=2, frames_bytes=10**9, memory_days=3, memory_bytes=10**8))
    assert topics.frames.config["retention.ms"] == str(2 * 3600 * 1000)
    assert topics.frames.config["retention.bytes"] == str(10**9)
    for memory in (topics.faces, topics.sightings):
        assert memory.config["retention.ms"] == str(3 * 24 * 3600 * 1000)
        assert memory.config["retention.bytes"] == str(10**8)
    assert topics.streams.config["cleanup.policy"] == "compact"
    assert int(topics.frames.config["segment.ms"]) <= 2 * 3600 * 1000 / 4


async def test_a_broker_that_is_not_there_is_named(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with pytest.raises(BrokerUnreachableError, match=f"^no Kafka answers at 127.0.0.1:{port}$") as caught:
        await create_topics(Settings(broker=f"kafka://127.0.0.1:{port}"))
    assert isinstance(caught.value, OnlookerError)
