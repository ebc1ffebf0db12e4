"""`onlooker sightings` against a worker that answers as docs/api.md says."""

import json
from typing import Any

from aiohttp import web

SEEN = {
    "id": "a", "stream": "door", "person": "x1", "name": "Ada [/] L", "first": 0, "last": 1000, "frames": 7,
    "score": 0.789, "open": False, "crop": None,
}  # fmt: skip
UNKNOWN = SEEN | {"id": "b", "person": None, "name": None, "score": None, "open": True}


class Worker:
    """Keeps the query, and answers with two sightings."""

    def __init__(self, status: int = 200, answer: Any = None) -> None:
        self.status, self.answer = status, answer or {"sightings": [SEEN, UNKNOWN]}
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


async def test_a_refusal_is_one_line(onlooker: Any, worker: Any) -> None:
    await worker(Worker(400, {"reason": "bad-time", "detail": "'x' is no time"}).routes())
    assert await onlooker("sightings", "--from", "x") == (2, "", "onlooker: 'x' is no time\n")
