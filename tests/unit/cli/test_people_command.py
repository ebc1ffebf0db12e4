"""`onlooker people` against a worker that answers as docs/api.md says."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.broker import free_port


class Worker:
    """Keeps what it is asked, and gives one answer."""

    def __init__(self, status: int, answer: Any) -> None:
        self.status, self.answer = status, answer
        self.asked: list[tuple[str, str]] = []
        self.fields: list[tuple[str, str | None, bytes]] = []
        self.token: str | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{path:.*}", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.raw_path))
        self.token = request.headers.get("Authorization")
        if request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                self.fields.append((part.name, part.filename, bytes(await part.read())))
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    return [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]


async def test_somebody_is_enrolled(onlooker: Any, worker: Any, photos: list[str]) -> None:
    answering = Worker(201, {"id": "x1", "name": "Ada", "photos": [{}, {}]})
    await worker(answering.routes())
    code, output, errors = await onlooker("people", "add", "Ada", *photos, "--id", "x1", "--face", "1")
    assert (code, errors) == (0, "")
    assert output == "Ada is enrolled as x1 with 2 photograph(s)\n"
    assert answering.asked == [("POST", "/people")]
    assert sorted(answering.fields) == [
        ("face", None, b"1"), ("id", None, b"x1"), ("name", None, b"Ada"),
        ("photo", "a.jpg", b"a.jpg"), ("photo", "b.jpg", b"b.jpg"),
    ]  # fmt: skip


async def test_refused_photographs_are_named_with_what_to_do(
    onlooker: Any, worker: Any, photos: list[str]
) -> None:
    faces = [{"index": 0, "box": [1.4, 2, 3, 4.6]}, {"index": 1, "box": [5, 6, 7, 8]}]
    refused = [
        {"file": "a.jpg", "ok": False, "reason": "several-faces", "detail": "2 faces", "faces": faces},
        {"file": "b.jpg", "ok": False, "reason": "no-face", "detail": "no face was found"},
        {"file": "c.jpg", "ok": True},
    ]
    await worker(Worker(422, {"reason": "photos-refused", "detail": "no", "photos": refused}).routes())
    code, output, errors = await onlooker("people", "add", "Ada", *photos)
    assert (code, output) == (2, "")
    assert errors == (
        "onlooker: a.jpg: 2 faces (several-faces): give --face K, "
        "one of 0 at [1, 2, 3, 5], 1 at [5, 6, 7, 8]; b.jpg: no face was found (no-face)\n"
    )


async def test_everybody_is_listed_whatever_they_are_called(onlooker: Any, worker: Any) -> None:
    names = ["Ada [/x] Lovelace", "[bold]Bob", ":smile:"]
    people = [{"id": f"x{number}", "name": name, "photos": [1, 2]} for number, name in enumerate(names)]
    await worker(Worker(200, {"people": people}).routes())
    code, output, errors = await onlooker("people", "list")
    assert (code, errors) == (0, "")
    assert all(name in output for name in names)


async def test_somebody_is_removed(onlooker: Any, worker: Any, environment: Any) -> None:
    environment.setenv("ONLOOKER_TOKEN", "t" * 16)
    answering = Worker(200, {"id": "x1"})
    await worker(answering.routes())
    assert await onlooker("people", "remove", "x1") == (0, "x1 is removed\n", "")
    assert answering.token == f"Bearer {'t' * 16}"
    await onlooker("people", "remove", "x1?y/z#")
    assert answering.asked == [("DELETE", "/people/x1"), ("DELETE", "/people/x1%3Fy%2Fz%23")]


async def test_a_refusal_is_one_line(onlooker: Any, worker: Any) -> None:
    await worker(Worker(404, {"reason": "no-such-person", "detail": "nobody is"}).routes())
    assert await onlooker("people", "remove", "x1") == (2, "", "onlooker: nobody is\n")


async def test_no_worker_is_one_line(onlooker: Any, environment: Any) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    environment.setenv("ONLOOKER_URL", address)
    code, output, errors = await onlooker("people", "list")
    assert (code, output) == (2, "")
    assert errors == f"onlooker: no worker answers at {address} (is `onlooker up` running?)\n"


@pytest.mark.parametrize("answer", [["a list"], "text", None])
async def test_something_else_that_answers_is_one_line(onlooker: Any, worker: Any, answer: Any) -> None:
    await worker(Worker(200, answer).routes())
    code, _, errors = await onlooker("people", "list")
    assert (code, errors.count("\n")) == (2, 1)
