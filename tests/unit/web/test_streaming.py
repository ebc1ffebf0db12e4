"""Streaming responses: only so many, and none to a viewer that reads nothing."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from servers import Client, open_streams, send_and_read_nothing
from studio import until

from app.settings import Settings
from app.web import streaming as module
from app.web.streaming import StreamingResponse, streaming


class Source:
    """Streams until it is told to end."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        #: Number of pieces that were written, and responses that came to their end.
        self.written = self.done = 0

    async def trickle(self, request: web.Request) -> web.StreamResponse:
        response = StreamingResponse(request, {"Content-Type": "text/plain"})
        with streaming(request):
            await response.prepare(request)
            await response.write(b"begun\n")
            await self.end.wait()
        return response

    async def flood(self, request: web.Request) -> web.StreamResponse:
        response = StreamingResponse(request, {"Content-Type": "text/plain"})
        with streaming(request):
            await response.prepare(request)
            try:
                while not self.end.is_set():
                    await response.write(b"x" * 50_000)
                    self.written += 1
            finally:
                self.done += 1
        return response

    async def stop(self, request: web.Request) -> web.StreamResponse:
        response = StreamingResponse(request, {"Content-Type": "text/plain"})
        with streaming(request):
            await response.prepare(request)
            assert request.transport is not None
            request.transport.write(b"x" * 20_000_000)
        self.done += 1
        return response


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def client(source: Source, serve: Any) -> Any:
    routes = [
        web.get("/trickle", source.trickle),
        web.get("/flood", source.flood),
        web.get("/end", source.stop),
    ]
    return await serve(routes, Settings(max_viewers=2))


async def test_more_than_are_allowed_are_refused_until_one_has_gone(client: Client, source: Source) -> None:
    both = [await client.get("/trickle") for _ in range(2)]
    refused = await client.get("/trickle")
    assert (refused.status, (await refused.json())["reason"]) == (503, "too-many-viewers")
    assert int(refused.headers["Retry-After"]) > 0
    assert open_streams(client) == 2

    source.end.set()
    assert [await response.read() for response in both] == [b"begun\n"] * 2
    assert open_streams(client) == 0
    assert (await client.get("/trickle")).status == 200


async def test_a_viewer_that_reads_nothing_is_cut_off(
    client: Client, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLOWEST", 0.2)
    end = await send_and_read_nothing(client, "/flood")
    await until(lambda: source.done == 1)
    assert source.written > 0
    assert open_streams(client) == 0
    await until(lambda: not client.server.handler.connections)
    end.close()


async def test_the_last_piece_is_not_waited_for_either(
    client: Client, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLOWEST", 0.2)
    end = await send_and_read_nothing(client, "/end")
    await until(lambda: source.done == 1)
    await until(lambda: not client.server.handler.connections)
    end.close()


async def test_a_viewer_that_reads_slowly_is_served(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLOWEST", 5.0)
    response = await client.get("/flood")
    for _ in range(20):
        await response.content.readexactly(100_000)
        await asyncio.sleep(0.01)
    assert open_streams(client) == 1
    response.close()
