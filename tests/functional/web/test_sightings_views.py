"""The history over HTTP, from a real index."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from makers import START, SightingLog

from app.history.index import History
from app.kafka.follower import Follower
from app.web.sightings import SightingViews


@pytest.fixture
def log(history: History) -> SightingLog:
    return SightingLog(history)


@pytest.fixture
async def client(history: History, serve: Any) -> Any:
    return await serve(SightingViews(history).routes())


async def listed(client: Any, **query: str) -> list[str]:
    response = await client.get("/sightings", params=query)
    assert response.status == 200, await response.text()
    return [sighting["id"] for sighting in (await response.json())["sightings"]]


async def test_a_sighting_as_it_is_told(client: Any, log: SightingLog) -> None:
    await log.write("a", score=0.8123, crop=b"\xff\xd8\xff picture")
    response = await client.get("/sightings")
    assert await response.json() == {
        "sightings": [
            {
                "id": "a", "stream": "door", "person": "ada", "name": "Ada", "first": START,
                "last": START + 1000, "frames": 10, "faces": 0, "score": 0.81, "quality": None,
                "confidence": None, "unnamed": None, "changes": [], "merged": None, "open": True,
                "crop": "/sightings/a.jpg",
            }
        ],
        "next": None,
        "complete": False,
    }  # fmt: skip
    response = await client.get("/sightings/a.jpg")
    assert (response.content_type, await response.read()) == ("image/jpeg", b"\xff\xd8\xff picture")


async def test_a_list_says_whether_it_is_complete(client: Any, log: SightingLog) -> None:
    """A worker that begins with an empty disk, or with a damaged index, knows little for a while."""
    follower = SimpleNamespace(complete=False)
    log.history.follow(cast(Follower, follower))
    await log.write("a")
    for complete in (False, True, False):
        follower.complete = complete
        answer = await (await client.get("/sightings")).json()
        assert (len(answer["sightings"]), answer["complete"]) == (1, complete)


@pytest.mark.parametrize("path", ["/sightings", "/sightings/a.jpg"])
async def test_an_index_that_cannot_be_opened_is_unavailable(path: str, serve: Any, tmp_path: Path) -> None:
    (tmp_path / "worker").write_text("where a folder should be")
    history = History(keep=2**50)
    await history.open(tmp_path / "worker" / "history.sqlite", "log")
    client = await serve(SightingViews(history).routes())
    response = await client.get(path)
    assert (response.status, (await response.json())["reason"]) == (503, "history-unavailable")
    await history.close()


async def test_filters(client: Any, log: SightingLog) -> None:
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
async def test_no_picture(client: Any, log: SightingLog, identity: str) -> None:
    await log.write("without")
    response = await client.get(f"/sightings/{identity}.jpg")
    assert (response.status, (await response.json())["reason"]) == (404, "no-such-sighting")
