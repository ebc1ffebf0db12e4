"""`onlooker sightings` against a worker that answers as docs/api.md says."""

import json
from typing import Any

import pytest
from aiohttp import web

SEEN = {
    "id": "a", "stream": "door", "person": "x1", "name": "Ada [/] L", "first": 0, "last": 1000, "frames": 7,
    "score": 0.789, "open": False, "crop": None,
}  # fmt: skip
UNKNOWN = SEEN | {"id": "b", "person": None, "name": None, "score": None, "open": True}


class Worker:
    """Keeps the query, and answers with two sightings."""

    def __init__(self, status: int = 200, answer: Any = None) -> None:
        self.status, self.answer = status, answer or {"sightings": [SEEN, UNKNOWN], "next": None}
        self.query: dict[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/sightings", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        self.query = dict(request.query)
        return web.json_response(self.answer, status=self.status)


async def test_a_table(onlooker: Any, worker: Any) -> None:
    await worker(Worker().routes())
    code, output, errors = await onlooker("sightings")
    assert (code, errors) == (0, "")
    heading, first, second = output.rstrip("\n").split("\n")
    assert heading.split() == ["who", "stream", "first", "last", "frames", "similarity"]
    assert "Ada [/] L" in first and "0.79" in first and "19" in first
    assert "unknown" in second and "now" in second


async def test_json_lines(onlooker: Any, worker: Any) -> None:
    await worker(Worker().routes())
    code, output, _ = await onlooker("sightings", "--json")
    assert code == 0
    assert [json.loads(line) for line in output.splitlines()] == [SEEN, UNKNOWN]


async def test_what_is_asked_for(onlooker: Any, worker: Any) -> None:
    answering = Worker()
    await worker(answering.routes())
    await onlooker("sightings")
    assert answering.query == {"limit": "20"}
    await onlooker(
        "sightings", "--person", "x1", "--stream", "door", "--from", "2024-01-01T00:00:00+01:00", "--to", "9",
        "--limit", "5",
    )  # fmt: skip
    assert answering.query == {
        "person": "x1", "stream": "door", "from": "2024-01-01T00:00:00+01:00", "to": "9", "limit": "5",
    }  # fmt: skip


@pytest.mark.parametrize(("flag", "value"), [("--named", "true"), ("--unnamed", "false")])
async def test_those_with_a_name_or_without_one(onlooker: Any, worker: Any, flag: str, value: str) -> None:
    answering = Worker()
    await worker(answering.routes())
    await onlooker("sightings", flag)
    assert answering.query == {"named": value, "limit": "20"}


class Pages:
    """Has so many sightings, and gives as many at once as it is asked for; keeps the queries."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.queries: list[dict[str, str]] = []

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/sightings", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        self.queries.append(dict(request.query))
        start, limit = int(request.query.get("cursor", 0)), int(request.query["limit"])
        end = min(start + limit, self._count)
        page = [SEEN | {"id": f"{number}"} for number in range(start, end)]
        return web.json_response({"sightings": page, "next": f"{end}" if end < self._count else None})


@pytest.mark.parametrize(("there", "asked"), [(2500, 2200), (2200, 9999), (2000, 2000)])
async def test_more_than_a_page_is_asked_for_page_by_page(
    onlooker: Any, worker: Any, there: int, asked: int
) -> None:
    pages = Pages(there)
    await worker(pages.routes())
    code, output, _ = await onlooker("sightings", "--stream", "door", "--limit", str(asked), "--json")
    listed = [json.loads(line)["id"] for line in output.splitlines()]
    assert (code, listed) == (0, [f"{number}" for number in range(min(there, asked))])
    assert [query.get("cursor") for query in pages.queries] == [None, "1000", "2000"][: len(pages.queries)]
    assert all(query["stream"] == "door" and int(query["limit"]) <= 1000 for query in pages.queries)
    assert len(pages.queries) == -(-min(there, asked) // 1000)


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
async def test_a_limit_is_a_number_of_sightings(onlooker: Any, limit: str) -> None:
    code, output, errors = await onlooker("sightings", "--limit", limit)
    assert (code, output) == (2, "") and "--limit" in errors and "Traceback" not in errors


async def test_a_refusal_is_one_line(onlooker: Any, worker: Any) -> None:
    await worker(Worker(400, {"reason": "bad-time", "detail": "'x' is no time"}).routes())
    assert await onlooker("sightings", "--from", "x") == (2, "", "onlooker: 'x' is no time\n")
