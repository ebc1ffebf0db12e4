"""Timelines over HTTP, from a real index."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from makers import EMBEDDER, START, THRESHOLD, SightingLog, make_person, make_status

from app.history.index import History
from app.history.streams import Streams
from app.kafka.follower import Follower
from app.messages import encode
from app.tables.gallery import Gallery
from app.web import timelines as module
from app.web.timelines import TimelineViews

DAY = 24 * 3600 * 1000
AROUND = {"from": str(START), "to": str(START + 3_600_000)}


@pytest.fixture
def log(history: History) -> SightingLog:
    return SightingLog(history)


@pytest.fixture
def gallery() -> Gallery:
    return Gallery(EMBEDDER, THRESHOLD, 0.05)


@pytest.fixture
def streams() -> Streams:
    return Streams(keep=2**50)


@pytest.fixture
async def client(history: History, gallery: Gallery, streams: Streams, serve: Any) -> Any:
    return await serve(TimelineViews(history, gallery, streams).routes())


async def timeline(client: Any, path: str, **query: str) -> dict[str, Any]:
    response = await client.get(f"{path}/timeline", params=query)
    assert response.status == 200, await response.text()
    answer: dict[str, Any] = await response.json()
    return answer


async def refusal(client: Any, path: str) -> tuple[int, str]:
    response = await client.get(path)
    return response.status, (await response.json())["reason"]


async def test_where_a_person_was(client: Any, log: SightingLog, gallery: Gallery) -> None:
    await gallery.put(make_person("ada", name="Ada Lovelace"))
    await log.write("a", first=START, last=START + 1000, open=False)
    await log.write("b", first=START + 60_000, last=START + 90_000, open=False)
    await log.write("y", first=START + 5000, last=START + 9000, stream="yard")
    await log.write("x", person="bob")
    assert await timeline(client, "/people/ada", **AROUND) == {
        "person": "ada", "name": "Ada Lovelace", "from": START, "to": START + 3_600_000, "join": 60,
        "bars": [
            {"stream": "door", "first": START, "last": START + 90_000, "sightings": 2, "open": False},
            {"stream": "yard", "first": START + 5000, "last": START + 9000, "sightings": 1, "open": True},
        ],
        "complete": False,
    }  # fmt: skip
    apart = await timeline(client, "/people/ada", **AROUND, join="59")
    assert [bar["sightings"] for bar in apart["bars"]] == [1, 1, 1]


async def test_who_was_on_a_stream(client: Any, log: SightingLog) -> None:
    await log.write("a", first=START, last=START + 1000, open=False)
    unknown = {"person": None, "name": None, "score": None}
    await log.write("u", first=START + 2000, last=START + 3000, **unknown, open=False)
    await log.write("v", first=START + 4000, last=START + 5000, **unknown)
    await log.write("y", stream="yard")
    assert await timeline(client, "/streams/door", **AROUND) == {
        "stream": "door", "from": START, "to": START + 3_600_000, "join": 60,
        "bars": [
            {
                "person": "ada", "name": "Ada", "first": START, "last": START + 1000, "sightings": 1,
                "open": False,
            },
            {
                "person": None, "name": None, "first": START + 2000, "last": START + 5000, "sightings": 2,
                "open": True,
            },
        ],
        "complete": False,
    }  # fmt: skip


async def test_the_last_day_unless_said_otherwise(client: Any, log: SightingLog) -> None:
    now = int(time.time() * 1000)
    await log.write("old", first=now - 2 * DAY, last=now - DAY - 60_000, stream="yard")
    await log.write("new", first=now - 3000, last=now - 2000)
    answer = await timeline(client, "/people/ada")
    assert [bar["stream"] for bar in answer["bars"]] == ["door"]
    assert answer["to"] - answer["from"] == DAY and 0 <= answer["to"] - now < 60_000
    before = await timeline(client, "/people/ada", to=str(now - DAY))
    assert (before["from"], [bar["stream"] for bar in before["bars"]]) == (now - 2 * DAY, ["yard"])
    since = await timeline(client, "/people/ada", **{"from": "2023-11-14T22:13:20Z"})
    assert (since["from"], len(since["bars"])) == (START, 2)
    later = await timeline(client, "/people/ada", **{"from": str(now + DAY)})
    assert (later["to"], later["bars"]) == (now + DAY, [])


async def test_what_is_part_of_another_is_in_no_bar(client: Any, log: SightingLog) -> None:
    await log.write("a")
    await log.write("b", merged="a", last=START + 50_000)
    for path in ("/people/ada", "/streams/door"):
        (bar,) = (await timeline(client, path, **AROUND))["bars"]
        assert (bar["last"], bar["sightings"]) == (START + 1000, 1)


async def test_somebody_who_was_removed_is_remembered(client: Any, log: SightingLog) -> None:
    await log.write("a", name="Ada before")
    await log.write("b", first=START + 5000, last=START + 5000, name="Ada after")
    answer = await timeline(client, "/people/ada")
    assert (answer["name"], answer["bars"]) == ("Ada after", [])


async def test_who_was_never_seen_has_no_bars(client: Any, gallery: Gallery, streams: Streams) -> None:
    await gallery.put(make_person("ada"))
    await gallery.leave_out("bob")
    await streams.add([cast(Any, SimpleNamespace(value=encode(make_status())))])
    for path in ("/people/ada", "/people/bob", "/streams/door"):
        assert (await timeline(client, path))["bars"] == []
    assert (await timeline(client, "/people/bob"))["name"] is None


@pytest.mark.parametrize("name", ["nobody", "unknown", "%00", "%ed%a0%80", "x" * 5000])
async def test_who_was_never_heard_of(client: Any, log: SightingLog, name: str) -> None:
    await log.write("u", person=None, name=None, score=None)
    assert await refusal(client, f"/people/{name}/timeline") == (404, "no-such-person")
    assert await refusal(client, f"/streams/{name}/timeline") == (404, "no-such-stream")


@pytest.mark.parametrize("path", ["/people/ada/timeline", "/streams/door/timeline"])
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("join=-1", "bad-join"), ("join=86401", "bad-join"), ("join=1.5", "bad-join"),
        ("from=yesterday", "bad-time"), ("from=2&to=1", "contradiction"), ("person=ada", "bad-request"),
        ("to=1&to=2", "bad-request"), ("limit=5", "bad-request"),
    ],
)  # fmt: skip
async def test_wrong_parameters(client: Any, log: SightingLog, path: str, query: str, reason: str) -> None:
    await log.write("a")
    assert await refusal(client, f"{path}?{query}") == (400, reason)


async def test_more_bars_than_can_be_drawn_are_refused_rather_than_cut_off(
    client: Any, log: SightingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    for number in range(4):
        await log.write(f"{number}", first=START + number * 1000, last=START + number * 1000)
    query = f"from={START}&to={START + 9000}"
    for path in ("/people/ada/timeline", "/streams/door/timeline"):
        assert await refusal(client, f"{path}?{query}&join=0") == (400, "too-many-bars")
        assert (await client.get(f"{path}?from={START}&to={START + 2500}&join=0")).status == 200
        assert (await client.get(f"{path}?{query}&join=86400")).status == 200


async def test_a_timeline_says_whether_it_is_complete(client: Any, log: SightingLog) -> None:
    follower = SimpleNamespace(complete=False)
    log.history.follow(cast(Follower, follower))
    await log.write("a")
    for complete in (False, True):
        follower.complete = complete
        for path in ("/people/ada", "/streams/door"):
            assert (await timeline(client, path))["complete"] is complete
        for path in ("/people/nobody", "/streams/nowhere"):
            response = await client.get(f"{path}/timeline")
            assert (response.status, (await response.json())["complete"]) == (404, complete)


@pytest.mark.parametrize("path", ["/people/ada/timeline", "/streams/door/timeline"])
async def test_an_index_that_cannot_be_opened_is_unavailable(
    path: str, serve: Any, tmp_path: Path, gallery: Gallery, streams: Streams
) -> None:
    (tmp_path / "worker").write_text("where a folder should be")
    history = History(keep=2**50)
    await history.open(tmp_path / "worker" / "history.sqlite", "log")
    client = await serve(TimelineViews(history, gallery, streams).routes())
    assert await refusal(client, path) == (503, "history-unavailable")
    await history.close()
