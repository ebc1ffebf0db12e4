"""The history and the log that it is made of, on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from machine import patience
from makers import damage, make_sighting

from app.broker import Broker
from app.history import History, HistoryUnavailableError, Query
from app.kafka.admin import create_topics
from app.kafka.follower import Follower
from app.messages import encode
from app.settings import Settings
from app.topics import Topics

NAMES = [f"{number:03}" for number in range(200)]
LATER = [f"{number:03}" for number in range(200, 400)]


async def write(settings: Settings, names: Sequence[str]) -> None:
    """Write a sighting for each of these ids."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for name in names:
            value = encode(make_sighting(id=name, crop=b"x" * 2000))
            await producer.send(Topics(settings).sightings.name, value, key=b"door")


@asynccontextmanager
async def followed(settings: Settings, path: Path) -> AsyncIterator[History]:
    """Follow the log with a history in this file, as a worker does."""
    history = History(keep=10**12)

    async def remember(records: "Sequence[ConsumerRecord[bytes, bytes]]") -> None:
        await history.add((record.partition, record.offset, record.value) for record in records)

    follower = Follower(settings, Topics(settings).sightings, await history.open(path, "log"), remember)
    history.follow(follower)
    following = asyncio.create_task(follower.run())
    try:
        yield history
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await history.close()


async def ids(history: History) -> list[str]:
    """Return whom it knows; nothing while it cannot be read."""
    try:
        return sorted(sighting.id for sighting in (await history.find(Query(), limit=1000)).sightings)
    except HistoryUnavailableError:
        return []


async def until_known(history: History, names: Sequence[str]) -> None:
    """Wait until it is these that it knows."""
    async with patience(60):
        while await ids(history) != [*names]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("asked", [False, True], ids=["by what is written", "by a question"])
async def test_a_history_found_damaged_is_read_from_the_log_again(
    broker: Broker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: bool,
) -> None:
    # So large that it is not checked when it is opened.
    monkeypatch.setattr("app.sqlite._CHECKED", 0)
    settings = Settings(broker=broker.url, topic_prefix=f"{uuid4().hex[:8]}-", partitions=2)
    path = tmp_path / "history.sqlite"
    await create_topics(settings)
    await write(settings, NAMES)
    async with followed(settings, path) as history:
        await until_known(history, NAMES)
    damage(path)
    async with followed(settings, path) as history:
        if asked:
            with pytest.raises(HistoryUnavailableError):
                await history.find(Query(), limit=1000)
        await write(settings, LATER)
        await until_known(history, [*NAMES, *LATER])
        assert "is built again" in caplog.text
