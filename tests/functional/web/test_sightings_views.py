"""The history over HTTP, from a real index."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from makers import START, SightingLog

from app.history.index import History
from app.kafka.follower import Follower
from app.messages import Change, Unnamed
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


async def test_one_sighting_is_told_as_in_the_list(client: Any, log: SightingLog) -> None:
    corrected = {
        "captured": START + 5, "before": "bob", "before_name": "Bob", "after": "ada", "after_name": None,
        "reason": "corrected",
    }  # fmt: skip
    fields = {
        "faces": 7, "quality": 0.876, "confidence": 0.991,
        "unnamed": Unnamed(gate="ambiguous", lacking=0.0712), "changes": (Change(**corrected),),
    }  # fmt: skip
    await log.write("a", **fields)
    (listed,) = (await (await client.get("/sightings")).json())["sightings"]
    response = await client.get("/sightings/a")
    assert (response.status, await response.json()) == (200, {**listed, "complete": False})
    assert {name: listed[name] for name in fields} == {
        "faces": 7, "quality": 0.88, "confidence": 0.99, "unnamed": {"gate": "ambiguous", "lacking": 0.07},
        "changes": [corrected],
    }  # fmt: skip


async def test_what_is_part_of_another_is_answered_alone(client: Any, log: SightingLog) -> None:
    await log.write("a", merged="b", crop=b"\xff\xd8\xff")
    await log.write("b", merged="c")
    await log.write("c")
    assert await listed(client) == ["c"]
    assert (await (await client.get("/sightings/a")).json())["merged"] == "c"
    assert (await (await client.get("/sightings/c")).json())["merged"] is None
    assert (await client.get("/sightings/a.jpg")).status == 200


@pytest.mark.parametrize("identity", ["nobody", "%00", "%ed%a0%80", "a%2fb", "x" * 5000])
async def test_no_such_sighting(client: Any, log: SightingLog, identity: str) -> None:
    await log.write("a")
    response = await client.get(f"/sightings/{identity}")
    assert (response.status, (await response.json())["reason"]) == (404, "no-such-sighting")


async def test_pages(client: Any, log: SightingLog) -> None:
    for number in range(5):
        await log.write(f"{number}", last=START + number // 2, person="ada" if number != 3 else None)
    found, query = [], {"limit": "2", "person": "ada"}
    while True:
        page = await (await client.get("/sightings", params=query)).json()
        found.append([sighting["id"] for sighting in page["sightings"]])
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == [["4", "2"], ["1", "0"]]
    # It carries its place alone: what is asked for may be another thing.
    assert await listed(client, cursor=query["cursor"], person="unknown") == []
    assert await listed(client, cursor=query["cursor"]) == ["1", "0"]


async def test_a_list_says_whether_it_is_complete(client: Any, log: SightingLog) -> None:
    """A worker that begins with an empty disk, or with a damaged index, knows little for a while."""
    follower = SimpleNamespace(complete=False)
    log.history.follow(cast(Follower, follower))
    await log.write("a")
    for complete in (False, True, False):
        follower.complete = complete
        answer = await (await client.get("/sightings")).json()
        assert (len(answer["sightings"]), answer["complete"]) == (1, complete)
        for path, status in (("/sightings/a", 200), ("/sightings/b", 404), ("/sightings/b.jpg", 404)):
            response = await client.get(path)
            assert (response.status, (await response.json())["complete"]) == (status, complete)


async def test_a_list_that_was_read_too_early_is_not_called_complete(
    client: Any, log: SightingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower, find = SimpleNamespace(complete=False), log.history.find

    async def overtaken(*question: Any) -> Any:
        found = await find(*question)
        follower.complete = True
        return found

    log.history.follow(cast(Follower, follower))
    monkeypatch.setattr(log.history, "find", overtaken)
    for complete in (False, True):
        assert (await (await client.get("/sightings")).json())["complete"] is complete


@pytest.mark.parametrize("path", ["/sightings", "/sightings/a", "/sightings/a.jpg"])
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
    assert await listed(client, named="false") == ["u"]
    assert await listed(client, named="false", person="unknown") == ["u"]
    assert await listed(client, named="true") == ["y", "a"]
    assert await listed(client, named="true", person="ada") == ["y", "a"]
    assert await listed(client, stream="door") == ["u", "a"]
    assert await listed(client, limit="1") == ["y"]
    assert await listed(client, **{"from": str(START + 5500)}) == ["y", "u"]
    assert await listed(client, to=str(START + 5500)) == ["u", "a"]
    # START is 2023-11-14T22:13:20Z.
    assert await listed(client, **{"from": "2023-11-14T22:13:25.500Z", "to": "2023-11-14T22:13:28"}) == ["u"]
    assert await listed(client, **{"from": "2023-11-14T23:13:28+01:00"}) == ["y"]
    empty = dict.fromkeys(("person", "named", "stream", "from", "to", "limit", "cursor"), "")
    assert await listed(client, **empty) == ["y", "u", "a"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=0", "bad-limit"), ("limit=1001", "bad-limit"), ("limit=-1", "bad-limit"),
        ("limit=many", "bad-limit"), ("limit=" + "1" * 4000, "bad-limit"),
        ("from=yesterday", "bad-time"), ("to=-5", "bad-time"), ("from=" + "9" * 400, "bad-time"),
        ("from=2023-13-01", "bad-time"), ("stream=a/b", "bad-stream-name"),
        ("stream=a%0a", "bad-stream-name"),
        ("nonsense=1", "bad-request"), ("person=a&person=b", "bad-request"),
        ("named=yes", "bad-named"), ("named=True", "bad-named"), ("cursor=%ff", "bad-cursor"),
        ("named=true&person=unknown", "contradiction"), ("named=false&person=ada", "contradiction"),
        ("from=2&to=1", "contradiction"),
    ],
)  # fmt: skip
async def test_wrong_parameters(client: Any, query: str, reason: str) -> None:
    response = await client.get(f"/sightings?{query}")
    assert (response.status, (await response.json())["reason"]) == (400, reason)


async def test_one_sighting_has_no_parameters(client: Any, log: SightingLog) -> None:
    await log.write("a")
    response = await client.get("/sightings/a?full=1")
    assert (response.status, (await response.json())["reason"]) == (400, "bad-request")


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
