"""The events over HTTP, from a real index."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from makers import SightingLog, make_sighting

from app.history.index import History, HistoryUnavailableError
from app.messages import encode
from app.web import events as module
from app.web.events import EventViews


class Reader:
    """One who reads events."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.last = ""

    async def block(self) -> dict[str, str]:
        """Return the next event, by field; the last id is remembered as a browser would."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(20):
            while line := (await self.response.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
        self.last = fields.get("id", self.last)
        return fields

    async def sighting(self) -> tuple[str, int]:
        while "data" not in (fields := await self.block()):
            pass
        assert fields["event"] == "sighting"
        found = json.loads(fields["data"])
        return found["id"], found["frames"]


@pytest.fixture
def log(history: History) -> SightingLog:
    return SightingLog(history)


@pytest.fixture
async def client(history: History, serve: Any) -> Any:
    return await serve(EventViews(history).routes())


async def read(client: Any, last: str | None = None) -> Reader:
    headers = {"Last-Event-ID": last} if last is not None else {}
    reader = Reader(await client.get("/events", headers=headers))
    assert reader.response.status == 200
    assert reader.response.content_type == "text/event-stream"
    return reader


async def test_a_reader_is_let_go_of_where_the_index_fails(
    client: Any, log: SightingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise HistoryUnavailableError("no disk")

    await log.write("a")
    monkeypatch.setattr(log.history, "since", fail)
    reader = await read(client, "0-0")
    assert await reader.response.content.read() == b""


async def test_an_index_that_cannot_be_opened_is_unavailable(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "worker").write_text("where a folder should be")
    history = History(keep=2**50)
    await history.open(tmp_path / "worker" / "history.sqlite", "log")
    client = await serve(EventViews(history).routes())
    response = await client.get("/events")
    assert (response.status, (await response.json())["reason"]) == (503, "history-unavailable")
    await history.close()


async def test_events_are_what_happens_from_now_on(client: Any, log: SightingLog) -> None:
    await log.write("before")
    reader = await read(client)
    assert (await reader.block())["id"] == "0-1"
    await log.write("after", frames=3)
    await log.write("after", frames=4)
    await log.write("elsewhere", 2)
    assert [await reader.sighting() for _ in range(3)] == [("after", 3), ("after", 4), ("elsewhere", 10)]
    assert reader.last == "0-3.2-1"
    reader.response.close()


async def test_a_reader_goes_on_where_it_was(client: Any, log: SightingLog) -> None:
    await log.write("one")
    reader = await read(client)
    await reader.block()
    await log.write("two")
    await reader.sighting()
    reader.response.close()
    await log.write("two", frames=11)
    await log.write("three", 1)
    await log.write("two", frames=12)

    again = await read(client, reader.last)
    assert [await again.sighting() for _ in range(2)] == [("two", 12), ("three", 10)]
    await log.write("four")
    assert await again.sighting() == ("four", 10)
    again.response.close()
    response = await client.get("/events", params={"last-event-id": again.last})
    by_query = Reader(response)
    await log.write("five")
    assert await by_query.sighting() == ("five", 10)
    response.close()


async def test_a_reader_who_was_away_for_long_gets_page_after_page(
    client: Any, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it missed is never all in memory at once: a page is written before the next one is read."""
    count, pages = 1200, []
    await history.add((0, offset, encode(make_sighting(id=f"{offset}"))) for offset in range(count))
    since = history.since

    async def noted(positions: Any, **more: Any) -> Any:
        pages.append(dict(positions))
        return await since(positions, **more)

    monkeypatch.setattr(history, "since", noted)
    reader = await read(client, "0-0")
    assert [(await reader.sighting())[0] for _ in range(count)] == [str(offset) for offset in range(count)]
    await reader.block()
    reader.response.close()
    assert [page[0] for page in pages] == [0, 500, 1000, 1200]


async def test_who_came_before_the_first_event_misses_nothing(client: Any, log: SightingLog) -> None:
    reader = await read(client)
    await reader.block()
    assert reader.last
    reader.response.close()
    await log.write("first", 3)
    again = await read(client, reader.last)
    assert await again.sighting() == ("first", 10)
    again.response.close()


async def test_an_id_of_a_longer_log_hears_what_is_new(client: Any, log: SightingLog) -> None:
    await log.write("old")
    reader = await read(client, "0-5000.7-9")
    await log.write("new")
    assert await reader.sighting() == ("new", 10)
    reader.response.close()


async def test_silence_is_broken_now_and_then(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HEARTBEAT", 0.05)
    reader = await read(client)
    await reader.block()
    assert await reader.block() == {"": "still here"}
    reader.response.close()


@pytest.mark.parametrize("last", ["junk", "0-", "1;2"])
async def test_an_id_that_is_not_ours(client: Any, last: str) -> None:
    response = await client.get("/events", headers={"Last-Event-ID": last})
    assert (response.status, (await response.json())["reason"]) == (400, "bad-event-id")


async def test_a_reader_that_goes_away_is_let_go_of(client: Any, log: SightingLog) -> None:
    reader = await read(client)
    await reader.block()
    assert len(log.history._listeners) == 1
    reader.response.close()
    async with asyncio.timeout(20):
        while log.history._listeners:
            await log.write("news")
            await asyncio.sleep(0.01)


async def test_a_server_that_stops_does_not_wait_for_its_readers(history: History, serve: Any) -> None:
    client = await serve(EventViews(history).routes())
    reader = await read(client)
    await reader.block()
    async with asyncio.timeout(10):
        await client.server.close()
    with pytest.raises(aiohttp.ClientPayloadError):
        await reader.response.content.read()
