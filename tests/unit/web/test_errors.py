"""Every error is JSON with a reason, and one in the middle of an answer ends the connection."""

import asyncio
import io
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from machine import patience
from settled import settled

from app.web.errors import api_error


async def broken(_: web.Request) -> web.Response:
    raise RuntimeError("a secret of the house")


async def late(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    raise RuntimeError("in the middle")


async def slow(_: web.Request) -> web.Response:
    raise TimeoutError


async def refused(_: web.Request) -> web.Response:
    raise api_error(422, "photos-refused", "look", photos=[1])


async def large(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def elsewhere(_: web.Request) -> web.Response:
    raise web.HTTPFound("/refused")


ROUTES = [
    web.get("/broken", broken), web.get("/late", late), web.get("/slow", slow), web.get("/refused", refused),
    web.post("/large", large), web.get("/elsewhere", elsewhere),
]  # fmt: skip


@pytest.fixture
async def client(serve: Any) -> Any:
    return await serve(ROUTES)


async def told(response: Any) -> tuple[int, dict[str, Any]]:
    assert response.content_type == "application/json"
    return response.status, await response.json()


async def test_what_is_not_there(client: Any) -> None:
    status, body = await told(await client.get("/nowhere"))
    assert (status, body["reason"]) == (404, "not-found")
    assert body["detail"]


async def test_a_method_that_is_not_allowed_says_which_are(client: Any) -> None:
    response = await client.delete("/refused")
    status, body = await told(response)
    assert (status, body["reason"]) == (405, "method-not-allowed")
    assert "GET" in response.headers["Allow"]


async def test_a_body_that_is_too_large(client: Any) -> None:
    status, body = await told(await client.post("/large", data=io.BytesIO(b"x" * (2**20 + 1))))
    assert (status, body["reason"]) == (413, "too-large")
    assert (await client.post("/large", data=b"x")).status == 200


async def test_an_error_with_more_to_say(client: Any) -> None:
    assert await told(await client.get("/refused")) == (
        422, {"reason": "photos-refused", "detail": "look", "photos": [1]},
    )  # fmt: skip


async def test_a_redirect_is_no_error(client: Any) -> None:
    response = await client.get("/elsewhere", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "/refused")


@pytest.mark.parametrize("path", ["/broken", "/slow"])
async def test_what_nobody_foresaw_is_logged_and_says_nothing(
    client: Any, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = await told(await client.get(path))
    assert (status, body["reason"]) == (500, "internal-error")
    assert "secret" not in str(body)
    assert f"GET {path}" in caplog.text


async def test_an_answer_that_has_begun_is_cut_off(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    response = await client.get("/late")
    with pytest.raises(aiohttp.ClientError):
        await response.read()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["GET /late"]
    assert "in the middle" in caplog.text
    assert (await client.get("/refused")).status == 422


async def test_a_client_that_goes_away_is_no_error(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def read(request: web.Request) -> web.Response:
        begun.set()
        try:
            return web.Response(body=await request.read())
        finally:
            ended.set()

    client = await serve([web.post("/read", read)])
    _, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nsome")
    async with patience(20):
        await begun.wait()
        writer.close()
        await writer.wait_closed()
        await ended.wait()
    await settled()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
