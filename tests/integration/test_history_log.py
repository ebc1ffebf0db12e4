"""The history and the log that it is made of, on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from machine import patience
from makers import EMBEDDER, START, THRESHOLD, damage, make_sighting
from servers import Client, Serve, serve

from app.broker import Broker
from app.history import History, HistoryUnavailableError, Query, Streams
from app.kafka.admin import create_topics
from app.kafka.follower import Follower
from app.messages import Sighting, Unnamed, encode
from app.settings import Settings
from app.tables import Gallery
from app.topics import Topics
from app.web import SightingViews, TimelineViews

__all__ = ["serve"]

NAMES = [f"{number:03}" for number in range(200)]
LATER = [f"{number:03}" for number in range(200, 400)]


async def write(settings: Settings, sightings: Iterable[Sighting]) -> None:
    """Write these, each to the partition of its stream."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for sighting in sightings:
            key = sighting.stream.encode()
            await producer.send(Topics(settings).sightings.name, encode(sighting), key=key)


def named(names: Sequence[str]) -> list[Sighting]:
    """Return a sighting for each of these ids."""
    return [make_sighting(id=name, crop=b"x" * 2000) for name in names]


@asynccontextmanager
async def followed(
    settings: Settings, path: Path, gate: asyncio.Event | None = None
) -> AsyncIterator[History]:
    """Follow the log with a history in this file, as a worker does, once the gate is open."""
    history = History(keep=10**12)

    async def remember(records: "Sequence[ConsumerRecord[bytes, bytes]]") -> None:
        if gate:
            await gate.wait()
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
    await write(settings, named(NAMES))
    async with followed(settings, path) as history:
        await until_known(history, NAMES)
    damage(path)
    async with followed(settings, path) as history:
        if asked:
            with pytest.raises(HistoryUnavailableError):
                await history.find(Query(), limit=1000)
        await write(settings, named(LATER))
        await until_known(history, [*NAMES, *LATER])
        assert "is built again" in caplog.text


UNKNOWN = {"person": None, "name": None, "score": None, "unnamed": Unnamed(gate="unlike", lacking=0.1)}


def versions() -> list[Sighting]:
    """Return what workers write in an hour: sightings go on, get a name, end, join, and come too late."""
    written = []
    for number in range(300):
        first = START + number * 12_000
        fields = {"id": f"{number:03}", "stream": ("door", "yard")[number % 2], "first": first}
        written += [
            make_sighting(**fields, last=first + 500, revision=3 * number, **UNKNOWN),
            make_sighting(
                **fields,
                **(UNKNOWN if number % 3 else {"person": f"p{number % 7}", "name": f"P{number % 7}"}),
                last=first + 9000,
                revision=3 * number + 2,
                open=number > 295,
                merged=f"{number - 2:03}" if number % 10 == 9 else None,
            ),
        ]
        if number % 5 == 0:
            # A worker that was away writes what it knew when it left.
            written.append(make_sighting(**fields, last=first + 700, revision=3 * number + 1))
    return written


async def answers(client: Client) -> dict[str, Any]:
    """Ask for every page of the list, some sightings, and timelines."""
    found: dict[str, Any] = {}
    cursor: str | None = ""
    while cursor is not None:
        path = f"/sightings?limit=50&cursor={cursor}"
        found[path] = await (await client.get(path)).json()
        cursor = found[path]["next"]
    times = f"from={START}&to={START + 4_000_000}&join=30"
    one = ("/sightings/000", "/sightings/009", "/sightings/nobody")
    for path in (*one, f"/people/p3/timeline?{times}", f"/streams/door/timeline?{times}"):
        found[path] = await (await client.get(path)).json()
    return found


async def views(history: History, serve: Serve) -> Client:
    """Serve what a history answers."""
    timelines = TimelineViews(history, Gallery(EMBEDDER, THRESHOLD, 0.05), Streams(keep=2**50))
    return await serve([*SightingViews(history).routes(), *timelines.routes()])


async def until_complete(history: History) -> None:
    """Wait until it has taken in the log."""
    async with patience(60):
        while not history.complete:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def delete(path: Path) -> None:
    """Delete a database, and what lies beside it."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


async def test_a_history_is_made_of_the_log_alone(broker: Broker, tmp_path: Path, serve: Serve) -> None:
    """Another worker, or one whose file was deleted, answers alike, and says so while it cannot yet."""
    settings = Settings(broker=broker.url, topic_prefix=f"{uuid4().hex[:8]}-", partitions=2)
    path = tmp_path / "history.sqlite"
    await create_topics(settings)
    await write(settings, versions())
    async with followed(settings, path) as history:
        await until_complete(history)
        before = await answers(await views(history, serve))
    assert sum(len(answer.get("sightings", ())) for answer in before.values()) == 270
    assert before["/sightings/009"]["merged"] == "007"
    assert all(answer["complete"] for answer in before.values())

    delete(path)
    gate = asyncio.Event()
    async with followed(settings, path, gate) as history:
        client = await views(history, serve)
        assert not any(answer["complete"] for answer in (await answers(client)).values())
        gate.set()
        async with patience(60):
            while (found := await answers(client)) != before:
                # What calls itself complete is so from the first time on. A page that does not may lead on to
                # others than before.
                complete = {path: one for path, one in found.items() if one["complete"] and path in before}
                assert complete == {path: before[path] for path in complete}
