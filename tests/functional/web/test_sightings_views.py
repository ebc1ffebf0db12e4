"""The history and its events over HTTP, from a real index."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from makers import START, make_sighting

from app.history.index import History, HistoryUnavailableError
from app.kafka.follower import Follower
from app.messages import encode
from app.web import sightings as module
from app.web.sightings import SightingViews


class Log:
    """Writes sightings to the history as the follower of the log would."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._next: dict[int, int] = {}

    async def write(self, identity: str, partition: int = 0, **more: Any) -> None:
        offset = self._next.get(partition, 0)
        self._next[partition] = offset + 1
        await self.history.add([(partition, offset, encode(make_sighting(id=identity, **more)))])


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
def log(history: History) -> Log:
    return Log(history)


@pytest.fixture
async def client(history: History, serve: Any) -> Any:
    return await serve(SightingViews(history).routes())


async def read(client: Any, last: str | None = None) -> Reader:
    headers = {"Last-Event-ID": last} if last is not None else {}
    reader = Reader(await client.get("/events", headers=headers))
    assert reader.response.status == 200
    assert reader.response.content_type == "text/event-stream"
    return reader


async def listed(client: Any, **query: str) -> list[str]:
    response = await client.get("/sightings", params=query)
    assert response.status == 200, await response.text()
    return [sighting["id"] for sighting in (await response.json())["sightings"]]


async def test_a_sighting_as_it_is_told(client: Any, log: Log) -> None:
    await log.write("a", score=0.8123, crop=b"\xff\xd8\xff picture")
    response = await client.get("/sightings")
    assert await response.json() == {
        "sightings": [
            {
                "id": "a", "stream": "door", "person": "ada", "name": "Ada", "first": START,
                "last": START + 1000, "frames": 10, "score": 0.81, "open": True, "crop": "/sightings/a.jpg",
            }
        ],
        "complete": False,
    }  # fmt: skip
    response = await client.get("/sightings/a.jpg")
    assert (response.content_type, await response.read()) == ("image/jpeg", b"\xff\xd8\xff picture")


async def test_a_list_says_whether_it_is_complete(client: Any, log: Log) -> None:
    """A worker that begins with an empty disk, or with a damaged index, knows little for a while."""
    follower = SimpleNamespace(complete=False)
    log.history.follow(cast(Follower, follower))
    await log.write("a")
    for complete in (False, True, False):
        follower.complete = complete
        answer = await (await client.get("/sightings")).json()
        assert (len(answer["sightings"]), answer["complete"]) == (1, complete)


@pytest.mark.parametrize("path", ["/sightings", "/sightings/a.jpg", "/events"])
async def test_an_index_that_cannot_be_opened_is_unavailable(path: str, serve: Any, tmp_path: Path) -> None:
    (tmp_path / "worker").write_text("where a folder should be")
    history = History(keep=2**50)
    await history.open(tmp_path / "worker" / "history.sqlite", "log")
    client = await serve(SightingViews(history).routes())
    response = await client.get(path)
    assert (response.status, (await response.json())["reason"]) == (503, "history-unavailable")
    await history.close()


async def test_a_reader_is_let_go_of_where_the_index_fails(
    client: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise HistoryUnavailableError("no disk")

    await log.write("a")
    monkeypatch.setattr(log.history, "since", fail)
    reader = await read(client, "0-0")
    assert await reader.response.content.read() == b""


async def test_filters(client: Any, log: Log) -> None:
    await log.write("a", first=START, last=START + 1000)
    await log.write("u", first=START + 5000, last=START + 6000, person=None, name=None, score=None)
    await log.write("y", 1, first=START + 9000, last=START + 9000, stream="yard")
    assert await listed(client) == ["y", "u", "a"]
    assert await listed(client, person="ada") == ["y", "a"]
    assert await listed(client, person="unknown") == ["u"]
    assert await listed(client, stream="door") == ["u", "a"]
    assert await listed(client, limit="1") == ["y"]
    assert await listed(client, **{"from": str(START + 5500)}) == ["y", "u"]
    assert await listed(client, to=str(START + 5500)) == ["u", "a"]
    # START is 2023-11-14T22:13:20Z.
    assert await listed(client, **{"from": "2023-11-14T22:13:25.500Z", "to": "2023-11-14T22:13:28"}) == ["u"]
    assert await listed(client, **{"from": "2023-11-14T23:13:28+01:00"}) == ["y"]
    assert await listed(client, person="", stream="", **{"from": "", "to": "", "limit": ""}) == [
        "y",
        "u",
        "a",
    ]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=0", "bad-limit"), ("limit=1001", "bad-limit"), ("limit=-1", "bad-limit"),
        ("limit=many", "bad-limit"), ("limit=" + "1" * 4000, "bad-limit"),
        ("from=yesterday", "bad-time"), ("to=-5", "bad-time"), ("from=" + "9" * 400, "bad-time"),
        ("from=2023-13-01", "bad-time"), ("stream=a/b", "bad-stream-name"),
        ("stream=a%0a", "bad-stream-name"),
        ("nonsense=1", "bad-request"),
    ],
)  # fmt: skip
async def test_wrong_parameters(client: Any, query: str, reason: str) -> None:
    response = await client.get(f"/sightings?{query}")
    assert (response.status, (await response.json())["reason"]) == (400, reason)


@pytest.mark.parametrize(
    "query", ["person=%ed%a0%80", "person=%00", "from=0001-01-01", "to=9999-12-31T23:59:59"]
)
async def test_odd_parameters_find_something_or_nothing(client: Any, query: str) -> None:
    assert (await client.get(f"/sightings?{query}")).status == 200


@pytest.mark.parametrize("identity", ["nobody", "without"])
async def test_no_picture(client: Any, log: Log, identity: str) -> None:
    await log.write("without")
    response = await client.get(f"/sightings/{identity}.jpg")
    assert (response.status, (await response.json())["reason"]) == (404, "no-such-sighting")


async def test_events_are_what_happens_from_now_on(client: Any, log: Log) -> None:
    await log.write("before")
    reader = await read(client)
    assert (await reader.block())["id"] == "0-1"
    await log.write("after", frames=3)
    await log.write("after", frames=4)
    await log.write("elsewhere", 2)
    assert [await reader.sighting() for _ in range(3)] == [("after", 3), ("after", 4), ("elsewhere", 10)]
    assert reader.last == "0-3.2-1"
    reader.response.close()


async def test_a_reader_goes_on_where_it_was(client: Any, log: Log) -> None:
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


async def test_who_came_before_the_first_event_misses_nothing(client: Any, log: Log) -> None:
    reader = await read(client)
    await reader.block()
    assert reader.last
    reader.response.close()
    await log.write("first", 3)
    again = await read(client, reader.last)
    assert await again.sighting() == ("first", 10)
    again.response.close()


async def test_an_id_of_a_longer_log_hears_what_is_new(client: Any, log: Log) -> None:
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


async def test_a_reader_that_goes_away_is_let_go_of(client: Any, log: Log) -> None:
    reader = await read(client)
    await reader.block()
    assert len(log.history._listeners) == 1
    reader.response.close()
    async with asyncio.timeout(20):
        while log.history._listeners:
            await log.write("news")
            await asyncio.sleep(0.01)


async def test_a_server_that_stops_does_not_wait_for_its_readers(history: History, serve: Any) -> None:
    client = await serve(SightingViews(history).routes())
    reader = await read(client)
    await reader.block()
    async with asyncio.timeout(10):
        await client.server.close()
    with pytest.raises(aiohttp.ClientPayloadError):
        await reader.response.content.read()
