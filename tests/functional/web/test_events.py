"""The events over HTTP, from a real index."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from machine import patience
from makers import SightingLog, make_sighting
from servers import open_streams, send_and_read_nothing
from studio import until

from app.history.index import History, HistoryUnavailableError
from app.messages import encode
from app.web import events as module
from app.web import streaming
from app.web.events import EventViews

PICTURE = b"\xff\xd8\xff" + b"x" * 4000


class Reader:
    """One who reads events."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.last = ""

    async def block(self) -> dict[str, str]:
        """Return the next event, by field; the last id is remembered as a browser would."""
        fields: dict[str, str] = {}
        async with patience(20):
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
def views(history: History) -> EventViews:
    return EventViews(history)


@pytest.fixture
async def client(views: EventViews, serve: Any) -> Any:
    return await serve(views.routes())


async def blocks(end: socket.socket) -> AsyncIterator[dict[str, str]]:
    """Read the events of a chunked response from its socket."""
    loop, rest = asyncio.get_running_loop(), b""
    async with patience(60):
        while data := await loop.sock_recv(end, 65536):
            *whole, rest = (rest + data).split(b"\n\n")
            for block in whole:
                lines = (line.decode().partition(": ") for line in block.splitlines())
                yield {name: value for name, _, value in lines}


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


async def test_what_turns_out_to_be_part_of_another_is_told_as_it_happens_and_later(
    client: Any, log: SightingLog
) -> None:
    """Nothing else tells a page to drop it."""
    await log.write("part")
    for last in (None, "0-1"):
        reader = await read(client, last)
        if last is None:
            await reader.block()
            await log.write("part", merged="whole")
        while "data" not in (fields := await reader.block()):
            pass
        found = json.loads(fields["data"])
        assert (found["id"], found["merged"]) == ("part", "whole")
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


class Asked:
    """Notes from where pages of the history were asked for."""

    def __init__(self, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages: list[dict[int, int]] = []
        self._since = history.since
        monkeypatch.setattr(history, "since", self._note)

    async def _note(self, positions: Any, limit: int) -> Any:
        self.pages.append(dict(positions))
        return await self._since(positions, limit)


async def test_a_reader_who_was_away_for_long_gets_page_after_page(
    client: Any, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it missed is never all in memory at once: a page is written before the next one is read."""
    count = 250
    await history.add((0, offset, encode(make_sighting(id=f"{offset}"))) for offset in range(count))
    asked = Asked(history, monkeypatch)
    reader = await read(client, "0-0")
    assert [(await reader.sighting())[0] for _ in range(count)] == [str(offset) for offset in range(count)]
    await reader.block()
    reader.response.close()
    assert [page[0] for page in asked.pages] == [0, 100, 200, 250]


async def test_a_reader_that_reads_nothing_for_long_holds_nothing_and_misses_nothing(
    client: Any, views: EventViews, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 sightings with pictures arrive, on partitions too that the reader has never heard of."""
    asked = Asked(history, monkeypatch)
    end = await send_and_read_nothing(client, "/events")
    await until(lambda: len(history._listeners) == 1)
    name = "n" * 100
    for partition, start in [*((0, start) for start in range(0, 9000, 500)), (1, 0), (1, 500)]:
        await history.add(
            (partition, offset, encode(make_sighting(id=f"{partition}-{offset}", name=name, crop=PICTURE)))
            for offset in range(start, start + 500)
        )
    backlog = views._backlog
    assert (len(backlog._events), backlog.end) == (1000, 10_000)
    assert sum(len(event.data) for event in backlog._events.values()) < 1000 * 600
    assert not asked.pages

    seen: list[str] = []
    async for fields in blocks(end):
        seen += [json.loads(fields["data"])["id"]] if "data" in fields else []
        if len(seen) == 10_000:
            break
    end.close()
    assert asked.pages
    assert seen == [*(f"0-{offset}" for offset in range(9000)), *(f"1-{offset}" for offset in range(1000))]


async def test_a_reader_that_goes_on_reading_nothing_is_cut_off(
    client: Any, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_SLOWEST", 0.2)
    end = await send_and_read_nothing(client, "/events")
    await until(lambda: open_streams(client) == 1)
    for start in range(0, 10_000, 500):
        await history.add(
            (0, offset, encode(make_sighting(id=f"{offset}"))) for offset in range(start, start + 500)
        )
    await until(lambda: open_streams(client) == 0)
    assert not history._listeners
    end.close()


async def test_what_happens_while_a_reader_catches_up_is_told_once(
    client: Any, log: SightingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    since, news = log.history.since, ["meanwhile"]

    async def late(positions: Any, limit: int) -> Any:
        if news:
            await log.write(news.pop())
        return await since(positions, limit)

    await log.write("missed")
    monkeypatch.setattr(log.history, "since", late)
    reader = await read(client, "0-0")
    assert [(await reader.sighting())[0] for _ in range(2)] == ["missed", "meanwhile"]
    await log.write("after")
    assert (await reader.sighting())[0] == "after"
    reader.response.close()


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
    async with patience(20):
        while log.history._listeners:
            await log.write("news")
            await asyncio.sleep(0.01)


async def test_a_server_that_stops_does_not_wait_for_its_readers(history: History, serve: Any) -> None:
    client = await serve(EventViews(history).routes())
    reader = await read(client)
    await reader.block()
    async with patience(10):
        await client.server.close()
    with pytest.raises(aiohttp.ClientPayloadError):
        await reader.response.content.read()
